package runtime_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/runtime"
)

// demux reads frames to the end.
func demux(tb testing.TB, r io.Reader) (stdout, stderr string) {
	tb.Helper()
	var out [3]bytes.Buffer
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err == io.EOF {
			return out[1].String(), out[2].String()
		} else if err != nil {
			tb.Fatal(err)
		}
		if head[0] != 1 && head[0] != 2 {
			tb.Fatalf("header %v", head)
		}
		if _, err := io.CopyN(&out[head[0]], r, int64(binary.BigEndian.Uint32(head[4:]))); err != nil {
			tb.Fatal(err)
		}
	}
}

func (w *world) attachment(opts runtime.AttachOptions) *runtime.Attachment {
	w.tb.Helper()
	a, err := w.rt.NewAttachment(opts)
	must(w.tb, err)
	w.tb.Cleanup(func() { _ = a.Close() })
	return a
}

func TestAttachBeforeTheStart(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "echo out; echo err >&2")
	a := w.attachment(runtime.AttachOptions{Stdout: true, Stderr: true})
	onlyErr := w.attachment(runtime.AttachOptions{Stderr: true})
	spec.Attachments = []*runtime.Attachment{a, onlyErr}
	w.start(spec)
	stdout, stderr := demux(t, a)
	if stdout != "out\n" || stderr != "err\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	stdout, stderr = demux(t, onlyErr)
	if stdout != "" || stderr != "err\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
}

func TestFailedStartClosesAttachments(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("nonsense")
	a := w.attachment(runtime.AttachOptions{Stdout: true})
	spec.Attachments = []*runtime.Attachment{a}
	if _, err := w.rt.Start(testContext(t), spec); err == nil {
		t.Fatal("it started")
	}
	if _, err := a.Read(make([]byte, 10)); err == nil || err == io.EOF {
		t.Errorf("read: %v", err)
	}
}

func TestHalfClose(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "wc -c; echo after")
	spec.Stdio = runtime.Stdio{OpenStdin: true, StdinOnce: true}
	a := w.attachment(runtime.AttachOptions{Stdin: true, Stdout: true})
	spec.Attachments = []*runtime.Attachment{a}
	task := w.start(spec)
	const size = 3 << 20 // more than the pipe and the socket hold
	_, err := io.Copy(a, io.LimitReader(zeros{}, size))
	must(t, err)
	must(t, a.CloseWrite())
	if stdout, _ := demux(t, a); stdout != fmt.Sprintf("%d\nafter\n", size) {
		t.Errorf("stdout = %q", stdout)
	}
	if exit := wait(t, task); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Without StdinOnce, a client that leaves does not end the input.
func TestStdinStaysOpen(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "read a; read b; echo $a $b")
	spec.Stdio.OpenStdin = true
	task := w.start(spec)
	for _, word := range []string{"one", "two"} {
		a, err := task.Attach(testContext(t), runtime.AttachOptions{Stdin: true})
		must(t, err)
		_, err = io.WriteString(a, word+"\n")
		must(t, err)
		must(t, a.CloseWrite())
		must(t, a.Close())
	}
	wait(t, task)
	if got := output(readLog(t, spec.Log.Path), "stdout"); got != "one two\n" {
		t.Errorf("log = %q", got)
	}
}

func TestTerminal(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "stty size; read x; stty size; echo got $x >&2; exit 2")
	spec.OCI.Process.Terminal = true
	spec.OCI.Process.ConsoleSize = &specs.Box{Height: 20, Width: 60}
	spec.Stdio.OpenStdin = true
	a := w.attachment(runtime.AttachOptions{Stdin: true, Stdout: true, Stderr: true})
	spec.Attachments = []*runtime.Attachment{a}
	task := w.start(spec)
	first := make([]byte, 7)
	_, err := io.ReadFull(a, first)
	must(t, err)
	if string(first) != "20 60\r\n" {
		t.Errorf("size = %q", first)
	}
	must(t, task.Resize(testContext(t), 40, 130))
	_, err = io.WriteString(a, "typed\n")
	must(t, err)
	rest, err := io.ReadAll(a)
	must(t, err)
	if string(rest) != "typed\r\n40 130\r\ngot typed\r\n" {
		t.Errorf("output = %q", rest)
	}
	if exit := wait(t, task); exit.Code != 2 {
		t.Errorf("exit = %+v", exit)
	}
	if got := output(readLog(t, spec.Log.Path), "stdout"); got != "20 60\r\n"+string(rest) {
		t.Errorf("log = %q", got)
	}
}

// A process that closes its terminal goes on, and its later output is there.
func TestTerminalClosedAndOpened(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "T=$(tty); exec </dev/null >/dev/null 2>&1; sleep 0.2; echo again > $T; sleep 0.1; exit 6")
	spec.OCI.Process.Terminal = true
	task := w.start(spec)
	if exit := wait(t, task); exit.Code != 6 {
		t.Errorf("exit = %+v", exit)
	}
	if got := output(readLog(t, spec.Log.Path), "stdout"); got != "again\r\n" {
		t.Errorf("log = %q", got)
	}
}

