package daemon

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A program that ends instead of serving is reported with what it said.
func TestStartReportsTheLog(t *testing.T) {
	dir := t.TempDir()
	_, err := Start(context.Background(), Command{
		Name: "brokend", Args: []string{"sh", "-c", "echo no such flag; exit 3"},
		Socket: filepath.Join(dir, "s"), Log: filepath.Join(dir, "log"),
	})
	if err == nil || !strings.Contains(err.Error(), "no such flag") || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("got %v", err)
	}
}

func TestSocketPathTooLong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	if _, err := Berth("berthd", dir); err == nil || !strings.Contains(err.Error(), "at most 107") {
		t.Fatalf("got %v", err)
	}
}

// Remove takes away what is mounted below, and refuses to work on "/".
func TestRemove(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	inner := filepath.Join(dir, "data", "mount")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mount("tmpfs", inner); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(inner, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := (Remains{Dir: dir}).Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Fatalf("still there: %v", err)
	}
	for _, bad := range []string{"/", "relative", "//"} {
		if (Remains{Dir: bad}).Remove() == nil {
			t.Errorf("removed %q", bad)
		}
	}
}

func mount(kind, target string) error { return syscall.Mount(kind, target, kind, 0, "") }
