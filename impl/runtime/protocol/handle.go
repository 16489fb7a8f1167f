package protocol

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/seed-50ced230/berth/impl/atomicfile"
)

// Write writes the handle into its directory in one step. A handle without pids is
// an intent: from it a later daemon knows what to clean up if nobody finishes the start.
func (h *Handle) Write(dir string) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write the handle: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(dir, HandleName), text, 0o600); err != nil {
		return fmt.Errorf("write the handle: %w", err)
	}
	return nil
}
