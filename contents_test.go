package berth

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestNoProgramIsCommitted: what a build makes, wherever it was told to put it, is
// no part of the repository: it would stay in its history for ever.
func TestNoProgramIsCommitted(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(names) < 100 {
		t.Fatalf("only %d files", len(names))
	}
	for _, name := range names {
		begin, err := beginOf(name)
		if err != nil {
			t.Error(err)
		}
		for kind, magic := range map[string]string{"an ELF program or library": "\x7fELF", "an archive of ar": "!<arch>\n"} {
			if bytes.HasPrefix(begin, []byte(magic)) {
				t.Errorf("%s is %s", name, kind)
			}
		}
	}
}

// beginOf gives the first bytes of a file; one that is being removed has none.
func beginOf(name string) ([]byte, error) {
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 8))
}
