package clienttest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A daemon that is stopped, with one attached client that reads and one that
// never does: the container ends in its own time, its log is whole, and so is
// what the client that reads gets.
func TestDaemonStopped(t *testing.T) {
	e := startOwn(t, "berthtest9", "10.213.19.1/24")
	d := newDocker(t, e.Host(), "1.23")
	const lines = 100 << 20 / 100
	name := d.name("c")
	// The mark tells the host when the container is through.
	mark := t.TempDir()
	id := strings.TrimSpace(d.run("run", "-d", "-i", "--name", name, "-v", mark+":/mark", "--log-opt", "max-size=1g", "busybox", "sh", "-c",
		fmt.Sprintf(`read go; yes %s | head -n %d; touch /mark/done; exit 7`, strings.Repeat("x", 99), lines)))

	never := rawAttach(t, e.Host(), name)
	defer never.Close()
	hash := sha256.New()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	reader := d.start(func(cmd *exec.Cmd) { cmd.Stdin, cmd.Stdout = in, hash }, "attach", name)
	in.Close()
	eventually(t, "both clients are attached", func() bool {
		events := d.run("events", "--since", "0", "--until", fmt.Sprint(time.Now().Unix()+1), "--filter", "event=attach")
		return strings.Count(events, " attach ") == 2
	})

	if _, err := feed.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "output comes", func() bool {
		logs, _ := filepath.Glob(filepath.Join(e.place.Dir, "data", "containers", id, id+"-json.log*"))
		return len(logs) > 0 && size(t, logs[0]) > 0
	})
	stop(t, e.Pid(), syscall.SIGSTOP)
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			stop(t, e.Pid(), syscall.SIGCONT)
		}
	}
	defer resume()
	eventually(t, "the container is through while the daemon is stopped", func() bool {
		_, err := os.Stat(filepath.Join(mark, "done"))
		return err == nil
	})
	resume()

	_ = reader.Wait()
	if got := reader.ProcessState.ExitCode(); got != 7 {
		t.Errorf("docker attach: exit code %d", got)
	}
	want := sha256.New()
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range lines {
		want.Write(line)
	}
	if string(hash.Sum(nil)) != string(want.Sum(nil)) {
		t.Error("the client that reads did not get the output")
	}
	log := sha256.New()
	follow := d.start(func(cmd *exec.Cmd) { cmd.Stdout = log }, "logs", name)
	if err := follow.Wait(); err != nil {
		t.Error(err)
	}
	if string(log.Sum(nil)) != string(want.Sum(nil)) {
		t.Error("the log is not the output")
	}
}

func size(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func stop(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

// rawAttach attaches a client that reads no more than the answer's head.
func rawAttach(t *testing.T, host, name string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(host, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST /v1.23/containers/%s/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: berth\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", name)
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 101" {
		t.Fatalf("attach: %q, %v", head, err)
	}
	return conn
}
