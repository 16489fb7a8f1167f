package clienttest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// dockerEngine starts Debian's Docker Engine in a network of its own and gives the
// docker command for it.
func dockerEngine(t *testing.T) *docker {
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
	return newDocker(t, peer.Host(), "1.23")
}

// What berth saves Docker Engine 20.10 loads, and the other way round: ids, names,
// layers, configuration and history are equal, several images and names at once.
func TestExchangeWithDocker(t *testing.T) {
	t.Parallel()
	berth, peer := newDocker(t, engine, "1.23"), dockerEngine(t)
	base := filepath.Join(t.TempDir(), "busybox.tar")
	f, err := os.Create(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(busybox.Archive(f, "busybox:latest"), f.Close()); err != nil {
		t.Fatal(err)
	}
	peer.run("load", "-i", base)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"one": "1", "two": "22",
		"Dockerfile": "FROM busybox\nMAINTAINER somebody\nENV A=b C=d\nLABEL k=v\nEXPOSE 80\nVOLUME /v\nENTRYPOINT [\"cat\"]\nCOPY two /d/two\nCOPY one /d/one\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const facts = "{{.Id}} {{.Author}} {{.Architecture}} {{.Os}} {{.Config.Cmd}} {{.Config.Entrypoint}} {{.Config.Env}} {{.Config.Labels}} {{.Config.User}} {{.Config.Volumes}} {{.Config.ExposedPorts}} {{.Created}} {{json .RootFS}}"
	for _, way := range []struct {
		name     string
		from, to *docker
	}{{"berth to docker", berth, peer}, {"docker to berth", peer, berth}} {
		t.Run(way.name, func(t *testing.T) {
			first := "exchange-" + strings.ReplaceAll(way.name, " ", "-")
			names := []string{first + ":1", first + ":2", first + "-other:1"}
			for _, d := range []*docker{way.from, way.to} {
				t.Cleanup(func() { d.try("", append([]string{"rmi", "-f"}, names...)...) })
			}
			way.from.run("build", "-q", "-t", names[0], dir)
			way.from.run("tag", names[0], names[1])
			if err := os.WriteFile(filepath.Join(dir, "one"), []byte(way.name), 0o644); err != nil {
				t.Fatal(err)
			}
			way.from.run("build", "-q", "-t", names[2], dir)
			archive := filepath.Join(t.TempDir(), "there.tar")
			way.from.run(append([]string{"save", "-o", archive}, names...)...)
			way.to.run("load", "-i", archive)
			for _, name := range names {
				way.to.equal(name, way.to.inspect(name, facts), way.from.inspect(name, facts))
				const lines = "{{.CreatedBy}} | {{.Size}} | {{.Comment}}"
				way.to.equal("history of "+name, way.to.run("history", "--no-trunc", "--format", lines, name), way.from.run("history", "--no-trunc", "--format", lines, name))
			}
			way.to.equal("it runs", way.to.run("run", "--rm", "--net", "none", names[2], "/d/two"), "22")
			// And back again, byte for byte the same image.
			back := filepath.Join(t.TempDir(), "back.tar")
			way.to.run("save", "-o", back, names[2])
			before := way.from.inspect(names[2], facts)
			way.from.run("rmi", names[2])
			way.from.run("load", "-i", back)
			way.from.equal("after the way back", way.from.inspect(names[2], facts), before)
		})
	}
}
