package layer

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrDamaged is in the errors of Assemble, Check and Verify when the files of a
// layer are not what was unpacked. That the kernel could not read them for another
// reason is told as it is.
var ErrDamaged = errors.New("layer is damaged")

// Assemble writes the tar that was unpacked into the folder dir. It fails with
// ErrDamaged when a file is missing or has other contents; what was written
// until then is of no use.
func Assemble(ctx context.Context, dir string, w io.Writer) error {
	if err := newAssembler(dir).run(ctx, w); err != nil {
		return fmt.Errorf("assemble layer: %w", err)
	}
	return nil
}

func newAssembler(dir string) *assembler {
	return &assembler{dir: dir, buf: make([]byte, chunkSize)}
}

type assembler struct {
	dir   string
	moves []move
	files *dirStack
	buf   []byte
}

// move says that name was gone, into kept/n, once the record at index was read.
type move struct {
	index int
	name  string
}

func (a *assembler) run(ctx context.Context, w io.Writer) error {
	if err := a.readMoves(); err != nil {
		return err
	}
	var err error
	if a.files, err = newDirStack(filepath.Join(a.dir, DiffDir)); err != nil {
		return damage(err)
	}
	defer a.files.close()
	return a.records(func(i int, rec recipeRecord, r io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch rec.kind {
		case recBytes:
			_, err := io.CopyBuffer(struct{ io.Writer }{w}, r, a.buf)
			return err
		case recFile:
			return a.file(i, rec, w)
		}
		return nil
	})
}

// records calls fn for every record of the recipe. r has the bytes of a
// recBytes record, which fn must read completely.
func (a *assembler) records(fn func(i int, rec recipeRecord, r io.Reader) error) error {
	f, err := os.Open(filepath.Join(a.dir, recipeFile))
	if err != nil {
		return damage(err)
	}
	defer f.Close()
	rr, err := newRecipeReader(f)
	if err != nil {
		return err
	}
	defer rr.close()
	for i := 0; ; i++ {
		rec, err := rr.next()
		if err != nil {
			return damage(err)
		}
		if rec.kind == recEnd {
			return nil
		}
		body := &io.LimitedReader{R: rr.buf}
		if rec.kind == recBytes {
			body.N = rec.size
		}
		if err := fn(i, rec, body); err != nil {
			return err
		}
		if body.N > 0 {
			return fmt.Errorf("%w: recipe is cut off", ErrDamaged)
		}
	}
}

// readMoves needs a pass of its own: a file's record comes before the move
// that took the file away.
func (a *assembler) readMoves() error {
	if _, err := os.Lstat(filepath.Join(a.dir, keptDir)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return a.records(func(i int, rec recipeRecord, r io.Reader) error {
		if rec.kind == recMoved {
			a.moves = append(a.moves, move{i, rec.name})
		}
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

func (a *assembler) file(i int, rec recipeRecord, w io.Writer) error {
	fd, err := a.open(i, rec.name)
	if err != nil {
		return damage(fmt.Errorf("%q: %w", rec.name, err))
	}
	f := os.NewFile(uintptr(fd), rec.name)
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || st.Size() != rec.size {
		return fmt.Errorf("%w: %q has %d bytes instead of %d", ErrDamaged, rec.name, st.Size(), rec.size)
	}
	var crc uint32
	var n int64
	for n < rec.size {
		m, err := unix.Read(fd, a.buf[:min(int64(len(a.buf)), rec.size-n)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return damage(fmt.Errorf("read %q: %w", rec.name, err))
		}
		if m == 0 {
			return fmt.Errorf("%w: %q ends early", ErrDamaged, rec.name)
		}
		crc = crc32.Update(crc, castagnoli, a.buf[:m])
		if _, err := w.Write(a.buf[:m]); err != nil {
			return err
		}
		n += int64(m)
	}
	if crc != rec.crc {
		return fmt.Errorf("%w: checksum of %q", ErrDamaged, rec.name)
	}
	return nil
}

// open opens the file of record i: at its name, or where a later entry moved it.
func (a *assembler) open(i int, name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	for n, m := range a.moves {
		if m.index < i {
			continue
		}
		rest, ok := strings.CutPrefix(name, m.name)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		if rest == "" {
			return unix.Open(filepath.Join(a.dir, keptDir, strconv.Itoa(n)), flags, 0)
		}
		kept, err := newDirStack(filepath.Join(a.dir, keptDir, strconv.Itoa(n)))
		if err != nil {
			return -1, err
		}
		defer kept.close()
		return openBelow(kept, rest[1:], flags)
	}
	return openBelow(a.files, name, flags)
}

func openBelow(d *dirStack, name string, flags int) (int, error) {
	parent, base := path.Split(name)
	fd, _, err := d.enter(strings.TrimSuffix(parent, "/"), false, nil)
	if err != nil {
		return -1, err
	}
	return unix.Openat(fd, base, flags, 0)
}
