package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime/trace"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
	"github.com/seed-50ced230/berth/impl/thread"
)

// maxAttachments follows from the number of descriptors that the kernel lets
// one message carry (SCM_MAX_FD, 253).
const maxAttachments = 230

// shimThreads is what a shim and what it starts need, with some to spare.
const shimThreads = 24

// maxBorrowed is what the same message has left for namespaces.
const maxBorrowed = 10

// spawn has a shim carry out an order and waits for its report. The handle
// directory exists. The result's watch connection is open. When it fails, the
// shim is gone and attachments are closed; the caller removes what it made.
// The namespaces are those of the order's Borrow.
func (r *Runtime) spawn(ctx context.Context, order *protocol.Order, attachments []*Attachment, namespaces []*os.File) (_ *child, err error) {
	var files fileList
	defer files.close()
	defer func() {
		if err != nil {
			for _, a := range attachments {
				_ = a.Close()
			}
		}
	}()

	// A shim that lacks a thread dies in the middle of its work.
	if err := thread.Spare(shimThreads); err != nil {
		return nil, &StartError{Code: 128, Text: "start berth-shim: " + err.Error()}
	}
	if len(attachments) > maxAttachments {
		return nil, fault.Invalid("more than %d clients attached before the start", maxAttachments)
	}
	order.StateRoot, order.Systemd, order.Conns = r.stateRoot(), r.systemd, 1+len(attachments)
	order.Profiles = r.shim.profiles.dir
	order.Timed = trace.IsEnabled()
	orderFile, err := orderMemfd(order)
	if err != nil {
		return nil, err
	}
	files.add(orderFile)
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the report's pipe: %w", err)
	}
	defer reportRead.Close()
	files.add(reportWrite)
	dir, err := os.OpenFile(order.Dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open the handle directory: %w", err)
	}
	listener, err := listen(dir)
	if err != nil {
		_ = dir.Close()
		return nil, err
	}
	files.add(listener)
	files.add(dir)
	mounts, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		return nil, fmt.Errorf("open the mount namespace: %w", err)
	}
	files.add(mounts)
	watch, watchPeer, err := socketPair()
	if err != nil {
		return nil, err
	}
	files.add(watchPeer)
	defer func() {
		if err != nil {
			_ = watch.Close()
		}
	}()
	if _, err := watch.Write(protocol.Request(protocol.OpWatch, 0, 0, 0)); err != nil {
		return nil, fmt.Errorf("ask to watch: %w", err)
	}
	extra := files.files
	for _, a := range attachments {
		peer, err := a.handOver()
		if err != nil {
			return nil, err
		}
		extra = append(extra, peer)
		defer peer.Close()
	}
	extra = append(extra, namespaces...) // the caller's, and open after this

	cmd, err := r.pool.give(extra)
	if err != nil {
		return nil, err
	}
	defer r.pool.refill()
	files.close()
	report, err := readReport(ctx, reportRead)
	for _, s := range report.Steps {
		trace.Logf(ctx, "shim: "+s.Name, "%d", s.Took)
	}
	if err == nil && report.Handle != nil {
		return &child{handle: report.Handle, watch: watch, shim: cmd}, nil
	}
	if report.Handle == nil && report.Error == "" {
		_ = cmd.Process.Kill() // ctx is over, or it is dead already
	}
	state := waitShim(cmd)
	switch {
	case report.Error != "":
		return nil, &StartError{Code: report.Code, Text: report.Error}
	case ctx.Err() != nil:
		return nil, fmt.Errorf("start the container: %w", ctx.Err())
	default:
		return nil, &StartError{Code: 128, Text: fmt.Sprintf("berth-shim ended without a report: %s", state)}
	}
}

// child is a started process, its monitor and the connection to it.
type child struct {
	handle *protocol.Handle
	watch  *net.UnixConn
	shim   *exec.Cmd // nil when another daemon started it
}

func waitShim(cmd *exec.Cmd) string {
	err := cmd.Wait()
	if cmd.ProcessState == nil {
		return err.Error()
	}
	return cmd.ProcessState.String()
}

func readReport(ctx context.Context, r *os.File) (report protocol.Report, err error) {
	stop := context.AfterFunc(ctx, func() { _ = r.Close() })
	defer stop()
	err = json.NewDecoder(r).Decode(&report)
	return report, err
}

func orderMemfd(order *protocol.Order) (*os.File, error) {
	fd, err := unix.MemfdCreate("order", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("order", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, fmt.Errorf("write the order: %w", os.NewSyscallError("memfd_create", err))
	}
	f := os.NewFile(uintptr(fd), "order")
	if err := json.NewEncoder(f).Encode(order); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write the order: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write the order: %w", err)
	}
	return f, nil
}

// socketPath reaches a socket through its directory's descriptor, because a
// socket's address may have 107 bytes only (unix(7)).
func socketPath(dir *os.File) string {
	return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + protocol.SocketName
}

func listen(dir *os.File) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make the monitor's socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: socketPath(dir)}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make the monitor's socket: %w", os.NewSyscallError("bind", err))
	}
	if err := unix.Listen(fd, 128); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make the monitor's socket: %w", os.NewSyscallError("listen", err))
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

// dial connects to the monitor of a handle directory.
func dial(ctx context.Context, handleDir string) (*net.UnixConn, error) {
	dir, err := os.OpenFile(handleDir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("reach the monitor: %w", err)
	}
	defer dir.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socketPath(dir))
	if err != nil {
		return nil, fmt.Errorf("reach the monitor: %w", err)
	}
	return conn.(*net.UnixConn), nil
}

// socketPair makes a connection: our end, and one for another process.
func socketPair() (*net.UnixConn, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a connection: %w", os.NewSyscallError("socketpair", err))
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "connection"), os.NewFile(uintptr(pair[1]), "connection")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, fmt.Errorf("make a connection: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

type fileList struct{ files []*os.File }

func (l *fileList) add(f *os.File) { l.files = append(l.files, f) }

// close may be called twice: *os.File refuses the second time.
func (l *fileList) close() {
	for _, f := range l.files {
		_ = f.Close()
	}
}
