package engine

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/runtime/defaults"
	"github.com/seed-50ced230/berth/impl/volume"
)

// ociSpec is the container's configuration for the runtime.
func (e *Engine) ociSpec(r *container.Record, w *image.Writable, s *network.Sandbox, files network.Files, u userSpace, j *joined) (*specs.Spec, error) {
	h := r.HostConfig
	host, err := defaults.HostCapabilities()
	if err != nil {
		return nil, err
	}
	granted, _, err := defaults.Grant(host, h.CapAdd, h.CapDrop, h.Privileged)
	if err != nil {
		return nil, err
	}
	security, err := e.security(h, granted)
	if err != nil {
		return nil, err
	}
	spec, err := defaults.Spec(defaults.Options{
		Privileged: h.Privileged, Capabilities: granted, ShmSize: h.ShmSize, Seccomp: security.seccomp,
	})
	if err != nil {
		return nil, err
	}
	spec.Root = &specs.Root{Readonly: h.ReadonlyRootfs}
	if err := e.process(spec, r, w, security); err != nil {
		return nil, err
	}
	if err := e.namespaces(spec, r, s, u, j); err != nil {
		return nil, err
	}
	if err := e.mounts(spec, r, files, u, j); err != nil {
		return nil, err
	}
	if err := devices(spec, h.Devices, h.Privileged); err != nil {
		return nil, err
	}
	e.cgroup(spec, r)
	return spec, nil
}

// process fills in what runs and as whom.
func (e *Engine) process(spec *specs.Spec, r *container.Record, w *image.Writable, security security) error {
	p := spec.Process
	p.Args = append([]string{r.Path}, r.Args...)
	p.Env = environment(r, e.linkEnvironment(r))
	p.Terminal = r.Config.Tty
	p.NoNewPrivileges = security.noNewPrivileges
	if r.Config.WorkingDir != "" {
		p.Cwd = r.Config.WorkingDir
	}
	if adj := r.HostConfig.OomScoreAdj; adj != 0 {
		n := int(adj)
		p.OOMScoreAdj = &n
	}
	spec.Hostname = r.Config.Hostname
	spec.Domainname = r.Config.Domainname
	var err error
	if p.User, p.Env, err = e.containerUser(r, w, p.Env); err != nil {
		return err
	}
	if p.User.UID != 0 && !r.HostConfig.Privileged {
		// A user that is not root has no capabilities of its own at the start,
		// as after any exec (capabilities(7)); the bounding set stays.
		p.Capabilities.Effective, p.Capabilities.Permitted = nil, nil
	}
	limits := map[string]specs.POSIXRlimit{}
	for name, u := range e.Ulimits {
		limits[name] = rlimit(name, u.Soft, u.Hard)
	}
	for _, u := range r.HostConfig.Ulimits {
		limits[strings.ToLower(u.Name)] = rlimit(u.Name, u.Soft, u.Hard)
	}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		p.Rlimits = append(p.Rlimits, limits[name])
	}
	return nil
}

func rlimit(name string, soft, hard int64) specs.POSIXRlimit {
	return specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(name), Soft: uint64(soft), Hard: uint64(hard)}
}

// defaultPath is PATH where neither image nor client set one.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is the process's environment: PATH, HOSTNAME, at a terminal TERM,
// and what links give come first, so that the client's own values win.
func environment(r *container.Record, links []string) []string {
	env := []string{"PATH=" + defaultPath, "HOSTNAME=" + r.Config.Hostname}
	if r.Config.Tty {
		env = append(env, "TERM=xterm")
	}
	return replaceEnv(append(env, links...), r.Config.Env)
}

// replaceEnv merges more into env; a later value replaces an earlier one, and a
// name without "=" removes it.
func replaceEnv(env, more []string) []string {
	at := map[string]int{}
	var merged []string
	for _, kv := range append(slices.Clone(env), more...) {
		key, _, set := strings.Cut(kv, "=")
		i, known := at[key]
		switch {
		case known && set:
			merged[i] = kv
		case known:
			merged[i] = ""
		case set:
			at[key] = len(merged)
			merged = append(merged, kv)
		}
	}
	return slices.DeleteFunc(merged, func(kv string) bool { return kv == "" })
}

