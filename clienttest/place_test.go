package clienttest

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// entries reads a tar: each name with its content, or where it links to.
func entries(t *testing.T, archive []byte) string {
	t.Helper()
	var all []string
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			sort.Strings(all)
			return strings.Join(all, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSuffix(h.Name+"="+string(text)+h.Linkname, "="))
	}
}

// What archive reads and where it writes: links, volumes, places that are
// read-only, and kinds of files that are in the way, in a container that runs
// and in one that does not.
func TestArchive(t *testing.T) {
	forEachVersion(t, "1.20", func(t *testing.T, a *remote) {
		host := t.TempDir()
		if err := os.MkdirAll(filepath.Join(host, "ro"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(host, "ro", "kept"), []byte("of-the-host"), 0o644); err != nil {
			t.Fatal(err)
		}
		script := `mkdir -p /d/sub; printf text >/d/f; ln -s f /d/l; ln -s /d/sub /d/to-dir; ln -s /d /out; ln -s /../../../etc/hostname /d/far
			ln -s /nowhere /d/dangling; printf inside >/vol/v; ln -s /vol /d/to-vol; echo ready; exec sleep 1000`
		for _, running := range []bool{true, false} {
			t.Run(map[bool]string{true: "running", false: "stopped"}[running], func(t *testing.T) {
				c := a.run(map[string]any{"Cmd": shell(script), "Volumes": map[string]any{"/vol": map[string]any{}},
					"HostConfig": map[string]any{"Binds": []string{filepath.Join(host, "ro") + ":/ro:ro"}}})
				eventually(t, "the files are there", func() bool {
					return strings.Contains(string(a.call(http.MethodGet, "/containers/"+c+"/logs?stdout=1", nil).body), "ready")
				})
				if !running {
					a.call(http.MethodPost, "/containers/"+c+"/kill", nil)
					a.wait(c)
				}
				at := func(path string) string { return "/containers/" + c + "/archive?path=" + url.QueryEscape(path) }
				for _, row := range []struct{ path, want string }{
					{"/d/f", "f=text"},
					{"d/f", "f=text"},
					{"/d/../d/f", "f=text"},
					{"/d/l", "l=text"}, // the file it leads to, by its own name
					{"/d/sub", "sub/"},
					{"/d/sub/.", "./"},
					{"/d/to-dir", "to-dir/"},
					{"/d/to-dir/", "to-dir/"},
					{"/d/to-dir/.", "./"},
					{"/out/f", "f=text"},
					{"/d", "d/ d/dangling=/nowhere d/f=text d/far=/../../../etc/hostname d/l=f d/sub/ d/to-dir=/d/sub d/to-vol=/vol"},
					{"/d/to-vol/v", "v=inside"},
					{"/vol", "vol/ vol/v=inside"},
					{"/ro/.", "./ ./kept=of-the-host"},
				} {
					if got := entries(t, a.call(http.MethodGet, at(row.path), nil, http.StatusOK).body); got != row.want {
						t.Errorf("GET %s: %s, want %s", row.path, got, row.want)
					}
				}
				// A link out of the root stays in it.
				if got := entries(t, a.call(http.MethodGet, at("/d/far"), nil, http.StatusOK).body); !strings.HasPrefix(got, "far=") || !strings.Contains(got, c[:12]) {
					t.Errorf("GET /d/far: %s", got)
				}
				for path, status := range map[string]int{"/no": 404, "/d/no": 404, "/d/dangling": 404, "/d/f/": 400, "/d/f/x": 400, "/d/f/.": 400} {
					a.call(http.MethodGet, at(path), nil, status)
					if path != "/d/dangling" { // HEAD tells of the link itself
						a.call(http.MethodHead, at(path), nil, status)
					}
				}

				stat := func(path string) (s struct {
					Name, LinkTarget string
					Size             int64
					Mode             os.FileMode
				}) {
					t.Helper()
					text, err := base64.StdEncoding.DecodeString(a.call(http.MethodHead, at(path), nil, http.StatusOK).header.Get("X-Docker-Container-Path-Stat"))
					if err == nil {
						err = json.Unmarshal(text, &s)
					}
					if err != nil {
						t.Fatalf("HEAD %s: %q, %v", path, text, err)
					}
					return s
				}
				for path, want := range map[string]string{
					"/d/f": "f 4 -rw-r--r-- ", "/d/l": "l 1 Lrwxrwxrwx /d/f", "/d/dangling": "dangling 8 Lrwxrwxrwx /nowhere",
				} {
					if s := stat(path); fmt.Sprintf("%s %d %v %s", s.Name, s.Size, s.Mode, s.LinkTarget) != want {
						t.Errorf("HEAD %s: %+v, want %s", path, s, want)
					}
				}
				if s := stat("/d/to-dir/"); s.Name != "to-dir" || !s.Mode.IsDir() {
					t.Errorf("HEAD /d/to-dir/: %+v", s)
				}

				put := func(path, name, text string, status int, more ...string) {
					t.Helper()
					a.call(http.MethodPut, at(path)+strings.Join(more, ""), bytes.NewReader(archiveOf(t, name, []byte(text))), status)
				}
				put("/d", "new", "one", 200)
				put("/d/sub/.", "new", "two", 200)
				put("/d/to-dir", "third", "three", 200)
				put("/d/to-vol/", "new", "four", 200)
				put("/d/f", "new", "", 400)
				put("/nowhere", "new", "", 404)
				put("/ro", "new", "", 403)
				put("/ro/.", "kept", "", 403)
				put("/d", "../../climbed", "", 400)
				put("/", "d/sub", "", 400, "&noOverwriteDirNonDir=1") // a directory is in the way
				put("/d", "f/x", "", 400, "&noOverwriteDirNonDir=1")  // a file is
				put("/", "d/f", "over", 200, "&noOverwriteDirNonDir=1")
				for path, want := range map[string]string{
					"/d/new": "new=one", "/d/sub": "sub/ sub/new=two sub/third=three", "/vol": "vol/ vol/new=four vol/v=inside", "/ro": "ro/ ro/kept=of-the-host", "/d/f": "f=over",
				} {
					if got := entries(t, a.call(http.MethodGet, at(path), nil, http.StatusOK).body); got != want {
						t.Errorf("then GET %s: %s, want %s", path, got, want)
					}
				}
				put("/", "d/sub", "a file now", 200)
				if got := entries(t, a.call(http.MethodGet, at("/d/sub"), nil, http.StatusOK).body); got != "sub=a file now" {
					t.Errorf("in the directory's place: %s", got)
				}
			})
		}
		// Nothing is written into a root that the container cannot write, except
		// into its volumes.
		c := a.create(map[string]any{"Cmd": []string{"true"}, "Volumes": map[string]any{"/vol": map[string]any{}}, "HostConfig": map[string]any{"ReadonlyRootfs": true}})
		archive := archiveOf(t, "x", nil)
		a.call(http.MethodPut, "/containers/"+c+"/archive?path=/home", bytes.NewReader(archive), http.StatusForbidden)
		a.call(http.MethodPut, "/containers/"+c+"/archive?path=/vol", bytes.NewReader(archive), http.StatusOK)
	})
}

// copy is the older form of archive, which still follows links.
func TestCopyOperation(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		c := a.run(map[string]any{"Cmd": shell("mkdir /d; printf text >/d/f; ln -s d /l; printf v >/vol/v"), "Volumes": map[string]any{"/vol": map[string]any{}}})
		a.wait(c)
		for path, want := range map[string]string{"/d/f": "f=text", "d": "d/ d/f=text", "/l/f": "f=text", "/vol/v": "v=v"} {
			if got := entries(t, a.call(http.MethodPost, "/containers/"+c+"/copy", map[string]any{"Resource": path}, http.StatusOK).body); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
	})
}
