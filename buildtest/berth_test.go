package buildtest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// newBerth starts a berthd alone, with busybox.
func newBerth(t *testing.T, flags ...string) *engine {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "berth-builds-")
	if err != nil {
		t.Fatal(err)
	}
	program, err := filepath.Abs(filepath.Join(*binaries, "berthd"))
	if err != nil {
		t.Fatal(err)
	}
	flags = append([]string{"--bridge", bridge, "--bip", "10.214.0.1/22", "--cgroup-parent", "/" + bridge}, flags...)
	c, err := daemon.Berth(program, filepath.Join(dir, "berth"), flags...)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, dir: dir}
	e := p.start(c, daemon.Remains{Dir: filepath.Join(dir, "berth"), Bridge: bridge, Cgroup: "/" + bridge})
	var image bytes.Buffer
	if err := busybox.Archive(&image, "busybox:latest"); err != nil {
		t.Fatal(err)
	}
	e.post(t, "/images/load", image.Bytes())
	return e
}

// crash kills the daemon as a crash would and starts it again.
func (e *engine) crash(t *testing.T) {
	t.Helper()
	e.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := e.Restart(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e.Daemon = d
}

// message is a line of a build's stream.
type message struct {
	Stream, Error string
	ErrorDetail   struct {
		Code    int
		Message string
	}
}

// send builds a context with the parameters of a query and gives what was said,
// the last error and the HTTP status.
func (e *engine) send(ctx context.Context, query url.Values, body io.Reader) (said string, failure message, status int) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/v1.23/build?"+query.Encode(), body)
	if err != nil {
		return "", message{Error: err.Error()}, 0
	}
	client := daemon.Client(e.Socket())
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return "", message{Error: err.Error()}, 0
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return string(text), message{Error: string(text)}, resp.StatusCode
	}
	d := json.NewDecoder(resp.Body)
	for {
		var m message
		if err := d.Decode(&m); err != nil {
			if err != io.EOF && failure.Error == "" { // an answer that is cut off is none
				failure.Error = "the answer is cut off: " + err.Error()
			}
			return said, failure, resp.StatusCode
		}
		said += m.Stream
		if m.Error != "" {
			failure = m
		}
	}
}

// of is a context of files by their names.
func of(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// containers lists the ids of all containers.
func (e *engine) containers(t *testing.T) (ids []string) {
	t.Helper()
	r := e.do(t, http.MethodGet, "/containers/json?all=1", nil)
	defer r.Close()
	var list []struct{ ID string }
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

// TestParameters looks from inside of RUN at what the parameters set.
func TestParameters(t *testing.T) {
	e := newBerth(t)
	const look = `FROM busybox
ARG GIVEN
RUN for f in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_period_us cpu/cpu.cfs_quota_us cpuset/cpuset.cpus cpuset/cpuset.mems; do echo "$f=$(cat /sys/fs/cgroup/$f)"; done
RUN for f in memory.max memory.swap.max cpu.weight cpu.max cpuset.cpus cpuset.mems; do [ ! -f /sys/fs/cgroup/$f ] || echo "$f=$(cat /sys/fs/cgroup/$f)"; done
RUN grep -E 'open files|processes' /proc/self/limits; df -k /dev/shm | tail -1; cat /proc/self/cgroup; echo "given=$GIVEN unset=$http_proxy"
`
	q := url.Values{
		"memory": {"67108864"}, "memswap": {"100663296"}, "cpushares": {"512"}, "cpuperiod": {"50000"}, "cpuquota": {"20000"}, "cpusetcpus": {"0"}, "cpusetmems": {"0"},
		"shmsize": {"8388608"}, "ulimits": {`[{"Name":"nofile","Soft":321,"Hard":654}]`}, "cgroupparent": {"/" + bridge + "/builds"},
		"buildargs": {`{"GIVEN":"here","http_proxy":"http://proxy"}`}, "labels": {`{"who":"me"}`}, "t": {"p:1", "p:2"}, "rm": {"1"},
	}
	said, failure, _ := e.send(t.Context(), q, bytes.NewReader(of(t, "Dockerfile", look)))
	if failure.Error != "" {
		t.Fatalf("%s\n%s", failure.Error, said)
	}
	want := []string{"given=here unset=http://proxy", "8192 ", "/" + bridge + "/builds/"}
	if strings.Contains(said, "memory.max=") {
		want = append(want, "memory.max=67108864", "memory.swap.max=33554432", "cpu.max=20000 50000", "cpuset.cpus=0", "cpuset.mems=0")
	} else {
		want = append(want, "memory.limit_in_bytes=67108864", "memsw.limit_in_bytes=100663296", "cpu.shares=512", "cfs_period_us=50000", "cfs_quota_us=20000", "cpuset.cpus=0", "cpuset.mems=0")
	}
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("there is no %q in\n%s", w, said)
		}
	}
	var limits string
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "Max open files") {
			limits = strings.Join(strings.Fields(line)[3:5], ":")
		}
	}
	if limits != "321:654" {
		t.Errorf("open files %q", limits)
	}
	for _, tag := range []string{"p:1", "p:2"} {
		r := e.do(t, http.MethodGet, "/images/"+tag+"/json", nil)
		var img struct {
			Config struct{ Labels map[string]string }
		}
		err := json.NewDecoder(r).Decode(&img)
		r.Close()
		if err != nil || img.Config.Labels["who"] != "me" {
			t.Errorf("%s: labels %v, %v", tag, img.Config.Labels, err)
		}
	}
}