// namespaces makes the container join what it shares with the host or others.
func (e *Engine) namespaces(spec *specs.Spec, r *container.Record, s *network.Sandbox, u userSpace, j *joined) error {
	set := func(kind specs.LinuxNamespaceType, path string) {
		l := spec.Linux
		l.Namespaces = slices.DeleteFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
		if path != "host" {
			l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
		}
	}
	if u.file != nil {
		set(specs.UserNamespace, descriptorPath(u.file))
	}
	if s.Key == "" {
		set(specs.NetworkNamespace, "host")
	} else {
		set(specs.NetworkNamespace, s.Key)
	}
	if r.HostConfig.UTSMode == "host" {
		set(specs.UTSNamespace, "host")
		spec.Hostname, spec.Domainname = "", ""
	}
	for kind, mode := range map[specs.LinuxNamespaceType]string{
		specs.IPCNamespace: r.HostConfig.IpcMode, specs.PIDNamespace: r.HostConfig.PidMode,
	} {
		if mode == "host" {
			set(kind, "host")
		}
		id, ok := strings.CutPrefix(mode, "container:")
		if !ok {
			continue
		}
		f, err := j.open(e, id, string(kind))
		if err != nil {
			return err
		}
		set(kind, descriptorPath(f))
	}
	return nil
}

// descriptorPath names an open file for other processes.
func descriptorPath(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// mounts adds the container's files of /etc, its volumes and binds, and its
// temporary filesystems, parents before children.
func (e *Engine) mounts(spec *specs.Spec, r *container.Record, files network.Files, u userSpace, j *joined) error {
	var own []specs.Mount
	// What berth keeps has the container's ids on the disk, and is mapped. What
	// else the host has, and programs that keep volumes, has the host's.
	mapped := func(m *specs.Mount) {
		if !u.ids.None() {
			m.Options = append(m.Options, "idmap")
		}
	}
	bind := func(source, destination string, rw bool, propagation string) {
		options := []string{"rbind", "rw"}
		if !rw {
			options[1] = "ro"
		}
		if propagation == "" {
			propagation = "rprivate"
		}
		own = append(own, specs.Mount{Type: "bind", Source: source, Destination: destination, Options: append(options, propagation)})
	}
	taken := map[string]bool{}
	for _, m := range r.Mounts {
		taken[m.Destination] = true
		bind(m.Source, m.Destination, m.RW, m.Propagation)
		if m.Name != "" && m.Driver == volume.DriverLocal {
			mapped(&own[len(own)-1])
		}
		switch m.Propagation {
		case "shared", "rshared":
			spec.Linux.RootfsPropagation = "shared"
		case "slave", "rslave":
			if spec.Linux.RootfsPropagation == "" {
				spec.Linux.RootfsPropagation = "rslave"
			}
		}
	}
	for destination, source := range map[string]string{
		"/etc/hosts": files.Hosts, "/etc/resolv.conf": files.ResolvConf, "/etc/hostname": files.Hostname,
	} {
		if !taken[destination] && source != "" {
			bind(source, destination, !r.HostConfig.ReadonlyRootfs, "")
			mapped(&own[len(own)-1])
		}
	}
	for destination, options := range r.HostConfig.Tmpfs {
		o := []string{"noexec", "nosuid", "nodev"}
		if options != "" {
			o = append(o, strings.Split(options, ",")...)
		}
		own = append(own, specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: path.Clean(destination), Options: o})
	}
	if r.HostConfig.IpcMode != "" {
		source := "/dev/shm"
		if strings.HasPrefix(r.HostConfig.IpcMode, "container:") {
			source = "" // it is borrowed, see below
		}
		spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev/shm" })
		bind(source, "/dev/shm", true, "")
	}
	if r.HostConfig.IpcMode == "host" && !u.ids.None() {
		// Only the user namespace of the queues may mount them anew.
		spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev/mqueue" })
		if _, err := os.Stat("/dev/mqueue"); err == nil {
			bind("/dev/mqueue", "/dev/mqueue", true, "")
		}
	}
	slices.SortStableFunc(own, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
	// What the client mounts over one of the kernel's filesystems replaces it.
	spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool {
		return slices.ContainsFunc(own, func(o specs.Mount) bool { return o.Destination == m.Destination })
	})
	spec.Mounts = append(spec.Mounts, own...)
	id, ok := strings.CutPrefix(r.HostConfig.IpcMode, "container:")
	if !ok {
		return nil
	}
	namespace, err := j.open(e, id, "mnt")
	if err != nil {
		return err
	}
	at := slices.IndexFunc(spec.Mounts, func(m specs.Mount) bool { return m.Type == "bind" && m.Source == "" })
	j.borrow = append(j.borrow, runtime.Borrow{Mount: at, Namespace: namespace, Path: "/dev/shm"})
	return nil
}

