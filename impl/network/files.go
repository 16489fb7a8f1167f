package network

import (
	"net/netip"

	"github.com/seed-50ced230/berth/impl/fault"
)

// FilesSpec says what a container's /etc/hosts, /etc/resolv.conf and
// /etc/hostname shall hold.
type FilesSpec struct {
	// Dir gets the files hosts, resolv.conf and hostname. It must exist.
	Dir  string
	Mode Mode
	// Hostname without domain. Domainname may be empty.
	Hostname   string
	Domainname string
	// Addresses are the container's own: they name the container in hosts.
	Addresses []netip.Addr
	// ExtraHosts are "name:address" (HostConfig.ExtraHosts).
	ExtraHosts []string
	// DNS, DNSSearch and DNSOptions replace the host's values where given
	// (HostConfig). A DNSSearch of "." alone means no search line.
	DNS        []string
	DNSSearch  []string
	DNSOptions []string
}

// Files are the paths that WriteFiles wrote.
type Files struct {
	Hosts      string
	ResolvConf string
	Hostname   string
}

// WriteFiles writes the three files, each by rename, so that a reader never
// sees half of one. Class InvalidArgument for a malformed ExtraHosts, DNS or
// DNSOptions entry; a container of ModeContainer uses the files of the
// container it joins and must not call it.
func WriteFiles(spec FilesSpec) (Files, error) {
	return Files{}, fault.Unimplemented("network files")
}
