package endurance

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/impl/network/netns"
)

// TestCVE201914271 fills a container with libraries that betray whoever loads
// them, and has the engine do everything that it does inside a container's root.
func TestCVE201914271(t *testing.T) {
	e := start(t, options{})
	dir := t.TempDir()
	source := `
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void load(void) { int f = open("/pwned", O_CREAT|O_WRONLY, 0644); if (f >= 0) { write(f, "x", 1); close(f); } }
`
	if err := os.WriteFile(filepath.Join(dir, "evil.c"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(dir, "evil.so")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", library, filepath.Join(dir, "evil.c")).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v %s", err, out)
	}
	// The trap works: a program that loads it below another root leaves its mark there.
	root := filepath.Join(dir, "root")
	for _, d := range []string{root, filepath.Join(root, "lib")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	trial := exec.Command("unshare", "--mount", "sh", "-ec", `mount --bind "$0" /mnt && mkdir -p /mnt/lib /mnt/usr /mnt/lib64 && mount --rbind /usr /mnt/usr && mount --rbind /lib /mnt/lib && { [ ! -d /lib64 ] || mount --rbind /lib64 /mnt/lib64; } && cp "$1" /mnt/evil.so && LD_PRELOAD=/evil.so chroot /mnt /usr/bin/true`, root, library)
	if out, err := trial.CombinedOutput(); err != nil {
		t.Fatalf("trial: %v %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(root, "pwned")); err != nil {
		t.Fatalf("the library betrays nobody: %v", err)
	}

	text, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"etc/nsswitch.conf": "passwd: files evil\ngroup: files evil\nhosts: files dns evil\n", "etc/ld.so.preload": "/lib/libevil.so\n"}
	for _, d := range []string{"lib", "lib64", "usr/lib", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"} {
		for _, name := range []string{"libnss_files.so.2", "libnss_compat.so.2", "libnss_dns.so.2", "libnss_systemd.so.2", "libnss_evil.so.2", "libevil.so", "libc.so.6", "libz.so.1", "liblzma.so.5"} {
			files[d+"/"+name] = string(text)
		}
	}
	for _, running := range []bool{false, true} {
		id := e.create("", map[string]any{"Image": "busybox", "Cmd": sleep})
		e.must(http.MethodPut, "/containers/"+id+"/archive?path=/", pack(files), http.StatusOK)
		if running {
			e.begin(id)
		}
		e.must(http.MethodPut, "/containers/"+id+"/archive?path=/tmp", pack(map[string]string{"new": "x"}), http.StatusOK, http.StatusNotFound)
		e.must(http.MethodPut, "/containers/"+id+"/archive?path=/", pack(map[string]string{"new": "x"}), http.StatusOK)
		e.must(http.MethodGet, "/containers/"+id+"/archive?path=/etc", nil, http.StatusOK)
		e.must(http.MethodHead, "/containers/"+id+"/archive?path=/etc", nil, http.StatusOK)
		e.must(http.MethodPost, "/containers/"+id+"/copy", map[string]any{"Resource": "/etc"}, http.StatusOK)
		e.must(http.MethodGet, "/containers/"+id+"/export", nil, http.StatusOK)
		e.must(http.MethodGet, "/containers/"+id+"/changes", nil, http.StatusOK)
		e.must(http.MethodPost, "/commit?container="+id+"&repo=poisoned", nil, http.StatusCreated)
		if running {
			e.must(http.MethodGet, "/containers/"+id+"/top", nil, http.StatusOK)
			e.run(id, "true")
		}
		if e.must(http.MethodHead, "/containers/"+id+"/archive?path=/pwned", nil, http.StatusOK, http.StatusNotFound).status == http.StatusOK {
			t.Errorf("running %t: a process of the engine loaded a library of the container", running)
		}
		e.remove(id)
		// The image's steps, and a user by name.
		dockerfile := "FROM poisoned\nADD new /added\nCOPY new /copied\nRUN true\nUSER nobody\n"
		if err := e.transfer(t.Context(), "/build?t=built&nocache=1", pack(map[string]string{"Dockerfile": dockerfile, "new": "x"})); err != nil {
			t.Error(err)
		}
		if o := e.whole(map[string]any{"Image": "built", "User": "root", "Cmd": []string{"ls", "/pwned"}}); o.code == 0 {
			t.Error("a process of the engine loaded a library of the image")
		}
	}
}

// TestCVE202121285 pulls manifests that are malformed in every way. The daemon
// says what is wrong with each and lives on.
func TestCVE202121285(t *testing.T) {
	e := start(t, options{})
	blobs := map[string][]byte{}
	blob := func(text string) (digest string) {
		digest = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))
		blobs[digest] = []byte(text)
		return digest
	}
	const (
		v2     = "application/vnd.docker.distribution.manifest.v2+json"
		list   = "application/vnd.docker.distribution.manifest.list.v2+json"
		signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
		index  = "application/vnd.oci.image.index.v1+json"
	)
	layer := blob(pack(map[string]string{"f": "x"}).Reader.(*bytes.Buffer).String())
	size := len(blobs[layer])
	config := func(text string) string {
		return fmt.Sprintf(`{"mediaType":"application/vnd.docker.container.image.v1+json","size":%d,"digest":"%s"}`, len(text), blob(text))
	}
	entry := func(size int, digest string) string {
		return fmt.Sprintf(`{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":%d,"digest":"%s"}`, size, digest)
	}
	manifest := func(config, layers string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":%s}`, v2, config, layers)
	}
	good := fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}`, layer)
	one := "[" + entry(size, layer) + "]"
	bad := map[string]struct{ kind, text string }{
		"empty":              {v2, ""},
		"null":               {v2, "null"},
		"object":             {v2, "{}"},
		"array":              {v2, "[]"},
		"text":               {v2, `"x"`},
		"cut":                {v2, manifest(config(good), one)[:100]},
		"deep":               {v2, strings.Repeat("[", 1<<20)},
		"no config":          {v2, manifest("null", one)},
		"config without all": {v2, manifest("{}", one)},
		"config is a list":   {v2, manifest("[]", one)},
		"config absent":      {v2, manifest(`{"size":3,"digest":"sha256:`+strings.Repeat("0", 64)+`"}`, one)},
		"config null":        {v2, manifest(config("null"), one)},
		"config empty":       {v2, manifest(config(""), one)},
		"config array":       {v2, manifest(config("[]"), one)},
		"no rootfs":          {v2, manifest(config(`{"os":"linux"}`), one)},
		"rootfs null":        {v2, manifest(config(`{"os":"linux","rootfs":null}`), one)},
		"diff ids null":      {v2, manifest(config(`{"os":"linux","rootfs":{"type":"layers","diff_ids":[null]}}`), one)},
		"diff ids empty":     {v2, manifest(config(`{"os":"linux","rootfs":{"type":"layers","diff_ids":[""]}}`), one)},
		"diff ids odd":       {v2, manifest(config(`{"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:../../etc"]}}`), one)},
		"more diff ids":      {v2, manifest(config(strings.Replace(good, `["`, `["`+layer+`","`, 1)), one)},
		"fewer diff ids":     {v2, manifest(config(`{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`), one)},
		"another diff id":    {v2, manifest(config(strings.ReplaceAll(good, layer, "sha256:"+strings.Repeat("1", 64))), one)},
		"layers null":        {v2, manifest(config(good), "null")},
		"layer null":         {v2, manifest(config(good), "[null]")},
		"layer text":         {v2, manifest(config(good), `["x"]`)},
		"layer without all":  {v2, manifest(config(good), "[{}]")},
		"negative size":      {v2, manifest(config(good), "["+entry(-1, layer)+"]")},
		"huge size":          {v2, manifest(config(good), `[{"size":9223372036854775807,"digest":"`+layer+`"}]`)},
		"size too large":     {v2, manifest(config(good), `[{"size":92233720368547758070,"digest":"`+layer+`"}]`)},
		"empty digest":       {v2, manifest(config(good), "["+entry(size, "")+"]")},
		"short digest":       {v2, manifest(config(good), "["+entry(size, "sha256:00")+"]")},
		"odd algorithm":      {v2, manifest(config(good), "["+entry(size, "md4:"+strings.Repeat("0", 32))+"]")},
		"digest is a path":   {v2, manifest(config(good), "["+entry(size, "sha256:../../../etc/passwd")+"]")},
		"another version":    {v2, `{"schemaVersion":3}`},
		"list null":          {list, `{"schemaVersion":2,"manifests":null}`},
		"list of null":       {list, `{"schemaVersion":2,"manifests":[null]}`},
		"list of nothing":    {list, `{"schemaVersion":2,"manifests":[{}]}`},
		"platform null":      {list, `{"schemaVersion":2,"manifests":[{"digest":"` + layer + `","size":1,"platform":null}]}`},
		"index null":         {index, `{"schemaVersion":2,"manifests":[null,null]}`},
		"history":            {v2, manifest(config(strings.Replace(good, `"config"`, `"history":[null,{"empty_layer":true},null,{}],"config"`, 1)), one)},
		"config of lists":    {v2, manifest(config(strings.Replace(good, `"config":{}`, `"config":[1]`, 1)), one)},
		"schema 1 nothing":   {signed, `{"schemaVersion":1}`},
		"schema 1 null":      {signed, `{"schemaVersion":1,"fsLayers":null,"history":null}`},
		"schema 1 layers":    {signed, `{"schemaVersion":1,"name":"bad","tag":"x","fsLayers":[{"blobSum":"` + layer + `"}],"history":[]}`},
		"schema 1 history":   {signed, `{"schemaVersion":1,"name":"bad","tag":"x","fsLayers":[],"history":[{"v1Compatibility":"{}"}]}`},
		"schema 1 garbage":   {signed, `{"schemaVersion":1,"name":"bad","tag":"x","fsLayers":[{"blobSum":"` + layer + `"}],"history":[{"v1Compatibility":"null"}]}`},
		"schema 1 nulls":     {signed, `{"schemaVersion":1,"name":"bad","tag":"x","fsLayers":[null],"history":[null]}`},
		"schema 1 digest":    {signed, `{"schemaVersion":1,"name":"bad","tag":"x","fsLayers":[{"blobSum":""}],"history":[{"v1Compatibility":"{\"id\":\"a\"}"}]}`},
		"schema 1 signature": {signed, `{"schemaVersion":1,"name":"bad","tag":"x","fsLayers":[{"blobSum":"` + layer + `"}],"history":[{"v1Compatibility":"{\"id\":\"a\"}"}],"signatures":[null,{"header":null,"protected":"!"}]}`},
	}
	served := bad["null"]
	served.kind, served.text = v2, manifest(config(good), one)
	var listener net.Listener
	if err := netns.Do(e.netns, func() (err error) { listener, err = net.Listen("tcp", "127.0.0.1:5000"); return err }); err != nil {
		t.Fatal(err)
	}
	registry := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, name, _ := strings.Cut(r.URL.Path, "/v2/bad/"); {
		case strings.HasPrefix(name, "manifests/"):
			w.Header().Set("Content-Type", served.kind)
			_, _ = io.WriteString(w, served.text)
		case strings.HasPrefix(name, "blobs/"):
			text, ok := blobs[strings.TrimPrefix(name, "blobs/")]
			if !ok {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = w.Write(text)
		}
	})}}
	registry.Start()
	t.Cleanup(registry.Close)

	// What is well-formed is taken, from this very registry.
	if err := e.transfer(t.Context(), "/images/create?fromImage=127.0.0.1:5000/bad&tag=good", nil); err != nil {
		t.Fatal(err)
	}
	e.must(http.MethodDelete, "/images/127.0.0.1:5000/bad:good", nil, http.StatusOK)
	before, pid := e.steady(), e.Pid()
	for name, m := range bad {
		served = m
		err := e.transfer(t.Context(), "/images/create?fromImage=127.0.0.1:5000/bad&tag=x", nil)
		if err == nil {
			// Some have a meaning, if an odd one; then the image can be used and removed.
			e.must(http.MethodGet, "/images/127.0.0.1:5000/bad:x/json", nil, http.StatusOK)
			e.must(http.MethodGet, "/images/127.0.0.1:5000/bad:x/history", nil, http.StatusOK)
			e.must(http.MethodDelete, "/images/127.0.0.1:5000/bad:x", nil, http.StatusOK)
			t.Logf("%s: taken", name)
		}
		e.must(http.MethodGet, "/_ping", nil, http.StatusOK)
	}
	if e.logged("panic") {
		t.Error("a manifest made the daemon panic")
	}
	if e.Pid() != pid {
		t.Error("another daemon")
	}
	e.settles(before)
}

// TestCVE202424557 loads an image that claims to be what a step of a build would
// make of its parent, in every detail but its files. A build must not take it
// for its cache.
func TestCVE202424557(t *testing.T) {
	e := start(t, options{})
	build := func(dockerfile, name string) string {
		t.Helper()
		a := e.must(http.MethodPost, "/build?t="+name, pack(map[string]string{"Dockerfile": dockerfile, "file": "good\n"}), http.StatusOK)
		if !bytes.Contains(a.body, []byte("Successfully built")) {
			t.Fatalf("build: %v", a)
		}
		return string(a.body)
	}
	for name, dockerfile := range map[string]string{
		"run":     "FROM busybox\nRUN echo good >/file\n",
		"copy":    "FROM busybox\nCOPY file /file\n",
		"add":     "FROM busybox\nADD file /\n",
		"env":     "FROM busybox\nENV a=b\nRUN echo good >/file\n",
		"scratch": "FROM scratch\nCOPY file /file\n",
	} {
		// A real build, so that the crafted image has all that one leaves; built twice, it is its own cache.
		build(dockerfile, "victim")
		if again := build(dockerfile, "victim"); !strings.Contains(again, "Using cache") {
			t.Fatalf("%s: not even an own build is a cache: %s", name, again)
		}
		var inspected struct{ ID, Parent string }
		if err := e.must(http.MethodGet, "/images/victim/json", nil, http.StatusOK).decode(&inspected); err != nil {
			t.Fatal(err)
		}
		crafted := poison(t, e.must(http.MethodGet, "/images/victim/get", nil, http.StatusOK).body, inspected.Parent)
		e.must(http.MethodDelete, "/images/victim?force=1", nil, http.StatusOK)
		if err := e.transfer(t.Context(), "/images/load", raw{"application/x-tar", bytes.NewReader(crafted)}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e.must(http.MethodGet, "/images/evil/json", nil, http.StatusOK)
		build(dockerfile, "victim")
		id := e.create("", map[string]any{"Image": "victim", "Cmd": sleep})
		got := e.must(http.MethodGet, "/containers/"+id+"/archive?path=/file", nil, http.StatusOK).body
		if !bytes.Contains(got, []byte("good\n")) || bytes.Contains(got, []byte("evil\n")) {
			t.Errorf("%s: the build took the files of a loaded image", name)
		}
		e.remove(id)
		for _, image := range []string{"victim", "evil"} {
			e.must(http.MethodDelete, "/images/"+image+"?force=1", nil, http.StatusOK)
		}
	}
}

// poison makes another image of a saved one: the files of its last layer are
// evil, its name is, everything else is as it was, and it names its parent.
func poison(t *testing.T, saved []byte, parent string) []byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(saved)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var manifest []map[string]any
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatal(err)
	}
	configName := manifest[0]["Config"].(string)
	layers := manifest[0]["Layers"].([]any)
	var config map[string]any
	if err := json.Unmarshal(files[configName], &config); err != nil {
		t.Fatal(err)
	}
	layer := pack(map[string]string{"file": "evil\n"}).Reader.(*bytes.Buffer).Bytes()
	ids := config["rootfs"].(map[string]any)["diff_ids"].([]any)
	ids[len(ids)-1] = fmt.Sprintf("sha256:%x", sha256.Sum256(layer))
	config["parent"] = parent
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	delete(files, configName)
	configName = fmt.Sprintf("%x.json", sha256.Sum256(text))
	files[configName] = text
	manifest[0]["Config"], manifest[0]["RepoTags"], manifest[0]["Parent"] = configName, []string{"evil:latest"}, parent
	layers[len(layers)-1] = "evil.tar"
	files["evil.tar"] = layer
	if files["manifest.json"], err = json.Marshal(manifest); err != nil {
		t.Fatal(err)
	}
	delete(files, "repositories")
	delete(files, "index.json")
	delete(files, "oci-layout")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if strings.HasSuffix(name, "/") {
			continue
		}
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
		_, _ = w.Write(content)
	}
	_ = w.Close()
	return b.Bytes()
}
