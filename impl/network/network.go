package network

import (
	"net"
	"net/netip"
	"time"
)

// Names of the networks that always exist and cannot be removed.
const (
	NameBridge = "bridge"
	NameHost   = "host"
	NameNone   = "none"
)

// Network is a snapshot of a network: what the networks section of the Remote
// API (v1.21 and later) shows. It is the caller's copy.
type Network struct {
	// ID is 64 lower-case hex digits, the same over restarts.
	ID   string
	Name string
	// Driver is "bridge", "macvlan", "host", "null" or a plugin's name.
	Driver string
	// Scope is "local".
	Scope      string
	Internal   bool
	EnableIPv6 bool
	IPAM       IPAM
	Options    map[string]string
	Labels     map[string]string
	Created    time.Time
	// Predefined is true for bridge, host and none.
	Predefined bool
	// Endpoints are the running containers' places in the network, by container id.
	Endpoints map[string]Endpoint
}

// IPAM says where a network's addresses come from.
type IPAM struct {
	// Driver is "default" or a plugin's name.
	Driver  string
	Options map[string]string
	// Config is empty, not nil, when the network has no addresses (host, none).
	Config []IPAMConfig
}

// IPAMConfig is one pool. Values that were neither given nor shown by Docker
// are the zero Prefix or Addr.
type IPAMConfig struct {
	Subnet       netip.Prefix
	IPRange      netip.Prefix
	Gateway      netip.Addr
	AuxAddresses map[string]netip.Addr
	// Chosen is true when nobody gave the pool: the engine chose it.
	Chosen bool
}

// Endpoint is one interface of a sandbox on one network. In the networks host
// and none only the ids are set.
type Endpoint struct {
	NetworkID   string
	NetworkName string
	// EndpointID is 64 lower-case hex digits, new at every start.
	EndpointID string
	// Interface is the name inside the sandbox, "eth0" for the first one.
	Interface string
	// HostInterface is the name of the host's side.
	HostInterface string
	// Source is the host's name of an interface that a plugin lent.
	Source string `json:",omitempty"`
	// Direct says that the interface stands in a network of the host's own
	// (macvlan), where nothing is published or translated.
	Direct bool `json:",omitempty"`
	MAC    HardwareAddr
	// IPv4 is the address with the subnet's prefix length.
	IPv4        netip.Prefix
	IPv4Gateway netip.Addr
	IPv6        netip.Prefix
	IPv6Gateway netip.Addr
	Aliases     []string
	// Links are further names that only this container knows.
	Links []Link `json:",omitempty"`
}

// Link is a name that a container gives to another one of the same network.
type Link struct {
	// Target is the other container's name, id or alias.
	Target string
	Alias  string
}

// HardwareAddr is a net.HardwareAddr that is text ("02:42:ac:11:00:02") in JSON.
type HardwareAddr net.HardwareAddr

// String gives the colon form, "" for no address.
func (a HardwareAddr) String() string { return net.HardwareAddr(a).String() }

// MarshalText implements encoding.TextMarshaler.
func (a HardwareAddr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *HardwareAddr) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = nil
		return nil
	}
	mac, err := net.ParseMAC(string(text))
	if err != nil {
		return err
	}
	*a = HardwareAddr(mac)
	return nil
}
