package shim

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/opencontainers/runc/libcontainer/specconv"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	programs "github.com/seccomp/libseccomp-golang"
)

// Compile reads seccomp profiles (a JSON list) from the standard input and
// writes the table of their programs, to be put at the end of this executable,
// to the standard output. The process is of no use afterwards: libcontainer
// makes a filter only to install it.
func Compile() int {
	if err := compile(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func compile() error {
	var profiles []*specs.LinuxSeccomp
	if err := json.NewDecoder(os.Stdin).Decode(&profiles); err != nil {
		return fmt.Errorf("read the profiles: %w", err)
	}
	table := programs.Table{}
	programs.Observe(func(k programs.Key, program []byte) { table[k] = program })
	for _, p := range profiles {
		config, err := specconv.SetupSeccomp(p)
		if err != nil {
			return fmt.Errorf("read a profile: %w", err)
		}
		if config == nil {
			continue
		}
		if err := installElsewhere(config); err != nil {
			return err
		}
	}
	if _, err := os.Stdout.Write(table.Append(nil)); err != nil {
		return fmt.Errorf("write the programs: %w", err)
	}
	return nil
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
