package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/database"
	"github.com/seed-50ced230/berth/impl/host"
	"github.com/seed-50ced230/berth/impl/instance"
)

// The least room that an image of common size needs, in bytes, and its files.
const (
	leastSpace = 2 << 30
	leastFiles = 100_000
)

func (e *examination) storage() {
	at := existing(e.DataRoot)
	var s unix.Statfs_t
	if err := unix.Statfs(at, &s); err != nil {
		e.problem("data root", err.Error(), "choose another --data-root")
		return
	}
	e.running = instance.Held(e.DataRoot)
	free := uint64(s.Bavail) * uint64(s.Bsize)
	kind, _ := host.Filesystem(at)
	text := fmt.Sprintf("%s on %s with %s free", e.DataRoot, kind, units.BytesSize(float64(free)))
	const move = "remove images (docker rmi) and stopped containers (docker rm), or put --data-root on a larger disk"
	switch {
	case s.Flags&unix.ST_RDONLY != 0:
		e.problem("data root", text+", read-only", "remount it writable (mount -o remount,rw), after looking at dmesg for the reason, or choose another --data-root")
	case s.Flags&(unix.ST_NOEXEC|unix.ST_NODEV) != 0:
		e.problem("data root", text+", mounted noexec or nodev: containers could not run their programs", "remount it without these options, or choose another --data-root")
	case s.Flags&unix.ST_NOSUID != 0:
		e.warn("data root", text+", mounted nosuid: programs such as su do not work in containers", "remount it without nosuid, or choose another --data-root")
	case free < leastSpace:
		e.warn("data root", text+": too little for most images", move)
	case s.Files > 0 && s.Ffree < leastFiles:
		e.warn("data root", fmt.Sprintf("%s, but only for %d files", text, s.Ffree), move)
	case kind == "tmpfs":
		e.warn("data root", text+": images, containers and volumes are lost at the next boot", "choose a --data-root on a disk")
	case e.running:
		e.ok("data root", "%s; a berthd serves it now", text)
	default:
		e.ok("data root", "%s", text)
	}
	if kind, err := host.Filesystem(existing(e.ExecRoot)); err == nil && kind != "tmpfs" {
		e.warn("exec root", fmt.Sprintf("%s is on %s: running state outlives a boot there and is cleared at the next start", e.ExecRoot, kind), "choose an --exec-root on a tmpfs, such as /run/berth")
	} else if err == nil {
		e.ok("exec root", "%s is on a tmpfs", e.ExecRoot)
	}
}

// stores looks at the databases of a stopped daemon.
func (e *examination) stores() {
	if e.running || os.Geteuid() != 0 {
		return // a running daemon has looked at them
	}
	for _, file := range slices.Sorted(maps.Keys(e.Databases)) {
		err := database.Check(file, e.Databases[file]...)
		name := filepath.Base(file)
		switch _, missing := os.Stat(file); {
		case err != nil:
			e.problem("store "+name, err.Error(), "berthd check tells what is lost, berthd check --repair mends what can be mended")
		case errors.Is(missing, fs.ErrNotExist):
			e.ok("store "+name, "is made at the first start")
		default:
			e.ok("store "+name, "can be read")
		}
	}
}

// programs are those that the engine runs.
func (e *examination) programs() {
	executable := func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
	}
	if !executable(e.Shim) {
		e.problem("berth-shim", "is not at "+e.Shim+", and no container starts without it", "install all of berth's programs in one directory, or name it with --shim")
	} else {
		e.ok("berth-shim", "is at %s", e.Shim)
	}
	if e.LogDriver != "json-file" && e.LogDriver != "none" && !executable(e.LoggerPath) {
		e.problem("berth-logger", "is not at "+e.LoggerPath+", and the log driver "+e.LogDriver+" needs it", "install all of berth's programs in one directory")
	}
	missing := map[string]string{}
	for name, use := range map[string]string{
		"git": "builds from git repositories", "xz": "layers packed with xz", "ps": "docker top", "journalctl": "docker logs of the log driver journald",
	} {
		if !e.inPath(name) {
			missing[name] = name + " (" + use + ")"
		}
	}
	if e.LogDriver != "journald" {
		delete(missing, "journalctl")
	}
	if len(missing) == 0 {
		e.ok("programs", "git, xz and ps are there")
		return
	}
	e.warn("programs", "missing: "+strings.Join(slices.Sorted(maps.Values(missing)), ", "), "install them if they are wanted; Debian's packages are git, xz-utils, procps, systemd")
}

// inPath looks a program up as exec would, below the root.
func (e *examination) inPath(name string) bool {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(e.path(filepath.Join(dir, name))); err == nil && info.Mode().Perm()&0o111 != 0 {
			return true
		}
	}
	return false
}
