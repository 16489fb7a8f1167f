package monitor_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/monitor"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// spoolMax is what a client may lag behind, above what the kernel holds.
const spoolMax = 48 << 20

// program is the monitor, built with the compiler's address and undefined
// behaviour checks.
var program string

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "become" {
		become(os.Args[2:])
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "berth-monitor-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "monitor")
	main := filepath.Join(dir, "main.c")
	if err := os.WriteFile(main, []byte("int main(void) { return 2; }\n"), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	sources, err := filepath.Glob("*.c")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wno-unused-result", "-Werror",
		"-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", program, main)
	build.Args = append(build.Args, sources...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the monitor: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// become is the shim's end: it starts a process and becomes its monitor.
// Arguments: program, handle directory, log, maximal size, number of files,
// "stdin" or "", the command.
func become(args []string) {
	program, dir, log, command := args[0], args[1], args[2], args[6:]
	var size int64
	var files int
	_, err1 := fmt.Sscan(args[3], &size)
	_, err2 := fmt.Sscan(args[4], &files)
	check(errors.Join(err1, err2))
	c := monitor.Config{
		ID: "test", Listen: 3, MountNS: -1, Stdin: -1, OOMEvent: -1, OOMFile: -1, Root: -1,
		StdinOnce: true, LogPath: log, LogMaxSize: size, LogMaxFile: files, SpoolDir: dir, SpoolMax: spoolMax,
	}
	var err error
	c.Dir, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	check(err)
	c.LogFile, err = unix.Open(log, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
	check(err)
	pipes := make([][2]int, 3)
	for i := range pipes {
		check(unix.Pipe2(pipes[i][:], unix.O_CLOEXEC))
	}
	in := os.NewFile(uintptr(pipes[0][0]), "in")
	if args[5] == "stdin" {
		c.Stdin = pipes[0][1]
	} else {
		check(unix.Close(pipes[0][1]))
	}
	c.Stdout, c.Stderr = pipes[1][0], pipes[2][0]
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, os.NewFile(uintptr(pipes[1][1]), "out"), os.NewFile(uintptr(pipes[2][1]), "err")
	check(cmd.Start())
	c.Child = cmd.Process.Pid
	check(monitor.Become(program, c))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

type monitored struct {
	tb       testing.TB
	dir, log string
	cmd      *exec.Cmd
	stderr   bytes.Buffer
}

func start(tb testing.TB, size int64, files int, stdin bool, command ...string) *monitored {
	tb.Helper()
	m := &monitored{tb: tb, dir: tb.TempDir()}
	m.log = filepath.Join(m.dir, "log")
	l, err := net.Listen("unix", filepath.Join(m.dir, "sock"))
	must(tb, err)
	file, err := l.(*net.UnixListener).File()
	must(tb, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	must(tb, l.Close())
	mode := ""
	if stdin {
		mode = "stdin"
	}
	args := append([]string{"become", program, m.dir, m.log, fmt.Sprint(size), fmt.Sprint(files), mode}, command...)
	m.cmd = exec.Command(os.Args[0], args...)
	m.cmd.ExtraFiles = []*os.File{file}
	m.cmd.Stderr = &m.stderr
	must(tb, m.cmd.Start())
	must(tb, file.Close())
	tb.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
	})
	return m
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// finish waits for the monitor's own end, which must be clean.
func (m *monitored) finish() protocol.ExitRecord {
	m.tb.Helper()
	err := m.cmd.Wait()
	if err != nil || m.stderr.Len() > 0 {
		m.tb.Fatalf("the monitor ended with %v: %s", err, m.stderr.String())
	}
	text, err := os.ReadFile(filepath.Join(m.dir, "exit"))
	must(m.tb, err)
	rec, err := protocol.ParseExit(text)
	must(m.tb, err)
	return rec
}

func (m *monitored) dial(request []byte) net.Conn {
	m.tb.Helper()
	c, err := net.Dial("unix", filepath.Join(m.dir, "sock"))
	must(m.tb, err)
	m.tb.Cleanup(func() { _ = c.Close() })
	_, err = c.Write(request)
	must(m.tb, err)
	return c
}

// noise makes bytes of all kinds: text, long lines, UTF-8, broken UTF-8,
// binary.
func noise(r *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		switch r.IntN(8) {
		case 0:
			b = append(b, "a line of text\n"...)
		case 1:
			b = append(b, strings.Repeat("x", r.IntN(40000))...)
		case 2:
			b = append(b, strings.Repeat("é€😀", r.IntN(5000))...)
		case 3:
			for range r.IntN(300) {
				b = append(b, byte(r.Uint32()))
			}
		case 4:
			b = append(b, "\xe2\x82\xf0\x9f\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\u2028\u2029\ufffd"...)
		case 5:
			b = append(b, "<&>\"\\\t\r\n\x00\x1f\x7f"...)
		case 6:
			b = append(b, '\n')
		case 7:
			b = append(b, strings.Repeat("€", 16384/3)...)
		}
	}
	return b
}

// The log, read by encoding/json, is the output with U+FFFD for every byte that
// is no UTF-8.
func TestLogAgainstJSON(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			data := noise(rand.New(rand.NewPCG(seed, 1)), 300000)
			in := filepath.Join(t.TempDir(), "in")
			must(t, os.WriteFile(in, data, 0o600))
			m := start(t, 0, 1, false, "/bin/sh", "-c", "cat "+in+"; exit 3")
			if rec := m.finish(); rec.Status != 3<<8 || time.Since(rec.At) > time.Minute {
				t.Errorf("exit = %+v", rec)
			}
			var got strings.Builder
			f, err := os.Open(m.log)
			must(t, err)
			defer f.Close()
			for dec := json.NewDecoder(f); ; {
				var line struct {
					Log    string
					Stream string
					Time   time.Time
				}
				if err := dec.Decode(&line); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if i := strings.IndexByte(line.Log, '\n'); line.Stream != "stdout" || (i >= 0 && i != len(line.Log)-1) {
					t.Fatalf("line = %+v", line)
				}
				got.WriteString(line.Log)
			}
			if want := string([]rune(string(data))); got.String() != want {
				t.Errorf("%d bytes, want %d", got.Len(), len(want))
			}
		})
	}
}

