package runtime_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-50ced230/berth/impl/runtime"
)

func dialRaw(root, id string) (net.Conn, error) {
	dir, err := os.Open(filepath.Join(root, id))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return net.Dial("unix", "/proc/self/fd/"+strconv.Itoa(int(dir.Fd()))+"/sock")
}

// The escapes of JSON, and what is no UTF-8.
func TestLogEncoding(t *testing.T) {
	w := newWorld(t)
	in := "\x01\t\"\\<>&\x7f é € 😀 \u2028\u2029 \xff\xc3\xe2\x82 \xed\xa0\x80 \r\n"
	must(t, os.WriteFile(filepath.Join(w.lower, "work/in"), []byte(in), 0o644))
	spec := w.spec("cat", "/work/in")
	wait(t, w.start(spec))
	raw, err := os.ReadFile(spec.Log.Path)
	must(t, err)
	const want = `{"log":"\u0001\u0009\"\\\u003c\u003e\u0026` + "\x7f" +
		` é € 😀 \u2028\u2029 \ufffd\ufffd\ufffd\ufffd \ufffd\ufffd\ufffd \r\n","stream":"stdout","time":"`
	if got, _, _ := strings.Cut(string(raw), "2"+"0"); !strings.HasPrefix(string(raw), want) {
		t.Errorf("log = %s\n%s", got, raw)
	}
}

func TestPartialLines(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "head -c 40000 /dev/zero | tr '\\0' a; echo; head -c 16384 /dev/zero | tr '\\0' b; echo; echo c")
	wait(t, w.start(spec))
	var got []string
	for _, l := range readLog(t, spec.Log.Path) {
		got = append(got, fmt.Sprintf("%c%d%v", l.Log[0], len(l.Log), strings.HasSuffix(l.Log, "\n")))
	}
	want := "a16384false a16384false a7233true b16384false \n1true c2true"
	if strings.Join(got, " ") != want {
		t.Errorf("lines = %v", got)
	}
}

// Parts of a long line do not cut characters.
func TestPartialLinesKeepCharacters(t *testing.T) {
	w := newWorld(t)
	must(t, os.WriteFile(filepath.Join(w.lower, "work/in"), []byte("x"+strings.Repeat("€", 30000)), 0o644))
	spec := w.spec("cat", "/work/in")
	wait(t, w.start(spec))
	lines := readLog(t, spec.Log.Path)
	if got := output(lines, "stdout"); got != "x"+strings.Repeat("€", 30000) {
		t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
	}
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done")
	spec.Log.MaxSize, spec.Log.MaxFile = 20000, 3
	wait(t, w.start(spec))
	var all []logLine
	for _, suffix := range []string{".2", ".1", ""} {
		st, err := os.Stat(spec.Log.Path + suffix)
		must(t, err)
		if st.Size() > 20100 {
			t.Errorf("%s has %d bytes", suffix, st.Size())
		}
		all = append(all, readLog(t, spec.Log.Path+suffix)...)
	}
	if _, err := os.Stat(spec.Log.Path + ".3"); err == nil {
		t.Error("there is a fourth file")
	}
	for i, l := range all {
		if want := fmt.Sprintf("line %d\n", 3000-len(all)+i); l.Log != want {
			t.Fatalf("line %d = %q, want %q", i, l.Log, want)
		}
	}
}

func TestRotationToOneFile(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done")
	spec.Log.MaxSize, spec.Log.MaxFile = 10000, 1
	wait(t, w.start(spec))
	lines := readLog(t, spec.Log.Path)
	if len(lines) == 0 || lines[len(lines)-1].Log != "line 999\n" {
		t.Errorf("lines = %v", lines)
	}
	if names, err := filepath.Glob(spec.Log.Path + "*"); err != nil || len(names) != 1 {
		t.Errorf("files = %v, %v", names, err)
	}
}

// 100 MB without a newline need no more memory than any other output.
func TestEndlessLine(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' x; read wait")
	spec.Log.MaxSize, spec.Log.MaxFile = 1<<20, 2
	spec.Stdio.OpenStdin = true
	task := w.start(spec)
	var peak int
	eventually(t, "the shim becomes the monitor", func() bool {
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", task.MonitorPid()))
		return err == nil && strings.Contains(string(command), "monitor")
	})
	eventually(t, "the output's end", func() bool {
		peak = max(peak, anonymousKiB(t, task.MonitorPid()))
		a, err := task.Attach(testContext(t), runtime.AttachOptions{Pending: true, Stdout: true})
		must(t, err)
		defer a.Close()
		return cpuIdle(t, task.Pid())
	})
	if peak > 512 {
		t.Errorf("the monitor used %d KiB", peak)
	}
}

// cpuIdle says that the process (a shell) has no children but reads.
func cpuIdle(tb testing.TB, pid int) bool {
	tb.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	must(tb, err)
	return len(strings.TrimSpace(string(children))) == 0
}

func anonymousKiB(tb testing.TB, pid int) int { return rollup(tb, pid, "Anonymous:") }

func pssKiB(tb testing.TB, pid int) int { return rollup(tb, pid, "Pss:") }

func rollup(tb testing.TB, pid int, field string) int {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	must(tb, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			must(tb, err)
			return n
		}
	}
	tb.Fatalf("no %s", field)
	return 0
}
