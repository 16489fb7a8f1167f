package clienttest

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/testbed/busybox"
)

// tag makes an image name that no other test uses; it is removed at the end.
func (d *docker) tag(suffix string) string {
	name := "test/" + strings.ToLower(strings.ReplaceAll(d.t.Name(), "/", "-")) + ":" + suffix
	d.t.Cleanup(func() { d.try("", "rmi", "-f", name) })
	return name
}

func TestImages(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.tag("one")
		repository, _, _ := strings.Cut(name, ":")
		d.run("tag", "busybox", name)
		id := d.inspect("busybox", "{{.Id}}")
		d.matches("images", d.run("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"), `(?m)^`+name+" "+id+"$")
		d.matches("images of a repository", d.run("images", repository), `(?m)^`+repository+` +one `)
		d.matches("size", d.inspect(name, "{{.VirtualSize}} {{.Os}} {{.Architecture}}"), `^[1-9]\d+ linux \w+$`)
		d.matches("history", d.run("history", "--no-trunc", name), "busybox from Debian")
		d.matches("untag", d.run("rmi", name), "Untagged: "+name)
		d.equal("after rmi", d.run("images", "-q", repository), "")
		d.run("run", "--rm", "--name", d.name("c"), "busybox", "true")
	})
}

// An image survives save and load; the container of the loaded one runs.
func TestSaveAndLoad(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		imported := d.tag("imported")
		d.run("import", root(t, "hello from a file"), imported)
		id := d.inspect(imported, "{{.Id}}")
		archive := filepath.Join(t.TempDir(), "image.tar")
		d.run("save", "-o", archive, imported)
		d.run("rmi", imported)
		d.fails(1, "(?i)no such (image|object)", "inspect", imported)
		d.run("load", "-i", archive)
		d.equal("id after load", d.inspect(imported, "{{.Id}}"), id)
		d.equal("content", d.run("run", "--rm", "--name", d.name("c"), imported, "/bin/cat", "/file"), "hello from a file")
		d.fails(1, "(?i)no such image|reference does not exist", "save", "-o", archive, "nosuch:tag")
	})
}

// root is a tarball of a root with busybox and a file.
func root(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	if err := busybox.Layer(&b, busybox.File{Path: "file", Content: content}); err != nil {
		t.Fatal(err)
	}
	return file(t, "root.tar", b.String())
}

// An image that a container uses is not removed without force.
func TestRemoveUsedImage(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.tag("used")
		d.run("import", root(t, "used"), name)
		c := d.name("c")
		d.run("create", "--name", c, name, "/bin/cat", "/file")
		d.fails(1, "(?i)conflict", "rmi", name)
		d.run("rm", c)
		d.matches("rmi", d.run("rmi", name), "(?s)Untagged: .*Deleted: ")
	})
}
