package defaults

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Capabilities are granted to a container that asks for nothing.
func Capabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
		"CAP_AUDIT_WRITE",
	}
}

// HostCapabilities is this process's bounding set: no container can have more
// (capabilities(7)). On a machine that is itself confined it is not the full
// set.
func HostCapabilities() ([]string, error) {
	self, err := capability.NewPid2(0)
	if err == nil {
		err = self.Load()
	}
	if err != nil {
		return nil, fmt.Errorf("read the own capabilities: %w", err)
	}
	var names []string
	for _, c := range capability.ListKnown() {
		if self.Get(capability.BOUNDING, c) {
			names = append(names, name(c))
		}
	}
	return names, nil
}

func name(c capability.Cap) string { return "CAP_" + strings.ToUpper(c.String()) }

// Grant computes a container's bounding set: the default one, or all for a
// privileged container, with what add and drop say ("ALL" is a name, too; the
// prefix CAP_ and the case do not matter; one that is both added and dropped by
// name stays). What the host does not have itself is left out and listed in
// missing. A name that does not exist gives errdefs.ErrInvalidArgument.
func Grant(host, add, drop []string, privileged bool) (granted, missing []string, err error) {
	addNames, addAll, err := parse("add", add)
	if err != nil {
		return nil, nil, err
	}
	dropNames, dropAll, err := parse("drop", drop)
	if err != nil {
		return nil, nil, err
	}
	supported, err := capability.ListSupported()
	if err != nil {
		return nil, nil, fmt.Errorf("list the kernel's capabilities: %w", err)
	}
	usual := Capabilities()
	for _, c := range supported {
		n := name(c)
		var has bool
		switch {
		case privileged, slices.Contains(addNames, n):
			has = true
		case dropAll, slices.Contains(dropNames, n):
			has = false
		default:
			has = addAll || slices.Contains(usual, n)
		}
		if has && slices.Contains(host, n) {
			granted = append(granted, n)
		} else if has {
			missing = append(missing, n)
		}
	}
	return granted, missing, nil
}

func parse(verb string, list []string) (names []string, all bool, err error) {
	known := capability.ListKnown()
	for _, s := range list {
		n := strings.ToUpper(s)
		if n == "ALL" {
			all = true
			continue
		}
		if !strings.HasPrefix(n, "CAP_") {
			n = "CAP_" + n
		}
		if !slices.ContainsFunc(known, func(c capability.Cap) bool { return name(c) == n }) {
			return nil, false, fault.Invalid("Unknown capability to %s: %q", verb, s)
		}
		names = append(names, n)
	}
	return names, all, nil
}

// CapabilitySets gives the sets of a process from its bounding set. Nothing is
// inheritable (CVE-2022-24769).
func CapabilitySets(bounding []string) *specs.LinuxCapabilities {
	return &specs.LinuxCapabilities{Bounding: bounding, Effective: bounding, Permitted: bounding}
}
