package volume

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/plugin"
	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzPlugin has a volume plugin give any answer. Names can be used, and places are
// absolute paths.
func FuzzPlugin(f *testing.F) {
	for _, text := range []string{
		`{"Volume":{"Name":"v","Mountpoint":"/m"}}`, `{"Volumes":[{"Name":"v"},null,{"Name":"../x","Mountpoint":"y"}]}`, `{"Mountpoint":"relative/../.."}`,
		`{"Mountpoint":"/a\u0000b"}`, `{"Err":"no"}`, `null`, `{"Volume":null}`,
	} {
		f.Add([]byte(text))
	}
	var answer atomic.Pointer[[]byte]
	dir := f.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "fuzzed.sock"))
	if err != nil {
		f.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := []byte(`{"Implements":["VolumeDriver"]}`)
		if !strings.HasSuffix(r.URL.Path, "Activate") {
			text = *answer.Load()
		}
		_, _ = w.Write(text)
	})}
	go func() { _ = server.Serve(l) }()
	f.Cleanup(func() { _ = server.Close() })
	p, err := plugin.New(plugin.Options{Sockets: dir}).Get(f.Context(), "fuzzed", plugin.VolumeDriver)
	if err != nil {
		f.Fatal(err)
	}
	r := remote{p}
	usable := func(path string) bool { return filepath.IsAbs(path) && !strings.ContainsRune(path, 0) }
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		answer.Store(&text)
		ctx := t.Context()
		if k, err := r.get(ctx, "v"); err == nil && (k.Name != "v" || k.Mountpoint != "" && !usable(k.Mountpoint)) {
			t.Errorf("%q: %+v", text, k)
		}
		if list, err := r.list(ctx); err == nil {
			for _, k := range list {
				if k.Name == "" || strings.ContainsAny(k.Name, "/\x00") || k.Mountpoint != "" && !usable(k.Mountpoint) {
					t.Errorf("%q: %+v", text, k)
				}
			}
		}
		if path, err := r.path(ctx, "v"); err == nil && path != "" && !usable(path) {
			t.Errorf("%q: path %q", text, path)
		}
		if path, err := r.mount(ctx, "v", "c"); err == nil && !usable(path) {
			t.Errorf("%q: mount %q", text, path)
		}
	})
}

// FuzzDefinition reads a volume as it is at the start. One that is taken has the
// name that its directory says.
func FuzzDefinition(f *testing.F) {
	f.Add([]byte(`{"version":1,"name":"a","driver":"local","labels":{"x":"y"}}`))
	f.Add([]byte(`{"Version":1,"Name":"a","Options":{"type":"tmpfs"}}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		dir := filepath.Join(t.TempDir(), dirName("a"))
		if err := os.MkdirAll(filepath.Join(dir, usersDir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, definitionFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := load(dir)
		if err == nil && (v == nil || dirName(v.def.Name) != filepath.Base(dir)) {
			t.Errorf("%q: %+v", text, v)
		}
	})
}
