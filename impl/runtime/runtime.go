package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// Options says where a Runtime works. Root and Shim are required.
type Options struct {
	// Root is the directory of the handles (made with mode 0700), normally
	// below the daemon's exec-root.
	Root string
	// Shim is the path of berth-shim.
	Shim string
	// Spool is the directory for output that a slow attached client, or a daemon
	// that is stopped, has not read yet; empty means Root. The files there have
	// no names.
	Spool string
	// SpoolMax is how many bytes an attached client may lag behind before it
	// is dropped; 0 means 1 GiB.
	SpoolMax int64
	// Logger is the path of berth-logger; empty means beside the shim.
	Logger string
	// CgroupDriver is "cgroupfs" (the default when empty) or "systemd".
	CgroupDriver string
}

// Runtime starts containers and finds them again.
type Runtime struct {
	opts       Options
	systemd    bool
	generation string
	shim       *program
	pool       *pool

	expecting atomic.Bool // see Expect
}

const stateDirName = "state"

// New prepares Root and reads the shim into memory: containers that start
// later run this very program, whatever happens to the file, and cannot write
// to it (CVE-2019-5736).
func New(opts Options) (*Runtime, error) {
	if opts.Root == "" || opts.Shim == "" {
		return nil, fault.Invalid("the runtime needs a directory and a shim")
	}
	r := &Runtime{}
	switch opts.CgroupDriver {
	case "", "cgroupfs":
	case "systemd":
		r.systemd = true
	default:
		return nil, fault.Invalid("unknown cgroup driver %q", opts.CgroupDriver)
	}
	root, err := filepath.Abs(opts.Root)
	if err != nil {
		return nil, fmt.Errorf("find the runtime's directory: %w", err)
	}
	opts.Root = root
	if opts.Spool == "" {
		opts.Spool = root
	}
	if opts.Logger == "" {
		opts.Logger = filepath.Join(filepath.Dir(opts.Shim), "berth-logger")
	}
	if opts.SpoolMax == 0 {
		opts.SpoolMax = 1 << 30
	}
	for _, dir := range []string{root, filepath.Join(root, stateDirName)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the runtime's directory: %w", err)
		}
	}
	if r.generation, err = readGeneration(filepath.Join(root, generationName)); err != nil {
		return nil, err
	}
	if r.shim, err = loadProgram(opts.Shim, filepath.Join(root, profilesDirName)); err != nil {
		return nil, fmt.Errorf("read the shim: %w", err)
	}
	r.pool = &pool{program: r.shim}
	r.shim.replaced = r.pool.refill
	r.pool.refill()
	r.opts = opts
	return r, nil
}

// Prepare has the work done aside that the first container with a seccomp
// profile would cause. It does not wait.
func (r *Runtime) Prepare(profile *specs.LinuxSeccomp) { r.shim.learn(profile) }

// Close forgets the runtime. Containers go on.
func (r *Runtime) Close() error {
	r.pool.close()
	return r.shim.close()
}

// List names the containers that have a handle, running or not, in no order.
func (r *Runtime) List() ([]string, error) {
	entries, err := os.ReadDir(r.opts.Root)
	if err != nil {
		return nil, fmt.Errorf("list the containers: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && checkID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// Live gives the ids of the containers below a runtime's root that a process still
// looks after. It changes nothing and needs no Runtime: it is for those that must
// not disturb any container. A root that is not there has none.
func Live(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the containers: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if !e.IsDir() || checkID(e.Name()) != nil {
			continue
		}
		h, err := readHandle(filepath.Join(root, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if h.Shim != 0 && lives(h.Shim, h.ShimStart) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

func (r *Runtime) spool() protocol.Spool {
	return protocol.Spool{Dir: r.opts.Spool, Max: r.opts.SpoolMax}
}

func (r *Runtime) dir(id string) string      { return filepath.Join(r.opts.Root, id) }
func (r *Runtime) stateRoot() string         { return filepath.Join(r.opts.Root, stateDirName) }
func (r *Runtime) stateDir(id string) string { return filepath.Join(r.stateRoot(), id) }

// checkID refuses ids that are no names of directories of their own.
func checkID(id string) error {
	if id == "" || id == stateDirName || id[0] == '.' {
		return fault.Invalid("invalid container id %q", id)
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '+', c == '-', c == '.':
		default:
			return fault.Invalid("invalid container id %q", id)
		}
	}
	return nil
}