// TestContextForms sends the context in every compression, and with a
// Dockerfile of another name.
func TestContextForms(t *testing.T) {
	e := newBerth(t)
	plain := of(t, "sub/Other", "FROM busybox\nCOPY f /f\nRUN cat /f", "f", "the file")
	for name, command := range map[string]string{"identity": "cat", "gzip": "gzip", "bzip2": "bzip2", "xz": "xz", "zstd": "zstd -c"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
			cmd.Stdin = bytes.NewReader(plain)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			said, failure, status := e.send(t.Context(), url.Values{"dockerfile": {"sub/Other"}, "nocache": {"1"}, "rm": {"1"}}, bytes.NewReader(packed))
			if failure.Error != "" || status != http.StatusOK || !strings.Contains(said, "the file") {
				t.Errorf("%d %s\n%s", status, failure.Error, said)
			}
		})
	}
	if left := e.containers(t); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
}

// TestKeptContainers: rm and forcerm say what becomes of intermediate containers.
func TestKeptContainers(t *testing.T) {
	e := newBerth(t)
	for _, c := range []struct {
		rm, forcerm, run string
		code, left       int
	}{
		{"1", "", "true", 0, 0}, {"0", "", "true", 0, 2}, {"1", "", "exit 3", 3, 1}, {"1", "1", "exit 4", 4, 0}, {"0", "1", "exit 5", 5, 0},
	} {
		q := url.Values{"rm": {c.rm}, "forcerm": {c.forcerm}, "nocache": {"1"}}
		said, failure, _ := e.send(t.Context(), q, bytes.NewReader(of(t, "Dockerfile", "FROM busybox\nENV a=b\nRUN "+c.run)))
		if failure.ErrorDetail.Code != c.code {
			t.Errorf("%+v: %+v\n%s", c, failure, said)
		}
		left := e.containers(t)
		// A failing build of two steps leaves the container of the failing one.
		if len(left) != c.left {
			t.Errorf("%+v: %d containers are left\n%s", c, len(left), said)
		}
		for _, id := range left {
			e.do(t, http.MethodDelete, "/containers/"+id, nil).Close()
		}
	}
}