// devices gives the container nodes of the host's, each with its own access.
// A directory stands for all devices below it.
func devices(spec *specs.Spec, wanted []deviceMapping, privileged bool) error {
	if privileged {
		return nil // it has all
	}
	for _, d := range wanted {
		access := d.CgroupPermissions
		if access == "" {
			access = "rwm"
		}
		inside := d.PathInContainer
		if inside == "" {
			inside = d.PathOnHost
		}
		source, err := filepath.EvalSymlinks(d.PathOnHost)
		if err != nil {
			return fault.Invalid("error gathering device information while adding custom device %q: %w", d.PathOnHost, err)
		}
		if info, err := os.Stat(source); err == nil && info.IsDir() {
			if err := deviceDir(spec, source, inside, access); err != nil {
				return err
			}
			continue
		}
		if err := addDevice(spec, source, inside, access); err != nil {
			return err
		}
	}
	return nil
}

func deviceDir(spec *specs.Spec, source, inside, access string) error {
	return filepath.WalkDir(source, func(p string, entry os.DirEntry, err error) error {
		if err != nil {
			return fault.Invalid("error gathering device information while adding custom device %q: %w", source, err)
		}
		if entry.Type()&os.ModeDevice == 0 {
			return nil
		}
		rel, err := filepath.Rel(source, p)
		if err != nil {
			return err
		}
		return addDevice(spec, p, path.Join(inside, rel), access)
	})
}

func addDevice(spec *specs.Spec, source, inside, access string) error {
	device, rule, err := defaults.Device(source, inside, access)
	if err != nil {
		return fault.Invalid("error gathering device information while adding custom device %q: %w", source, err)
	}
	spec.Linux.Devices = append(spec.Linux.Devices, device)
	spec.Linux.Resources.Devices = append(spec.Linux.Resources.Devices, rule)
	return nil
}

// cgroup places and limits the container.
func (e *Engine) cgroup(spec *specs.Spec, r *container.Record) {
	parent := r.HostConfig.CgroupParent
	if parent == "" {
		parent = e.CgroupParent
	}
	if e.CgroupDriver == "systemd" {
		if parent == "" {
			parent = "system.slice"
		}
		spec.Linux.CgroupsPath = parent + ":berth:" + r.ID
	} else {
		if parent == "" {
			parent = "/berth"
		}
		spec.Linux.CgroupsPath = path.Join("/", parent, r.ID)
	}
	can := e.controls()
	limits(spec.Linux.Resources, r.HostConfig, can)
	if e.CgroupDriver == "systemd" && spec.Linux.Resources.Pids == nil && can.Pids {
		// A scope would have systemd's DefaultTasksMax (systemd-system.conf(5)).
		unlimited := int64(-1)
		spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: &unlimited}
	}
	if can.Unified {
		// Its /sys/fs/cgroup is the container's own part of the hierarchy, and not
		// the host's with all that runs there.
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
}
