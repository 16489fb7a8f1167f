package engine

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/runtime/defaults"
)

// execProcess is the process of an exec: the container's environment and
// directory, the exec's own user and privileges.
func (e *Engine) execProcess(r *container.Record, x *container.Exec, task *runtime.Task) (*specs.Process, error) {
	p := &specs.Process{Args: x.Args, Terminal: x.Config.Tty, Cwd: "/", Env: environment(r, e.linkEnvironment(r))}
	if r.Config.WorkingDir != "" {
		p.Cwd = r.Config.WorkingDir
	}
	if x.Config.Tty && !r.Config.Tty {
		p.Env = replaceEnv([]string{"TERM=xterm"}, p.Env)
	}
	root, err := task.Root()
	if err != nil {
		return nil, fmt.Errorf("look into container %s: %w", r.ID, err)
	}
	defer root.Close()
	name := x.User
	if name == "" {
		name = r.Config.User
	}
	if p.User, p.Env, err = findUser(root.File, name, r.HostConfig.GroupAdd, p.Env); err != nil {
		return nil, err
	}
	host, err := defaults.HostCapabilities()
	if err != nil {
		return nil, err
	}
	privileged := x.Privileged || r.HostConfig.Privileged
	granted, _, err := defaults.Grant(host, r.HostConfig.CapAdd, r.HostConfig.CapDrop, privileged)
	if err != nil {
		return nil, err
	}
	s, err := e.security(r.HostConfig, granted)
	if err != nil {
		return nil, err
	}
	p.NoNewPrivileges = s.noNewPrivileges
	p.Capabilities = defaults.CapabilitySets(granted)
	if p.User.UID != 0 && !privileged {
		p.Capabilities.Effective, p.Capabilities.Permitted = nil, nil
	}
	return p, nil
}
