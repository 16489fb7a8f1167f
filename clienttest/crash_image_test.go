package clienttest

import (
	"archive/tar"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	crashRounds = flag.Int("crash-rounds", 10, "how often TestKilledAtImages kills the daemon")
	crashSeed   = flag.Uint64("crash-seed", 0, "seed of TestKilledAtImages (0 takes one from the clock)")
)

// crashWorkers is how many clients work while the daemon is killed.
const crashWorkers = 3

// Killed at random moments of pull, load, save, import, tag, remove and start, the
// daemon leaves a store in which berthd check finds nothing damaged; started again it
// has all that was acknowledged, nothing that was removed, and no image that is not
// whole; and when all is removed, the space is free again.
func TestKilledAtImages(t *testing.T) {
	address := registry(t)
	t.Run("kills", func(t *testing.T) { killAtImages(t, address) }) // ends before the registry does
}

func killAtImages(t *testing.T, address string) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-crash-seed %d -crash-rounds %d", seed, *crashRounds)
	e := startOwn(t, "berthtest11", "10.213.32.1/24")
	d := newDocker(t, e.Host(), "1.23")
	c := &crasher{t: t, d: d, dir: t.TempDir(), address: address}
	c.prepare()
	e.Kill() // so that the daemon to compare with was started anew, too
	e.comesBack()
	e.warm()
	before, disk := e.steady(), c.disk(e)
	killed := map[string]int{}
	for round := range *crashRounds {
		random := rand.New(rand.NewPCG(seed, uint64(round)))
		workers := make([]*crashWorker, crashWorkers)
		var all sync.WaitGroup
		var over atomic.Bool
		for i := range workers {
			workers[i] = &crashWorker{crasher: c, name: fmt.Sprintf("w%d", i), random: rand.New(rand.NewPCG(random.Uint64(), 0)), over: &over, known: map[string]fact{}}
			all.Go(workers[i].work)
		}
		time.Sleep(time.Duration(50+random.IntN(1500)) * time.Millisecond)
		over.Store(true)
		e.Kill()
		all.Wait()
		for _, w := range workers {
			killed[w.doing]++
		}
		if status, said := e.check(); status != 0 {
			t.Errorf("round %d: the store that was left is damaged:\n%s", round, said)
		}
		e.comesBack()
		found := c.found()
		for _, w := range workers {
			w.verify(round, found)
		}
		c.cleanUp()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			left := c.disk(e)
			if left == disk {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("round %d: space is not free again: there were\n%s\nand there are\n%s", round, disk, left)
			}
		}
	}
	t.Logf("killed while %v", killed)
	d.equal("a container after all that", d.run("run", "--rm", "busybox", "echo", "fine"), "fine")
	e.warm() // it was started anew
	e.settles(before)
}

// crasher has what the workers of all rounds share: images in the registry and in
// archives, three of them with common layers.
type crasher struct {
	t       *testing.T
	d       *docker
	dir     string
	address string
	// ids are the images' ids; index n is also in their tag.
	ids  []string
	base string
}

// version is the tag of image n. A tag that could begin an id would find images by
// that, too: "repository:0" is any image of the repository whose id begins with 0.
func version(n int) string { return fmt.Sprintf("v%d", n) }

func (c *crasher) archive(n int) string { return filepath.Join(c.dir, fmt.Sprintf("%d.tar", n)) }

func (c *crasher) prepare() {
	c.t.Helper()
	c.base = c.images()
	for n := range 3 {
		dir := c.t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "own"), noise(3<<20+n), 0o600); err != nil {
			c.t.Fatal(err)
		}
		text := fmt.Sprintf("FROM busybox\nRUN echo common >/common\nRUN echo %d >/own\nCOPY own /content\nCMD [\"sleep\", \"1000\"]\n", n)
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
		local := "crash:" + version(n)
		c.d.run("build", "-q", "-t", local, dir)
		c.ids = append(c.ids, c.d.inspect(local, "{{.Id}}"))
		for w := range crashWorkers {
			remote := fmt.Sprintf("%s/w%d:%s", c.address, w, version(n))
			c.d.run("tag", local, remote)
			c.d.run("push", remote)
		}
		c.d.run("save", "-o", c.archive(n), local)
	}
	c.cleanUp()
}

func (c *crasher) images() string { return images(c.d) }

// cleanUp removes all containers and all images but busybox.
func (c *crasher) cleanUp() {
	c.t.Helper()
	if all := strings.Fields(c.d.run("ps", "-a", "-q")); len(all) > 0 {
		c.d.run(append([]string{"rm", "-f"}, all...)...)
	}
	for range 5 { // what has children is left for the next pass
		args := []string{"rmi", "-f"}
		for _, line := range strings.Split(c.d.run("images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"), "\n") {
			id, name, _ := strings.Cut(line, " ")
			switch {
			case name == "busybox:latest":
			case strings.Contains(name, "<none>"):
				args = append(args, id)
			default:
				args = append(args, name)
			}
		}
		if len(args) == 2 {
			break
		}
		c.d.try("", args...)
	}
	c.d.equal("images after cleaning up", c.images(), c.base)
}

