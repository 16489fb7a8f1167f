package clienttest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Killed in the middle of pulls, loads and builds, the daemon comes back with
// every image that it acknowledged, with none that is not whole, and with
// nothing left over of the others.
func TestDaemonKilledInTransfers(t *testing.T) {
	address := registry(t)
	t.Run("kills", func(t *testing.T) { killInTransfers(t, address) }) // ends before the registry does
}

func killInTransfers(t *testing.T, address string) {
	e := startOwn(t, "berthtest17", "10.213.30.1/24")
	d := newDocker(t, e.Host(), "1.23")
	dir := t.TempDir()
	big := filepath.Join(dir, "content")
	if err := os.WriteFile(big, noise(24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM busybox\nCOPY content /content\nRUN echo step >/step\nCMD [\"cat\", \"/step\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	source := address + "/big:source"
	d.run("build", "-q", "-t", source, dir)
	d.run("push", source)
	archive := filepath.Join(t.TempDir(), "archive.tar")
	d.run("save", "-o", archive, source)
	d.run("rmi", source)
	d.run("run", "--rm", "busybox", "true")
	base := images(d)
	before := e.steady()

	for _, transfer := range []struct {
		name, image string
		command     []string
	}{
		{"pull", source, []string{"pull", source}},
		{"load", source, []string{"load", "-i", archive}},
		{"build", "built:here", []string{"build", "-t", "built:here", "--no-cache", dir}},
	} {
		// How long it takes undisturbed bounds the moments to kill at.
		began := time.Now()
		d.run(transfer.command...)
		whole := time.Since(began)
		d.run("rmi", transfer.image)
		const rounds = 5
		for round := range rounds {
			cmd := d.start(nil, transfer.command...)
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			time.Sleep(whole * time.Duration(round+1) / (rounds + 1))
			e.Kill()
			err := <-done
			e.comesBack()
			listed := images(d)
			if err == nil && !strings.Contains(listed, transfer.image) {
				t.Errorf("%s, round %d: the acknowledged image is lost; there are: %s", transfer.name, round, listed)
			}
			if strings.Contains(listed, transfer.image) {
				d.equal(transfer.name+": the image that is listed is whole", d.run("run", "--rm", transfer.image), "step")
				d.run("rmi", transfer.image)
			}
			// A container of a build's step may have been left, as any container is.
			if all := strings.Fields(d.run("ps", "-a", "-q")); len(all) > 0 {
				d.run(append([]string{"rm", "-f"}, all...)...)
			}
			for _, id := range strings.Fields(d.run("images", "-q", "--filter", "dangling=true")) {
				d.run("rmi", id)
			}
			d.equal(fmt.Sprintf("%s, round %d: images afterwards", transfer.name, round), images(d), base)
		}
		// It works after all that.
		d.run(transfer.command...)
		d.equal(transfer.name+" after the kills", d.run("run", "--rm", transfer.image), "step")
		d.run("rmi", transfer.image)
	}
	e.warm() // it was started anew
	e.settles(before)
}

// images lists names and ids.
func images(d *docker) string {
	return d.run("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
}

// noise is content that does not become smaller when it is packed, the same in
// every run.
func noise(bytes int) []byte {
	r := rand.NewChaCha8([32]byte{'b', 'e', 'r', 't', 'h'})
	b := make([]byte, bytes)
	_, _ = r.Read(b) // never fails
	return b
}
