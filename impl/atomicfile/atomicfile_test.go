package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want fails unless the file at path is that, and the directory holds the files named.
func want(t *testing.T, path, content string, mode fs.FileMode, names ...string) {
	t.Helper()
	have, err := os.ReadFile(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if string(have) != content || info.Mode() != mode {
		t.Errorf("%.40q with mode %v; want %.40q with %v", have, info.Mode(), content, mode)
	}
	var there []string
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	for _, e := range entries {
		there = append(there, e.Name())
	}
	if !slices.Equal(there, names) {
		t.Errorf("the directory has %q, not %q", there, names)
	}
}

func TestWrite(t *testing.T) {
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	path := filepath.Join(t.TempDir(), "file")
	must(t, Write(path, []byte("first"), 0o644))
	want(t, path, "first", 0o640, "file")
	must(t, Write(path, []byte("second"), 0o644, AnyUmask()))
	want(t, path, "second", 0o644, "file")
	must(t, Write(path, []byte("third"), 0o600, Synced()))
	want(t, path, "third", 0o600, "file")
	must(t, Write(path, nil, 0o644, AnyUmask(), Synced()))
	want(t, path, "", 0o644, "file")
}

// TestLeftovers: what a killed writer left is overwritten, and hinders nobody.
func TestLeftovers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path+Unfinished, []byte("longer than the new content"), 0o600))
	must(t, Write(path, []byte("new"), 0o640, AnyUmask()))
	want(t, path, "new", 0o640, "file")
}

// TestLinks: a link is replaced, and none is written through.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	other, path := filepath.Join(dir, "other"), filepath.Join(dir, "file")
	must(t, os.WriteFile(other, []byte("kept"), 0o600))
	must(t, os.Symlink(other, path))
	must(t, Write(path, []byte("new"), 0o600))
	want(t, path, "new", 0o600, "file", "other")
	must(t, os.Symlink(other, path+Unfinished))
	if err := Write(path, []byte("through the link"), 0o600); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link has the name of the unfinished file: %v", err)
	}
	want(t, other, "kept", 0o600, "file", "file"+Unfinished, "other")
}

// TestErrors: whatever goes wrong, the old file stays and nothing else.
func TestErrors(t *testing.T) {
	small := t.TempDir()
	must(t, unix.Mount("tmpfs", small, "tmpfs", 0, "size=64k"))
	defer func() { must(t, unix.Unmount(small, 0)) }()
	path := filepath.Join(small, "file")
	must(t, Write(path, []byte("old"), 0o600))
	if err := Write(path, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	want(t, path, "old", 0o600, "file")

	dir := filepath.Join(t.TempDir(), "dir")
	must(t, os.Mkdir(dir, 0o700))
	var failed *os.LinkError
	if err := Write(dir, []byte("a file"), 0o600, Synced()); !errors.As(err, &failed) {
		t.Errorf("in the place of a directory: %v", err)
	}
	if _, err := os.Lstat(dir + Unfinished); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of the file that took no place is left: %v", err)
	}
	if err := Write(filepath.Join(dir, "missing", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	must(t, os.WriteFile(from, []byte("new"), 0o600))
	must(t, os.WriteFile(to, []byte("old"), 0o600))
	must(t, Rename(from, to))
	want(t, to, "new", 0o600, "to")
	if err := Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a file that is not there: %v", err)
	}
	want(t, to, "new", 0o600, "to")
	if err := SyncDir(from); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a directory that is not there: %v", err)
	}
}

// text is content of some 100 kB that is whole if it is the same letter throughout.
func text(n int) []byte { return bytes.Repeat([]byte{'a' + byte(n%26)}, 100_000+n%26) }

func whole(content []byte) bool {
	return len(content) > 0 && bytes.Equal(content, text(int(content[0]-'a')))
}

// TestReader: whoever opens the file while it is written has one whole content.
func TestReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, Write(path, text(0), 0o600))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			if err := Write(path, text(i), 0o600); err != nil {
				t.Error(err)
			}
		}
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		if content, err := os.ReadFile(path); err != nil || !whole(content) {
			t.Fatalf("a reader sees %d bytes of %.1q: %v", len(content), content, err)
		}
	}
	must(t, Write(path, text(0), 0o600))
	want(t, path, string(text(0)), 0o600, "file")
}

// inKilled has the path that the process of TestKilled writes.
const inKilled = "BERTH_ATOMICFILE_KILLED"

// TestKilled: a writer is killed again and again.
func TestKilled(t *testing.T) {
	if path := os.Getenv(inKilled); path != "" {
		for i := 0; ; i++ {
			must(t, Write(path, text(i), 0o600))
		}
	}
	runtime.LockOSThread() // whose end is the signal for the writer
	defer runtime.UnlockOSThread()
	path := filepath.Join(t.TempDir(), "file")
	begun, left := 0, 0
	for round := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), inKilled+"="+path)
		cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
		must(t, cmd.Start())
		time.Sleep(time.Duration(round) * 7 * time.Millisecond)
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		content, err := os.ReadFile(path)
		if err == nil && !whole(content) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("round %d left %d bytes of %.1q: %v", round, len(content), content, err)
		}
		if err == nil {
			begun++
		}
		if _, err := os.Lstat(path + Unfinished); err == nil {
			left++
		}
	}
	if begun == 0 {
		t.Error("no process wrote anything")
	}
	t.Logf("after %d of 20 there was a file, after %d an unfinished one", begun, left)
	must(t, Write(path, text(1), 0o600))
	want(t, path, string(text(1)), 0o600, "file")
}
