package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestClaim(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	release, err := claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claim(dir); err == nil || !strings.Contains(err.Error(), "another make run") {
		t.Fatalf("a second claim: %v", err)
	}
	release()
	release, err = claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	release()
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A writable layer cannot lie on an overlay, nor on /proc.
func TestTryOverlay(t *testing.T) {
	if err := tryOverlay(filepath.Join(t.TempDir(), "try")); err != nil {
		t.Error(err)
	}
	if tryOverlay("/proc/try") == nil {
		t.Error("an overlay works in /proc")
	}
}
