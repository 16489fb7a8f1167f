package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/api/listen"
)

// soon is how long before its end a certificate is worth a warning.
const soon = 30 * 24 * time.Hour

func (e *examination) bridge() {
	if e.Bridge == "" {
		return
	}
	links, err := netlink.LinkList()
	if err != nil {
		e.problem("bridge", err.Error(), "look whether this process may see network devices")
		return
	}
	routes, _ := netlink.RouteList(nil, unix.AF_INET)
	for _, l := range links {
		name := l.Attrs().Name
		if name == e.Bridge && l.Type() != "bridge" {
			e.problem("bridge", fmt.Sprintf("%s is a device of type %s", name, l.Type()), "choose another name with --bridge")
			return
		}
		for _, r := range routes {
			if r.LinkIndex != l.Attrs().Index || r.Dst == nil || name == e.Bridge || !e.BridgeIP.IsValid() {
				continue
			}
			if there, err := netip.ParsePrefix(r.Dst.String()); err == nil && there.Bits() > 0 && there.Overlaps(e.BridgeIP.Masked()) {
				e.problem("bridge", fmt.Sprintf("--bip %s overlaps %s, which the host reaches through %s", e.BridgeIP, there, name), "choose another --bip, or leave it away: a free subnet is found then")
				return
			}
		}
	}
	e.ok("bridge", "%s is free or a bridge, and nothing overlaps it", e.Bridge)
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		at := slices.IndexFunc(links, func(l netlink.Link) bool { return l.Attrs().Index == r.LinkIndex })
		if at >= 0 && links[at].Attrs().MTU < e.MTU {
			e.warn("MTU", fmt.Sprintf("containers have %d, but %s, the way out, only %d: large packets may be lost", e.MTU, links[at].Attrs().Name, links[at].Attrs().MTU),
				fmt.Sprintf("--mtu %d", links[at].Attrs().MTU))
		}
	}
}

func (e *examination) resolver() {
	if len(e.DNS) > 0 {
		return
	}
	usable, loopback := 0, 0
	for line := range strings.Lines(e.read("etc/resolv.conf")) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil && a.IsLoopback() {
			loopback++
		} else if err == nil {
			usable++
		}
	}
	stub := strings.Contains(e.read("run/systemd/resolve/resolv.conf"), "nameserver")
	if usable == 0 && !stub {
		e.warn("name servers", fmt.Sprintf("/etc/resolv.conf has none that a container could reach (%d on the loopback): containers ask 8.8.8.8 and 8.8.4.4", loopback), "name one that they reach with --dns")
		return
	}
	e.ok("name servers", "containers use the host's")
}

func (e *examination) listeners() {
	type place struct{ flag, network, address string }
	var places []place
	for _, h := range e.Hosts {
		scheme, rest, _ := strings.Cut(h, "://")
		switch scheme {
		case "tcp":
			places = append(places, place{"host " + h, "tcp", listen.TCPAddress(rest, e.TLS)})
			e.plain(h, rest)
		case "unix":
			places = append(places, place{"host " + h, "unix", rest})
		case "fd":
			if _, err := os.Stat(e.path("run/systemd/system")); err != nil {
				e.problem("host "+h, "systemd is not the first process here, so it passes no sockets", "use -H unix:///run/berth.sock")
			}
		default:
			e.problem("host "+h, "unknown scheme", "use unix://PATH, tcp://HOST:PORT or fd://")
		}
	}
	for _, flag := range slices.Sorted(maps.Keys(e.Asides)) {
		if e.Asides[flag] != "" {
			places = append(places, place{flag, "tcp", e.Asides[flag]})
		}
	}
	for _, p := range places {
		e.listener(p.flag, p.network, p.address)
	}
	if e.Group == "" {
		return
	}
	if _, err := strconv.Atoi(e.Group); err == nil {
		return
	}
	if _, err := user.LookupGroup(e.Group); err != nil {
		e.problem("group", "there is no group "+e.Group, "groupadd --system "+e.Group+", or choose another --group")
	}
}

func (e *examination) plain(flag, address string) {
	if e.TLS {
		return
	}
	if !e.AllowPlainTCP {
		e.problem("host "+flag, "TCP without TLS is refused: who reaches it is root on this machine", "use --tlsverify with certificates, or --allow-plain-tcp")
		return
	}
	host, _, _ := net.SplitHostPort(listen.TCPAddress(address, false))
	if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.IsLoopback()) {
		e.warn("host "+flag, "TCP without TLS beyond the loopback: everybody who reaches it is root on this machine", "use --tlsverify with certificates, or listen on 127.0.0.1")
	}
}

// listener looks whether an address is free, by listening there for a moment.
func (e *examination) listener(flag, network, address string) {
	if network == "unix" {
		info, err := os.Stat(e.path(address))
		switch {
		case errors.Is(err, os.ErrNotExist):
			e.ok(flag, "free")
		case err == nil && info.Mode()&os.ModeSocket == 0:
			e.problem(flag, "something that is no socket is in the way", "remove it, or choose another -H")
		case err == nil:
			conn, err := net.DialTimeout("unix", e.path(address), time.Second)
			if err != nil {
				e.ok(flag, "free, with the socket of a process that has ended")
				return
			}
			_ = conn.Close()
			e.taken(flag, address)
		}
		return
	}
	l, err := net.Listen(network, address)
	switch {
	case err == nil:
		_ = l.Close()
		e.ok(flag, "free")
	case errors.Is(err, unix.EADDRINUSE):
		e.taken(flag, address)
	default:
		e.problem(flag, err.Error(), "choose an address of this host")
	}
}

// taken is an address that somebody listens on: the daemon itself, if one runs.
func (e *examination) taken(flag, address string) {
	if e.running {
		e.ok(flag, "served, by the berthd that runs or by systemd for it")
		return
	}
	e.problem(flag, "another process listens on "+address, "stop it (ss -ltnxp names it), or choose another address")
}

func (e *examination) certificates() {
	if !e.TLS {
		return
	}
	const advice = "make certificates for this host (docs/security.md has the commands) and name them with --tlscert, --tlskey and --tlscacert"
	pair, err := tls.LoadX509KeyPair(e.Cert, e.Key)
	if err != nil {
		e.problem("certificates", err.Error(), advice)
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		e.problem("certificates", err.Error(), advice)
		return
	}
	if e.CA != "" {
		text, err := os.ReadFile(e.CA)
		if err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
			err = fmt.Errorf("%s holds no certificate", e.CA)
		}
		if err != nil {
			e.problem("certificates", err.Error(), advice)
			return
		}
	} else {
		e.warn("certificates", "clients need none: everybody who reaches the port is root on this machine", "use --tlsverify")
	}
	if info, err := os.Stat(e.Key); err == nil && info.Mode().Perm()&0o007 != 0 {
		e.warn("certificates", e.Key+" can be read by everybody", "chmod o-rwx "+e.Key)
	}
	switch left := time.Until(leaf.NotAfter); {
	case left < 0:
		e.problem("certificates", "the server's ended on "+leaf.NotAfter.Format(time.DateOnly), advice)
	case left < soon:
		e.warn("certificates", "the server's ends on "+leaf.NotAfter.Format(time.DateOnly), advice+"; SIGHUP takes them over")
	default:
		e.ok("certificates", "valid until %s", leaf.NotAfter.Format(time.DateOnly))
	}
}
