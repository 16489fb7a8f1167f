package build

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/image"
)

// times are the times of the files below a directory, of those that a build does not
// make itself.
func (p *place) times(img *image.Image) map[string]string {
	root, done := p.files(img)
	defer done()
	found := map[string]string{}
	err := fs.WalkDir(root.FS(), ".", func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().Before(time.Now().Add(-time.Hour)) {
			found[at] = info.ModTime().UTC().String()
		}
		return err
	})
	if err != nil {
		p.t.Error(err)
	}
	return found
}

// A file of the context that becomes the image's own is what a copy would be, also
// where files and directories of one instruction take each other's place.
func TestSharedFilesAreCopies(t *testing.T) {
	at := time.Date(2015, 5, 5, 5, 5, 5, 0, time.UTC)
	old := func(e entry) entry { e.at = at; return e }
	files := []entry{
		old(entry{name: "a/"}), old(entry{name: "a/file", body: "a"}), old(entry{name: "a/x", body: "a's file"}), old(entry{name: "a/y/"}), old(entry{name: "a/y/in", body: "a's"}),
		old(entry{name: "b/"}), old(entry{name: "b/file", body: "b"}), old(entry{name: "b/x/"}), old(entry{name: "b/x/in", body: "b's"}), old(entry{name: "b/y", body: "b's file"}),
		old(entry{name: "c/"}), old(entry{name: "c/file", kind: '2', link: "elsewhere"}), old(entry{name: "c/empty"}), old(entry{name: "c/setuid", body: "s", mode: 0o4755}),
		old(entry{name: "c/one", body: "two names"}), {name: "c/two", kind: '1', link: "c/one"}, old(entry{name: "c/private", body: "p", mode: 0o600}),
		old(entry{name: "large", body: strings.Repeat("large", 1<<20)}), old(entry{name: "owned", body: "o", uid: 7}),
		{name: "t.tar", body: string(archive(t, entry{name: "file", body: "of the archive"}))},
	}
	files = append(files, old(entry{name: "file", body: "top"}))
	const base = "FROM busybox\nRUN mkdir -p /was/dir && echo x > /was/file && ln -s /was/dir /was/link\n"
	want := map[string]map[string]string{ // by instruction, some of its files
		"COPY a b /ab/":         {"ab/file": "file 644 0:0 b", "ab/x/in": "file 644 0:0 b's", "ab/y": "file 644 0:0 b's file"},
		"COPY b a /ba/":         {"ba/file": "file 644 0:0 a", "ba/x": "file 644 0:0 a's file", "ba/y/in": "file 644 0:0 a's"},
		"COPY a b c /abc/":      {"abc/file": "link 777 0:0 elsewhere", "abc/setuid": "file 4755 0:0 s", "abc/one": "file 644 0:0 two names (2 names)"},
		"COPY c b a /cba/":      {"cba/file": "file 644 0:0 a", "cba/private": "file 600 0:0 p"},
		"COPY file* file /x/":   {"x/file": "file 644 0:0 top"},
		"COPY large owned /x/":  {"x/owned": "file 644 0:0 o"},
		"COPY a /etc":           {"etc/x": "file 644 0:0 a's file"},
		"COPY a/file /file":     {"file": "file 644 0:0 a"},
		"COPY a/file /a/new/a":  {"a/new/a": "file 644 0:0 a"},
		"COPY --chown=bob a /x": {"x/file": "file 644 1000:1001 a"},
		"COPY --chmod=711 a /x": {"x/file": "file 711 0:0 a"},
		"ADD a/file t.tar /x/":  {"x/file": "file 644 0:0 of the archive"},
		"ADD t.tar a/file /x/":  {"x/file": "file 644 0:0 a"},
		"ADD a b /x/":           {"x/file": "file 644 0:0 b"},
		"COPY a /was/link":      {"was/dir/x": "file 644 0:0 a's file"},
		"COPY a/file /was/file": {"was/file": "file 644 0:0 a"},
		"COPY . /all":           {"all/a/x": "file 644 0:0 a's file"},
		"COPY . /":              {"a/x": "file 644 0:0 a's file", "file": "file 644 0:0 top"},
	}
	type outcome struct{ listing, times map[string]string }
	outcomes := map[string][]outcome{}
	for _, other := range []bool{false, true} {
		p := newPlace(t)
		if other {
			dir, err := os.MkdirTemp("/dev/shm", "build")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			if deviceOf(t, dir) == deviceOf(t, p.Images.Root()) {
				t.Fatal("the context has to be on another file system")
			}
			p.Root = filepath.Join(dir, "contexts")
		}
		for line := range want {
			img := p.must(contextOf(t, base+line+"\n", files...))
			outcomes[line] = append(outcomes[line], outcome{p.listing(img, "/"), p.times(img)})
		}
	}
	for line, o := range outcomes {
		shared, copied := o[0], o[1]
		for what, m := range map[string][2]map[string]string{"is": {shared.listing, copied.listing}, "has time": {shared.times, copied.times}} {
			for k := range m[0] {
				if m[0][k] != m[1][k] {
					t.Errorf("%s: %s %s %.80q shared, %.80q copied", line, k, what, m[0][k], m[1][k])
				}
			}
			if len(m[0]) != len(m[1]) {
				t.Errorf("%s: %d files shared, %d copied", line, len(m[0]), len(m[1]))
			}
		}
		for name, what := range want[line] {
			if got := shared.listing[name]; got != what {
				t.Errorf("%s: %s is %q instead of %q", line, name, got, what)
			}
		}
	}
}

// No step sees that a file of the context has been another name's, and each step that
// uses the context finds it whole.
func TestContextStaysWhole(t *testing.T) {
	p := newPlace(t)
	onbuild := p.must(contextOf(t, "FROM busybox\nONBUILD COPY . /first\nONBUILD ADD . /second\nONBUILD RUN test $(stat -c %h /second/d/file) = 1\n"))
	if _, err := p.Images.Tag(t.Context(), onbuild.ID.String(), "onbuild", ""); err != nil {
		t.Fatal(err)
	}
	const one = "RUN test $(stat -c %%h /%[1]s/d/file) = 1 -a $(stat -c %%h /%[1]s/large) = 1\n"
	dockerfile := "FROM onbuild AS zero\nCOPY d/file /single\nRUN test $(stat -c %h /first/d/file) = 1\nCOPY . /a\n" + fmt.Sprintf(one, "a") +
		"FROM busybox AS other\nCOPY . /b\n" + fmt.Sprintf(one, "b") + "ADD . /c\n" + fmt.Sprintf(one, "c") +
		"FROM busybox\nCOPY --from=zero /a /a\nCOPY --from=other /c /c\nCOPY --from=zero /second /second\nCOPY . /last\n" + fmt.Sprintf(one, "last")
	img := p.must(contextOf(t, dockerfile, entry{name: "d/file", body: "whole"}, entry{name: "large", body: strings.Repeat("large", 1<<20)}))
	for _, dir := range []string{"a", "c", "second", "last"} {
		if got := p.content(img, dir+"/d/file"); got != "whole" || len(p.content(img, dir+"/large")) != 5<<20 {
			t.Errorf("/%s has %q", dir, got)
		}
	}
}

func deviceOf(t *testing.T, dir string) string {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(info.Sys().(*syscall.Stat_t).Dev)
}
