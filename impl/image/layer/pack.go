package layer

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Pack writes the tree below the open directory root as a tar, without its root.
// Sockets are left out.
func Pack(ctx context.Context, root *os.File, w io.Writer) error {
	p := newPacker(w)
	if err := walk(ctx, int(root.Fd()), p.plain); err != nil {
		return fmt.Errorf("write tree: %w", err)
	}
	return p.close()
}

// PackDiff writes the upper directory of an overlay mount as a layer tar:
// deletions become ".wh." entries (image-spec, layer.md). It says whether
// there was anything to write.
func PackDiff(ctx context.Context, upper string, w io.Writer) (changed bool, err error) {
	p := newPacker(w)
	err = walkPath(ctx, upper, func(n *node) error {
		if n.path == "" {
			return nil
		}
		changed = true
		return p.diff(n)
	})
	if err != nil {
		return changed, fmt.Errorf("write layer: %w", err)
	}
	return changed, p.close()
}

type packer struct {
	buf   *bufio.Writer
	tw    *tar.Writer
	links map[inode]string
	copy  []byte
	// content is told of the content of every file that is not empty, and calls
	// write, which says whether the file had as many bytes; nil for nobody.
	content func(n *node, size int64, write func() (whole bool, err error)) error
}

func newPacker(w io.Writer) *packer {
	b := bufio.NewWriterSize(w, chunkSize)
	return &packer{buf: b, tw: tar.NewWriter(b), links: map[inode]string{}, copy: make([]byte, chunkSize)}
}

func (p *packer) close() error { return errors.Join(p.tw.Close(), p.buf.Flush()) }

func (p *packer) diff(n *node) error {
	if isWhiteout(&n.st) {
		return p.marker(path.Join(parentOf(n.path), whiteoutPrefix+n.name), n)
	}
	if err := p.plain(n); err != nil {
		return err
	}
	if isDir(&n.st) && isOpaque(n.dir, n.name) {
		return p.marker(n.path+"/"+opaqueMarker, n)
	}
	return nil
}

func (p *packer) marker(name string, n *node) error {
	return p.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatPAX})
}

func (p *packer) plain(n *node) error {
	if n.path == "" {
		return nil
	}
	hdr := &tar.Header{
		Name: n.path, Mode: int64(n.st.Mode & 0o7777), Uid: int(n.st.Uid), Gid: int(n.st.Gid),
		ModTime: time.Unix(n.st.Mtim.Unix()), Format: tar.FormatPAX,
	}
	var body *os.File
	switch n.st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		hdr.Typeflag = tar.TypeDir
		hdr.Name += "/"
	case unix.S_IFLNK:
		hdr.Typeflag = tar.TypeSymlink
		target, err := os.Readlink(fdPath(n.dir, n.name))
		if vanished(err) || errors.Is(err, unix.EINVAL) {
			return nil
		}
		if err != nil {
			return err
		}
		hdr.Linkname = target
	case unix.S_IFREG:
		hdr.Typeflag = tar.TypeReg
		if n.st.Nlink > 1 {
			key := inode{n.st.Dev, n.st.Ino}
			if first, ok := p.links[key]; ok {
				hdr.Typeflag, hdr.Linkname = tar.TypeLink, first
				return p.tw.WriteHeader(hdr)
			}
			p.links[key] = n.path
		}
		fd, err := unix.Openat(n.dir, n.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if vanished(err) {
			return nil
		}
		if err != nil {
			return &os.PathError{Op: "open", Path: n.path, Err: err}
		}
		body = os.NewFile(uintptr(fd), n.path)
		defer body.Close()
		// What was opened counts, not what was looked at before.
		if err := unix.Fstat(fd, &n.st); err != nil || n.st.Mode&unix.S_IFMT != unix.S_IFREG {
			return err
		}
		hdr.Size = n.st.Size
	case unix.S_IFIFO:
		hdr.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		hdr.Typeflag = tar.TypeChar
		if n.st.Mode&unix.S_IFMT == unix.S_IFBLK {
			hdr.Typeflag = tar.TypeBlock
		}
		hdr.Devmajor, hdr.Devminor = int64(unix.Major(n.st.Rdev)), int64(unix.Minor(n.st.Rdev))
	default:
		return nil
	}
	if err := packXattrs(hdr, n); err != nil {
		return err
	}
	if err := p.tw.WriteHeader(hdr); err != nil {
		return fmt.Errorf("%q: %w", n.path, err)
	}
	if body == nil || hdr.Size == 0 {
		return nil
	}
	write := func() (bool, error) { return p.body(body, hdr.Size) }
	if p.content != nil {
		return p.content(n, hdr.Size, write)
	}
	_, err := write()
	return err
}

// body writes exactly size bytes, also when the file shrinks or grows meanwhile. It
// says whether it did not shrink.
func (p *packer) body(f *os.File, size int64) (whole bool, err error) {
	n, err := io.CopyBuffer(struct{ io.Writer }{p.tw}, io.LimitReader(struct{ io.Reader }{f}, size), p.copy)
	whole = n == size
	for err == nil && n < size {
		var m int
		m, err = p.tw.Write(zeroChunk[:min(size-n, chunkSize)])
		n += int64(m)
	}
	return whole, err
}

// packXattrs takes over the extended attributes that mean something elsewhere.
func packXattrs(hdr *tar.Header, n *node) error {
	names, err := n.xattrs()
	if vanished(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if !xattrAllowed(name) || name == selinuxXattr {
			continue
		}
		value, err := getXattr(fdPath(n.dir, n.name), name)
		if vanished(err) || errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return err
		}
		if strings.ContainsAny(name, "=\x00") {
			continue // PAX cannot say it
		}
		if hdr.PAXRecords == nil {
			hdr.PAXRecords = map[string]string{}
		}
		hdr.PAXRecords[paxXattr+name] = string(value)
	}
	return nil
}
