package network

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/fault"
)

// Paths of the host's own files.
const (
	resolvConfPath = "/etc/resolv.conf"
	hostsPath      = "/etc/hosts"
	// resolvedConfPath lists the real resolvers where resolvConfPath names only
	// systemd-resolved's stub (systemd-resolved.service(8)).
	resolvedConfPath = "/run/systemd/resolve/resolv.conf"
)

// FilesSpec says what a container's /etc/hosts, /etc/resolv.conf and
// /etc/hostname shall hold.
type FilesSpec struct {
	// Dir gets the files hosts, resolv.conf and hostname. It must exist.
	Dir  string
	Mode Mode
	// Hostname may be a full name; Domainname may be empty.
	Hostname   string
	Domainname string
	// Addresses are the container's own: they name the container in hosts.
	Addresses []netip.Addr
	// ExtraHosts are "name:address" (HostConfig.ExtraHosts).
	ExtraHosts []string
	// Links are further lines of hosts (HostConfig.Links).
	Links []HostEntry
	// DNS, DNSSearch and DNSOptions replace the host's values where given
	// (HostConfig). A DNSSearch of "." alone means no search line.
	DNS        []string
	DNSSearch  []string
	DNSOptions []string
	// Resolver says that the container has a resolver of its own
	// (Sandbox.Resolver): resolv.conf names it instead of DNS.
	Resolver bool
}

// HostEntry is one line of a hosts file.
type HostEntry struct {
	Address netip.Addr
	Names   []string
}

// Files are the paths that WriteFiles wrote.
type Files struct {
	Hosts      string
	ResolvConf string
	Hostname   string
}

// Validate tells what WriteFiles would refuse, so that it can be told when a
// container is created; class InvalidArgument.
func (s FilesSpec) Validate() error {
	for _, h := range s.ExtraHosts {
		if _, err := extraHost(h); err != nil {
			return err
		}
	}
	for _, d := range s.DNS {
		if _, err := netip.ParseAddr(strings.TrimSpace(d)); err != nil {
			return fault.Invalid("%s is not an ip address", d)
		}
	}
	for _, d := range s.DNSSearch {
		if d == "" || strings.ContainsAny(d, " \t\r\n") {
			return fault.Invalid("%s is not a valid domain", d)
		}
	}
	for _, o := range s.DNSOptions {
		if strings.ContainsAny(o, "\r\n") {
			return fault.Invalid("invalid DNS option %q", o)
		}
	}
	for _, name := range []string{s.Hostname, s.Domainname} {
		if strings.ContainsAny(name, " \t\r\n#") {
			return fault.Invalid("invalid hostname format: %q", name)
		}
	}
	return nil
}

// WriteFiles writes the three files, each by rename, so that a reader never
// sees half of one. Class InvalidArgument as Validate; a container of
// ModeContainer uses the files of the container it joins and must not call it.
func WriteFiles(spec FilesSpec) (Files, error) {
	if spec.Mode == ModeContainer {
		return Files{}, fault.Invalid("a container that joins another one's network uses its files")
	}
	if err := spec.Validate(); err != nil {
		return Files{}, err
	}
	out := Files{
		Hosts:      filepath.Join(spec.Dir, "hosts"),
		ResolvConf: filepath.Join(spec.Dir, "resolv.conf"),
		Hostname:   filepath.Join(spec.Dir, "hostname"),
	}
	hosts, err := hostsText(spec)
	if err != nil {
		return Files{}, err
	}
	resolv, err := resolvText(spec)
	if err != nil {
		return Files{}, err
	}
	for _, f := range []struct{ path, text string }{
		{out.Hosts, hosts}, {out.ResolvConf, resolv}, {out.Hostname, spec.Hostname + "\n"},
	} {
		// 0644: the container's processes of any user read them.
		if err := atomicfile.Write(f.path, []byte(f.text), 0o644, atomicfile.AnyUmask()); err != nil {
			return Files{}, fmt.Errorf("write %s: %w", filepath.Base(f.path), err)
		}
	}
	return out, nil
}

// defaultHosts begins a hosts file as Docker's does.
const defaultHosts = `127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
ff00::0	ip6-mcastprefix
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
`

func hostsText(spec FilesSpec) (string, error) {
	var b strings.Builder
	if spec.Mode == ModeHost {
		text, err := os.ReadFile(hostsPath)
		if err != nil && !os.IsNotExist(err) {
			return "", fmt.Errorf("read the host's hosts file: %w", err)
		}
		b.Write(text)
		if len(text) > 0 && text[len(text)-1] != '\n' {
			b.WriteByte('\n')
		}
	} else {
		b.WriteString(defaultHosts)
	}
	for _, h := range spec.ExtraHosts {
		e, err := extraHost(h)
		if err != nil {
			return "", err
		}
		e.write(&b)
	}
	for _, e := range spec.Links {
		e.write(&b)
	}
	if names := ownNames(spec.Hostname, spec.Domainname); len(names) > 0 && spec.Mode != ModeHost {
		for _, a := range spec.Addresses {
			HostEntry{a, names}.write(&b)
		}
	}
	return b.String(), nil
}

// ownNames gives the full name, if there is one, and the short one.
func ownNames(hostname, domainname string) []string {
	full := hostname
	if domainname != "" {
		full += "." + domainname
	}
	if full == "" {
		return nil
	}
	if short, _, dotted := strings.Cut(full, "."); dotted && short != "" {
		return []string{full, short}
	}
	return []string{full}
}

func (e HostEntry) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s\t%s\n", e.Address, strings.Join(e.Names, " "))
}

// extraHost reads "name:address"; the address may be IPv6 with its colons.
func extraHost(text string) (HostEntry, error) {
	name, addr, ok := strings.Cut(text, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t\r\n#") {
		return HostEntry{}, fault.Invalid("bad format for add-host: %q", text)
	}
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return HostEntry{}, fault.Invalid("invalid IP address in add-host: %q", addr)
	}
	return HostEntry{a, []string{name}}, nil
}