// Clients that come and go, stall, send and misbehave, while there is output.
func TestClients(t *testing.T) {
	m := start(t, 50000, 3, true, "/bin/sh", "-c", "i=0; while [ $i -lt 300 ]; do head -c 20000 /dev/zero | tr '\\0' 'x'; echo; echo err $i >&2; i=$((i+1)); done; wc -c")
	watch := m.dial(protocol.Request(protocol.OpWatch, 0, 0, 0))
	var group sync.WaitGroup
	lazy := make(chan net.Conn, 40)
	for i := range 40 {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			flags := uint8(r.IntN(16)) &^ protocol.AttachStdin
			switch i % 8 {
			case 0: // reads everything
				c := m.dial(protocol.Request(protocol.OpAttach, flags|protocol.AttachStdout, 0, 0))
				_, _ = io.Copy(io.Discard, c)
			case 1: // reads nothing
				lazy <- m.dial(protocol.Request(protocol.OpAttach, protocol.AttachStdout, 0, 0))
			case 2: // goes away at once
				_ = m.dial(protocol.Request(protocol.OpAttach, flags, 0, 0)).Close()
			case 3: // reads a little
				c := m.dial(protocol.Request(protocol.OpAttach, protocol.AttachStdout|protocol.AttachPending, 0, 0))
				_, _ = io.CopyN(io.Discard, c, int64(r.IntN(200000)))
				_ = c.Close()
			case 4: // half a request
				c := m.dial([]byte{protocol.OpAttach, 7, 0})
				_ = c.Close()
			case 5: // nonsense
				c := m.dial(bytes.Repeat([]byte{0xff}, r.IntN(100)+8))
				_, _ = io.Copy(io.Discard, c)
			case 6: // resizes what has no terminal
				c := m.dial(protocol.Request(protocol.OpResize, 0, 10, 10))
				var answer [4]byte
				if _, err := io.ReadFull(c, answer[:]); err != nil || binary.NativeEndian.Uint32(answer[:]) != uint32(unix.ENOTTY) {
					t.Errorf("resize: %v, %v", answer, err)
				}
			case 7: // sends what nobody asked for
				c := m.dial(protocol.Request(protocol.OpAttach, protocol.AttachStderr, 0, 0))
				_, _ = c.Write(make([]byte, 100000))
				_ = c.(*net.UnixConn).CloseWrite()
				_, _ = io.Copy(io.Discard, c)
			}
		})
	}
	in := m.dial(protocol.Request(protocol.OpAttach, protocol.AttachStdin, 0, 0))
	const size = 2 << 20
	_, err := in.Write(make([]byte, size))
	must(t, err)
	must(t, in.(*net.UnixConn).CloseWrite())
	for kind := uint32(0); kind != protocol.EventExit; {
		e, err := protocol.ReadEvent(watch)
		must(t, err)
		kind = e.Kind
	}
	group.Wait()
	close(lazy)
	for c := range lazy { // the monitor stays for them
		_, _ = io.Copy(io.Discard, c)
	}
	if rec := m.finish(); rec.Status != 0 {
		t.Errorf("exit = %+v", rec)
	}
	last, err := os.ReadFile(m.log)
	must(t, err)
	if !bytes.Contains(last, fmt.Appendf(nil, `{"log":"%d\n","stream":"stdout"`, size)) {
		t.Errorf("the input's size is not in %q", last)
	}
}

