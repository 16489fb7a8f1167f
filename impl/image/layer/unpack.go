package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Names in a layer's folder.
const (
	// DiffDir holds the files, as overlayfs stacks them.
	DiffDir = "diff"
	// keptDir holds file contents that the tar had and a later entry of it
	// replaced.
	keptDir = "kept"
	// recipeFile gives the tar back.
	recipeFile = "recipe"
)

// Markers of layer tars (image-spec, layer.md; the names come from AUFS).
const (
	whiteoutPrefix = ".wh."
	metaPrefix     = ".wh..wh."
	opaqueMarker   = ".wh..wh..opq"
	aufsLinks      = ".wh..wh.plnk"
)

// Limits bound one layer.
type Limits struct {
	// Bytes bounds the tar, and separately the file bytes in it (which are
	// more than the tar's when it has sparse entries).
	Bytes int64
	// Entries bounds the number of entries.
	Entries int64
}

// Result describes an unpacked layer.
type Result struct {
	// DiffID is the digest of the tar.
	DiffID digest.Digest
	// TarSize is the tar's length in bytes.
	TarSize int64
	// Size is the sum of the file sizes in the tar.
	Size int64
	// Implied are folders that files lie in but the tar does not list, "" for
	// the root; Settle gives them the attributes of the layers below.
	Implied []string
	// Links are hard links to files that only a lower layer can have.
	Links []Link
}

// Link is a hard link that could not be made within its layer.
type Link struct{ Path, Target string }

// SelfContained says that the directory does not depend on the layers below.
func (r *Result) SelfContained() bool { return len(r.Implied) == 0 && len(r.Links) == 0 }

// Unpack writes the uncompressed tar r into the existing, empty folder dir: the
// files into dir/diff, the recipe beside it. r is read to its end. On error
// the caller removes dir.
func Unpack(ctx context.Context, dir string, r io.Reader, lim Limits) (*Result, error) {
	u := &unpacker{dir: dir, lim: lim, implied: map[string]bool{"": true}}
	defer u.close()
	if err := u.open(); err != nil {
		return nil, fmt.Errorf("unpack layer: %w", err)
	}
	in := newFeed(ctx, r, lim.Bytes)
	err := u.run(in)
	in.close()
	if err != nil {
		return nil, fmt.Errorf("unpack layer: %w", err)
	}
	u.res.DiffID, u.res.TarSize = in.digest(), in.n
	for _, p := range u.order {
		if u.implied[p] {
			u.res.Implied = append(u.res.Implied, p)
		}
	}
	res := u.res // a copy: the unpacker has large buffers, and layers of a pull are kept until all are there
	return &res, nil
}

type unpacker struct {
	dir     string
	lim     Limits
	res     Result
	entries int64

	dirs    *dirStack // of the entries
	targets *dirStack // of the targets of hard links
	recipe  *recipeWriter
	out     *os.File
	kept    int
	plnk    map[string]string // AUFS link name → file in keptDir

	implied map[string]bool // folders without an entry, by real path
	order   []string        // of implied
	times   []dirTime
	buf     []byte
}

type dirTime struct {
	path string
	ts   []unix.Timespec
}

func (u *unpacker) open() (err error) {
	u.order = []string{""}
	u.buf = make([]byte, chunkSize)
	diff := filepath.Join(u.dir, DiffDir)
	if err = os.Mkdir(diff, 0o755); err != nil {
		return err
	}
	if err = os.Chmod(diff, 0o755); err != nil {
		return err
	}
	if u.dirs, err = newDirStack(diff); err != nil {
		return err
	}
	if u.targets, err = newDirStack(diff); err != nil {
		return err
	}
	if u.out, err = os.OpenFile(filepath.Join(u.dir, recipeFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	u.recipe, err = newRecipeWriter(u.out)
	return err
}

func (u *unpacker) close() {
	if u.dirs != nil {
		u.dirs.close()
	}
	if u.targets != nil {
		u.targets.close()
	}
	if u.out != nil {
		u.out.Close()
	}
}

func (u *unpacker) run(in *feed) (err error) {
	rec := &recorder{r: in, w: u.recipe}
	defer func() { err = errors.Join(err, u.recipe.close(err == nil)) }()
	tr := tar.NewReader(rec)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return blame(err)
		}
		if u.entries++; u.entries > u.lim.Entries {
			return fault.Invalid("more than %d entries", u.lim.Entries)
		}
		if err := u.entry(hdr, tr, rec); err != nil {
			return blame(fmt.Errorf("entry %q: %w", hdr.Name, err))
		}
	}
	// What follows the two zero blocks belongs to the digest too.
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, rec, u.buf); err != nil {
		return err
	}
	if err := rec.flush(); err != nil {
		return err
	}
	return u.setDirTimes()
}

