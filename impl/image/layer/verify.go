package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// Verify reads the layer in dir completely: its tar must have the digest diffID,
// and every folder, link, node and whiteout must be on disk as the tar says, with
// its owner and mode, and nothing else beside them. It changes nothing. It fails
// with ErrDamaged if the layer is not what was unpacked; other errors say that it
// could not be read, which proves nothing about it.
func Verify(ctx context.Context, dir string, diffID digest.Digest) error {
	sum := diffID.Algorithm().Digester()
	pr, pw := io.Pipe()
	type outcome struct {
		x   *expected
		err error
	}
	done := make(chan outcome)
	go func() {
		x, err := readExpected(pr)
		pr.CloseWithError(err) // nil reads as io.ErrClosedPipe, but all was read
		done <- outcome{x, err}
	}()
	err := newAssembler(dir).run(ctx, io.MultiWriter(sum.Hash(), pw))
	pw.CloseWithError(err)
	out := <-done
	switch {
	case err != nil && !errors.Is(err, out.err):
		return err
	case sum.Digest() != diffID && err == nil:
		return fmt.Errorf("%w: it gives %s instead of %s", ErrDamaged, sum.Digest(), diffID)
	case out.err != nil:
		return damage(out.err)
	}
	return out.x.compare(ctx, filepath.Join(dir, DiffDir))
}

// expected is what a layer's tar puts on disk, as far as it can be told without
// unpacking.
type expected struct {
	entries map[string]*tar.Header
	// marked are names that a whiteout stands for; only if the layer has no
	// entry of that name is a node of it there.
	marked map[string]bool
	// opaque are folders that hide what lies below them.
	opaque []string
	// vague says that entries lie behind links or replace folders: then
	// another entry than the one of a name may have made what is there, and
	// what is on disk without an entry proves nothing.
	vague bool
	// unknown says that something could not be looked at where its name is.
	unknown bool
}

func readExpected(r io.Reader) (*expected, error) {
	x := &expected{entries: map[string]*tar.Header{}, marked: map[string]bool{}}
	tr := tar.NewReader(r)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		p, err := clean(hdr.Name)
		if err != nil {
			return nil, err
		}
		parent, base := path.Split(p)
		switch {
		case base == opaqueMarker && !strings.Contains("/"+parent, "/"+metaPrefix):
			x.opaque = append(x.opaque, strings.TrimSuffix(parent, "/"))
		case hdr.Typeflag == tar.TypeXGlobalHeader, strings.Contains("/"+p, "/"+metaPrefix):
		case strings.HasPrefix(base, whiteoutPrefix):
			x.marked[parent+strings.TrimPrefix(base, whiteoutPrefix)] = true
		default:
			if old := x.entries[p]; old != nil && (old.Typeflag == tar.TypeDir && hdr.Typeflag != tar.TypeDir || old.Typeflag == tar.TypeSymlink || old.Typeflag == tar.TypeLink && hdr.Typeflag == tar.TypeDir) {
				x.vague = true // what was in the folder is gone with it, what was behind the link is elsewhere
			}
			hdr.PAXRecords = nil // only the few fields are needed
			x.entries[p] = hdr
		}
	}
	x.vague = x.vague || x.detours()
	_, err := io.Copy(io.Discard, r)
	return x, err
}

// detours says whether a name leads through another entry that is no folder: a
// link, or what took the place of a folder.
func (x *expected) detours() bool {
	through := func(dir string) bool {
		for ; dir != "." && dir != ""; dir = path.Dir(dir) {
			if hdr := x.entries[dir]; hdr != nil && hdr.Typeflag != tar.TypeDir {
				return true
			}
		}
		return false
	}
	for p := range x.entries {
		if through(path.Dir(p)) {
			return true
		}
	}
	for p := range x.marked {
		if through(path.Dir(p)) {
			return true
		}
	}
	return slices.ContainsFunc(x.opaque, through)
}

