package runtime

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// generationName is no id of a container.
const generationName = ".generation"

// Generation names what the runtime's directory can tell of. Of a run that was to
// begin in the same generation there is a handle, from before its process may be
// executed until Delete; of one in another generation, before the directory was
// emptied or the host restarted, the runtime knows nothing.
func (r *Runtime) Generation() string { return r.generation }

// readGeneration reads the generation from a file, or begins one.
func readGeneration(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the runtime's generation: %w", err)
	}
	random := make([]byte, 16)
	if len(text) == hex.EncodedLen(len(random)) {
		return string(text), nil
	}
	_, _ = rand.Read(random) // never fails (crypto/rand)
	text = hex.AppendEncode(nil, random)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("begin a generation of the runtime: %w", err)
	}
	return string(text), nil
}
