package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Check looks whether the parts of an unpacked layer are there. It is cheap and
// does not read files; Assemble finds what it does not.
func Check(dir string) error {
	st, err := os.Lstat(filepath.Join(dir, DiffDir))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: its files are missing (%s)", ErrDamaged, dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !st.IsDir() {
		return fmt.Errorf("%w: %s is no folder", ErrDamaged, DiffDir)
	}
	st, err = os.Lstat(filepath.Join(dir, recipeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: its recipe is missing (%s)", ErrDamaged, dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return fmt.Errorf("%w: %s is empty", ErrDamaged, recipeFile)
	}
	return nil
}
