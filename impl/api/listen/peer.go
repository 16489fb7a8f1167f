package listen

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Peer is the process that opened a connection, as the kernel saw it then. All
// numbers are -1 for a connection that is not of a unix socket.
type Peer struct {
	UID, GID, PID int
}

// PeerOf asks the kernel (unix(7), SO_PEERCRED). The process may have ended, or
// given the connection to another, since.
func PeerOf(c net.Conn) Peer {
	unknown := Peer{-1, -1, -1}
	for {
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = inner.NetConn()
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return unknown
	}
	var raw syscall.RawConn
	raw, err := u.SyscallConn()
	if err != nil {
		return unknown
	}
	peer := unknown
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			peer = Peer{int(cred.Uid), int(cred.Gid), int(cred.Pid)}
		}
	})
	if err != nil {
		return unknown
	}
	return peer
}
