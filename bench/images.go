package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// imageLayers is how many layers the large image has.
const imageLayers = 7

// registryAddress is where each engine finds the registry, in its own network.
const registryAddress = "127.0.0.1:5000"

// images: load, save, pull and push of a large image, with the processor time
// and the peak of memory of the pull, and the list of many images. Each engine has
// a registry of its own in its network namespace; both serve the same files.
func images(ctx context.Context, a *arena, r *report) error {
	archive := filepath.Join(a.dir, "large.tar")
	if err := makeArchive(archive, "large", a.imageMB<<20/imageLayers, imageLayers, 1); err != nil {
		return fmt.Errorf("make an image: %w", err)
	}
	many := filepath.Join(a.dir, "many.tar")
	if err := makeArchive(many, "many", 1<<10, 1, a.images); err != nil {
		return fmt.Errorf("make %d images: %w", a.images, err)
	}
	for _, e := range a.engines {
		stop, err := a.registry(ctx, e)
		if err != nil {
			return err
		}
		defer stop()
	}
	figures := map[string]map[string][]float64{}
	note := func(what string, e *engine, value float64) {
		if figures[what] == nil {
			figures[what] = map[string][]float64{}
		}
		figures[what][e.name] = append(figures[what][e.name], value)
	}
	var names []string
	for _, e := range a.engines {
		names = append(names, e.name)
	}
	for round := range a.imageRounds {
		for _, e := range a.engines {
			if err := e.transfers(ctx, archive, fmt.Sprintf("%s%d", e.name, round), note); err != nil {
				return err
			}
		}
	}
	size := fmt.Sprintf("image of %d MB in %d layers", a.imageMB, imageLayers)
	for _, m := range []struct{ what, unit string }{
		{"load", "s"}, {"save", "s"}, {"push", "s"}, {"pull", "s"}, {"pull, processor time", "s"}, {"pull, peak memory", "MB"}, {"push of what was pulled", "s"},
	} {
		r.add(m.what+", "+size, m.unit, "less", names, figures[m.what])
	}
	var turns []turn
	for _, e := range a.engines {
		if err := e.loadFile(ctx, many); err != nil {
			return err
		}
		turns = append(turns, turn{e.name, func() error {
			var list []struct{ ID string }
			if err := e.call(ctx, http.MethodGet, "/images/json", nil, http.StatusOK, &list); err != nil {
				return err
			}
			if len(list) < a.images {
				return fmt.Errorf("%s lists %d images of %d", e.name, len(list), a.images)
			}
			return nil
		}})
	}
	names, values, err := takeTurns(ctx, a.rounds, turns)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("list of %d images", a.images), "ms", "less", names, values)
	return a.writable(ctx, r)
}

// writable: create and remove of a container, which is a writable layer for the
// most part, beside one and beside many others.
func (a *arena) writable(ctx context.Context, r *report) error {
	for _, beside := range []int{1, a.layers} {
		var turns []turn
		for _, e := range a.engines {
			var have []struct{ ID string }
			if err := e.call(ctx, http.MethodGet, "/containers/json?all=1", nil, http.StatusOK, &have); err != nil {
				return err
			}
			for range beside - len(have) {
				if _, err := e.create(ctx, withoutNetwork("true")); err != nil {
					return err
				}
			}
			turns = append(turns, turn{e.name, func() error {
				id, err := e.create(ctx, withoutNetwork("true"))
				if err != nil {
					return err
				}
				return e.remove(ctx, id)
			}})
		}
		names, values, err := takeTurns(ctx, a.rounds, turns)
		if err != nil {
			return err
		}
		r.add(fmt.Sprintf("container create+remove beside %d", beside), "ms", "less", names, values)
	}
	return nil
}

