package network

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/testbed/plugin"
)

// insideEnv marks the process that runs the tests.
const insideEnv = "BERTH_TEST_OWN_NETNS"

// preparedEnv marks the children of a process that has prepared the host.
const preparedEnv = "BERTH_TEST_PREPARED"

// TestMain runs the tests in a process with a network and a mount namespace of
// its own, where a Manager may do what it does on a host: the machine's devices,
// firewall and mounts are not touched.
func TestMain(m *testing.M) {
	plugin.Main()
	if os.Getenv(insideEnv) == "" {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Env = append(os.Environ(), insideEnv+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
			Pdeathsig:  syscall.SIGKILL,
		}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "network tests need root and namespaces:", err)
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(restlessEnv); dir != "" {
		fmt.Fprintln(os.Stderr, restless(dir))
		os.Exit(1)
	}
	if step := os.Getenv(stepEnv); step != "" {
		fmt.Fprintln(os.Stderr, takeStep(step))
		os.Exit(1)
	}
	if dir := os.Getenv(bareEnv); dir != "" {
		fmt.Fprintln(os.Stderr, openBare(dir))
		os.Exit(1)
	}
	if os.Getenv(preparedEnv) == "" { // else it is go's worker for fuzzing, beside the one that did
		if err := prepareHost(); err != nil {
			fmt.Fprintln(os.Stderr, "prepare the test's network namespace:", err)
			os.Exit(1)
		}
		if err := os.Setenv(preparedEnv, "1"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// The addresses of the test host's "outer" device.
const (
	hostAddr  = "198.51.100.2"
	hostAddr6 = "2001:db8:99::2"
)

// prepareHost gives the fresh namespace lo and a device with an address. The
// device's peer is where outer_test puts another host.
func prepareHost() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "outer"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "wire"}); err != nil {
		return err
	}
	outer, err := netlink.LinkByName("outer")
	if err != nil {
		return err
	}
	for _, addr := range []*netlink.Addr{
		{IPNet: &net.IPNet{IP: net.ParseIP(hostAddr), Mask: net.CIDRMask(24, 32)}},
		{IPNet: &net.IPNet{IP: net.ParseIP(hostAddr6), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD},
	} {
		if err := netlink.AddrAdd(outer, addr); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(outer)
}
