package network

import (
	"net/netip"
	"os"

	"github.com/seed-50ced230/berth/impl/network/resolver"
)

// Mode is the kind of network stack that a container gets.
type Mode string

const (
	// ModeBridge is a namespace of its own with one endpoint per network.
	ModeBridge Mode = "bridge"
	// ModeNone is a namespace of its own with nothing but lo.
	ModeNone Mode = "none"
	// ModeHost is the engine's own namespace.
	ModeHost Mode = "host"
	// ModeContainer is the namespace of another container.
	ModeContainer Mode = "container"
)

// Protocol of a published port.
type Protocol string

const (
	TCP Protocol = "tcp"
	UDP Protocol = "udp"
)

// SandboxSpec asks for the network of one run of one container.
type SandboxSpec struct {
	// ContainerID is the full id; a container has one sandbox at a time.
	ContainerID string
	// ContainerName is for error texts only.
	ContainerName string
	Mode          Mode
	// JoinContainer is the full id of the container whose namespace is shared;
	// only for ModeContainer.
	JoinContainer string
	// Endpoints are made in this order as eth0, eth1 …; only for ModeBridge,
	// where none means one endpoint on the network "bridge".
	Endpoints []EndpointSpec
	// Ports are published on the address of the first endpoint whose network is
	// not internal; only for ModeBridge.
	Ports []PortSpec
	// DNS are the name servers that the container was given, by address; without
	// any it has the host's. Only for the resolver of user-defined networks.
	DNS []netip.Addr
	// Namespace makes the network namespace, for ModeBridge and ModeNone; nil makes
	// one that belongs to this process's user namespace. The file is closed here.
	Namespace func() (*os.File, error)
}

// EndpointSpec asks for an interface on a network.
type EndpointSpec struct {
	// Network is a name, id or unambiguous id prefix.
	Network string
	// IPv4 asks for this address; zero takes the lowest free one.
	IPv4 netip.Addr
	// IPv6 is the same for a network with IPv6.
	IPv6 netip.Addr
	// MAC asks for this hardware address; nil derives 02:42 plus the address.
	MAC HardwareAddr
	// Aliases are names that the network's containers know this one by, Links
	// names that this one knows others by; only in user-defined networks.
	Aliases []string
	Links   []Link
}

// PortSpec asks for a published port.
type PortSpec struct {
	Proto         Protocol
	ContainerPort uint16
	// HostIP limits the publication to one address of the host; zero is the
	// engine's default binding address (0.0.0.0 unless configured).
	HostIP netip.Addr
	// HostPort 0 takes a random free port from HostPortEnd's range or, without
	// one, from the kernel's net.ipv4.ip_local_port_range.
	HostPort uint16
	// HostPortEnd, when greater than HostPort, makes HostPort–HostPortEnd a
	// range from which the first free port is taken.
	HostPortEnd uint16
}

// Port is a published port: PortSpec with the choice made.
type Port struct {
	Proto         Protocol
	ContainerPort uint16
	HostIP        netip.Addr
	HostPort      uint16
	// Dual says that the port is published on every IPv6 address, too. It is so
	// for ports that nobody gave an address.
	Dual bool `json:",omitempty"`
}

// Sandbox is a snapshot of a container's network while it runs.
type Sandbox struct {
	// ID is 64 lower-case hex digits (SandboxID of container inspect).
	ID          string
	ContainerID string
	Mode        Mode
	// JoinContainer is set for ModeContainer.
	JoinContainer string
	// Key is the path of the network namespace: a bind mount below ExecRoot to
	// be opened for setns(2) or given to the runtime. Empty for ModeHost.
	Key string
	// Endpoints in the order of the spec. ModeHost and ModeNone have one that
	// has ids only; ModeContainer has none.
	Endpoints []Endpoint
	// Ports in the order of the spec.
	Ports []Port
	// DNS as in the spec.
	DNS []netip.Addr `json:",omitempty"`
	// Resolver is set while the container has a name server at
	// resolver.Address: from its first user-defined network to the end.
	Resolver resolver.Ports `json:",omitzero"`
}