// The exit is recorded as soon as there is room for it; until then the monitor
// stays and tells those who ask.
func TestExitWithoutSpace(t *testing.T) {
	m := start(t, 0, 1, false, "/bin/sh", "-c", "sleep 0.5; exit 4")
	// No file can be made where a directory is.
	blocker := filepath.Join(m.dir, "exit.new")
	must(t, os.MkdirAll(filepath.Join(blocker, "x"), 0o700))
	time.Sleep(time.Second)
	c := m.dial(protocol.Request(protocol.OpWatch, 0, 0, 0))
	e, err := protocol.ReadEvent(c)
	must(t, err)
	if e.Kind != protocol.EventHello {
		t.Errorf("event = %+v", e)
	}
	must(t, os.RemoveAll(blocker))
	e, err = protocol.ReadEvent(c)
	must(t, err)
	if e.Kind != protocol.EventExit || e.Exit.Status != 4<<8 {
		t.Errorf("event = %+v", e)
	}
	if rec := m.finish(); rec.Status != 4<<8 {
		t.Errorf("exit = %+v", rec)
	}
}

// attached reads a client's stream to its end: the output's size and whether the
// end frame came.
func attached(tb testing.TB, c net.Conn) (size int, whole bool) {
	tb.Helper()
	var reply [40]byte // AttachReply
	_, err := io.ReadFull(c, reply[:])
	must(tb, err)
	for {
		var head [protocol.FrameHeader]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return size, false
		}
		if head[0] == protocol.StreamEnd {
			return size, true
		}
		n, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[4:])))
		size += int(n)
		if err != nil {
			return size, false
		}
	}
}

func (m *monitored) awaitExit() {
	m.tb.Helper()
	for range 3000 {
		if _, err := os.Stat(filepath.Join(m.dir, "exit")); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	m.tb.Fatal("the process's end is not recorded")
}

// A client that reads nothing until the process is over gets everything, and
// neither the process nor another client notices it.
func TestClientThatReadsLate(t *testing.T) {
	const size = 40 << 20
	m := start(t, 0, 1, true, "/bin/sh", "-c", fmt.Sprintf("read x; head -c %d /dev/zero", size))
	late := m.dial(protocol.Request(protocol.OpAttach, protocol.AttachStdout, 0, 0))
	reader := m.dial(protocol.Request(protocol.OpAttach, protocol.AttachStdin|protocol.AttachStdout, 0, 0))
	_, err := reader.Write([]byte("go\n"))
	must(t, err)
	if n, whole := attached(t, reader); n != size || !whole {
		t.Errorf("the reader got %d bytes, whole: %v", n, whole)
	}
	m.awaitExit()
	if n, whole := attached(t, late); n != size || !whole {
		t.Errorf("the late one got %d bytes, whole: %v", n, whole)
	}
	m.finish()
}

// One that lags too far behind is dropped: its stream ends without the end.
func TestClientThatNeverReads(t *testing.T) {
	m := start(t, 1<<20, 1, true, "/bin/sh", "-c", fmt.Sprintf("read x; head -c %d /dev/zero", spoolMax+32<<20))
	never := m.dial(protocol.Request(protocol.OpAttach, protocol.AttachStdin|protocol.AttachStdout, 0, 0))
	_, err := never.Write([]byte("go\n"))
	must(t, err)
	m.finish()
	if n, whole := attached(t, never); n >= spoolMax || whole {
		t.Errorf("it got %d bytes, whole: %v", n, whole)
	}
}

// What a process leaves in the background and goes on writing does not keep its
// exit from being recorded.
func TestWriterInTheBackground(t *testing.T) {
	m := start(t, 1<<20, 1, true, "/bin/sh", "-c", "read x; (trap '' PIPE; exec timeout 60 yes) & exit 5")
	c := m.dial(protocol.Request(protocol.OpAttach, protocol.AttachStdin, 0, 0))
	_, err := c.Write([]byte("go\n"))
	must(t, err)
	if rec := m.finish(); rec.Status != 5<<8 {
		t.Errorf("exit = %+v", rec)
	}
}
