package shim

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// logLevel is logrus's number for warnings' next, "info": what libcontainer's
// child sends through its log pipe ends up in the error of a failed start.
const logLevel = "4"

func startContainer(order *protocol.Order, files []int, stdio *stdio, clock *clock) (_ *started, err error) {
	staged, err := openSources(order, files[protocol.FileConns+order.Conns:])
	if err != nil {
		return nil, err
	}
	root, rootFD, err := mountRoot(order)
	if err != nil {
		return nil, err
	}
	clock.done("mount the root")
	if order.OCI.Root == nil {
		order.OCI.Root = &specs.Root{}
	}
	order.OCI.Root.Path = root
	if err := stageSources(order, staged); err != nil {
		return nil, err
	}
	if err := stageDevices(order); err != nil {
		return nil, err
	}
	if err := wholeProfile(order); err != nil {
		return nil, err
	}
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{
		CgroupName:       order.ID,
		UseSystemdCgroup: order.Systemd,
		Spec:             order.OCI,
	})
	if err != nil {
		return nil, fmt.Errorf("configure the container: %w", err)
	}
	process, err := newProcess(order.OCI.Process)
	if err != nil {
		return nil, err
	}
	process.Init = true
	if err := stdio.give(process, config); err != nil {
		return nil, err
	}
	if err := stageCgroups(order, config); err != nil {
		return nil, fmt.Errorf("mount the cgroups: %w", err)
	}
	container, err := libcontainer.Create(order.StateRoot, order.ID, config)
	if err != nil {
		return nil, fmt.Errorf("create the container: %w", err)
	}
	clock.done("configure the container")
	if err := container.Run(process); err != nil {
		terminate(process)
		_ = container.Destroy()
		return nil, classify(err, order.OCI.Process.Args)
	}
	clock.done("make the container") // namespaces, cgroups, mounts, filter
	s := &started{container: container, process: process, root: rootFD, undo: func() {
		terminate(process)
		_ = container.Destroy()
	}}
	return s.with(stdio)
}

func startExec(order *protocol.Order, stdio *stdio, clock *clock) (*started, error) {
	container, err := libcontainer.Load(order.StateRoot, order.ID)
	if err != nil {
		return nil, fmt.Errorf("find the container: %w", err)
	}
	clock.done("find the container")
	process, err := newProcess(order.Process)
	if err != nil {
		return nil, err
	}
	config := container.Config() // a copy, but Seccomp is the container's own
	if err := wholeConfig(order, config.Seccomp); err != nil {
		return nil, err
	}
	if err := stdio.give(process, &config); err != nil {
		return nil, err
	}
	if err := container.Run(process); err != nil {
		terminate(process)
		return nil, classify(err, order.Process.Args)
	}
	clock.done("enter the container")
	s := &started{container: container, process: process, root: -1, undo: func() { terminate(process) }}
	return s.with(stdio)
}

// with takes the process's streams and pid, or undoes the start.
func (s *started) with(stdio *stdio) (_ *started, err error) {
	if s.pid, err = s.process.Pid(); err == nil {
		err = stdio.handed()
	}
	if err != nil {
		s.undo()
		return nil, err
	}
	return s, nil
}

// terminate is harmless for a process that never started.
func terminate(p *libcontainer.Process) {
	_ = p.Signal(unix.SIGKILL)
	_, _ = p.Wait()
}

// awaitExec waits until the process has executed its program. libcontainer
// says "started" just before it tries to; if it fails, the child writes why to
// its standard error and exits.
//
// The pauses are the kernel's: one of package time takes a millisecond at least
// in a program that does nothing else (runtime/netpoll_epoll.go).
func awaitExec(s *started, stdio *stdio) error {
	pid := strconv.Itoa(s.pid)
	for pause := 20 * time.Microsecond; ; pause = min(pause*5/4, time.Millisecond) {
		st, err := protocol.ReadStat(pid)
		if err != nil {
			return fmt.Errorf("watch the process: %w", err)
		}
		if st.Executed() {
			return nil
		}
		if st.Dead() {
			text := stdio.complaint()
			if text == "" {
				text = "the process ended before it could execute its program"
			}
			// An *os.PathError of execve(2).
			code := 126
			if strings.HasSuffix(text, ": "+syscall.ENOENT.Error()) {
				code = 127
			}
			return &startError{code: code, text: text}
		}
		nap := unix.NsecToTimespec(int64(pause))
		_ = unix.Nanosleep(&nap, nil)
	}
}

// classify finds out whether a start failed because of the command. The child
// of libcontainer can hand its error over as text only, so its text is all
// there is: that of an *exec.Error for this command.
func classify(err error, args []string) error {
	text := err.Error()
	code := 128
	if len(args) > 0 {
		marker := (&exec.Error{Name: args[0], Err: errors.New("")}).Error()
		if _, reason, found := strings.Cut(text, marker); found {
			code = 126
			if strings.Contains(reason, exec.ErrNotFound.Error()) || strings.Contains(reason, syscall.ENOENT.Error()) {
				code = 127
			}
		}
	}
	return &startError{code: code, text: text}
}

// newProcess says in libcontainer's terms what the specification says.
func newProcess(p *specs.Process) (*libcontainer.Process, error) {
	if p == nil || len(p.Args) == 0 {
		return nil, &startError{code: 128, text: "no command specified"}
	}
	lp := &libcontainer.Process{
		Args:            p.Args,
		Env:             p.Env,
		UID:             int(p.User.UID),
		GID:             int(p.User.GID),
		Cwd:             p.Cwd,
		Label:           p.SelinuxLabel,
		NoNewPrivileges: &p.NoNewPrivileges,
		AppArmorProfile: p.ApparmorProfile,
		Scheduler:       p.Scheduler,
		IOPriority:      p.IOPriority,
		LogLevel:        logLevel,
	}
	if p.ConsoleSize != nil {
		lp.ConsoleWidth = uint16(p.ConsoleSize.Width)
		lp.ConsoleHeight = uint16(p.ConsoleSize.Height)
	}
	if c := p.Capabilities; c != nil {
		lp.Capabilities = &configs.Capabilities{
			Bounding: c.Bounding, Effective: c.Effective, Inheritable: c.Inheritable,
			Permitted: c.Permitted, Ambient: c.Ambient,
		}
	}
	for _, g := range p.User.AdditionalGids {
		lp.AdditionalGroups = append(lp.AdditionalGroups, int(g))
	}
	for _, r := range p.Rlimits {
		kind, ok := rlimits[r.Type]
		if !ok {
			return nil, fmt.Errorf("unknown resource limit %q", r.Type)
		}
		lp.Rlimits = append(lp.Rlimits, configs.Rlimit{Type: kind, Hard: r.Hard, Soft: r.Soft})
	}
	return lp, nil
}

// rlimits are the names of the OCI runtime specification (getrlimit(2)).
var rlimits = map[string]int{
	"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_CPU": unix.RLIMIT_CPU,
	"RLIMIT_DATA": unix.RLIMIT_DATA, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS,
	"RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK, "RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE,
	"RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_NPROC": unix.RLIMIT_NPROC,
	"RLIMIT_RSS": unix.RLIMIT_RSS, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO,
	"RLIMIT_RTTIME": unix.RLIMIT_RTTIME, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING,
	"RLIMIT_STACK": unix.RLIMIT_STACK,
}

func privatePids(c *libcontainer.Container) bool {
	config := c.Config()
	return config.Namespaces.IsPrivate(configs.NEWPID)
}
