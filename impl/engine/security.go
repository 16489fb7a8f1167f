package engine

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
)

// security is what SecurityOpt and Privileged make of a container.
type security struct {
	seccomp         *specs.LinuxSeccomp // nil: unconfined
	noNewPrivileges bool
}

// security reads HostConfig.SecurityOpt: seccomp=unconfined or a profile as
// JSON, no-new-privileges, and the labels of MAC systems, which mean nothing on
// a host without them. Both separators of that era, "=" and ":", are read.
func (e *Engine) security(h *models.HostConfig, capabilities []string) (security, error) {
	var s security
	profile := ""
	for _, option := range h.SecurityOpt {
		if option == "no-new-privileges" {
			s.noNewPrivileges = true
			continue
		}
		i := strings.IndexAny(option, "=:")
		if i < 0 {
			return s, fault.Invalid("Invalid --security-opt: %q", option)
		}
		switch key, value := option[:i], option[i+1:]; key {
		case "seccomp":
			profile = value
		case "no-new-privileges":
			s.noNewPrivileges = value == "true"
		case "label", "apparmor":
		default:
			return s, fault.Invalid("Invalid --security-opt 2: %q", option)
		}
	}
	var err error
	switch {
	case profile == "unconfined" || profile == "" && h.Privileged:
	case profile == "":
		s.seccomp, err = e.profiles.Default(capabilities)
	default:
		s.seccomp, err = e.profiles.Load(profile, capabilities)
	}
	return s, err
}
