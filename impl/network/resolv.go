package network

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/impl/network/resolver"
)

// fallbackNameservers are used when the host has no resolver that a container
// could reach, as Docker does.
var fallbackNameservers = [...]string{"8.8.8.8", "8.8.4.4"}

// stubResolver is the address of systemd-resolved on the host's loopback.
const stubResolver = "127.0.0.53"

func resolvText(spec FilesSpec) (string, error) {
	text, err := hostResolvConf(spec.Mode)
	if err != nil {
		return "", err
	}
	if spec.Resolver {
		return ownResolver(text, spec), nil
	}
	if len(spec.DNS) == 0 && len(spec.DNSSearch) == 0 && len(spec.DNSOptions) == 0 {
		if spec.Mode == ModeHost {
			return text, nil
		}
		return reachable(text, spec.ipv6()), nil
	}
	servers, search, options := spec.DNS, spec.DNSSearch, spec.DNSOptions
	if len(servers) == 0 {
		if spec.Mode != ModeHost {
			text = reachable(text, spec.ipv6())
		}
		for _, a := range nameservers(text) {
			servers = append(servers, a.String())
		}
	}
	if len(search) == 0 {
		search = lastLine(text, "search", "domain")
	}
	if len(options) == 0 {
		options = lastLine(text, "options")
	}
	return buildResolvConf(servers, search, options), nil
}

// ownResolver is the resolv.conf of a container of user-defined networks. With
// ndots:0, as Docker Engine has it, a container's name is not looked for in the
// search domains first; who gives ndots keeps it.
func ownResolver(host string, spec FilesSpec) string {
	search, options := spec.DNSSearch, spec.DNSOptions
	if len(search) == 0 {
		search = lastLine(host, "search", "domain")
	}
	if len(options) == 0 {
		options = lastLine(host, "options")
	}
	if !slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(strings.TrimSpace(o), "ndots:") }) {
		options = append(slices.Clone(options), "ndots:0")
	}
	return buildResolvConf([]string{resolver.Address}, search, options)
}

// hostResolvConf reads the host's file; a host without one has an empty one.
// The stub of systemd-resolved, which only the host's own namespace reaches, is
// replaced by the resolvers behind it.
func hostResolvConf(mode Mode) (string, error) {
	text, err := os.ReadFile(resolvConfPath)
	if err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("read the host's resolv.conf: %w", err)
	}
	if mode == ModeHost {
		return string(text), nil
	}
	if list := nameservers(string(text)); len(list) == 1 && list[0].String() == stubResolver {
		if real, err := os.ReadFile(resolvedConfPath); err == nil {
			return string(real), nil
		}
	}
	return string(text), nil
}

func buildResolvConf(servers, search, options []string) string {
	var b strings.Builder
	if len(search) > 0 && !(len(search) == 1 && search[0] == ".") {
		fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
	}
	for _, s := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", strings.TrimSpace(s))
	}
	if text := strings.TrimSpace(strings.Join(options, " ")); text != "" {
		fmt.Fprintf(&b, "options %s\n", text)
	}
	return b.String()
}

// ipv6 tells whether the container has an IPv6 address.
func (s FilesSpec) ipv6() bool { return slices.ContainsFunc(s.Addresses, netip.Addr.Is6) }

// reachable leaves out the nameservers that a namespace with a loopback of its
// own and perhaps without IPv6 cannot reach, and adds the fallback if none remains.
func reachable(text string, ipv6 bool) string {
	var b strings.Builder
	left := 0
	for line := range strings.Lines(text) {
		if a, ok := nameserver(line); ok {
			if a.IsLoopback() || a.Is6() && !ipv6 {
				continue
			}
			left++
		}
		b.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			b.WriteByte('\n')
		}
	}
	if left == 0 {
		for _, s := range fallbackNameservers {
			fmt.Fprintf(&b, "nameserver %s\n", s)
		}
	}
	return b.String()
}

// nameservers gives the addresses of a resolv.conf (resolv.conf(5)).
func nameservers(text string) []netip.Addr {
	var list []netip.Addr
	for line := range strings.Lines(text) {
		if a, ok := nameserver(line); ok {
			list = append(list, a)
		}
	}
	return list
}

func nameserver(line string) (netip.Addr, bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != "nameserver" {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(fields[1])
	return a, err == nil
}

// lastLine gives the words after one of the keywords; of several such lines the
// last one counts (resolv.conf(5)).
func lastLine(text string, keywords ...string) []string {
	var words []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		for _, k := range keywords {
			if len(fields) > 0 && fields[0] == k {
				words = fields[1:]
			}
		}
	}
	return words
}