// blame gives what is wrong with the tar itself its class.
func blame(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Invalid("not a whole tar archive: %w", err)
	}
	return err
}

// clean turns an entry's name into a path below the root: relative, without
// dots, "" for the root. Absolute names are below the root; climbing is refused.
func clean(name string) (string, error) {
	p := path.Clean(name)
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", fault.Invalid("path climbs out of the archive")
	}
	p = strings.TrimLeft(p, "/")
	if p == "." {
		p = ""
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > 255 {
			return "", fault.Invalid("name of more than 255 bytes")
		}
	}
	return p, nil
}

func (u *unpacker) entry(hdr *tar.Header, body io.Reader, rec *recorder) error {
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	p, err := clean(hdr.Name)
	if err != nil {
		return err
	}
	if hdr.Size < 0 || hdr.Size > u.lim.Bytes-u.res.Size {
		return fault.Invalid("files of more than %d bytes", u.lim.Bytes)
	}
	parent, base := path.Split(p)
	parent = strings.TrimSuffix(parent, "/")
	if strings.HasPrefix(base, whiteoutPrefix) || strings.Contains("/"+parent, "/"+whiteoutPrefix) {
		return u.marker(parent, base, hdr, body, rec)
	}
	fd, real, err := u.dirs.enter(parent, true, u.imply)
	if err != nil {
		return err
	}
	return u.make(fd, path.Join(real, base), base, hdr, body, rec)
}

func (u *unpacker) imply(p string) {
	if !u.implied[p] {
		u.implied[p] = true
		u.order = append(u.order, p)
	}
}

// clear makes room for an entry at (fd, base), real path p. What has contents
// that the recipe refers to moves aside.
func (u *unpacker) clear(fd int, base, p string, st *unix.Stat_t) error {
	u.targets.forget(p) // u.dirs is at the parent: it holds nothing of p
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		for dir := range u.implied {
			if dir == p || strings.HasPrefix(dir, p+"/") {
				u.implied[dir] = false
			}
		}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR, unix.S_IFREG:
		to, err := u.keep()
		if err != nil {
			return err
		}
		if err := unix.Renameat(fd, base, unix.AT_FDCWD, to); err != nil {
			return fmt.Errorf("move aside: %w", err)
		}
		return u.recipe.moved(p)
	default:
		return unix.Unlinkat(fd, base, 0)
	}
}

// keep returns the next free name in keptDir, whose number is the recipe's.
func (u *unpacker) keep() (string, error) {
	dir := filepath.Join(u.dir, keptDir)
	if u.kept == 0 {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	name := filepath.Join(dir, strconv.Itoa(u.kept))
	u.kept++
	return name, nil
}

// setDirTimes runs last, because making entries touches their folders.
func (u *unpacker) setDirTimes() error {
	for i := len(u.times) - 1; i >= 0; i-- {
		t := u.times[i]
		parent, base := path.Split(t.path)
		fd, _, err := u.dirs.enter(strings.TrimSuffix(parent, "/"), false, nil)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue // replaced since
		}
		if err != nil {
			return err
		}
		if base == "" {
			base = "."
		}
		var st unix.Stat_t
		if err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue
		}
		if err := utimes(fd, base, t.ts); err != nil {
			return err
		}
	}
	return nil
}

// recorder is the tar.Reader's source. What it reads goes into the recipe as
// bytes, but for file contents that were written to a file.
type recorder struct {
	r       io.Reader
	w       *recipeWriter
	payload bool
	pending []byte
}

func (c *recorder) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if !c.payload && n > 0 {
		c.pending = append(c.pending, p[:n]...)
		if len(c.pending) >= chunkSize {
			if ferr := c.flush(); ferr != nil {
				return n, ferr
			}
		}
	}
	return n, err
}

func (c *recorder) flush() error {
	err := c.w.bytes(c.pending)
	c.pending = c.pending[:0]
	return err
}