// disk lists what the store has on disk; recipes of the database do not count.
func (c *crasher) disk(e *ownEngine) string {
	c.t.Helper()
	var list []string
	for _, dir := range []string{"layers", "rw", "blobs", "trash"} {
		entries, err := os.ReadDir(filepath.Join(e.place.Dir, "data/image", dir))
		if err != nil {
			c.t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s: %d", dir, len(entries)))
	}
	return strings.Join(list, ", ")
}

// fact is what a worker knows about a name that only it uses.
type fact struct {
	kind string // image or container
	// there and gone are acknowledged; neither is what the kill interrupted.
	there, gone bool
	id          string // of the image, if it is known before
}

type crashWorker struct {
	*crasher
	name   string
	random *rand.Rand
	over   *atomic.Bool
	known  map[string]fact
	saved  []string
	// doing is what the kill met.
	doing string
}

// do runs a command after which name is as then says. It reports success.
func (w *crashWorker) do(doing, name string, then fact, args ...string) bool {
	if w.over.Load() {
		return false
	}
	w.doing = doing
	if name != "" {
		w.known[name] = fact{kind: then.kind}
	}
	r := w.d.try("", args...)
	if r.code != 0 {
		if !w.over.Load() {
			w.t.Errorf("%s: %v", doing, r)
		}
		return false
	}
	if name != "" {
		if doing == "import" {
			then.id = strings.TrimSpace(r.stdout)
		}
		w.known[name] = then
	}
	return true
}

// work does one thing after the other until the daemon is killed.
func (w *crashWorker) work() {
	for i := 0; !w.over.Load(); i++ {
		n := w.random.IntN(3)
		number := fmt.Sprintf("%s-%d", w.name, i)
		pulled := fmt.Sprintf("%s/%s:%s", w.address, w.name, version(n))
		switch w.random.IntN(6) {
		case 0:
			if w.do("pull", pulled, fact{kind: "image", there: true, id: w.ids[n]}, "pull", "-q", pulled) && w.random.IntN(2) == 0 {
				w.do("remove", pulled, fact{kind: "image", gone: true}, "rmi", "-f", pulled)
			}
		case 1: // all load the same name, which nobody removes
			if w.do("load", "", fact{}, "load", "-i", w.archive(n)) {
				w.known["crash:"+version(n)] = fact{kind: "image", there: true, id: w.ids[n]}
			}
		case 2:
			imported := "imported:" + number
			if w.do("import", imported, fact{kind: "image", there: true}, "import", w.archive(n), imported) && w.random.IntN(2) == 0 {
				w.do("remove", imported, fact{kind: "image", gone: true}, "rmi", imported)
			}
		case 3:
			tagged := "tagged:" + number
			if w.do("tag", tagged, fact{kind: "image", there: true}, "tag", "busybox", tagged) && w.random.IntN(2) == 0 {
				w.do("remove", tagged, fact{kind: "image", gone: true}, "rmi", tagged)
			}
		case 4:
			to := filepath.Join(w.dir, number+".saved")
			if w.do("save", "", fact{}, "save", "-o", to, "busybox") {
				w.saved = append(w.saved, to)
			}
		case 5:
			container := "run-" + number
			if w.do("start", container, fact{kind: "container", there: true}, "run", "-d", "--name", container, "busybox", "sleep", "1000") && w.random.IntN(2) == 0 {
				w.do("remove container", container, fact{kind: "container", gone: true}, "rm", "-f", container)
			}
		}
	}
}

// found is what there is: images by name with their ids, containers with their status.
func (c *crasher) found() map[string]string {
	c.t.Helper()
	all := c.d.run("images", "--no-trunc", "--format", "image {{.Repository}}:{{.Tag}} {{.ID}}") + "\n" +
		c.d.run("ps", "-a", "--format", "container {{.Names}} {{.Status}}")
	found := map[string]string{}
	for _, line := range strings.Split(all, "\n") {
		if f := strings.SplitN(line, " ", 3); len(f) == 3 {
			found[f[0]+" "+f[1]] = f[2]
		}
	}
	return found
}

// verify compares what is there with what was acknowledged.
func (w *crashWorker) verify(round int, found map[string]string) {
	w.t.Helper()
	for name, f := range w.known {
		got, there := found[f.kind+" "+name]
		switch {
		case f.there && !there:
			w.t.Errorf("round %d: the %s %s was acknowledged and is lost", round, f.kind, name)
		case f.there && f.kind == "container" && !strings.HasPrefix(got, "Up "):
			w.t.Errorf("round %d: the container %s was started and is %s", round, name, got)
		case f.there && f.id != "" && got != f.id:
			w.t.Errorf("round %d: the image %s is %s instead of %s", round, name, got, f.id)
		case f.gone && there:
			w.t.Errorf("round %d: the %s %s was removed and is back as %s", round, f.kind, name, got)
		}
	}
	for _, file := range w.saved {
		if err := wholeArchive(file); err != nil {
			w.t.Errorf("round %d: an acknowledged archive: %v", round, err)
		}
	}
}

// wholeArchive says whether a saved image's archive has its end and its manifest.
func wholeArchive(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	manifest := false
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		manifest = manifest || h.Name == "manifest.json"
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
	}
	if !manifest {
		return fmt.Errorf("%s has no manifest", path)
	}
	return os.Remove(path)
}
