package clienttest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/testbed/busybox"
)

// tried is a block of commands that a guide's reader may copy and that works.
var tried = regexp.MustCompile("(?s)<!-- tried -->\n```sh\n(.*?)```")

// commands gives the tried blocks of a guide, as one script.
func commands(t *testing.T, guide string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + guide)
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, m := range tried.FindAllStringSubmatch(string(text), -1) {
		script.WriteString(m[1])
	}
	return script.String()
}

// follow runs what a guide says, as its reader would, and gives what it says.
func follow(t *testing.T, guide string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands(t, guide))
	cmd.Dir = t.TempDir()
	bin, err := filepath.Abs(*binaries)
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Abs("../bin") // that with all programs
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append([]string{"HOME=" + cmd.Dir, "PATH=" + filepath.Dir(dockerProgram) + ":/usr/sbin:/sbin:/bin:" + bin + ":" + all}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", guide, err, out)
	}
	return string(out)
}

// TestGuides runs the commands of every guide that has tried ones.
func TestGuides(t *testing.T) {
	t.Parallel()
	e := startOwn(t, "berthtest14", "10.213.14.1/24")
	guides, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, path := range guides {
		guide := filepath.Base(path)
		if guide == "moving.md" || commands(t, guide) == "" {
			continue
		}
		t.Run(guide, func(t *testing.T) {
			said[guide] = follow(t, guide, "DOCKER_HOST="+e.Host(), "DOCKER_API_VERSION=1.23")
		})
	}
	for guide, want := range map[string]string{
		"quick-start.md": "hello", "logs.md": "kept small", "networks.md": "1 packets received", "security.md": "client.pem: OK",
		"watching.md": "0 problems", "conformance.md": "v1.21/", "pinning.md": "",
	} {
		if text, ok := said[guide]; !ok || !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", guide, want, text)
		}
	}
}

// TestMoving moves images, a volume and a container from Docker Engine to berth with
// the commands of the guide.
func TestMoving(t *testing.T) {
	t.Parallel()
	to := startCold(t, "berthtest15", "10.213.15.1/24", launch{})
	from, _ := dockerEngine(t)
	base := filepath.Join(t.TempDir(), "busybox.tar")
	f, err := os.Create(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := busybox.Archive(f, "busybox:latest"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	from.run("load", "-i", base)
	from.run("tag", "busybox", "other:2")
	from.run("run", "--net", "none", "--rm", "-v", "data:/data", "busybox", "sh", "-c", "echo kept >/data/file; chown 7:8 /data/file; chmod 640 /data/file; ln -s file /data/link; touch -d '2001-02-03 04:05:06' /data/file")
	from.run("run", "--net", "none", "-d", "--name", "web", "-v", "data:/data", "-e", "A=b", "busybox", "sh", "-c", "echo own >/own; exec sleep 1000")
	ids := from.run("inspect", "--type", "image", "--format", "{{.Id}}", "busybox", "other:2")

	// The guide leaves the version to the command.
	follow(t, "moving.md", "FROM="+from.host, "TO="+to.Host())

	d := newDocker(t, to.Host(), "1.23")
	d.equal("images", d.run("inspect", "--type", "image", "--format", "{{.Id}}", "busybox", "other:2"), ids)
	d.equal("volume", d.run("exec", "web", "sh", "-c", "cat /data/link; stat -c '%u:%g %a %Y' /data/file; cat /own; echo $A"), "kept\n7:8 640 981173106\nown\nb")
	if port := d.run("port", "web"); !strings.Contains(port, "8080/tcp -> 127.0.0.1:") {
		t.Errorf("ports: %s", port)
	}
}
