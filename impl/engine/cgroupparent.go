package engine

import (
	"strings"

	"github.com/opencontainers/cgroups/systemd"

	"github.com/seed-50ced230/berth/impl/fault"
)

// checkCgroupParent refuses a parent that systemd would not have: there it is a
// slice (systemd.slice(5)), and for the driver cgroupfs a path.
func (e *Engine) checkCgroupParent(parent string) error {
	if strings.ContainsAny(parent, "\x00\n") {
		return fault.Invalid("cgroup-parent %q is no path", parent)
	}
	if parent == "" || e.CgroupDriver != "systemd" {
		return nil
	}
	// "-.slice" is the root of all.
	if _, err := systemd.ExpandSlice(parent); err != nil || len(parent) <= len(".slice") || strings.Contains(parent, ":") {
		return fault.Invalid("cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\", not %q", parent)
	}
	return nil
}
