package containerfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/go-archive"
	"github.com/moby/go-archive/compression"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Stat is what the header X-Docker-Container-Path-Stat tells (v1.20 reference,
// "Get an archive of a filesystem resource in a container").
type Stat struct {
	Name string `json:"name"`
	// Size in bytes.
	Size int64 `json:"size"`
	// Mode in the bits of Go's os.FileMode.
	Mode       os.FileMode `json:"mode"`
	Mtime      time.Time   `json:"mtime"`
	LinkTarget string      `json:"linkTarget"`
}

// clean makes a client's path absolute and says whether it insists on a
// directory (trailing "/" or "/.") and whether it means only the content ("/.").
func clean(p string) (abs string, dir, content bool) {
	content = p == "." || strings.HasSuffix(p, "/.")
	dir = content || strings.HasSuffix(p, "/")
	return path.Join("/", p), dir, content
}

// Look describes the file at p. The last element is not followed if it is a
// link, unless p insists on a directory; LinkTarget then is where it leads.
func (v View) Look(p string) (s Stat, err error) {
	err = v.Run(func() (err error) {
		s, err = look(p)
		return err
	})
	return s, err
}

func look(p string) (Stat, error) {
	abs, dir, _ := clean(p)
	stat := os.Lstat
	if dir {
		stat = os.Stat
	}
	info, err := stat(abs)
	if err != nil {
		return Stat{}, pathError(p, err)
	}
	if dir && !info.IsDir() {
		return Stat{}, fault.Invalid("not a directory")
	}
	s := Stat{Name: path.Base(abs), Size: info.Size(), Mode: info.Mode(), Mtime: info.ModTime()}
	if info.Mode()&os.ModeSymlink != 0 {
		if s.LinkTarget, err = filepath.EvalSymlinks(abs); err != nil {
			// It leads nowhere: tell where it points to.
			target, err := os.Readlink(abs)
			if err != nil {
				return Stat{}, pathError(p, err)
			}
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(abs), target)
			}
			s.LinkTarget = target
		}
	}
	return s, nil
}

// Pack writes the file or directory at p as a tar to w. Links are resolved; the
// entries bear the name of p all the same. begin is called with what was found
// before the first byte. For the content of a directory (p ends in "/.") the
// entries begin with "./".
func (v View) Pack(ctx context.Context, p string, begin func(Stat) error, w io.Writer) error {
	return v.Run(func() error {
		s, err := look(p)
		if err != nil {
			return err
		}
		abs, _, content := clean(p)
		resolved, err := filepath.EvalSymlinks(abs)
		if err != nil {
			return pathError(p, err)
		}
		if err := begin(s); err != nil {
			return err
		}
		o := &archive.TarOptions{Compression: compression.None, IncludeSourceDir: true, IDMap: v.IDs.IdentityMapping}
		source := resolved
		if !content && resolved != "/" {
			source = path.Dir(resolved)
			o.IncludeFiles = []string{path.Base(resolved)}
			if base := path.Base(abs); base != path.Base(resolved) {
				o.RebaseNames = map[string]string{path.Base(resolved): base}
			}
		} else if base := path.Base(abs); !content {
			o.IncludeFiles = []string{"."}
			o.RebaseNames = map[string]string{".": base}
		}
		return pack(ctx, source, o, w)
	})
}

// pack runs the library's walk on this thread, which sees the container's root.
func pack(ctx context.Context, source string, o *archive.TarOptions, w io.Writer) error {
	t, err := archive.NewTarballer(source, o)
	if err != nil {
		return fault.Internal("write archive: %w", err)
	}
	copied := make(chan error, 1)
	r := t.Reader()
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	go func() {
		_, err := io.Copy(w, r) // no paths here
		r.Close()
		copied <- err
	}()
	t.Do()
	if err := <-copied; err != nil {
		return err
	}
	return ctx.Err()
}

// Unpack extracts the tar r, which may be compressed, into the directory at p.
// With keepKinds an entry that would replace a directory by something else, or
// the other way round, is an error.
func (v View) Unpack(ctx context.Context, p string, r io.Reader, keepKinds bool, writable func(resolved string) error) error {
	plain, err := compression.DecompressStream(r)
	if err != nil {
		return fault.Invalid("read the archive: %w", err)
	}
	defer plain.Close()
	if !v.IDs.None() {
		rooted := rootCapabilities(plain, v.IDs)
		defer rooted.Close()
		plain = rooted
	}
	// Opened here: the container's root may have no /proc.
	o, closeFD, err := archive.WithProcSelfFD(&archive.TarOptions{NoOverwriteDirNonDir: keepKinds, IDMap: v.IDs.IdentityMapping})
	if err != nil {
		return fault.Internal("extract archive: %w", err)
	}
	defer closeFD()
	return v.Run(func() error {
		resolved, err := target(p, writable)
		if err != nil {
			return err
		}
		err = archive.Unpack(&contextReader{ctx, plain}, resolved, o)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EROFS):
			return fault.Forbidden("the place to extract to is read-only: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.EIO):
			return fault.Internal("extract archive: %w", err)
		case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
			return fault.Invalid("the archive is damaged: %w", err)
		}
		return fault.Invalid("%w", err)
	})
}

// Accepts says whether Unpack would take an archive for p.
func (v View) Accepts(p string, writable func(resolved string) error) error {
	return v.Run(func() error {
		_, err := target(p, writable)
		return err
	})
}

// target is the directory that p names, if it may be written.
func target(p string, writable func(resolved string) error) (string, error) {
	abs, _, _ := clean(p)
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", pathError(p, err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", pathError(p, err)
	}
	if !info.IsDir() {
		return "", fault.Invalid("extraction point is not a directory")
	}
	return resolved, writable(resolved)
}

// contextReader ends with the context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// MissingError says that a path does not exist; its class is NotFound.
type MissingError struct{ Path string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("Could not find the file %s in the container: no such file or directory", e.Path)
}

// Is gives the class (errdefs.IsNotFound).
func (e *MissingError) Is(target error) bool { return target == errdefs.ErrNotFound }

func pathError(p string, err error) error {
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return fault.Invalid("not a directory: %s", p)
	case errors.Is(err, os.ErrNotExist):
		return &MissingError{Path: p}
	case errors.Is(err, unix.ELOOP):
		return fault.Invalid("too many links: %s", p)
	case errors.Is(err, unix.ENAMETOOLONG):
		return fault.Invalid("name too long: %s", p)
	}
	return fault.Internal("look at %s in the container: %w", p, err)
}
