package network

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// hostFirewall is what a careful host has: nothing comes in but answers, and what
// the host says itself on its loopback device.
const hostFirewall = `table inet hostfw {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iif lo accept
		meta l4proto ipv6-icmp accept
	}
	chain output {
		type filter hook output priority filter; policy accept;
	}
}
`

// TestBesideHostFirewall: a host firewall closes the host and not the published
// ports, and may be loaded again at any time.
func TestBesideHostFirewall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules")
	must(t, os.WriteFile(path, []byte(hostFirewall), 0o600))
	run(t, "nft", "-f", path)
	t.Cleanup(func() { run(t, "nft", "delete", "table", "inet", "hostfw") })
	e := newEnv(t)
	far := farHost(t)
	e.create(CreateSpec{Name: "six", EnableIPv6: true, IPAM: dual("10.60.0.0/24", "fd00:60::/64")})
	web := e.start(SandboxSpec{ContainerID: "web", Endpoints: []EndpointSpec{{Network: "six"}}, Ports: []PortSpec{
		{Proto: TCP, ContainerPort: 80, HostPort: 8080}, {Proto: UDP, ContainerPort: 53, HostPort: 5353}}})
	other := e.start(SandboxSpec{ContainerID: "other", Endpoints: []EndpointSpec{{Network: "six"}}})
	answer(t, web, TCP, 80, "web")
	answer(t, web, UDP, 53, "web")
	answer(t, &Sandbox{Key: far}, TCP, 7, "far")
	answer(t, &Sandbox{}, TCP, 9002, "host")
	check := func(when string) {
		t.Helper()
		want(t, when+"other host", far, TCP, hostAddr+":8080", "web")
		want(t, when+"other host by UDP", far, UDP, hostAddr+":5353", "web")
		want(t, when+"other host by IPv6", far, TCP, at(hostAddr6, 8080), "web")
		want(t, when+"host", "", TCP, "127.0.0.1:8080", "web")
		want(t, when+"host by ::1", "", TCP, "[::1]:8080", "web")
		want(t, when+"neighbour by the published port", other.Key, TCP, hostAddr+":8080", "web")
		want(t, when+"container to the outside", web.Key, TCP, farAddr+":7", "far")
		refuse(t, when+"other host to the host", far, TCP, hostAddr+":9002")
		refuse(t, when+"container to the host", web.Key, TCP, hostAddr+":9002")
	}
	check("")
	run(t, "nft", "delete", "table", "inet", "hostfw")
	run(t, "nft", "-f", path)
	check("loaded again: ")
	run(t, "nft", "flush", "ruleset") // as many a firewall's start does
	run(t, "nft", "-f", path)
	waitFor(t, "table", func() bool { n, err := e.table.Count(); return err == nil && n > 0 })
	check("flushed and loaded again: ")
	e.release("web")
	e.release("other")
}

// bareEnv makes the test's process a daemon on a kernel without nftables; its
// value is the directory.
const bareEnv = "BERTH_TEST_BARE"

// openBare opens a Manager where the kernel refuses sockets of netfilter, as one
// does that has iptables-legacy only.
func openBare(dir string) error {
	const load, jump, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	// struct seccomp_data: nr, arch, ip, args; the low halves of args 0 and 2.
	filter := []unix.SockFilter{
		{Code: load, K: 0},
		{Code: jump, K: unix.SYS_SOCKET, Jf: 5},
		{Code: load, K: 16},
		{Code: jump, K: unix.AF_NETLINK, Jf: 3},
		{Code: load, K: 32},
		{Code: jump, K: unix.NETLINK_NETFILTER, Jf: 1},
		{Code: give, K: 0x00050000 | uint32(unix.EPROTONOSUPPORT)}, // SECCOMP_RET_ERRNO
		{Code: give, K: 0x7fff0000},                                // SECCOMP_RET_ALLOW
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, 1, 1, uintptr(unsafe.Pointer(&program))); errno != 0 { // SET_MODE_FILTER, TSYNC
		return fmt.Errorf("seccomp: %w", errno)
	}
	_, err := Open(Options{Root: filepath.Join(dir, "root"), ExecRoot: filepath.Join(dir, "exec"), Bridge: "berthtest0"})
	if errdefs.IsUnavailable(err) {
		return fmt.Errorf("unavailable: %w", err)
	}
	return fmt.Errorf("another class: %w", err)
}

// TestNoNftables: on a host that has iptables-legacy only the start says so.
func TestNoNftables(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), bareEnv+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err == nil || !strings.HasPrefix(text, "unavailable: open networks: cannot install the nftables table berthtest0") ||
		!strings.Contains(text, "rules of iptables-legacy are no substitute") || !strings.Contains(text, "protocol not supported") {
		t.Errorf("%v: %s", err, text)
	}
	_ = exec.Command("ip", "link", "del", "berthtest0").Run()
}
