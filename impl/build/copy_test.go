package build

import (
	"archive/tar"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

func TestPlaces(t *testing.T) {
	p := newPlace(t)
	inner := archive(t, entry{name: "in/"}, entry{name: "in/a", body: "a", uid: 5, mode: 0o640}, entry{name: "in/null", kind: tar.TypeChar, major: 1, minor: 3, mode: 0o666})
	files := []entry{
		{name: "f", body: "f", mode: 0o755}, {name: "g.txt", body: "g"}, {name: "h.txt", body: "h"},
		{name: "d/", mode: 0o700}, {name: "d/e/", mode: 0o711}, {name: "d/e/x", body: "x", uid: 9}, {name: "d/l", kind: tar.TypeSymlink, link: "/etc/passwd"},
		{name: "d/one", body: "1"}, {name: "d/two", kind: tar.TypeLink, link: "d/one"},
		{name: "to-d", kind: tar.TypeSymlink, link: "/d/e"}, {name: "a.tar", body: string(inner)}, {name: "not.tar", body: "no archive"},
	}
	content := map[string]string{"/e": "dir 711 0:0 ", "/e/x": "file 644 0:0 x", "/l": "link 777 0:0 /etc/passwd", "/one": "file 644 0:0 1 (2 names)", "/two": "file 644 0:0 1 (2 names)"}
	for _, c := range []struct {
		name, step string
		want       map[string]string
	}{
		{"a file as a name", "COPY f /o/n", map[string]string{"/n": "file 755 0:0 f"}},
		{"a file into a directory that is made", "COPY f /o/n/", map[string]string{"/n": "dir 755 0:0 ", "/n/f": "file 755 0:0 f"}},
		{"a file into a directory that is there", "COPY f /o", map[string]string{"/f": "file 755 0:0 f"}},
		{"relative to the working directory", "COPY f g.txt ./", map[string]string{"/f": "file 755 0:0 f", "/g.txt": "file 644 0:0 g"}},
		{"a dot", "COPY f .", map[string]string{"/f": "file 755 0:0 f"}},
		{"wildcards", "COPY *.txt /o/", map[string]string{"/g.txt": "file 644 0:0 g", "/h.txt": "file 644 0:0 h"}},
		{"a wildcard within a directory", "COPY d/o?e /o/", map[string]string{"/one": "file 644 0:0 1"}},
		{"list form", `COPY ["f", "/o/with space"]`, map[string]string{"/with space": "file 755 0:0 f"}},
		{"a link is followed", "COPY to-d /o/t", map[string]string{"/t": "dir 755 0:0 ", "/t/x": "file 644 0:0 x"}},
		{"owner by name", "COPY --chown=bob f /o/", map[string]string{"/f": "file 755 1000:1001 f"}},
		{"owner and group", "COPY --chown=bob:staff f /o/n/f", map[string]string{"/n": "dir 755 1000:50 ", "/n/f": "file 755 1000:50 f"}},
		{"an archive's directory is root's", "ADD --chown=bob a.tar /o/u", map[string]string{"/u": "dir 755 0:0 ", "/u/in": "dir 755 0:0 ", "/u/in/a": "file 640 5:5 a", "/u/in/null": "device 1:3 666 0:0 "}},
		{"owner in numbers", "COPY --chown=7:8 d/e /o/", map[string]string{"/x": "file 644 7:8 x"}},
		{"mode", "COPY --chmod=4711 g.txt /o/", map[string]string{"/g.txt": "file 4711 0:0 g"}},
		{"copy leaves an archive", "COPY not.tar /o/", map[string]string{"/not.tar": "file 644 0:0 no archive"}},
		{"add unpacks an archive", "ADD a.tar /o/u", map[string]string{"/u": "dir 755 0:0 ", "/u/in": "dir 755 0:0 ", "/u/in/a": "file 640 5:5 a", "/u/in/null": "device 1:3 666 0:0 "}},
		{"add copies what is none", "ADD not.tar /o/", map[string]string{"/not.tar": "file 644 0:0 no archive"}},
		{"a directory over a link", "RUN /bin/busybox ln -s /etc /o/e\nCOPY d /o/", content},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := p.must(contextOf(t, "FROM busybox\nWORKDIR /o\n"+c.step, files...))
			p.expect(img, "/o", c.want)
		})
	}
	t.Run("a link in the image is followed inside of it", func(t *testing.T) {
		img := p.must(contextOf(t, "FROM busybox\nCOPY f /var/run/", files...))
		p.expect(img, "/run", map[string]string{"/f": "file 755 0:0 f"})
	})
	t.Run("times are kept", func(t *testing.T) {
		at := time.Unix(1_000_000_000, 0)
		link := entry{name: "l", kind: tar.TypeSymlink, link: "nowhere", at: at}
		img := p.must(contextOf(t, "FROM busybox\nCOPY d /d\nADD a.tar /a/\nRUN cd /; /bin/busybox stat -c %Y d/f d/l a/l >/t",
			entry{name: "d/f", at: at}, entry{name: "d/l", kind: link.kind, link: link.link, at: at}, entry{name: "a.tar", body: string(archive(t, link))}))
		if got := p.listing(img, "/")["t"]; got != "file 644 0:0 1000000000\n1000000000\n1000000000\n" {
			t.Errorf("got %q", got)
		}
	})
}