// The log up to the position and the connection after it are the output,
// without a gap and without an overlap, whenever the client comes.
func TestAttachPosition(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "i=0; while [ $i -lt 4000 ]; do echo line $i; printf 'no newline yet '; i=$((i+1)); [ $((i%500)) != 0 ] || sleep 0.05; done; echo")
	task := w.start(spec)
	var group sync.WaitGroup
	type seen struct{ before, after string }
	results := make([]seen, 8)
	for i := range results {
		eventually(t, "some output", func() bool {
			st, err := os.Stat(spec.Log.Path)
			return err == nil && st.Size() > int64(i*20000)
		})
		a, err := task.Attach(testContext(t), runtime.AttachOptions{Stdout: true, Stderr: true, Pending: true})
		if err != nil {
			break // it was quicker
		}
		pos, err := a.Position(testContext(t))
		must(t, err)
		var st syscall.Stat_t
		must(t, syscall.Stat(spec.Log.Path, &st))
		if st.Ino != pos.Inode {
			t.Errorf("inode %d, the log has %d", pos.Inode, st.Ino)
		}
		text, err := os.ReadFile(spec.Log.Path)
		must(t, err)
		results[i].before = string(text[:pos.Offset])
		group.Go(func() {
			defer a.Close()
			results[i].after, _ = demux(t, a)
		})
	}
	wait(t, task)
	group.Wait()
	whole := output(readLog(t, spec.Log.Path), "stdout")
	n := 0
	for i, r := range results {
		if r.before == "" {
			continue
		}
		n++
		before := output(parseLog(t, r.before), "stdout")
		if before+r.after != whole {
			t.Errorf("client %d: %d + %d bytes, the output has %d", i, len(before), len(r.after), len(whole))
		}
	}
	if n == 0 {
		t.Error("no client was in time")
	}
}

func parseLog(tb testing.TB, text string) []logLine {
	name := tb.TempDir() + "/part"
	must(tb, os.WriteFile(name, []byte(text), 0o600))
	return readLog(tb, name)
}

// Clients that read nothing hold up neither the container nor the others.
func TestDeadClients(t *testing.T) {
	w := newWorld(t)
	const size = 24 << 20
	spec := w.spec("sh", "-c", fmt.Sprintf("head -c %d /dev/zero", size))
	spec.Log.Path = ""
	all := runtime.AttachOptions{Stdout: true, Stderr: true}
	reader := w.attachment(all)
	spec.Attachments = []*runtime.Attachment{reader}
	var lazy []*runtime.Attachment
	for range 5 {
		a := w.attachment(all)
		lazy = append(lazy, a)
		spec.Attachments = append(spec.Attachments, a)
	}
	task := w.start(spec)
	if exit := wait(t, task); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
	// They lose nothing either: what they did not read was kept for them.
	for i, a := range append(lazy, reader) {
		if stdout, _ := demux(t, a); len(stdout) != size {
			t.Errorf("client %d got %d bytes", i, len(stdout))
		}
	}
}

func TestLaggingClientIsDropped(t *testing.T) {
	w := newWorld(t)
	rt, err := runtime.New(runtime.Options{Root: w.root, Shim: shimPath, SpoolMax: 1 << 20})
	must(t, err)
	defer rt.Close()
	spec := w.spec("sh", "-c", "head -c 50000000 /dev/zero")
	spec.Log.Path = ""
	a, err := rt.NewAttachment(runtime.AttachOptions{Stdout: true})
	must(t, err)
	defer a.Close()
	spec.Attachments = []*runtime.Attachment{a}
	task := w.start(spec)
	if exit := wait(t, task); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
	n, err := io.Copy(io.Discard, a)
	if !errors.Is(err, runtime.ErrDropped) || n == 0 {
		t.Errorf("read %d, %v", n, err)
	}
}

// A daemon that is stopped does not hold up the container either.
func TestStoppedDaemon(t *testing.T) {
	w := newWorld(t)
	id, log := w.startElsewhere("sh", "-c", "read x; head -c 20000000 /dev/zero | tr '\\0' 'x'; exit 0")
	task := w.load(id)
	conn, err := dialRaw(w.root, id)
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte{2, 2 | 4, 0, 0, 0, 0, 0, 0})
	must(t, err)
	in, err := task.Attach(testContext(t), runtime.AttachOptions{Stdin: true})
	must(t, err)
	defer in.Close()
	_, err = io.WriteString(in, "go\n")
	must(t, err)
	if exit := wait(t, task); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
	if got := output(readLog(t, log), "stdout"); len(got) != 20000000 || strings.Trim(got, "x") != "" {
		t.Errorf("log has %d bytes", len(got))
	}
}
