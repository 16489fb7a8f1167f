package clienttest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// dockerEngine starts Debian's Docker Engine in a network of its own and gives the
// docker command for it, and its process.
func dockerEngine(t *testing.T) (*docker, int) {
	t.Helper()
	dir := filepath.Join(scratch, "peer-"+strings.ReplaceAll(t.Name(), "/", "-"))
	command, err := daemon.Docker("/usr/sbin/dockerd", dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	peer, err := daemon.Start(ctx, command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := peer.Stop(time.Minute)
		if !*keep {
			err = errors.Join(err, daemon.Remains{Dir: dir}.Remove())
		}
		if err != nil {
			t.Error(err)
		}
	})
	return newDocker(t, peer.Host(), "1.23"), peer.Pid()
}

// What two engines must agree on about an image, and about each step of its history.
const (
	imageFacts   = "{{.Id}} {{.Author}} {{.Architecture}} {{.Os}} {{.Config.Cmd}} {{.Config.Entrypoint}} {{.Config.Env}} {{.Config.Labels}} {{.Config.User}} {{.Config.Volumes}} {{.Config.ExposedPorts}} {{.Created}} {{json .RootFS}}"
	historyLines = "{{.CreatedBy}} | {{.Size}} | {{.Comment}}"
)

// sameImages says what two engines say differently about images.
func sameImages(t *testing.T, one, other *docker, names ...string) {
	t.Helper()
	inspect := append([]string{"inspect", "--type", "image", "--format", imageFacts}, names...)
	other.equal("images", other.run(inspect...), one.run(inspect...))
	last := names[len(names)-1]
	history := []string{"history", "--no-trunc", "--format", historyLines, last}
	other.equal("history of "+last, other.run(history...), one.run(history...))
}

// Images go from berth to Docker Engine 20.10 and back, through archives of today's and
// of the old form and through a registry that has manifests of schema 1 only.
func TestExchangeWithDocker(t *testing.T) {
	t.Parallel()
	berth := newDocker(t, engine, "1.23")
	peer, pid := dockerEngine(t)
	base := filepath.Join(t.TempDir(), "busybox.tar")
	f, err := os.Create(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(busybox.Archive(f, "busybox:latest"), f.Close()); err != nil {
		t.Fatal(err)
	}
	peer.run("load", "-i", base)
	for _, way := range []struct {
		name     string
		from, to *docker
	}{{"berth-to-docker", berth, peer}, {"docker-to-berth", peer, berth}} {
		t.Run(way.name, func(t *testing.T) { exchange(t, way.name, way.from, way.to) })
	}
	t.Run("schema 1", func(t *testing.T) { exchangeSchema1(t, berth, peer, pid) })
}

// exchangeContext is a build context whose image has steps with and without a layer.
func exchangeContext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"one": "1", "two": "22",
		"Dockerfile": "FROM busybox\nMAINTAINER somebody\nENV A=b C=d\nLABEL k=v\nEXPOSE 80\nVOLUME /v\nENTRYPOINT [\"cat\"]\nCOPY two /d/two\nCOPY one /d/one\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// exchange moves images in archives from one engine to the other: ids, names, layers,
// configuration and history are equal, several images and names at once.
func exchange(t *testing.T, first string, from, to *docker) {
	dir := exchangeContext(t)
	names := []string{first + ":1", first + ":2", first + "-other:1"}
	forget := append([]string{"rmi", "-f"}, names...)
	for _, d := range []*docker{from, to} {
		t.Cleanup(func() { d.try("", forget...) })
	}
	from.run("build", "-q", "-t", names[0], dir)
	from.run("tag", names[0], names[1])
	if err := os.WriteFile(filepath.Join(dir, "one"), []byte(first), 0o644); err != nil {
		t.Fatal(err)
	}
	from.run("build", "-q", "-t", names[2], dir)
	archive := filepath.Join(t.TempDir(), "there.tar")
	from.run(append([]string{"save", "-o", archive}, names...)...)
	to.run("load", "-i", archive)
	sameImages(t, from, to, names...)
	to.equal("it runs", to.run("run", "--rm", "--net", "none", names[2], "/d/two"), "22")
	// And back again, byte for byte the same image.
	back := filepath.Join(t.TempDir(), "back.tar")
	to.run("save", "-o", back, names[2])
	from.run("rmi", names[2])
	from.run("load", "-i", back)
	sameImages(t, to, from, names...)

	// An archive of the old form makes other images: without the configuration, their ids
	// are made of the layers' json files, by both engines alike.
	old := filepath.Join(t.TempDir(), "old.tar")
	oldForm(t, archive, old)
	id := to.inspect(names[2], "{{.Id}}")
	for _, d := range []*docker{from, to} {
		d.run(forget...)
		d.run("load", "-i", old)
	}
	sameImages(t, from, to, names...)
	if to.inspect(names[2], "{{.Id}}") == id {
		t.Error("the archive of the old form had the configuration")
	}
	to.equal("the image of the old form runs", to.run("run", "--rm", "--net", "none", names[2], "/d/two"), "22")
}

// oldForm leaves of an archive what Docker before 1.10 wrote: repositories, and a folder
// with VERSION, json and layer.tar for each layer.
func oldForm(t *testing.T, archive, old string) {
	t.Helper()
	in, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(old)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := tar.NewWriter(out)
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(h.Name, "/") && h.Name != "repositories" {
			continue // manifest.json and the configurations
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// exchangeSchema1 has both engines pull an image of which the registry has a manifest of
// schema 1 only, one that the registry has made and signed itself.
func exchangeSchema1(t *testing.T, berth, peer *docker, peerPid int) {
	dir := t.TempDir()
	address := registryAt(t, dir, freeAddress(t), "")
	registryAt(t, dir, address, "", "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", peerPid))
	name := address + "/old:form"
	peer.run("build", "-q", "-t", name, exchangeContext(t))
	peer.run("push", name)
	peer.run("rmi", name)
	const schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	url := "http://" + address + "/v2/old/manifests/form"
	signed := request(t, http.MethodGet, url, "Accept", schema1, nil)
	request(t, http.MethodPut, url, "Content-Type", schema1, signed)
	var got struct{ SchemaVersion int }
	if b := request(t, http.MethodGet, url, "Accept", "application/vnd.docker.distribution.manifest.v2+json", nil); json.Unmarshal(b, &got) != nil || got.SchemaVersion != 1 {
		t.Fatalf("the registry has another manifest than one of schema 1: %s", b)
	}
	for _, d := range []*docker{peer, berth} {
		t.Cleanup(func() { d.try("", "rmi", "-f", name) })
		d.run("pull", name)
	}
	sameImages(t, peer, berth, name)
	const digests = "{{.RepoDigests}}"
	berth.equal("digest", berth.inspect(name, digests), peer.inspect(name, digests))
	berth.equal("it runs", berth.run("run", "--rm", "--net", "none", name, "/d/two"), "22")
}

// request sends one request with one header and gives the answer's body; the status must be a success.
func request(t *testing.T, method, url, header, value string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(header, value)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %v: %s", method, url, resp.Status, err, answer)
	}
	return answer
}