func TestCopyFaults(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct{ name, step, want string }{
		{"missing", "COPY nosuch /", "file not found in build context"},
		{"no match", "COPY *.no /", "No source files were specified"},
		{"two to a name", "COPY f Dockerfile /x", "must be a directory and end with a /"},
		{"a directory over a file", "COPY d /file", "cannot copy to non-directory: /file"},
		{"a file over a directory", "COPY f /o/", "cannot copy a file over the directory /o/f"},
		{"below a file", "COPY f /file/x", "not a directory"},
		{"address", "COPY http://127.0.0.1/x /", "Source can't be a URL for COPY"},
		{"no such user", "COPY --chown=nobody f /x", "can't find uid for user nobody"},
		{"bad pattern", "COPY [ /x", "malformed"},
		{"no such image", "COPY --from=nosuch f /x", "No such image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.build(&Request{Remove: true, Context: bytes.NewReader(contextOf(t, "FROM busybox\nRUN /bin/busybox mkdir -p /o/f\n"+c.step, entry{name: "f"}, entry{name: "d/"}))})
			if err == nil || !strings.HasPrefix(err.Error(), "Dockerfile line 3: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestIgnoreFile(t *testing.T) {
	p := newPlace(t)
	img := p.must(contextOf(t, "FROM scratch\nCOPY . /",
		entry{name: ".dockerignore", body: "# comment\nDockerfile\n.dockerignore\n*.log\nsecret\nkept-in/*\n!kept-in/yes\n**/deep\n"},
		entry{name: "a.log"}, entry{name: "b"}, entry{name: "secret/"}, entry{name: "secret/x"},
		entry{name: "kept-in/"}, entry{name: "kept-in/no"}, entry{name: "kept-in/yes"}, entry{name: "d/"}, entry{name: "d/deep"}, entry{name: "d/c.log"},
	))
	p.expect(img, "/", map[string]string{"b": "file 644 0:0 ", "kept-in": "dir 755 0:0 ", "kept-in/yes": "file 644 0:0 ", "d": "dir 755 0:0 ", "d/c.log": "file 644 0:0 "})
}

func TestDownload(t *testing.T) {
	p := newPlace(t)
	at := time.Unix(1_000_000_000, 0)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", at, strings.NewReader("downloaded"))
	}))
	defer server.Close()
	context := contextOf(t, "FROM scratch\nADD "+server.URL+"/a/b?c=d /x/\nADD "+server.URL+" /y")
	img := p.must(context)
	p.expect(img, "/", map[string]string{"x": "dir 755 0:0 ", "x/b": "file 600 0:0 downloaded", "y": "file 600 0:0 downloaded"})
	if p.must(context); p.hits() != 2 {
		t.Errorf("the same download is another step:\n%s", p.said.String())
	}
	for name, want := range map[string]string{"/missing /": "got 404", "/ /": "cannot determine filename"} {
		if _, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM scratch\nADD "+server.URL+name))}); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRemote(t *testing.T) {
	p := newPlace(t)
	root := t.TempDir()
	server := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer server.Close()
	write(t, filepath.Join(root, "Single"), "FROM busybox\nLABEL a=single\n")
	write(t, filepath.Join(root, "context.tar"), string(contextOf(t, "FROM busybox\nCOPY f /f", entry{name: "f", body: "tar"})))
	write(t, filepath.Join(root, "binary"), "\x00\x01")
	run(t, root, "gzip", "-k", "context.tar")
	run(t, root, "sh", "-ec", `export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e
		git init -q -b main work; cd work; mkdir sub; printf 'FROM busybox\nCOPY f /f' >sub/Dockerfile; printf git >sub/f; ln -s /etc link
		git add -A; git commit -q -m one; git tag v1; printf later >sub/f; git commit -q -a -m two; git branch topic
		git clone -q --bare . ../repo.git; git -C ../repo.git update-server-info`)
	for _, c := range []struct{ name, address, want, fault string }{
		{"a Dockerfile", "/Single", "", ""},
		{"a tar", "/context.tar", "file 644 0:0 tar", ""},
		{"a compressed tar", "/context.tar.gz", "file 644 0:0 tar", ""},
		{"a branch and a directory", "/repo.git#topic:sub", "file 644 0:0 later", ""},
		{"the head", "/repo.git#:sub", "file 644 0:0 later", ""},
		{"a tag", "/repo.git#v1:sub", "file 644 0:0 git", ""},
		{"no such ref", "/repo.git#nosuch:sub", "", "remote: git: "},
		{"no such directory", "/repo.git#:nosuch", "", "the repository has no directory nosuch"},
		{"a directory that leads to the host", "/repo.git#:link", "", "the repository has no directory link"},
		{"a directory above", "/repo.git#:../..", "", "Cannot locate specified Dockerfile"},
		{"an option as ref", "/repo.git#--upload-pack=touch", "", "cannot be part of a git address"},
		{"missing", "/nosuch", "", "got 404"},
		{"neither", "/binary", "", "neither a tar nor a Dockerfile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := p.build(&Request{Remote: server.URL + c.address, Remove: true})
			if c.fault != "" {
				if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("got %v, want %q", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			img, err := p.Images.Get(id.String())
			if err != nil {
				t.Fatal(err)
			}
			if got := p.listing(img, "/")["f"]; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for _, address := range []string{"file:///etc/passwd", "ext::sh -c touch% /tmp/x.git", "git://-oProxyCommand=x/y.git", "ssh://-oProxyCommand=x/y.git", "git@-oProxyCommand=x:y", "git://h/x\ny", "/etc/passwd", "http://"} {
		if _, err := p.build(&Request{Remote: address}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func TestCapabilitiesAreCopied(t *testing.T) {
	p := newPlace(t)
	// VFS_CAP_REVISION_2 with CAP_NET_RAW permitted and effective (linux/capability.h).
	value := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	write(t, file, "f")
	if err := unix.Setxattr(file, capabilityXattr, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(file, "user.a", []byte("b"), 0); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "bin/f", Typeflag: tar.TypeReg, Mode: 0o755, Format: tar.FormatPAX, PAXRecords: map[string]string{
		paxXattr + capabilityXattr: value, paxXattr + "user.a": "b", paxXattr + "trusted.overlay.opaque": "y",
	}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	img := p.must(contextOf(t, "FROM scratch AS a\nADD a.tar /\nFROM scratch\nCOPY --from=a --chown=1:1 bin /bin", entry{name: "a.tar", body: b.String()}))
	tree, done := p.files(img)
	defer done()
	f, err := tree.Open("bin/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]string{capabilityXattr: value, "user.a": "b", "trusted.overlay.opaque": ""} {
		got := make([]byte, 64)
		n, err := unix.Fgetxattr(int(f.Fd()), name, got)
		if want == "" && err == nil || want != "" && string(got[:max(0, n)]) != want {
			t.Errorf("%s: %q, %v", name, got[:max(0, n)], err)
		}
	}
}

// Large files of the context become the layer's own: what comes out is what
// copying gives, whatever is done to the place before and after.
func TestLargeFiles(t *testing.T) {
	p := newPlace(t)
	big, other := strings.Repeat("big ", 1<<19), strings.Repeat("another ", 1<<18)
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	img := p.must(contextOf(t, `FROM busybox
RUN rm /file; echo old > /replaced
COPY dir /dir
COPY big /once/
COPY big dir/big /twice/
COPY big other /replaced/../over/
COPY --chown=7:8 big /owned
COPY other /file
RUN echo more >> /dir/big
FROM busybox
COPY --from=0 /dir /dir
COPY --from=0 /once /twice /over /rest/
COPY --from=0 /owned /file /rest/
`, entry{name: "big", body: big, mode: 0o750, at: at}, entry{name: "other", body: other, at: at}, entry{name: "dir/", at: at}, entry{name: "dir/big", body: big, at: at}))
	for below, want := range map[string]map[string]string{
		"/dir":  {"/big": "file 644 0:0 " + big + "more\n"},
		"/rest": {"/big": "file 750 0:0 " + big, "/other": "file 644 0:0 " + other, "/owned": "file 750 0:0 " + big, "/file": "file 644 0:0 " + other},
	} {
		got := p.listing(img, below)
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s%s: %d bytes, %.40q, want %d bytes, %.40q", below, name, len(got[name]), got[name], len(want[name]), want[name])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s has %d files", below, len(got))
		}
	}
	// The file was there before the build and is there after it, with one name
	// and the context's time.
	img = p.must(contextOf(t, "FROM scratch\nCOPY big /\n", entry{name: "big", body: big, at: at}))
	files, done := p.files(img)
	defer done()
	info, err := files.Stat("big")
	if err != nil || !info.ModTime().Equal(at) || info.Sys().(*syscall.Stat_t).Nlink != 1 {
		t.Errorf("%+v, %v", info, err)
	}
}