// transfers moves the image once through the engine; repo is a repository that no
// other round uses, so that its registry has nothing of it.
func (e *engine) transfers(ctx context.Context, archive, repo string, note func(string, *engine, float64)) error {
	timed := func(what string, fn func() error) error {
		began := time.Now()
		if err := fn(); err != nil {
			return fmt.Errorf("%s: %s: %w", e.name, what, err)
		}
		note(what, e, time.Since(began).Seconds())
		return nil
	}
	remote := registryAddress + "/" + repo
	post := func(path string) func() error {
		return func() error { return e.stream(ctx, http.MethodPost, path, nil) }
	}
	forget := func(names ...string) error {
		for _, n := range names {
			if err := e.call(ctx, http.MethodDelete, "/images/"+n+"?force=1", nil, http.StatusOK, nil); err != nil {
				return err
			}
		}
		return nil
	}
	if err := timed("load", func() error { return e.loadFile(ctx, archive) }); err != nil {
		return err
	}
	if err := timed("save", func() error { return e.stream(ctx, http.MethodGet, "/images/large:0/get", nil) }); err != nil {
		return err
	}
	if err := e.call(ctx, http.MethodPost, "/images/large:0/tag?repo="+remote+"&tag=1&force=1", nil, anySuccess, nil); err != nil {
		return err
	}
	if err := timed("push", post("/images/"+remote+"/push?tag=1")); err != nil {
		return err
	}
	if err := forget("large:0", remote+":1"); err != nil {
		return err
	}
	before, err := e.processor()
	if err != nil {
		return err
	}
	// 5 resets the peak of memory (proc(5), clear_refs).
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", e.daemon.Pid()), []byte("5"), 0); err != nil {
		return err
	}
	if err := timed("pull", post("/images/create?fromImage="+remote+"&tag=1")); err != nil {
		return err
	}
	after, err := e.processor()
	if err != nil {
		return err
	}
	note("pull, processor time", e, after-before)
	peak, err := e.peak()
	if err != nil {
		return err
	}
	note("pull, peak memory", e, peak)
	// To a repository that has nothing of it; the registry may take the layers over.
	if err := e.call(ctx, http.MethodPost, "/images/"+remote+":1/tag?repo="+remote+"-copy&tag=1&force=1", nil, anySuccess, nil); err != nil {
		return err
	}
	if err := timed("push of what was pulled", post("/images/"+remote+"-copy/push?tag=1")); err != nil {
		return err
	}
	return forget(remote+":1", remote+"-copy:1")
}

// stream sends a request whose answer is long, reads it to its end, and takes an
// error in it for one.
func (e *engine) stream(ctx context.Context, method, path string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://engine"+prefix+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("X-Registry-Auth", "e30=") // {}
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var last bytes.Buffer
	if resp.Header.Get("Content-Type") == "application/json" {
		_, err = last.ReadFrom(resp.Body)
	} else {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || strings.Contains(last.String(), `"errorDetail"`) {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, last.String())
	}
	return nil
}

func (e *engine) loadFile(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return e.stream(ctx, http.MethodPost, "/images/load", f)
}

// processor is the processor time in seconds of the daemon and of its children that
// have ended (proc(5), stat: fields 14 to 17, in hundredths).
func (e *engine) processor() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.daemon.Pid()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:]))
	sum := 0
	for _, f := range fields[11:15] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return float64(sum) / 100, nil
}

// peak is the most resident memory in MB since it was reset.
func (e *engine) peak() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.daemon.Pid()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, fmt.Errorf("read VmHWM: %w", err)
	}
	return kb / 1024, nil
}

// registry starts Debian's docker-registry in the engine's network. All of them
// store into one directory.
func (a *arena) registry(ctx context.Context, e *engine) (stop func(), err error) {
	dir := filepath.Join(a.dir, "registry")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(a.dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", dir, registryAddress)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	network := fmt.Sprintf("--net=/proc/%d/ns/net", e.daemon.Pid())
	cmd := exec.CommandContext(ctx, "nsenter", network, "/usr/bin/docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the registry is missing (make setup-test): %w", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for range 200 {
		if exec.CommandContext(ctx, "nsenter", network, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/5000").Run() == nil {
			return stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return nil, fmt.Errorf("the registry of %s does not answer", e.name)
}

// makeArchive writes images name:0, name:1, … as docker save does. They share their
// layers, each of which has files of size bytes in all; half of the content can be
// compressed.
func makeArchive(path, name string, size, layers, images int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := tar.NewWriter(f)
	put := func(name string, b []byte) error {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(b)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := out.Write(b)
		return err
	}
	random := rand.NewChaCha8([32]byte{'b', 'e', 'n', 'c', 'h'})
	var diffs, files []string
	for l := range layers {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		const each = 256 << 10
		for i := 0; i*each < size; i++ {
			content := make([]byte, min(each, size-i*each))
			_, _ = random.Read(content[:len(content)/2]) // never fails
			if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("layer%d/%d", l, i), Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
				return err
			}
			if _, err := w.Write(content); err != nil {
				return err
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		diffs, files = append(diffs, "sha256:"+sumOf(b.Bytes())), append(files, fmt.Sprintf("%d/layer.tar", l))
		if err := put(files[l], b.Bytes()); err != nil {
			return err
		}
	}
	var manifest []map[string]any
	for i := range images {
		config, err := json.Marshal(map[string]any{
			"architecture": "amd64", "os": "linux", "config": map[string]any{"Labels": map[string]string{"number": fmt.Sprint(i)}},
			"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
		})
		if err != nil {
			return err
		}
		file := sumOf(config) + ".json"
		if err := put(file, config); err != nil {
			return err
		}
		manifest = append(manifest, map[string]any{"Config": file, "RepoTags": []string{fmt.Sprintf("%s:%d", name, i)}, "Layers": files})
	}
	b, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := put("manifest.json", b); err != nil {
		return err
	}
	return out.Close()
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
