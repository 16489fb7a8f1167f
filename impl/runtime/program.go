package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// program is the shim's executable: a sealed copy in memory, with the compiled
// seccomp profiles that containers used so far at its end. Compiling one takes
// longer than everything else in a start; so it is done once, aside, and the
// first container with a profile does not wait for it.
type program struct {
	size     int64  // of the executable alone
	replaced func() // called when there is a new file

	mu   sync.RWMutex
	file *os.File

	profiles profiles
	learning sync.WaitGroup
}

func loadProgram(path, profilesDir string) (*program, error) {
	src, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	file, err := seal(src)
	if err != nil {
		return nil, err
	}
	st, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &program{size: st.Size(), replaced: func() {}, file: file, profiles: profiles{dir: profilesDir}}, nil
}

// use calls f with a path of the executable, which holds as long as f runs,
// and its file, which is good for current only.
func (p *program) use(f func(path string, file *os.File) error) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return f("/proc/"+strconv.Itoa(os.Getpid())+"/fd/"+strconv.Itoa(int(p.file.Fd())), p.file)
}

// current says whether a file is the present executable's.
func (p *program) current(file *os.File) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.file == file
}

func (p *program) close() error {
	p.profiles.close()
	p.learning.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file.Close()
}

// learn has a profile compiled aside, if it is new. The result of its work is
// only speed, so failures are not reported: containers with the profile start
// as slowly as before, or fail with the reason.
func (p *program) learn(profile *specs.LinuxSeccomp) {
	p.profiles.learn(profile, func(all []protocol.Profile) {
		p.learning.Go(func() { _ = p.compile(all) })
	})
}

func (p *program) compile(profiles []protocol.Profile) error {
	text, err := json.Marshal(profiles)
	if err != nil {
		return err
	}
	var table, stderr bytes.Buffer
	var cmd *exec.Cmd
	err = p.use(func(path string, _ *os.File) error {
		cmd = &exec.Cmd{
			Path: path, Args: []string{"berth-shim", "compile"}, Env: []string{"GOGC=off"}, Dir: "/",
			Stdin: bytes.NewReader(text), Stdout: &table, Stderr: &stderr,
		}
		return cmd.Start()
	})
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("compile seccomp profiles: %w: %s", err, stderr.Bytes())
	}

	p.mu.RLock()
	executable := io.NewSectionReader(p.file, 0, p.size)
	file, err := seal(io.MultiReader(executable, &table))
	p.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("compile seccomp profiles: %w", err)
	}
	if p.profiles.count() > len(profiles) { // another one is at it, with more
		return file.Close()
	}
	p.mu.Lock()
	old := p.file
	p.file = file
	p.mu.Unlock()
	p.replaced()
	return old.Close()
}

// seal copies a program to a memory file that nobody can change.
func seal(src io.Reader) (_ *os.File, err error) {
	const name, flags = "berth-shim", unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), name)
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	if _, err := io.Copy(file, src); err != nil {
		return nil, err
	}
	if err := file.Chmod(0o511); err != nil {
		return nil, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return file, nil
}
