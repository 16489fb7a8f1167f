package image

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/image/testimage"
)

const crashRoot = "BERTH_TEST_CRASH_ROOT"

// TestCrashChild is not a test: it is the process that TestCrash kills. Before an
// operation it says "start <name>", after it "have <name>" or "gone <name>".
func TestCrashChild(t *testing.T) {
	root := os.Getenv(crashRoot)
	if root == "" {
		return // run as a test of its own it has nothing to do
	}
	s, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	none := RemoveOptions{Force: true}
	say := func(what, name string) { os.Stdout.WriteString(what + " " + name + "\n") }
	do := func(result, name string, op func() error) {
		say("start", name)
		if err := op(); err != nil {
			t.Fatal(name, err)
		}
		say(result, name)
	}
	for i := range 1000 {
		base := fmt.Sprintf("i%d:latest", i%3)
		body := bytes.Repeat([]byte{byte(i)}, 50_000)
		var archive bytes.Buffer
		if err := testimage.Write(&archive, testimage.Image{Tags: []string{base}, Layers: [][]testimage.File{
			{{Name: "common/"}, {Name: "common/f", Body: []byte("common")}}, {{Name: "own", Body: body}}}}); err != nil {
			t.Fatal(err)
		}
		do("have", base, func() error { _, err := s.Load(ctx, &archive, nil); return err })
		do("have", "tag:x", func() error { _, err := s.Tag(ctx, base, "tag:x", ""); return err })
		imported := tarOf(t, testimage.File{Name: "imported", Body: body})
		do("have", "imp:latest", func() error {
			_, err := s.Import(ctx, bytes.NewReader(imported), ImportOptions{Ref: "imp", Source: "-"})
			return err
		})
		img, err := s.Get(base)
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint("c", i)
		if _, err := s.NewWritable(ctx, id, img.ID); err != nil {
			t.Fatal(err)
		}
		step, err := s.NewWritable(ctx, id+"step", img.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(step.Upper, "made"), body, 0o600); err != nil {
			t.Fatal(err)
		}
		do("have", "step:latest", func() error {
			_, err := s.Commit(ctx, id+"step", CommitOptions{Ref: "step", Adopt: true})
			return err
		})
		if err := s.RemoveWritable(id + "step"); err != nil {
			t.Fatal(err)
		}
		do("gone", "step:latest", func() error { _, err := s.Remove(ctx, "step", none, nil); return err })
		do("gone", "imp:latest", func() error { _, err := s.Remove(ctx, "imp", none, nil); return err })
		do("gone", "tag:x", func() error { _, err := s.Remove(ctx, "tag:x", none, nil); return err })
		if err := s.RemoveWritable(id); err != nil {
			t.Fatal(err)
		}
		do("gone", base, func() error { _, err := s.Remove(ctx, base, none, nil); return err })
	}
}

// TestCrash kills a process that uses the store, at random moments, and looks
// at what it left: the store opens, what was acknowledged is there and whole,
// what was not is there entirely or not at all, and nothing else is on disk.
func TestCrash(t *testing.T) {
	rounds := 15
	if testing.Short() {
		rounds = 3
	}
	root := t.TempDir()
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for range rounds {
		state := crash(t, root, time.Duration(20+random.Intn(250))*time.Millisecond)
		s := open(t, root)
		for name, last := range state {
			_, err := s.Get(name)
			if last == "have" && err != nil {
				t.Errorf("%s was acknowledged and is lost: %v", name, err)
			}
			if last == "gone" && err == nil {
				t.Errorf("%s was removed and is back", name)
			}
		}
		images, err := s.List(Filter{All: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, img := range images {
			if err := s.Save(context.Background(), io.Discard, []string{img.ID.String()}); err != nil {
				t.Errorf("%v: %v", img.Tags, err)
			}
		}
		for _, id := range s.Writables() {
			if _, err := s.Writable(id); err != nil {
				t.Errorf("writable layer %s: %v", id, err)
			}
			if err := s.RemoveWritable(id); err != nil {
				t.Error(err)
			}
		}
		dirs := map[string]bool{}
		for _, l := range s.layers {
			dirs[l.Dir] = true
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for dir, want := range map[string]int{layersDir: len(dirs), rwDir: 0, trashDir: 0, blobsDir: 0} {
			if entries, err := os.ReadDir(filepath.Join(root, dir)); err != nil || len(entries) != want {
				t.Errorf("%s has %d entries instead of %d, %v", dir, len(entries), want, err)
			}
		}
	}
}

// crash runs the child for a while and returns what it said last of each name.
func crash(t *testing.T, root string, after time.Duration) map[string]string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashRoot+"="+root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	state := map[string]string{}
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		if timer == nil { // the clock runs from the first sign of life
			timer = time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
		what, name, ok := strings.Cut(lines.Text(), " ")
		if !ok || what != "start" && what != "have" && what != "gone" {
			cmd.Process.Kill()
			t.Fatalf("the child says %q", lines.Text())
		}
		state[name] = what
	}
	if timer == nil {
		t.Error("the child said nothing")
	} else {
		timer.Stop()
	}
	cmd.Wait()
	return state
}
