package defaults

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Profiles makes seccomp profiles and remembers the default one for the sets
// of capabilities it has seen. The zero value is ready to be used, by several
// goroutines. What it returns is shared and must not be changed.
type Profiles struct {
	mu    sync.Mutex
	known map[string]*specs.LinuxSeccomp
}

// maxProfiles bounds the memory: clients choose the capabilities.
const maxProfiles = 64

// Default is Docker's default profile for a bounding set: it allows the system
// calls that the capabilities are for.
func (p *Profiles) Default(capabilities []string) (*specs.LinuxSeccomp, error) {
	key := strings.Join(slices.Sorted(slices.Values(capabilities)), " ")
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.known[key]; ok {
		return s, nil
	}
	s, err := seccomp.GetDefaultProfile(holder(capabilities))
	if err != nil {
		return nil, fmt.Errorf("make the default seccomp profile: %w", err)
	}
	if p.known == nil || len(p.known) >= maxProfiles {
		p.known = make(map[string]*specs.LinuxSeccomp)
	}
	p.known[key] = s
	return s, nil
}

// Load reads a profile that a client gave, in Docker's JSON form. What is none
// gives errdefs.ErrInvalidArgument.
func (p *Profiles) Load(profile string, capabilities []string) (*specs.LinuxSeccomp, error) {
	s, err := seccomp.LoadProfile(profile, holder(capabilities))
	if err != nil {
		return nil, fault.Invalid("%w", err)
	}
	return s, nil
}

func holder(capabilities []string) *specs.Spec {
	return &specs.Spec{Process: &specs.Process{Capabilities: CapabilitySets(capabilities)}}
}
