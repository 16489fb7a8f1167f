package engine

import (
	"strings"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
)

// checkConflicts refuses settings of a new container that contradict each
// other: what a shared namespace has already cannot be asked for. c is as the
// client sent it, before the image and defaults come in. Class Conflict, with
// Docker Engine's words.
func checkConflicts(c *models.ContainerConfig, h *models.HostConfig) error {
	other, shared := strings.CutPrefix(h.NetworkMode, "container:")
	if shared && other == "" || h.NetworkMode == "container" {
		return fault.Invalid("--net: invalid net mode: invalid container format container:<name|id>")
	}
	host := h.NetworkMode == "host"
	for _, conflict := range []struct {
		is   bool
		what string
	}{
		{shared && c.Hostname != "", "hostname and the network mode"},
		{h.UTSMode == "host" && c.Hostname != "", "hostname and the UTS mode"},
		{host && len(h.Links) > 0, "host type networking can't be used with links. This would result in undefined behavior"},
		{shared && len(h.Links) > 0, "container type network can't be used with links. This would result in undefined behavior"},
		{shared && len(h.DNS) > 0, "dns and the network mode"},
		{shared && len(h.ExtraHosts) > 0, "custom host-to-IP mapping and the network mode"},
		{(shared || host) && c.MacAddress != "", "mac-address and the network mode"},
		{shared && (len(h.PortBindings) > 0 || h.PublishAllPorts), "port publishing and the container type network mode"},
		{shared && len(c.ExposedPorts) > 0, "port exposing and the container type network mode"},
	} {
		if conflict.is {
			return fault.Conflict("Conflicting options: %s", conflict.what)
		}
	}
	return nil
}
