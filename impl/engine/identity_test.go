package engine

import (
	"os"
	"path/filepath"
	"testing"
)

// An id that cannot be read now stays for the next time; only a missing or
// broken one is written anew.
func TestEngineID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine-id")
	first, err := readOrMakeID(path)
	if err != nil || len(first) != 59 {
		t.Fatalf("made %q, %v", first, err)
	}
	if again, err := readOrMakeID(path); err != nil || again != first {
		t.Errorf("read %q, %v, not %q", again, err, first)
	}
	if err := os.WriteFile(path, []byte("broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := readOrMakeID(path)
	if again, _ := readOrMakeID(path); err != nil || len(second) != 59 || again != second {
		t.Errorf("made %q, then %q, %v", second, again, err)
	}
	loop := filepath.Join(t.TempDir(), "engine-id") // reading gives ELOOP
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if id, err := readOrMakeID(loop); err == nil || len(id) != 59 {
		t.Errorf("an id that cannot be read: %q, %v", id, err)
	}
	if info, err := os.Lstat(loop); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("an id that could not be read was replaced: %v, %v", info, err)
	}
}
