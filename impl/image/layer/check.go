package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Check looks whether the parts of an unpacked layer are there. It is cheap and
// does not read files; Assemble finds what it does not.
func Check(dir string) error {
	st, err := os.Lstat(filepath.Join(dir, DiffDir))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: its files are missing (%s)", ErrDamaged, dir)
	}
	if err != nil {
		return damage(err)
	}
	if !st.IsDir() {
		return fmt.Errorf("%w: %s is no folder", ErrDamaged, DiffDir)
	}
	st, err = os.Lstat(filepath.Join(dir, recipeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: its recipe is missing (%s)", ErrDamaged, dir)
	}
	if err != nil {
		return damage(err)
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return fmt.Errorf("%w: %s is empty", ErrDamaged, recipeFile)
	}
	return nil
}

// isDamage says whether an error is about the layer: something is missing or of
// another kind, or what is there makes no sense. Other answers of the kernel (no
// memory, no file descriptors, no permission, a disk that fails) are not.
func isDamage(err error) bool {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	switch errno {
	case unix.ENOENT, unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.ENXIO: // ENXIO: a socket where a file was
		return true
	}
	return false
}

// damage makes an error ErrDamaged if isDamage.
func damage(err error) error {
	if errors.Is(err, ErrDamaged) || !isDamage(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}
