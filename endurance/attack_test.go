package endurance

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// arena is an engine under attack, with a directory on the host that no
// container may reach.
type arena struct {
	*engine
	secret string // holds file canary
}

// output is what a container wrote to its standard output, with a terminal or not.
func (a *arena) output(id string, tty bool) string {
	log := a.must(http.MethodGet, "/containers/"+id+"/logs?stdout=1", nil, http.StatusOK).body
	if tty {
		return string(log)
	}
	stdout, _ := split(log)
	return stdout
}

func newArena(t *testing.T) *arena {
	t.Helper()
	a := &arena{engine: start(t, options{}), secret: t.TempDir()}
	if err := os.WriteFile(filepath.Join(a.secret, "canary"), []byte("host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// untouched says whether the directory on the host is as it was.
func (a *arena) untouched(t *testing.T, what string) {
	t.Helper()
	entries, err := os.ReadDir(a.secret)
	if err != nil || len(entries) != 1 {
		t.Errorf("%s: the host's directory was changed: %v %v", what, entries, err)
	}
	text, err := os.ReadFile(filepath.Join(a.secret, "canary"))
	info, serr := os.Stat(filepath.Join(a.secret, "canary"))
	if err != nil || string(text) != "host\n" || serr != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: the host's file was changed: %q %v %v", what, text, err, info)
	}
	a.must(http.MethodGet, "/_ping", nil, http.StatusOK)
}

// build makes an image out of a Dockerfile on busybox.
func (a *arena) build(t *testing.T, name, dockerfile string) {
	t.Helper()
	if err := a.transfer(t.Context(), "/build?t="+name, pack(map[string]string{"Dockerfile": "FROM busybox\n" + dockerfile})); err != nil {
		t.Fatal(err)
	}
}

// hostile packs entries as they are.
func hostile(entries ...tar.Header) raw {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text = "pwned\n"
		}
		h.Size, h.Mode = int64(len(text)), 0o777
		_ = w.WriteHeader(&h)
		_, _ = w.Write([]byte(text))
	}
	_ = w.Close()
	return raw{"application/x-tar", &b}
}

