package build

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/testbed/effort"
)

func write(t testing.TB, path, body string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestHostileContexts builds contexts that reach for the host. None may read or
// change anything outside.
func TestHostileContexts(t *testing.T) {
	p := newPlace(t)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	const host = "the host's secret"
	write(t, secret, host)
	link := func(name, to string) entry { return entry{name: name, kind: tar.TypeSymlink, link: to} }
	up := strings.Repeat("../", 30)
	for _, c := range []struct {
		name, step string
		entries    []entry
		// refused is part of the error; empty if the build ends well, and then
		// nothing of the secret may be in the image.
		refused string
	}{
		{"entry that climbs", "", []entry{{name: up + outside[1:] + "/new", body: "x"}}, "leads out of it"},
		{"entry in the middle that climbs", "", []entry{{name: "a/../../new", body: "x"}}, "leads out of it"},
		{"absolute entry", "COPY . /c/", []entry{{name: outside + "/new", body: "x"}}, ""},
		{"entry through a link", "COPY . /c/", []entry{link("l", outside), {name: "l/new", body: "x"}}, ""},
		{"entry through a relative link", "COPY . /c/", []entry{link("l", up+outside[1:]), {name: "l/new", body: "x"}}, ""},
		{"entry through two links", "COPY . /c/", []entry{link("a", "b"), link("b", outside), {name: "a/new", body: "x"}}, ""},
		{"file over a link", "COPY . /c/", []entry{link("l", secret), {name: "l", body: "x"}}, ""},
		{"hard link to the host", "", []entry{{name: "h", kind: tar.TypeLink, link: secret}}, "cannot be unpacked"},
		{"hard link that climbs", "", []entry{{name: "h", kind: tar.TypeLink, link: up + secret[1:]}}, "cannot be unpacked"},
		{"hard link to a link", "COPY h /c", []entry{link("l", secret), {name: "h", kind: tar.TypeLink, link: "l"}}, "file not found in build context"},
		{"circle of links", "COPY a /c", []entry{link("a", "b"), link("b", "a")}, "too many levels"},
		{"entry through a circle", "", []entry{link("a", "b"), link("b", "a"), {name: "a/x", body: "x"}}, "too many levels"},
		{"copy of a link to the host", "COPY l /c", []entry{link("l", secret)}, "file not found in build context"},
		{"copy through a link", "COPY l/secret /c", []entry{link("l", outside)}, "file not found in build context"},
		{"copy that climbs", "COPY " + up + secret[1:] + " /c", nil, "Forbidden path outside the build context"},
		{"add of an absolute path", "ADD " + secret + " /c", nil, "file not found in build context"},
		{"directory with links", "COPY d /c", []entry{{name: "d/"}, link("d/l", secret), link("d/m", outside)}, ""},
		{"wildcard below a link", "COPY l/* /c/", []entry{link("l", outside)}, "No source files"},
		{"destination that climbs", "COPY f " + up + outside[1:] + "/new", []entry{{name: "f", body: "x"}}, ""},
		{"destination through a link", "COPY l /l\nCOPY f /d/l/new", []entry{{name: "f", body: "x"}, {name: "l/"}, link("l/l", outside)}, ""},
		{"destination is a link", "COPY d /d\nCOPY f /d/l", []entry{{name: "f", body: "x"}, {name: "d/"}, link("d/l", secret)}, ""},
		{"working directory through a link", "COPY d /d\nWORKDIR /d/l/new\nCOPY f .", []entry{{name: "f", body: "x"}, {name: "d/"}, link("d/l", outside)}, ""},
		{"archive that climbs", "ADD a.tar /c", []entry{{name: "a.tar", body: string(archive(t, entry{name: up + outside[1:] + "/new", body: "x"}))}}, "leads out of it"},
		{"archive through a link", "ADD a.tar /c", []entry{{name: "a.tar", body: string(archive(t, link("l", outside), entry{name: "l/new", body: "x"}))}}, ""},
		{"archive through the image's link", "COPY d /d\nADD a.tar /d", []entry{{name: "d/"}, link("d/l", outside), {name: "a.tar", body: string(archive(t, entry{name: "l/new", body: "x"}))}}, ""},
		{"archive that deletes", "ADD a.tar /", []entry{{name: "a.tar", body: string(archive(t, entry{name: ".wh.bin"}))}}, "use to delete files"},
		{"archive with overlayfs's whiteout", "ADD a.tar /", []entry{{name: "a.tar", body: string(archive(t, entry{name: "bin", kind: tar.TypeChar}))}}, "deletes files"},
		{"context that deletes", "COPY . /", []entry{{name: ".wh.bin"}}, "use to delete files"},
		{"device", "", []entry{{name: "mem", kind: tar.TypeChar, major: 1, minor: 1}}, "is a device or a pipe"},
		{"pipe", "", []entry{{name: "p", kind: tar.TypeFifo}}, "is a device or a pipe"},
		{"pipe as Dockerfile", "", []entry{{name: "Dockerfile", kind: tar.TypeFifo}}, "is a device or a pipe"},
		{"Dockerfile is a link to the host", "", []entry{link("Dockerfile", secret)}, "Cannot locate specified Dockerfile"},
		{"Dockerfile is a directory", "", []entry{{name: "Dockerfile/"}}, "is no file"},
		{".dockerignore is a link to the host", "", []entry{link(".dockerignore", secret)}, ""},
		{"passwd is a link to the host", "COPY d /etc\nCOPY --chown=nobody f /f", []entry{{name: "f"}, {name: "d/"}, link("d/passwd", secret)}, "can't find uid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM busybox\n"+c.step, c.entries...)), Remove: true})
			switch {
			case c.refused != "":
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, want %q", err, c.refused)
				}
				if err != nil && errdefs.IsInternal(err) {
					t.Errorf("the client's mistake is no failure of the engine: %v", err)
				}
			case err != nil:
				t.Error(err)
			default:
				img, err := p.Images.Get(id.String())
				if err != nil {
					t.Fatal(err)
				}
				for name, what := range p.listing(img, "/") {
					if strings.Contains(what, host) {
						t.Errorf("the secret is in the image: %s", name)
					}
				}
			}
			entries, err := os.ReadDir(outside)
			if err != nil || len(entries) != 1 {
				t.Errorf("the directory outside holds %v, %v", entries, err)
			}
			if body, err := os.ReadFile(secret); err != nil || string(body) != host {
				t.Errorf("the secret is %q, %v", body, err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	p := newPlace(t)
	p.Limits = Limits{ContextBytes: 1 << 20, ContextEntries: 20, DockerfileBytes: 100}
	many := []entry{}
	for range 30 {
		many = append(many, entry{name: "f"})
	}
	for _, c := range []struct {
		name    string
		context []byte
		want    string
	}{
		{"bytes", contextOf(t, "FROM busybox", entry{name: "a", body: strings.Repeat("x", 600<<10)}, entry{name: "b", body: strings.Repeat("x", 600<<10)}), "more than 1048576 bytes"},
		{"entries", contextOf(t, "FROM busybox", many...), "more than 20 entries"},
		{"Dockerfile", contextOf(t, "FROM busybox\n#"+strings.Repeat("x", 100)), "longer than 100 bytes"},
		{"cut short", contextOf(t, "FROM busybox", entry{name: "a", body: strings.Repeat("x", 5000)})[:3000], "damaged"},
		{"hole", sparse(t, 1<<40), "more than 1048576 bytes"},
		{"no tar", []byte(strings.Repeat("no tar ", 100)), "damaged"},
		{"nothing", nil, "Cannot locate specified Dockerfile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.build(&Request{Context: bytes.NewReader(c.context)})
			if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// sparse is a tar of a file that is one hole of size bytes, in GNU's old format
// (GNU tar manual, "Old GNU Format").
func sparse(t testing.TB, size int64) []byte {
	data := archive(t, entry{name: "hole"})
	block := data[:512]
	block[156] = 'S'
	copy(block[257:], "ustar  \x00")
	copy(block[386:], fmt.Sprintf("%011o\x00%011o\x00", 0, 0)) // no piece of data
	block[483] = 0x80                                          // a number in base 256
	binary.BigEndian.PutUint64(block[483+4:], uint64(size))
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a/b", "x"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"abs": "/a", "rel": "a/b", "up": "../../../x", "a/back": "../x", "a/b/dots": "./.././/back", "none": "nosuch/z", "loop": "loop", "root": "/"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := openTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for p, want := range map[string]string{
		"": ".", "/": ".", ".": ".", "../..": ".", "a": "a", "abs/b": "a/b", "rel": "a/b", "up": "x", "up/y": "x/y", "a/back": "x", "a/b/dots": "x",
		"none": "nosuch/z", "none/q": "nosuch/z/q", "root/a": "a", "a/../x": "x", "abs/../x": "x", "n/e/w": "n/e/w",
	} {
		if got, err := tree.resolve(p, true); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", p, got, err, want)
		}
	}
	if got, err := tree.resolve("abs/back", false); err != nil || got != "a/back" {
		t.Errorf("last link: %q, %v", got, err)
	}
	if got, err := tree.resolve("loop/x", true); err == nil {
		t.Errorf("circle: %q", got)
	}
}

func FuzzExtract(f *testing.F) {
	f.Add(archive(f, entry{name: "a/"}, entry{name: "a/l", kind: tar.TypeSymlink, link: "/etc"}, entry{name: "a/l/x", body: "x"}, entry{name: "h", kind: tar.TypeLink, link: "a/l"}))
	f.Add(archive(f, entry{name: "../x"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		defer effort.Bound()()
		outside := t.TempDir()
		dir := filepath.Join(outside, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		tree, err := openTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		x := extraction{to: tree, below: ".", limits: Limits{ContextBytes: 1 << 20, ContextEntries: 100}}
		_ = x.extract(context.Background(), io.LimitReader(bytes.NewReader(data), 1<<20)) // any error will do
		if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
			t.Errorf("outside: %v, %v", entries, err)
		}
	})
}

func FuzzDockerfile(f *testing.F) {
	f.Add([]byte("ARG A=b\nFROM a AS b\nRUN [\"x\"]\nONBUILD COPY --from=x a b\nENV A=${B:-c} D e\nLABEL \"x\"=y\n# c\nEXPOSE 1-2/udp\n"))
	f.Add([]byte("# escape=`\nFROM x\nRUN a `\n b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		defer effort.Bound()()
		d, err := parseDockerfile(data, map[string]string{"k": "v"})
		if err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Errorf("%v is not the client's", err)
			}
			return
		}
		for i := range d.steps {
			_, _ = d.steps[i].title(func(s string) (string, error) { return s, nil })
		}
	})
}
