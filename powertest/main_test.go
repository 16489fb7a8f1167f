package powertest

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/disk"
)

var binaries = flag.String("bin", "../bin", "`directory` of berthd and berth-shim")

// inside says that a process has a mount namespace of its own.
const inside = "BERTH_POWER_INSIDE"

// patience bounds a hang; it is no measure.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	disk.Main()
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "powertest: disks are made and mounted: run the tests as root")
		os.Exit(1)
	}
	if os.Getenv(inside) == "" {
		os.Exit(again())
	}
	os.Exit(m.Run())
}

// again runs this program in a mount namespace of its own: with it, however it ends,
// the mounts end.
func again() (status int) {
	// The cgroups have the same names in every run.
	lock, err := os.OpenFile("/tmp/berth-power.lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "powertest:", err)
		return 1
	}
	defer lock.Close()
	runtime.LockOSThread() // whose end is the signal for the other process
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "powertest:", err)
		return 1
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	signal.Ignore(syscall.SIGINT) // of the terminal: the other one has it, too
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "powertest:", err)
	return 1
}

// draws gives the source of a test's random draws and prints its seed.
func draws(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64() >> 16
	if s := os.Getenv("POWER_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("POWER_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("POWER_SEED=%d repeats these draws", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// setting is a number from the environment.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: a number is wanted", name, s)
	}
	return n
}

// disks starts a server of disks that ends with the test.
func disks(t *testing.T) *disk.Server {
	t.Helper()
	s, err := disk.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
