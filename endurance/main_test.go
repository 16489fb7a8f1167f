package endurance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/plugin"
)

var (
	binaries = flag.String("bin", "../bin", "`directory` of berthd and berth-shim")
	keep     = flag.Bool("keep", false, "keep the daemons' directories and logs")
)

// patience bounds a hang: how long one request may take before the test gives
// it up. It is no measure.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	plugin.Main()
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "endurance: a container engine needs root: run the tests as root")
		os.Exit(1)
	}
	// The cgroups have the same names in every run.
	lock, err := os.OpenFile("/tmp/berth-endurance.lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "endurance:", err)
		os.Exit(1)
	}
	defer lock.Close()
	os.Exit(m.Run())
}

// draws gives the source of a test's random draws and prints its seed.
func draws(t *testing.T) (seed uint64, r *rand.Rand) {
	t.Helper()
	seed = rand.Uint64() >> 16
	if s := os.Getenv("BERTH_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("BERTH_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("BERTH_SEED=%d repeats these draws", seed)
	return seed, rand.New(rand.NewPCG(seed, 0))
}

// rounds is BERTH_ROUNDS or the given number.
func rounds(t *testing.T, otherwise int) int {
	t.Helper()
	s := os.Getenv("BERTH_ROUNDS")
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("BERTH_ROUNDS=%q: a number of rounds is wanted", s)
	}
	return n
}

// duration is BERTH_TIME or the given time.
func duration(t *testing.T, otherwise time.Duration) time.Duration {
	t.Helper()
	s := os.Getenv("BERTH_TIME")
	if s == "" {
		return otherwise
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("BERTH_TIME: %v", err)
	}
	return d
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
