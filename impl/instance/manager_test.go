package instance

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	var m Manager
	for _, step := range []struct {
		tell func() error
		want string
	}{
		{func() error { return m.Ready("serves 2 sockets") }, "READY=1\nSTATUS=serves 2 sockets"},
		{m.Reloading, "RELOADING=1\nMONOTONIC_USEC="},
		{m.Stopping, "STOPPING=1"},
	} {
		if err := step.tell(); err != nil {
			t.Fatal(err)
		}
		_ = socket.SetReadDeadline(time.Now().Add(5 * time.Second))
		text := make([]byte, 200)
		n, err := socket.Read(text)
		if err != nil || !strings.HasPrefix(string(text[:n]), step.want) {
			t.Errorf("told %q %v, wanted %q", text[:n], err, step.want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", path+".gone")
	if err := m.Ready(""); err == nil {
		t.Error("nobody heard, and no error")
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := m.Ready(""); err != nil {
		t.Errorf("without a manager: %v", err)
	}
}
