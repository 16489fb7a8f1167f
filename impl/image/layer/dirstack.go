package layer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// maxDepth bounds the directories a dirStack holds open.
const maxDepth = 256

// dirStack walks below a root directory and keeps the directories on the way
// to the current one open. Archives list their entries folder by folder, so
// most steps reuse all but the last descriptor. No step follows a link.
type dirStack struct {
	path  string // of the root, for resolving links only
	root  int
	names []string
	fds   []int
}

func newDirStack(root string) (*dirStack, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: root, Err: err}
	}
	return &dirStack{path: root, root: fd}, nil
}

// close releases every descriptor.
func (d *dirStack) close() {
	d.truncate(0)
	unix.Close(d.root)
}

func (d *dirStack) truncate(depth int) {
	for _, fd := range d.fds[depth:] {
		unix.Close(fd)
	}
	d.names, d.fds = d.names[:depth], d.fds[:depth]
}

// forget drops descriptors at and below p, because p is about to change.
func (d *dirStack) forget(p string) {
	parts := split(p)
	if len(parts) > len(d.names) {
		return
	}
	for i, part := range parts {
		if d.names[i] != part {
			return
		}
	}
	d.truncate(max(len(parts)-1, 0))
}

func (d *dirStack) top() int {
	if len(d.fds) == 0 {
		return d.root
	}
	return d.fds[len(d.fds)-1]
}

func split(p string) []string {
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
}

// enter opens directory p (clean, relative, "" for the root) and returns a
// descriptor that is valid until the next call, and the real path of the
// directory, which differs from p when p leads over links. With make, missing
// directories are created (mode 0755) and reported to made by their real path.
func (d *dirStack) enter(p string, make bool, made func(string)) (fd int, real string, err error) {
	const maxLinks = 40 // as the kernel's MAXSYMLINKS
	for range maxLinks {
		err = d.walk(split(p), make, made)
		if err == nil {
			return d.top(), p, nil
		}
		if !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENOTDIR) {
			return -1, "", err
		}
		resolved, rerr := securejoin.SecureJoin(d.path, p)
		if rerr != nil {
			return -1, "", rerr
		}
		next := strings.TrimPrefix(strings.TrimPrefix(resolved, filepath.Clean(d.path)), "/")
		if next == p { // no link: something on the way is a file
			return -1, "", &os.PathError{Op: "open", Path: p, Err: unix.ENOTDIR}
		}
		p = next
	}
	return -1, "", &os.PathError{Op: "open", Path: p, Err: unix.ELOOP}
}

func (d *dirStack) walk(parts []string, make bool, made func(string)) error {
	if len(parts) > maxDepth {
		return fault.Invalid("path with more than %d folders", maxDepth)
	}
	same := 0
	for same < len(parts) && same < len(d.names) && parts[same] == d.names[same] {
		same++
	}
	d.truncate(same)
	for _, part := range parts[same:] {
		const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		fd, err := unix.Openat(d.top(), part, flags, 0)
		if err == unix.ENOENT && make {
			if err = unix.Mkdirat(d.top(), part, 0o755); err != nil {
				return &os.PathError{Op: "mkdir", Path: part, Err: err}
			}
			if err = unix.Fchmodat(d.top(), part, 0o755, 0); err != nil {
				return &os.PathError{Op: "chmod", Path: part, Err: err}
			}
			fd, err = unix.Openat(d.top(), part, flags, 0)
			if err == nil && made != nil {
				made(strings.Join(append(append([]string{}, d.names...), part), "/"))
			}
		}
		if err != nil {
			return &os.PathError{Op: "open", Path: part, Err: err}
		}
		d.names, d.fds = append(d.names, part), append(d.fds, fd)
	}
	return nil
}
