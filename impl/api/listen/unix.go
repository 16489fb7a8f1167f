package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// socketMode lets owner and group speak to the engine and nobody else, as
// whoever can is root on this machine.
const socketMode = 0o660

// probeTimeout bounds the question whether somebody listens on a socket file.
const probeTimeout = 5 * time.Second

// openUnix listens on a path. The file is taken over from a daemon that is
// gone, but never from one that listens. Closing the listener removes it.
func openUnix(ctx context.Context, path, group string) (net.Listener, error) {
	if path == "" {
		return nil, errors.New("the path of the socket is missing")
	}
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the socket: %w", err)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	// The socket must not be open to others between bind and chmod. The umask
	// is the process's, so a file that another goroutine makes meanwhile would be
	// closed as well, which at start-up hurts nobody.
	old := syscall.Umask(0o177)
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	err = os.Chown(path, 0, gid)
	if os.Geteuid() != 0 && errors.Is(err, fs.ErrPermission) {
		err = nil // a user's own daemon keeps the user's own socket
	}
	if err == nil {
		err = os.Chmod(path, socketMode)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set the owner and mode of the socket: %w", err), l.Close())
	}
	return mendingListener{l}, nil
}

// removeStale removes a socket file on which nobody listens.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an old socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("a file that is no socket is in the way")
	}
	dialer := net.Dialer{Timeout: probeTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(errors.New("another daemon listens there"), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("ask whether another daemon listens there: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the socket of a daemon that is gone: %w", err)
	}
	return nil
}

// groupID finds a group by name or number. Without a name it is DefaultGroup's if that
// exists, else root's.
func groupID(name string) (int, error) {
	wanted := name
	if wanted == "" {
		wanted = DefaultGroup
	}
	if gid, err := strconv.Atoi(wanted); err == nil && gid >= 0 {
		return gid, nil
	}
	group, err := user.LookupGroup(wanted)
	if err == nil {
		return strconv.Atoi(group.Gid)
	}
	var unknown user.UnknownGroupError
	if name == "" && errors.As(err, &unknown) {
		return 0, nil
	}
	return 0, fmt.Errorf("find the group %s: %w", wanted, err)
}
