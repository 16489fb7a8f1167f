package engine

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
)

// longestUserFile bounds how much of a container's passwd or group is read, in bytes.
const longestUserFile = 16 << 20

// containerUser finds the container's user in its own files (passwd(5),
// group(5)) and adds HOME to the environment.
func (e *Engine) containerUser(r *container.Record, w *image.Writable, env []string) (specs.User, []string, error) {
	tree, err := openTree(w)
	if err != nil {
		return specs.User{}, nil, err
	}
	defer tree.Close()
	return findUser(tree, r.Config.User, r.HostConfig.GroupAdd, env)
}

// findUser resolves "user[:group]", names or numbers, and further groups. HOME
// is the user's unless the environment has one.
func findUser(tree *os.File, name string, groups []string, env []string) (specs.User, []string, error) {
	passwd, err := readInside(tree, "/etc/passwd")
	if err != nil {
		return specs.User{}, nil, err
	}
	group, err := readInside(tree, "/etc/group")
	if err != nil {
		return specs.User{}, nil, err
	}
	found, err := user.GetExecUser(name, &user.ExecUser{Home: "/"}, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return specs.User{}, nil, fault.Invalid("%w", err)
	}
	// The main group is among the further ones, too: a program that changes its
	// main group must not leave it by that (CVE-2022-36109).
	u := specs.User{UID: uint32(found.Uid), GID: uint32(found.Gid), AdditionalGids: []uint32{uint32(found.Gid)}}
	add := func(g int) {
		if !slices.Contains(u.AdditionalGids, uint32(g)) {
			u.AdditionalGids = append(u.AdditionalGids, uint32(g))
		}
	}
	for _, g := range found.Sgids {
		add(g)
	}
	if len(groups) > 0 {
		if slices.Contains(groups, "") {
			return specs.User{}, nil, fault.Invalid("Unable to find group ") // the library would panic
		}
		more, err := user.GetAdditionalGroups(groups, bytes.NewReader(group))
		if err != nil {
			return specs.User{}, nil, fault.Invalid("%w", err)
		}
		for _, g := range more {
			add(g)
		}
	}
	return u, replaceEnv([]string{"HOME=" + found.Home}, env), nil
}

// readInside reads a file of the container, whose links are resolved inside of
// it. A file that is not there is empty; what is no file (a pipe would block
// for ever) counts as not there.
func readInside(tree *os.File, path string) ([]byte, error) {
	handle, err := pathrs.OpenatInRoot(tree, path)
	if err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return nil, nil
		}
		return nil, fault.Internal("read the container's %s: %w", path, err)
	}
	defer handle.Close()
	if info, err := handle.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	f, err := pathrs.Reopen(handle, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, fault.Internal("read the container's %s: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, longestUserFile))
	if err != nil {
		return nil, fault.Internal("read the container's %s: %w", path, err)
	}
	return data, nil
}