func (x *expected) compare(ctx context.Context, diff string) error {
	root, err := unix.Open(diff, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return damage(err)
	}
	defer unix.Close(root)
	// The first error in the order of names is told. Whether it counts is not known
	// before all entries were seen.
	var wrong error
	for _, p := range slices.Sorted(maps.Keys(x.entries)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		known, err := same(root, p, x.entries[p])
		if err != nil && !isDamage(err) {
			return fmt.Errorf("%q: %w", p, err)
		}
		if err != nil && wrong == nil {
			wrong = fmt.Errorf("%w: %q: %w", ErrDamaged, p, err)
		}
		x.unknown = x.unknown || !known
	}
	if x.vague {
		return nil
	}
	if wrong != nil {
		return wrong
	}
	if err := x.compareMarkers(root); err != nil || x.unknown {
		return err
	}
	return filepath.WalkDir(diff, func(full string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return damage(err)
		}
		p := strings.TrimPrefix(strings.TrimPrefix(full, diff), "/")
		if x.entries[p] != nil || x.marked[p] || d.IsDir() { // a folder may be implied by what lies in it
			return nil
		}
		return fmt.Errorf("%w: %q is not in its tar", ErrDamaged, p)
	})
}

// compareMarkers looks for what stands for the layer's whiteouts.
func (x *expected) compareMarkers(root int) error {
	for p := range x.marked {
		if x.entries[p] != nil {
			continue
		}
		var st unix.Stat_t
		fd, err := openBeneath(root, p)
		if err == nil {
			err = unix.Fstat(fd, &st)
			unix.Close(fd)
		}
		if isDetour(err) {
			x.unknown = true
			continue
		}
		if err != nil {
			return damage(fmt.Errorf("whiteout of %q: %w", p, err))
		}
		// A folder that other entries need hides what is below by being opaque.
		if whiteout := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0; !whiteout && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return fmt.Errorf("%w: whiteout of %q is something else", ErrDamaged, p)
		}
	}
	for _, p := range x.opaque {
		fd, err := openBeneath(root, p)
		if isDetour(err) {
			x.unknown = true
			continue
		}
		var v []byte
		if err == nil {
			v, err = getXattr(fdPath(fd, "."), opaqueXattr)
			unix.Close(fd)
		}
		if err != nil && !errors.Is(err, unix.ENODATA) {
			return damage(fmt.Errorf("folder %q: %w", p, err))
		}
		if string(v) != "y" {
			return fmt.Errorf("%w: folder %q does not hide what is below it (%s)", ErrDamaged, p, opaqueXattr)
		}
	}
	return nil
}

// openBeneath opens what is at p below root itself, without following any link.
func openBeneath(root int, p string) (int, error) {
	return unix.Openat2(root, path.Join(".", p), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	})
}

// isDetour says that the way to a name leads through what is no folder.
func isDetour(err error) bool { return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) }

// same compares an entry with what is on disk. It is not known when the entry
// lies behind a link, or in a folder that a later entry replaced.
func same(root int, p string, hdr *tar.Header) (known bool, err error) {
	fd, err := openBeneath(root, p)
	if isDetour(err) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return true, err
	}
	if hdr.Typeflag == tar.TypeLink { // it has the attributes of its target
		return true, nil
	}
	kind := map[byte]uint32{
		tar.TypeReg: unix.S_IFREG, tar.TypeGNUSparse: unix.S_IFREG, tar.TypeCont: unix.S_IFREG, tar.TypeDir: unix.S_IFDIR,
		tar.TypeSymlink: unix.S_IFLNK, tar.TypeFifo: unix.S_IFIFO, tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK,
	}[hdr.Typeflag]
	switch {
	case st.Mode&unix.S_IFMT != kind:
		return true, errors.New("it is of another kind")
	case int(st.Uid) != hdr.Uid || int(st.Gid) != hdr.Gid:
		return true, fmt.Errorf("its owner is %d:%d instead of %d:%d", st.Uid, st.Gid, hdr.Uid, hdr.Gid)
	case kind == unix.S_IFREG && st.Size != hdr.Size:
		return true, fmt.Errorf("it has %d bytes instead of %d", st.Size, hdr.Size)
	case kind == unix.S_IFLNK:
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d/%s", root, p))
		if err == nil && target != hdr.Linkname {
			err = fmt.Errorf("it leads to %q instead of %q", target, hdr.Linkname)
		}
		return true, err
	case kind == unix.S_IFCHR || kind == unix.S_IFBLK:
		if st.Rdev != unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor)) {
			return true, errors.New("it is another device")
		}
	}
	if mode := uint32(hdr.Mode & 0o7777); kind != unix.S_IFLNK && st.Mode&0o7777 != mode {
		return true, fmt.Errorf("its mode is %#o instead of %#o", st.Mode&0o7777, mode)
	}
	return true, nil
}
