// Package network gives containers their network: the predefined networks
// bridge, host and none, a namespace per container, addresses, and published
// ports.
//
// All of it happens in the process through netlink: a bridge device, a veth
// pair per endpoint, and one nftables table of the engine's own in which a
// published port is one map element.
//
// The life of a sandbox: the engine calls NewSandbox before it starts a
// container, gives Sandbox.Key to the runtime, and calls Release when the
// container is gone. Sandboxes outlive the Manager: nothing is torn down by
// Close, and Open finds what an earlier Manager (which may have been killed)
// made. After Open the engine says with Reconcile which containers still run;
// everything else is removed.
//
// Errors carry a class of github.com/containerd/errdefs and, where the API's
// users see them, the API's words.
package network

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Options configure a Manager. The zero value of a field asks for its default.
type Options struct {
	// Root is the directory for what must survive a reboot: network ids and
	// definitions. Required.
	Root string
	// ExecRoot is the directory for what need not: namespace mounts below
	// netns/ and the state of sandboxes below network/. Required; best on tmpfs.
	ExecRoot string
	// Bridge is the device of the default network ("berth0"), at most 15 bytes.
	// A device that exists with an address is used as it is. The nftables table
	// bears the same name, so that two engines on a host do not meet.
	Bridge string
	// BridgeIP is the bridge's own address with the subnet's length (dockerd's
	// --bip). Zero chooses a free subnet and remembers it.
	BridgeIP netip.Prefix
	// FixedCIDR limits the addresses of containers to a part of the subnet.
	FixedCIDR netip.Prefix
	// DefaultGateway is the gateway of containers if it is not the bridge.
	DefaultGateway netip.Addr
	// MTU of the containers' interfaces (1500).
	MTU int
	// DisableICC keeps containers of the default network from each other.
	DisableICC bool
	// DisableMasquerade leaves the containers' addresses on outgoing packets.
	DisableMasquerade bool
	// HostIP is the default address of published ports (0.0.0.0).
	HostIP netip.Addr
	// Logger gets what no caller can be told (slog.Default()).
	Logger *slog.Logger
}

// Manager owns the networks of one engine. Its methods may be called at once
// from many goroutines; those for one container id are run one after another.
type Manager struct{}

// Open makes the default network's device and the nftables table, and takes
// over the sandboxes of an earlier Manager with their addresses and ports.
// It fails with class Unavailable where the kernel lacks nftables.
func Open(opts Options) (*Manager, error) {
	return nil, fault.Unimplemented("network")
}

// Close lets go of the ports' sockets. Namespaces, devices and rules stay.
func (m *Manager) Close() error { return nil }

// Reconcile keeps the sandboxes of the containers for which alive is true and
// releases all others, with whatever an interrupted NewSandbox left behind.
func (m *Manager) Reconcile(ctx context.Context, alive func(containerID string) bool) error {
	return fault.Unimplemented("network")
}

// NewSandbox makes the network of a container. When it fails nothing of it
// stays. A sandbox that the container already has is released first.
//
// Classes: NotFound (network, container to join), InvalidArgument, Conflict
// (port or address taken), Unavailable (no address left), Internal.
func (m *Manager) NewSandbox(ctx context.Context, spec SandboxSpec) (*Sandbox, error) {
	return nil, fault.Unimplemented("network")
}

// Sandbox gives the sandbox of a container, which may be of an earlier
// Manager; class NotFound if it has none.
func (m *Manager) Sandbox(containerID string) (*Sandbox, error) {
	return nil, fault.Unimplemented("network")
}

// Release removes the container's sandbox: ports and addresses are free when
// it returns, or as soon as the kernel has let go of the interface. It is no
// error if there is none.
func (m *Manager) Release(ctx context.Context, containerID string) error {
	return fault.Unimplemented("network")
}

// Networks lists all networks, predefined ones included, by name.
func (m *Manager) Networks() []Network { return nil }

// Network finds a network by name, id or unambiguous id prefix, in this order.
func (m *Manager) Network(nameOrID string) (Network, error) {
	return Network{}, fault.NotFound("network %s not found", nameOrID)
}
