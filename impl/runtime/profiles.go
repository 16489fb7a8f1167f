package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// profilesDirName is no id of a container.
const profilesDirName = ".seccomp"

// profiles are the seccomp profiles that containers used so far. A container with
// one of them gets a short form, whose only rule names it; the shim's executable has
// its program. A shim that does not, which is older, reads the profile in dir. It
// stays there as long as the directory, because containers have the short form
// for good.
type profiles struct {
	dir string

	mu     sync.Mutex
	known  map[string]*specs.LinuxSeccomp // the short forms by key
	all    []protocol.Profile
	closed bool
	// The profile that was asked for last, and its short form, so that the usual
	// case is cheap.
	last, lastShort *specs.LinuxSeccomp
}

// maxProfiles bounds what is kept: clients can bring profiles of their own.
const maxProfiles = 32

// short gives the short form of a known profile, and of others the profile itself.
// A profile that pretends to be a short form gives errdefs.ErrInvalidArgument.
func (p *profiles) short(profile *specs.LinuxSeccomp) (*specs.LinuxSeccomp, error) {
	if profile == nil {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == profile {
		return p.lastShort, nil
	}
	for _, call := range profile.Syscalls {
		for _, name := range call.Names {
			if strings.HasPrefix(name, protocol.ProfilePrefix) {
				return nil, fault.Invalid("invalid seccomp profile: there is no system call %q", name)
			}
		}
	}
	_, key, err := profileKey(profile)
	if err != nil {
		return nil, err
	}
	short, ok := p.known[key]
	if !ok {
		return profile, nil
	}
	p.last, p.lastShort = profile, short
	return short, nil
}

// learn notes a profile. When it is new, compile is called with all there are.
func (p *profiles) learn(profile *specs.LinuxSeccomp, compile func([]protocol.Profile)) {
	if profile == nil || notifies(profile) || len(profile.Syscalls) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.last == profile || len(p.all) >= maxProfiles {
		return
	}
	text, key, err := profileKey(profile)
	if err != nil || p.known[key] != nil || p.write(key, text) != nil {
		return
	}
	if p.known == nil {
		p.known = make(map[string]*specs.LinuxSeccomp)
	}
	p.known[key] = shortForm(profile, key)
	p.all = append(p.all, protocol.Profile{Key: key, Seccomp: profile})
	compile(slices.Clip(p.all))
}

func (p *profiles) write(key string, text []byte) error {
	name := filepath.Join(p.dir, key)
	if _, err := os.Stat(name); err == nil {
		return nil // from an earlier daemon
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	return atomicfile.Write(name, text, 0o600)
}

func (p *profiles) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

// close has nothing learnt any more: compile is not called after it.
func (p *profiles) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

func profileKey(profile *specs.LinuxSeccomp) (text []byte, key string, err error) {
	if text, err = json.Marshal(profile); err != nil {
		return nil, "", fmt.Errorf("read the seccomp profile: %w", err)
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:]), nil
}

// shortForm has the rules of a profile replaced by its name. The action is one that
// differs from the default: rules with that are left out as redundant.
func shortForm(profile *specs.LinuxSeccomp, key string) *specs.LinuxSeccomp {
	action := specs.ActAllow
	if profile.DefaultAction == action {
		action = specs.ActErrno
	}
	short := *profile
	short.Syscalls = []specs.LinuxSyscall{{Names: []string{protocol.ProfilePrefix + key}, Action: action}}
	return &short
}

// notifies says that a profile has an agent decide, which has to do with more than
// the program.
func notifies(profile *specs.LinuxSeccomp) bool {
	return profile.ListenerPath != "" || profile.DefaultAction == specs.ActNotify ||
		slices.ContainsFunc(profile.Syscalls, func(c specs.LinuxSyscall) bool { return c.Action == specs.ActNotify })
}
