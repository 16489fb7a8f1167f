package shim

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/opencontainers/runc/libcontainer/specconv"
	programs "github.com/seccomp/libseccomp-golang"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// Compile reads seccomp profiles (a JSON list of protocol.Profile) from the
// standard input and writes the table of their programs, to be put at the end of
// this executable, to the standard output. The process is of no use afterwards:
// libcontainer makes a filter only to install it.
func Compile() int {
	if err := compile(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func compile() error {
	var profiles []protocol.Profile
	if err := json.NewDecoder(os.Stdin).Decode(&profiles); err != nil {
		return fmt.Errorf("read the profiles: %w", err)
	}
	table := programs.Table{}
	var made programs.Program
	programs.Observe(func(k programs.Key, p programs.Program) { table[k], made = p, p })
	for _, p := range profiles {
		config, err := specconv.SetupSeccomp(p.Seccomp)
		if err != nil {
			return fmt.Errorf("read a profile: %w", err)
		}
		if config == nil {
			continue
		}
		if err := installElsewhere(config); err != nil {
			return err
		}
		var key programs.Key
		if n, err := hex.Decode(key[:], []byte(p.Key)); err != nil || n != len(key) {
			return fmt.Errorf("a profile has the key %q", p.Key)
		}
		if made.Last, err = lastCalls(config); err != nil {
			return err
		}
		table[key] = made
	}
	if _, err := os.Stdout.Write(table.Append(nil)); err != nil {
		return fmt.Errorf("write the programs: %w", err)
	}
	return nil
}

// lastCalls finds the greatest number of a system call in a profile, for each of its
// architectures and the kernel's own. libcontainer has a filter answer ENOSYS to
// all later ones, and finds it among the rules, which short forms do not have.
func lastCalls(config *configs.Seccomp) (map[programs.ScmpArch]programs.ScmpSyscall, error) {
	native, err := programs.GetNativeArch()
	if err != nil {
		return nil, fmt.Errorf("find the kernel's architecture: %w", err)
	}
	archs := []programs.ScmpArch{native}
	for _, name := range config.Architectures {
		arch, err := programs.GetArchFromString(name)
		if err != nil {
			return nil, fmt.Errorf("a profile's architecture: %w", err)
		}
		archs = append(archs, arch)
	}
	last := map[programs.ScmpArch]programs.ScmpSyscall{}
	for _, arch := range archs {
		for _, rule := range config.Syscalls {
			if call, err := programs.GetSyscallFromNameByArch(rule.Name, arch); err == nil && call > last[arch] {
				last[arch] = call
			}
		}
	}
	return last, nil
}

// installElsewhere installs a filter on a thread that ends then, so that the
// next one can be installed whatever this one forbids. (libcontainer installs
// filters on one thread only.)
func installElsewhere(config *configs.Seccomp) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err := seccomp.InitSeccomp(config)
		if err == nil && fd >= 0 {
			err = fmt.Errorf("profiles that notify are not compiled in advance")
		}
		done <- err
	}()
	return <-done
}
