package engine

import (
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/host"
)

// checkCpuset refuses processors and memory nodes that the host does not have.
func checkCpuset(h *models.HostConfig) error {
	for _, s := range []struct {
		wanted, field, name string
		available           func() (string, error)
	}{
		{h.CpusetCpus, "cpus", "CPUs", host.CPUs},
		{h.CpusetMems, "mems", "memory nodes", host.MemoryNodes},
	} {
		if s.wanted == "" {
			continue
		}
		wanted, err := host.ParseSet(s.wanted)
		if err != nil {
			return fault.Invalid("Invalid value %s for cpuset %s.", s.wanted, s.field)
		}
		list, err := s.available()
		if err != nil {
			return fault.Internal("find the host's %s: %w", s.name, err)
		}
		available, err := host.ParseSet(list)
		if err != nil {
			return fault.Internal("find the host's %s: %w", s.name, err)
		}
		for n := range wanted {
			if !available[n] {
				return fault.Invalid("Requested %s are not available - requested %s, available: %s.", s.name, s.wanted, list)
			}
		}
	}
	return nil
}
