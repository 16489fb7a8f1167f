package shim

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	programs "github.com/seccomp/libseccomp-golang"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// wholeProfile gives an order its seccomp profile back when this program does not
// know the short form in it.
func wholeProfile(order *protocol.Order) error {
	s := order.OCI.Linux.Seccomp
	if s == nil || len(s.Syscalls) != 1 || len(s.Syscalls[0].Names) != 1 {
		return nil
	}
	whole, err := readProfile(order.Profiles, s.Syscalls[0].Names[0])
	if err == nil && whole != nil {
		order.OCI.Linux.Seccomp = whole
	}
	return err
}

// wholeConfig is the same for a container that was started by another program.
func wholeConfig(order *protocol.Order, s *configs.Seccomp) error {
	if s == nil || len(s.Syscalls) != 1 {
		return nil
	}
	whole, err := readProfile(order.Profiles, s.Syscalls[0].Name)
	if err != nil || whole == nil {
		return err
	}
	config, err := specconv.SetupSeccomp(whole)
	if err != nil {
		return fmt.Errorf("read the seccomp profile: %w", err)
	}
	*s = *config
	return nil
}

// readProfile reads the profile of that name; nil if it is no profile's name, or one
// that this program knows.
func readProfile(dir, name string) (*specs.LinuxSeccomp, error) {
	key, ok := strings.CutPrefix(name, protocol.ProfilePrefix)
	if !ok || programs.Known(name) {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, filepath.Base(key)))
	if err != nil {
		return nil, fmt.Errorf("read the seccomp profile: %w", err)
	}
	whole := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(text, whole); err != nil {
		return nil, fmt.Errorf("read the seccomp profile: %w", err)
	}
	return whole, nil
}
