package buildtest

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// bases are the images that are made of programs of this machine: the Dockerfile
// FROM berth/NAME needs them. They are put on top of busybox's files.
var bases = map[string]func(t *testing.T) []string{
	"berth/go": func(t *testing.T) []string {
		root := shell(t, ".", "PATH=$PATH:/usr/local/go/bin; GOTOOLCHAIN=local go env GOROOT")
		files := []string{root + "/bin/go", root + "/pkg/tool", root + "/pkg/include", root + "/go.env", root + "/VERSION"}
		// Of the standard library only what the programs import.
		return append(files, strings.Fields(shell(t, ".", root+"/bin/go list -deps -f '{{.Dir}}' os io crypto/sha256 encoding/hex unsafe runtime/cgo"))...)
	},
	"berth/cc": func(t *testing.T) []string {
		lib := shell(t, ".", "dirname $(gcc -print-file-name=libc.a)")
		files := []string{"/usr/include", shell(t, ".", "dirname $(gcc -print-libgcc-file-name)"), lib + "/libc.a", lib + "/crt1.o", lib + "/crti.o", lib + "/crtn.o"}
		for _, program := range []string{"gcc", "as", "ld"} {
			files = append(files, "/usr/bin/"+program)
		}
		return append(files, shell(t, ".", "gcc -print-prog-name=cc1"), shell(t, ".", "gcc -print-prog-name=collect2"))
	},
	"berth/python": func(t *testing.T) []string {
		return []string{"/usr/bin/python3", shell(t, ".", "/usr/bin/python3 -c 'import os; print(os.path.dirname(os.__file__))'")}
	},
	"berth/debian": func(t *testing.T) []string {
		files := strings.Fields(shell(t, ".", "dpkg -L dpkg apt tar | grep -v -e /share/ -e /var/ -e locale -e systemd | while read -r f; do [ -d $f ] || echo $f; done"))
		return append(files, "/usr/bin/diff", "/sbin/ldconfig", "/usr/bin/xz", "/bin/bash", "/usr/share/dpkg", "/usr/bin/gpgv")
	},
}

// extra are files of a base that are none of the machine's.
var extra = map[string]map[string]string{
	"berth/debian": {"/var/lib/dpkg/status": "", "/var/lib/dpkg/info/": "", "/var/lib/dpkg/updates/": "", "/var/lib/dpkg/triggers/": "", "/var/lib/dpkg/alternatives/": "",
		"/var/lib/apt/lists/partial/": "", "/var/cache/apt/archives/partial/": "", "/var/log/apt/": "",
		"/etc/apt/apt.conf": "APT::Sandbox::User \"root\";\nAPT::Architecture \"" + debianArch + "\";\nAcquire::Languages \"none\";\n", "/etc/apt/preferences.d/": "", "/etc/apt/sources.list.d/": "", "/etc/ld.so.conf": ""},
	"berth/go": {"/etc/go": ""},
}

const debianArch = "amd64"

// libraries finds what programs are linked with: ldd's third word, and the loader.
var libraries = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// base imports an image into both engines.
func (p *pair) base(name string) {
	p.t.Helper()
	list := bases[name](p.t)
	archive := filepath.Join(p.t.TempDir(), "base.tar")
	f, err := os.Create(archive)
	if err != nil {
		p.t.Fatal(err)
	}
	b := &baseWriter{Writer: tar.NewWriter(f), done: map[string]bool{}}
	for _, root := range list {
		if err := b.add(root); err != nil {
			p.t.Fatal(err)
		}
	}
	var more []string
	for at := range extra[name] {
		more = append(more, at)
	}
	sort.Strings(more)
	for _, at := range more {
		if err := b.text(at, extra[name][at]); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		p.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		p.t.Fatal(err)
	}
	// The files of busybox come from a build, so both engines make the base alike.
	dir := filepath.Join(p.t.TempDir(), "base")
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if name == "berth/go" {
		path += ":" + filepath.Dir(list[0])
	}
	write(p.t, filepath.Join(dir, "Dockerfile"), "FROM busybox\nENV PATH="+path+"\nADD base.tar /\n")
	if err := os.Rename(archive, filepath.Join(dir, "base.tar")); err != nil {
		p.t.Fatal(err)
	}
	for _, e := range p.both() {
		if _, err := e.build(p.t, dir, name); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		p.t.Fatal(err)
	}
}

// baseWriter packs files of the machine with their libraries. Links among the
// directories are written as directories: /lib and /usr/lib are two here.
type baseWriter struct {
	*tar.Writer
	done map[string]bool
}

func (b *baseWriter) add(root string) error {
	return filepath.WalkDir(filepath.Clean(root), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "__pycache__" || d.Name() == "dist-packages" || d.Name() == "test") {
			return fs.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		return b.file(filepath.Clean(p))
	})
}

func (b *baseWriter) file(p string) error {
	if b.done[p] {
		return nil
	}
	b.done[p] = true
	info, err := os.Stat(p) // a link becomes what it leads to
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil // a link that leads nowhere, or to no file
	}
	if err != nil {
		return err
	}
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	h := &tar.Header{Name: p[1:], Typeflag: tar.TypeReg, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()}
	if err := b.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.Copy(b, f); err != nil {
		return err
	}
	if info.Mode()&0o111 == 0 && !strings.Contains(p, ".so") {
		return nil
	}
	out, err := exec.Command("ldd", p).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil // a script, or linked with nothing
	}
	if err != nil {
		return err
	}
	for _, m := range libraries.FindAllStringSubmatch(string(out), -1) {
		if err := b.file(m[1]); err != nil {
			return err
		}
	}
	return nil
}

func (b *baseWriter) text(p, text string) error {
	h := &tar.Header{Name: p[1:], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}
	if strings.HasSuffix(p, "/") {
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
	}
	if err := b.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.WriteString(b, text)
	return err
}