// running waits until a container runs a command whose argument is mark.
func (e *engine) running(t *testing.T, mark string) {
	t.Helper()
	for range 600 {
		r := e.do(t, http.MethodGet, "/containers/json", nil)
		text, err := io.ReadAll(r)
		r.Close()
		if err == nil && bytes.Contains(text, []byte(mark)) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no container runs %s", mark)
}

// TestCancelled: a build ends within a second of its client, with all it has.
func TestCancelled(t *testing.T) {
	e := newBerth(t)
	ctx, cancel := context.WithCancel(t.Context())
	body := bytes.NewReader(of(t, "Dockerfile", "FROM busybox\nRUN sleep 1234567"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _, _ = e.send(ctx, url.Values{"rm": {"1"}}, body)
	}()
	e.running(t, "1234567")
	cancel()
	<-ended
	began := time.Now()
	for len(e.containers(t)) > 0 {
		if time.Since(began) > 10*time.Second {
			t.Fatal("the container is still there")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestKilledDuringRun: after kill -9 in the middle of a RUN the container can be
// removed, nothing of the build is left, and the next build takes from the
// cache what was complete and nothing else.
func TestKilledDuringRun(t *testing.T) {
	e := newBerth(t)
	body := of(t, "Dockerfile", "FROM busybox\nCOPY f /f\nRUN echo $((40+2)) > /done\nRUN [ -f /f ] && cat /gate || sleep 1234567", "f", "x")
	go e.send(t.Context(), url.Values{"rm": {"1"}}, bytes.NewReader(body))
	e.running(t, "1234567")
	e.crash(t)
	left := e.containers(t)
	if len(left) != 1 {
		t.Errorf("containers after the crash: %v", left)
	}
	for _, id := range left {
		e.do(t, http.MethodDelete, "/containers/"+id+"?force=1&v=1", nil).Close()
	}
	if left := e.containers(t); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
	contexts, err := os.ReadDir(filepath.Join(filepath.Dir(e.Socket()), "data", "build"))
	if err != nil && !os.IsNotExist(err) || len(contexts) > 0 {
		t.Errorf("contexts are left: %v %v", contexts, err)
	}
	body = of(t, "Dockerfile", "FROM busybox\nCOPY f /f\nRUN echo $((40+2)) > /done\nRUN cat /done /f", "f", "x")
	said, failure, _ := e.send(t.Context(), url.Values{"rm": {"1"}}, bytes.NewReader(body))
	if failure.Error != "" || strings.Count(said, "Using cache") != 2 || !strings.Contains(said, "42\nx") {
		t.Errorf("%+v\n%s", failure, said)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), filepath.Dir(e.Socket())) {
		t.Errorf("mounts are left: %v", err)
	}
}

// TestBuildsAtOnce: builds of the same Dockerfile at the same time all succeed
// with what they should hold, and a later one finds all steps in the cache.
func TestBuildsAtOnce(t *testing.T) {
	e := newBerth(t)
	body := of(t, "Dockerfile", "FROM busybox\nCOPY f /f\nRUN cat /f /f > /g\nENV a=b\nRUN cat /g", "f", "once ")
	other := of(t, "Dockerfile", "FROM busybox\nCOPY f /f\nRUN cat /f /f > /g\nENV a=b\nRUN cat /g", "f", "other ")
	type outcome struct{ said, want, err string }
	all := make(chan outcome)
	for i := range 6 {
		go func() {
			o := outcome{want: "once once "}
			b := body
			if i%2 == 1 {
				b, o.want = other, "other other "
			}
			name := fmt.Sprintf("at-once-%d", i)
			said, failure, _ := e.send(t.Context(), url.Values{"rm": {"1"}, "t": {name}}, bytes.NewReader(b))
			o.said, o.err = said, failure.Error
			if failure.Error == "" { // a step out of the cache says nothing: what is in the image does
				look := of(t, "Dockerfile", "FROM "+name+"\nRUN cat /g")
				o.said, failure, _ = e.send(t.Context(), url.Values{"rm": {"1"}, "nocache": {"1"}}, bytes.NewReader(look))
				o.err = failure.Error
			}
			all <- o
		}()
	}
	for range 6 {
		o := <-all
		if o.err != "" || !strings.Contains(o.said, o.want) {
			t.Errorf("%s\n%s", o.err, o.said)
		}
	}
	for _, b := range [][]byte{body, other} {
		said, failure, _ := e.send(t.Context(), url.Values{"rm": {"1"}}, bytes.NewReader(b))
		if failure.Error != "" || strings.Count(said, "Using cache") != 4 {
			t.Errorf("%s\n%s", failure.Error, said)
		}
	}
	if left := e.containers(t); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
}

// TestForkBomb: a build that forks for ever meets its limit, the engine goes on
// answering, and nothing is left when the client goes.
func TestForkBomb(t *testing.T) {
	e := newBerth(t, "--build-pids-limit", "100")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	said, _, _ := e.send(ctx, url.Values{"rm": {"1"}, "forcerm": {"1"}}, bytes.NewReader(of(t, "Dockerfile", "FROM busybox\nRUN bomb() { bomb & bomb & sleep 1; }; bomb; wait; sleep 1234567")))
	if !strings.Contains(said, "fork") {
		t.Errorf("the limit was not met: %s", said)
	}
	e.do(t, http.MethodGet, "/info", nil).Close()
	for began := time.Now(); len(e.containers(t)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the container is still there")
		}
	}
}

// TestOldAuthHeader: a build with X-Registry-Auth in place of X-Registry-Config,
// as clients sent it that are older, or with a header that is no JSON, is served.
func TestOldAuthHeader(t *testing.T) {
	e := newBerth(t)
	for _, value := range []string{base64.URLEncoding.EncodeToString([]byte(`{"username":"u","password":"p"}`)), "%%%"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://engine/v1.18/build", bytes.NewReader(of(t, "Dockerfile", "FROM busybox\nENV a=b")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Registry-Auth", value)
		client := daemon.Client(e.Socket())
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		client.CloseIdleConnections()
		if err != nil || !bytes.Contains(said, []byte("Successfully built")) {
			t.Errorf("%v %s", err, said)
		}
	}
}

// TestCommit commits what a container changed, takes the image to Docker Engine
// by save and load, and compares what each of them saves.
func TestCommit(t *testing.T) {
	p := newPair(t)
	dir := filepath.Join(t.TempDir(), "c")
	write(t, filepath.Join(dir, "Dockerfile"), "FROM busybox\nRUN mkdir -p /gone/deep /opaque && touch /gone/deep/x /opaque/old /file\nENV from=image\n")
	if said, err := p.berth.build(t, dir, "below"); err != nil {
		t.Fatal(err, said)
	}
	script := `rm -r /gone; rm -r /opaque && mkdir /opaque && touch /opaque/new; cd /; echo x > a; ln a b; ln -s a l; mkfifo p; chmod 4755 a; chown 12:34 file
		truncate -s 1M sparse; printf begin > holes; printf end | dd of=holes bs=1 seek=1048576 conv=notrunc; touch -d '1999-12-31 23:59:58' old; chmod 1777 opaque; sleep 1234567`
	create, err := json.Marshal(map[string]any{"Image": "below", "Cmd": []string{"sh", "-c", script}, "Labels": map[string]string{"c": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(p.berth.post(t, "/containers/create", create)), &made); err != nil {
		t.Fatal(err)
	}
	p.berth.post(t, "/containers/"+made.ID+"/start", nil)
	p.berth.running(t, "1234567")
	time.Sleep(2 * time.Second)
	q := url.Values{"container": {made.ID}, "repo": {"committed"}, "tag": {"1"}, "author": {"An Author"}, "comment": {"a comment"}, "pause": {"1"},
		"changes": {"ENV added=1", "LABEL l=2", "EXPOSE 99", "USER 5", "ONBUILD RUN true", "ENTRYPOINT [\"e\"]", "CMD c d", "WORKDIR /w", "VOLUME /v"}}
	p.berth.post(t, "/commit?"+q.Encode(), []byte(`{"Env":["body=1"]}`))
	p.berth.post(t, "/containers/"+made.ID+"/kill", nil)
	body := p.berth.do(t, http.MethodGet, "/images/committed:1/get", nil)
	packed, err := io.ReadAll(body)
	body.Close()
	if err != nil {
		t.Fatal(err)
	}
	p.docker.post(t, "/images/load", packed)
	began := time.Now().Add(-time.Hour)
	b, d := p.berth.save(t, "committed:1", began), p.docker.save(t, "committed:1", began)
	differ(t, "configuration", flat(b.config), flat(d.config))
	differ(t, "history", flat(b.history), flat(d.history))
	for i := range b.layers {
		differ(t, "layer", b.layers[i], d.layers[i])
	}
	top := d.layers[len(d.layers)-1]
	for name, want := range map[string]string{
		".wh.gone": "deletes", "opaque/.wh..wh..opq": "deletes", "opaque": "dir 1777 0:0", "a": "file 4755 0:0 2 bytes", "b": "file 4755 0:0 2 bytes", "l": "link 0:0 to a",
		"p": "kind 6 644", "file": "file 644 12:34 0 bytes", "sparse": "file 644 0:0 1048576 bytes", "holes": "file 644 0:0 1048579 bytes", "old": "at 1999-12-31T23:59:58Z",
	} {
		if !strings.Contains(top[name], want) {
			t.Errorf("%s is %q, want %q", name, top[name], want)
		}
	}
	for _, name := range []string{"gone", "opaque/old", "etc/passwd", "proc", "dev/null"} {
		if _, ok := top[name]; ok {
			t.Errorf("%s is in the layer", name)
		}
	}
	config, _ := d.config["config"].(map[string]any)
	for key, want := range map[string]string{"User": `"5"`, "WorkingDir": `"/w"`, "Entrypoint": `["e"]`, "Volumes": `{"/v":{}}`, "ExposedPorts": `{"99/tcp":{}}`, "OnBuild": `["RUN true"]`,
		"Cmd": `["/bin/sh","-c","c d"]`, "Labels": `{"c":"1","l":"2"}`} {
		if got := text(config[key]); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	env, _ := config["Env"].([]any)
	for _, want := range []any{"body=1", "added=1", "from=image"} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment %v lacks %v", env, want)
		}
	}
	if d.config["author"] != "An Author" || !strings.Contains(text(d.history[len(d.history)-1]), "a comment") {
		t.Errorf("author %v, history %s", d.config["author"], text(d.history[len(d.history)-1]))
	}
}
