package clienttest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// check runs berthd check on the engine's data and returns its exit status and
// all that it says.
func (e *ownEngine) check(args ...string) (status int, said string) {
	e.t.Helper()
	cmd := exec.Command(filepath.Join(*binaries, "berthd"), append([]string{"check", "--config-file", filepath.Join(e.place.Dir, "daemon.json"), "--data-root", filepath.Join(e.place.Dir, "data"), "--exec-root", filepath.Join(e.place.Dir, "exec")}, args...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		e.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// A damaged layer makes its image an error and nothing else: the daemon starts,
// other images run, berthd check tells it, a repair takes the image away, and
// pulling it again gives a container of it back, with what it wrote.
func TestCheck(t *testing.T) {
	e := startOwn(t, "berthtest19", "10.213.31.1/24")
	d := newDocker(t, e.Host(), "1.23")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM busybox\nRUN echo canary-content >/canary && ln -s canary /link\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.run("build", "-q", "-t", "marked", dir)
	archive := filepath.Join(t.TempDir(), "marked.tar")
	d.run("save", "-o", archive, "marked")
	d.run("run", "--name", "keeps", "marked", "sh", "-c", "cat /canary; [ -e /precious ] || echo mine >/precious; cat /precious")

	status, said := e.check()
	if status != 2 {
		t.Errorf("while the daemon runs: status %d, %s", status, said)
	}
	d.matches("while the daemon runs", said, `in use by another berthd \(pid \d+\)`)
	stop := func() {
		t.Helper()
		if err := e.Stop(30 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	checks := func(what string, want int, pattern string, args ...string) {
		t.Helper()
		status, said := e.check(args...)
		t.Logf("%s: %d\n%s", what, status, said)
		if status != want {
			t.Errorf("%s: status %d instead of %d", what, status, want)
		}
		d.matches(what, said, pattern)
	}
	stop()
	checks("a whole store", 0, `checked 2 images, 2 layers \(.*\), 0 compressed layers, 1 containers in .*: 0 repaired, 0 removed, 0 left as they are`)
	e.comesBack()
	d.run("run", "-d", "--name", "goes-on", "busybox", "sleep", "1000")
	stop()
	checks("while a container runs", 0, `checked 2 images`)
	checks("a repair while a container runs", 2, `containers run, .*stop them.*: \w{64}`, "--repair")
	e.comesBack()
	d.run("rm", "-f", "goes-on")
	stop()
	status, said = e.check("--repair", "nonsense")
	if status != 2 || !strings.Contains(said, "nonsense") {
		t.Errorf("a wrong argument: status %d, %s", status, said)
	}

	found, err := filepath.Glob(filepath.Join(e.place.Dir, "data/image/layers/*/diff/canary"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the layer's file: %v %v", found, err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(found[0]), "link")); err != nil {
		t.Fatal(err)
	}
	checks("a file is gone", 1, `layer sha256:\w{64} of \w{12}: layer is damaged: "link": no such file`)
	if err := os.RemoveAll(filepath.Dir(found[0])); err != nil {
		t.Fatal(err)
	}
	checks("all files are gone", 1, `image sha256:\w{64} \(marked:latest\): layer sha256:\w{64} of image \w{12}: layer is damaged`)

	e.comesBack()
	d.equal("another image", d.run("run", "--rm", "busybox", "echo", "fine"), "fine")
	d.matches("the damaged image is listed", d.run("images"), "marked")
	const damaged = "layer sha256:[0-9a-f]{64}.*layer is damaged"
	d.fails(125, damaged, "run", "--rm", "marked", "true")
	d.fails(1, damaged, "start", "-a", "keeps")
	d.fails(1, damaged, "save", "-o", filepath.Join(dir, "x.tar"), "marked")
	d.equal("another image afterwards", d.run("run", "--rm", "busybox", "echo", "fine"), "fine")
	stop()
	checks("repair", 1, `image sha256:\w{64} \(marked:latest\): .*: removed`, "--repair")
	checks("the container after the repair", 1, `container \w{64}: its image cannot be used: .*what it wrote is kept`)

	e.comesBack()
	d.lacks("the removed image", d.run("images"), "marked")
	d.run("load", "-i", archive)
	d.equal("a new container of it", d.run("run", "--rm", "marked", "cat", "/link"), "canary-content")
	d.equal("the old one", d.try("", "start", "-a", "keeps").stdout, "canary-content\nmine\n")
	stop()
	checks("after all that", 0, `0 repaired, 0 removed, 0 left as they are`)

	// A damaged database: check tells it and repairs it.
	file := filepath.Join(e.place.Dir, "data/image/images.db")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := 2 * os.Getpagesize(); at < len(content); at += os.Getpagesize() {
		copy(content[at:], strings.Repeat("damage", 100))
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	checks("a damaged database", 1, "the database is damaged")
	checks("its repair", 1, `images: the database was damaged; \d+ records could be read and were kept; the damaged file is .*images.db.damaged-`, "--repair")
	e.comesBack()
	d.run("load", "-i", archive)
	d.equal("the old container in the end", d.try("", "start", "-a", "keeps").stdout, "canary-content\nmine\n")
	d.run("rm", "keeps")
}