func TestAttacks(t *testing.T) {
	a := newArena(t)
	escapes := map[string][]tar.Header{
		"dots":     {{Name: strings.Repeat("../", 30) + a.secret[1:] + "/new", Typeflag: tar.TypeReg}},
		"symlink":  {{Name: "l", Linkname: a.secret, Typeflag: tar.TypeSymlink}, {Name: "l/new", Typeflag: tar.TypeReg}, {Name: "l/canary", Typeflag: tar.TypeReg}},
		"relative": {{Name: "r", Linkname: strings.Repeat("../", 30) + a.secret[1:], Typeflag: tar.TypeSymlink}, {Name: "r/new", Typeflag: tar.TypeReg}},
		"hardlink": {{Name: "h", Linkname: a.secret + "/canary", Typeflag: tar.TypeLink}, {Name: "h", Typeflag: tar.TypeReg}},
	}
	// CVE-2014-9357: archives that leave the place where they are unpacked, in builds and images.
	t.Run("CVE-2014-9357", func(t *testing.T) {
		// The same ways with an archive that stays where it is put.
		harmless := tar.Header{Name: "harmless", Typeflag: tar.TypeReg}
		a.must(http.MethodPost, "/images/create?fromSrc=-&repo=harmless", hostile(harmless), http.StatusOK)
		a.must(http.MethodGet, "/images/harmless/json", nil, http.StatusOK)
		for name, entries := range escapes {
			inner := hostile(entries...)
			var context bytes.Buffer
			w := tar.NewWriter(&context)
			body := inner.Reader.(*bytes.Buffer).Bytes()
			dockerfile := "FROM busybox\nADD evil.tar /\n"
			_ = w.WriteHeader(&tar.Header{Name: "evil.tar", Mode: 0o644, Size: int64(len(body))})
			_, _ = w.Write(body)
			_ = w.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(dockerfile))})
			_, _ = w.Write([]byte(dockerfile))
			_ = w.Close()
			a.must(http.MethodPost, "/build?t=evil", raw{"application/x-tar", &context}, http.StatusOK, http.StatusBadRequest, http.StatusInternalServerError)
			a.untouched(t, "build, "+name)
			a.must(http.MethodPost, "/images/load", hostile(entries...), http.StatusOK, http.StatusBadRequest, http.StatusInternalServerError)
			a.untouched(t, "load, "+name)
			a.must(http.MethodPost, "/images/create?fromSrc=-&repo=evil", hostile(entries...), http.StatusOK, http.StatusBadRequest, http.StatusInternalServerError)
			a.untouched(t, "import, "+name)
		}
	})
	// CVE-2021-41089 and CVE-2018-15664: files that are copied into a container land on the
	// host, by a link that is there or is exchanged meanwhile.
	t.Run("CVE-2021-41089", func(t *testing.T) {
		id := a.sleeper("", nil)
		defer a.remove(id)
		a.run(id, "ln", "-s", a.secret, "/l")
		a.must(http.MethodPut, "/containers/"+id+"/archive?path=/", hostile(tar.Header{Name: "harmless", Typeflag: tar.TypeReg}), http.StatusOK)
		if o := a.run(id, "cat", "/harmless"); o.stdout != "pwned\n" {
			t.Errorf("an archive that stays where it is put: %+v", o)
		}
		for name, entries := range escapes {
			a.must(http.MethodPut, "/containers/"+id+"/archive?path=/", hostile(entries...), http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError, http.StatusNotFound)
			a.untouched(t, "put, "+name)
		}
		a.must(http.MethodPut, "/containers/"+id+"/archive?path=/l", hostile(tar.Header{Name: "canary", Typeflag: tar.TypeReg}), http.StatusOK, http.StatusNotFound, http.StatusBadRequest)
		a.untouched(t, "put through a link")
		for _, path := range []string{"/l/canary", "/l", strings.Repeat("/..", 30) + a.secret + "/canary"} {
			if got := a.must(http.MethodGet, "/containers/"+id+"/archive?path="+url.QueryEscape(path), nil, http.StatusOK, http.StatusNotFound, http.StatusBadRequest); bytes.Contains(got.body, []byte("host\n")) {
				t.Errorf("read the host's file by %s", path)
			}
		}
	})
	t.Run("CVE-2018-15664", func(t *testing.T) {
		id := a.sleeper("", nil)
		defer a.remove(id)
		a.run(id, "sh", "-c", "mkdir -p "+a.secret+" /real && echo inside >"+a.secret+"/canary; cp "+a.secret+"/canary /real; "+
			"(while :; do rm -rf /x; ln -s "+a.secret+" /x; rm /x; mkdir /x; echo inside >/x/canary; done) >/dev/null 2>&1 &")
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
			if got, err := a.send(t.Context(), http.MethodGet, "/containers/"+id+"/archive?path=/x/canary", nil); err == nil && bytes.Contains(got.body, []byte("host\n")) {
				t.Fatal("read the host's file in a race")
			}
			_, _ = a.send(t.Context(), http.MethodPut, "/containers/"+id+"/archive?path=/x", hostile(tar.Header{Name: "new", Typeflag: tar.TypeReg}))
		}
		a.untouched(t, "race")
	})
	// CVE-2015-3627 and CVE-2015-3629: mount points of the image are links that lead to the host, at
	// the first and at a later start.
	t.Run("CVE-2015-3627", func(t *testing.T) {
		a.build(t, "linked", "RUN mkdir -p /a && ln -s "+strings.Repeat("../", 30)+a.secret[1:]+" /a/data && ln -s "+a.secret+" /abs\n")
		mine := t.TempDir()
		for _, at := range []string{"/a/data", "/abs", "/a/data/new", "/abs/new"} {
			o := a.whole(map[string]any{"Image": "linked", "Cmd": []string{"sh", "-c", "echo mine >" + at + "/file"}, "HostConfig": map[string]any{"Binds": []string{mine + ":" + at}}})
			a.untouched(t, "bind at "+at)
			if text, err := os.ReadFile(filepath.Join(mine, "file")); err != nil || string(text) != "mine\n" {
				t.Errorf("the bind at %s is elsewhere: %+v %q %v", at, o, text, err)
			}
			_ = os.Remove(filepath.Join(mine, "file"))
		}
	})
	t.Run("CVE-2015-3629", func(t *testing.T) {
		mine := t.TempDir()
		id := a.create("", map[string]any{"Image": "busybox", "Cmd": sleep, "HostConfig": map[string]any{"Binds": []string{mine + ":/m/data"}}})
		defer a.remove(id)
		a.begin(id)
		a.run(id, "sh", "-c", "mv /m /old; ln -s "+a.secret+" /m")
		for range 2 {
			a.must(http.MethodPost, "/containers/"+id+"/restart?t=0", nil, http.StatusNoContent, http.StatusInternalServerError, http.StatusBadRequest)
			a.untouched(t, "restart")
		}
	})
	// CVE-2015-3630: writable files of proc and sys that belong to the host.
	t.Run("CVE-2015-3630", func(t *testing.T) {
		o := a.whole(map[string]any{"Image": "busybox", "Cmd": []string{"sh", "-c", `for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/irq/default_smp_affinity /proc/bus/x /proc/fs/x /sys/kernel/uevent_helper /sys/fs/cgroup/x; do ( : >>$f ) 2>/dev/null && echo "$f is writable"; done; cat /proc/kcore /proc/timer_list /proc/keys 2>/dev/null | head -c 1 | wc -c`}})
		if o.stdout != "0\n" {
			t.Errorf("files of the host's kernel can be written, or read where they are masked: %+v", o)
		}
	})
	// CVE-2015-3631 and CVE-2019-16884: volumes over proc and sys take the masks away.
	t.Run("CVE-2019-16884", func(t *testing.T) {
		mine := t.TempDir()
		for _, at := range []string{"/proc", "/proc/self/attr", "/proc/self/../self/attr", "/sys/fs"} {
			for _, config := range []map[string]any{{"HostConfig": map[string]any{"Binds": []string{mine + ":" + at}}}, {"Volumes": map[string]any{at: map[string]any{}}}} {
				config["Image"], config["Cmd"] = "busybox", []string{"true"}
				made := a.must(http.MethodPost, "/containers/create", config, http.StatusCreated, http.StatusBadRequest, http.StatusInternalServerError)
				if made.status != http.StatusCreated {
					continue
				}
				var c struct{ ID string }
				_ = made.decode(&c)
				started := a.must(http.MethodPost, "/containers/"+c.ID+"/start", nil, http.StatusNoContent, http.StatusBadRequest, http.StatusInternalServerError)
				if started.status == http.StatusNoContent && strings.HasPrefix(at, "/proc") {
					t.Errorf("a mount at %s is allowed", at)
				}
				a.remove(c.ID)
			}
		}
	})
	// CVE-2016-9962 and CVE-2024-21626: descriptors of the host in processes that enter a container.
	t.Run("CVE-2016-9962", func(t *testing.T) {
		id := a.sleeper("", nil)
		defer a.remove(id)
		a.run(id, "sh", "-c", `(while :; do for d in /proc/[0-9]*/fd/*; do p=${d#/proc/}; [ "${p%%/*}" = 1 ] && continue; [ -e "$d/etc/shadow" -o -e "$d/canary" ] && ls -ld "$d" >>/found; done; done) >/dev/null 2>&1 &`)
		for range 15 {
			a.run(id, "true")
		}
		// What a container's own root shows is its own.
		if o := a.run(id, "sh", "-c", "[ -e /etc/shadow ] || cat /found 2>/dev/null"); o.stdout != "" {
			t.Errorf("a process that entered had a directory of the host open:\n%s", o.stdout)
		}
	})
	t.Run("CVE-2024-21626", func(t *testing.T) {
		for fd := 3; fd < 16; fd++ {
			dir := fmt.Sprintf("/proc/self/fd/%d", fd)
			config := map[string]any{"Image": "busybox", "WorkingDir": dir, "Cmd": []string{"sh", "-c", "cat ../../../../../../../../../" + a.secret + "/canary"}}
			id := a.create("", config)
			got := a.must(http.MethodPost, "/containers/"+id+"/start", nil, http.StatusNoContent, http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError)
			if got.status == http.StatusNoContent {
				if o := a.ends(id); strings.Contains(o.stdout, "host") {
					t.Errorf("WorkingDir %s leads to the host", dir)
				}
			}
			a.remove(id)
		}
	})
	// CVE-2019-5736: a container overwrites the program that runs it.
	t.Run("CVE-2019-5736", func(t *testing.T) {
		sum := func() [32]byte {
			b, err := os.ReadFile(filepath.Join(*binaries, "berth-shim"))
			if err != nil {
				t.Fatal(err)
			}
			return sha256.Sum256(b)
		}
		before := sum()
		a.build(t, "selfexe", `RUN printf '#!/proc/self/exe\n' >/evil && chmod 755 /evil`+"\n")
		id := a.create("", map[string]any{"Image": "selfexe", "Cmd": []string{"/evil"}})
		a.must(http.MethodPost, "/containers/"+id+"/start", nil, http.StatusNoContent, http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError)
		a.remove(id)
		id = a.create("", map[string]any{"Image": "selfexe", "Cmd": sleep})
		a.begin(id)
		defer a.remove(id)
		a.run(id, "sh", "-c", `(while :; do for e in /proc/[0-9]*/exe; do case "$(readlink $e)" in *busybox*|/bin/*) ;; *) echo pwned 2>/dev/null >"$e" && echo "$e" >>/wrote;; esac; done; done) >/dev/null 2>&1 &`)
		for range 10 {
			_, _ = a.exec(t.Context(), id, "/evil")
			_, _ = a.exec(t.Context(), id, "true")
		}
		if sum() != before {
			t.Fatal("the shim's program was overwritten")
		}
		if o := a.run(id, "sh", "-c", "cat /wrote 2>/dev/null"); o.stdout != "" {
			t.Errorf("a program of the host could be opened for writing: %s", o.stdout)
		}
	})
	// CVE-2021-30465: a mount point is exchanged for a link while another container that
	// shares the volume is being started.
	t.Run("CVE-2021-30465", func(t *testing.T) {
		a.must(http.MethodPost, "/volumes/create", map[string]any{"Name": "raced"})
		racer := a.sleeper("", map[string]any{"Binds": []string{"raced:/v"}})
		defer a.remove(racer)
		a.run(racer, "sh", "-c", "(while :; do rm -rf /v/d; mkdir /v/d; rm -rf /v/d; ln -s / /v/d; done) >/dev/null 2>&1 &")
		mine := t.TempDir()
		var busy sync.WaitGroup
		for range 12 {
			got := a.create("", map[string]any{"Image": "busybox", "Cmd": []string{"sh", "-c", "[ -e " + a.secret + "/canary ] && echo escaped"},
				"HostConfig": map[string]any{"Binds": []string{"raced:/v", mine + ":/v/d/x"}}})
			busy.Go(func() {
				if r, err := a.send(t.Context(), http.MethodPost, "/containers/"+got+"/start", nil); err == nil && r.ok() {
					if o := a.ends(got); strings.Contains(o.stdout, "escaped") {
						t.Error("the host's files are in the container")
					}
				}
				a.remove(got)
			})
		}
		busy.Wait()
		a.untouched(t, "race")
	})
	// CVE-2021-41091: unprivileged users of the host walk through the data root.
	t.Run("CVE-2021-41091", func(t *testing.T) {
		for _, dir := range []string{"image", "containers"} {
			info, err := os.Stat(a.data(dir))
			if err != nil || info.Mode().Perm()&0o007 != 0 {
				t.Errorf("%s: %v %v", dir, info.Mode(), err)
			}
		}
	})
	// CVE-2022-24769: inheritable capabilities.
	t.Run("CVE-2022-24769", func(t *testing.T) {
		id := a.sleeper("", nil)
		defer a.remove(id)
		for _, text := range []string{a.run(id, "cat", "/proc/self/status").stdout, a.run(id, "cat", "/proc/1/status").stdout} {
			if !strings.Contains(text, "CapInh:\t0000000000000000") {
				t.Errorf("inheritable capabilities: %s", text)
			}
		}
	})
	// CVE-2025-31133 and CVE-2025-52881: /dev/null of the image is a link to a file of proc, which masking would bind.
	// CVE-2025-52565: /dev/console and /dev/pts are.
	before, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if now, err := os.ReadFile("/proc/sys/kernel/core_pattern"); err != nil || !bytes.Equal(before, now) {
			_ = os.WriteFile("/proc/sys/kernel/core_pattern", before, 0o644)
		}
	})
	for name, dockerfile := range map[string]string{
		"CVE-2025-31133": "RUN rm -rf /dev/null; ln -s /proc/sys/kernel/core_pattern /dev/null; true\n",
		"CVE-2025-52565": "RUN rm -rf /dev/console /dev/pts; ln -s /proc/sys/kernel/core_pattern /dev/console; ln -s /proc /dev/pts; true\n",
		"CVE-2025-52881": "RUN rm -rf /dev/shm; ln -s /proc /dev/shm; true\n",
	} {
		t.Run(name, func(t *testing.T) {
			a.build(t, strings.ToLower(name), dockerfile)
			for _, tty := range []bool{false, true} {
				id := a.create("", map[string]any{"Image": strings.ToLower(name), "Tty": tty,
					"Cmd": []string{"sh", "-c", "echo pwned >/dev/null; echo pwned >/dev/console; echo pwned >/proc/sys/kernel/core_pattern; head -c 4 /proc/kcore | wc -c; mount | grep ' /proc' "}})
				got := a.must(http.MethodPost, "/containers/"+id+"/start", nil, http.StatusNoContent, http.StatusBadRequest, http.StatusInternalServerError)
				if got.status == http.StatusNoContent {
					a.must(http.MethodPost, "/containers/"+id+"/wait", nil)
					// /proc/kcore is masked: nothing of it can be read, whatever /dev/null is.
					if out := a.output(id, tty); !slices.Contains(strings.Fields(out), "0") || !strings.Contains(out, "/proc") {
						t.Errorf("terminal %t: of /proc/kcore and the mounts of /proc: %q", tty, out)
					}
				}
				a.remove(id)
				after, err := os.ReadFile("/proc/sys/kernel/core_pattern")
				if err != nil || !bytes.Equal(before, after) {
					t.Fatalf("the host's core_pattern was %q, is %q (%v)", before, after, err)
				}
			}
		})
	}
	a.untouched(t, "in the end")
}
