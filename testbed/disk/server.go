package disk

import (
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Server is the process that serves disks, as its client sees it. All methods may be
// called from several goroutines.
type Server struct {
	dir   string
	cmd   *exec.Cmd
	rpc   *rpc.Client
	ended chan struct{}
}

// patience is how long the server may take for a beginning or an end.
const patience = 20 * time.Second

// Start starts a server whose disks appear in dir, an empty directory. Call Main first
// in TestMain.
func Start(dir string) (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	fuse, err := mountDisks(dir)
	if err != nil {
		return nil, fmt.Errorf("mount the file system of the disks (it needs root and /dev/fuse): %w", err)
	}
	defer fuse.Close() // or the disks would outlive their server
	s := &Server{dir: dir, cmd: exec.Command(self), ended: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), role+"="+dir)
	s.cmd.ExtraFiles = []*os.File{fuse}
	s.cmd.Stderr = os.Stderr
	// Should this process be killed, one of its threads may wait for a disk and not end
	// before the server does.
	// It has a mount namespace of its own: the last one to leave a namespace unmounts
	// what is mounted there, and would wait for itself.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Unshareflags: syscall.CLONE_NEWNS}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go func() {
		// The signal comes when the thread ends that started the process (prctl(2)).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_, _ = s.cmd.Process.Wait() // and not cmd.Wait, which closes the pipes
		close(s.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	s.rpc = rpc.NewClient(pipes{out, in})
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err == nil && st.Type == unix.FUSE_SUPER_MAGIC {
			return s, nil
		}
		select {
		case <-s.ended:
			return nil, errors.New("the server of disks ended at once")
		default:
		}
		if time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("the server of disks does not mount %s", dir), s.Close())
		}
	}
}

// mountDisks mounts the file system and gives the side of it that is to be served.
func mountDisks(dir string) (*os.File, error) {
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=%d", fuse.Fd(), maxWrite)
	if err := unix.Mount("disks", dir, "fuse.berth", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		fuse.Close()
		return nil, err
	}
	return fuse, nil
}

// Close ends the server; what still uses a disk gets errors from then on. Closing again
// does nothing.
func (s *Server) Close() error {
	if s.rpc.Close() != nil {
		return nil
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	if err := unix.Unmount(s.dir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount the disks: %w", err)
	}
	return nil
}

// Path is where a disk is.
func (s *Server) Path(name string) string { return filepath.Join(s.dir, name) }

// Make adds a disk.
func (s *Server) Make(m Made) error { return s.rpc.Call("Disks.Make", m, &Empty{}) }

// Drop forgets a disk that nobody uses any more.
func (s *Server) Drop(name string) error { return s.rpc.Call("Disks.Drop", name, &Empty{}) }

// Taken is the number of requests that a recorded disk has taken.
func (s *Server) Taken(name string) (n int, err error) {
	err = s.rpc.Call("Disks.Taken", name, &n)
	return n, err
}

// Requests are all requests that a recorded disk has taken.
func (s *Server) Requests(name string) (list []Request, err error) {
	err = s.rpc.Call("Disks.Requests", name, &list)
	return list, err
}

// Lose makes a disk that is what another one would be after power went.
func (s *Server) Lose(l Loss) error { return s.rpc.Call("Disks.Lose", l, &Empty{}) }
