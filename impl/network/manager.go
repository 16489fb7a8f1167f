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
// made. After Open the engine offers the names of containers with ServeNames and says with Reconcile which containers still run;
// everything else is removed.
//
// Errors carry a class of github.com/containerd/errdefs and, where the API's
// users see them, the API's words.
package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/firewall"
	"github.com/seed-50ced230/berth/impl/network/hostport"
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
	// NoDefault asks for no default network at all (dockerd's --bridge none); Bridge
	// and what is for the default network does not count then.
	NoDefault bool
	// BridgeIP is the bridge's own address with the subnet's length (dockerd's
	// --bip). Zero chooses a free subnet and remembers it.
	BridgeIP netip.Prefix
	// FixedCIDR limits the addresses of containers to a part of the subnet.
	FixedCIDR netip.Prefix
	// FixedCIDR6 is the default network's IPv6 subnet; zero means no IPv6 there.
	FixedCIDR6 netip.Prefix
	// DefaultGateway6 is the gateway of its containers if it is not the bridge.
	DefaultGateway6 netip.Addr
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
	// Plugins find the drivers that are plugins; nil without.
	Plugins Plugins
	// Logger gets what no caller can be told (slog.Default()).
	Logger *slog.Logger
}

// Directories below Options.ExecRoot.
const (
	NamespacesDir = "netns"
	SandboxesDir  = "network"
)

// Manager owns the networks of one engine. Its methods may be called at once
// from many goroutines; those for one container id are run one after another.
type Manager struct {
	opts  Options
	log   *slog.Logger
	table *firewall.Table
	ports hostport.Table
	flows flows
	// relays are by hostport.Key; values are *relay.Relay.
	relays sync.Map
	// unwatch ends the watch over the host's firewall.
	unwatch func()
	reap    *reaper
	spare   spare
	busy    keyedMutex // by container id
	names   names
	hosts   sync.Mutex // held while a running container's hosts file is edited
	// changes is held while networks are made and removed.
	changes sync.Mutex

	// leaving are endpoints that plugins are being told of.
	leaving sync.WaitGroup
	// kept are debts to plugins that could not be reached, by id (*debt).
	kept    sync.Map
	dunning sync.WaitGroup
	life    context.Context // ends with Close
	end     context.CancelFunc

	mu        sync.Mutex // guards the maps, never held over kernel I/O
	networks  map[string]*network
	sandboxes map[string]*Sandbox // by container id; values are never changed
}

// maxDeviceName is IFNAMSIZ without the final NUL.
const maxDeviceName = 15

// Open makes the default network's device and the nftables table, and takes
// over the sandboxes of an earlier Manager with their addresses and ports.
// It fails with class Unavailable where the kernel lacks nftables.
func Open(opts Options) (*Manager, error) {
	if opts.Root == "" || opts.ExecRoot == "" {
		return nil, errors.New("open networks: Root and ExecRoot are required")
	}
	if opts.Bridge == "" {
		opts.Bridge = "berth0"
	}
	if opts.NoDefault {
		// The table has to have a name of this engine's own.
		sum := sha256.Sum256([]byte(opts.Root))
		opts.Bridge = devicePrefix + hex.EncodeToString(sum[:4])
	}
	if !validDevice(opts.Bridge) {
		return nil, fault.Invalid("invalid bridge name %q: not a device name of at most %d bytes", opts.Bridge, maxDeviceName)
	}
	if opts.MTU == 0 {
		opts.MTU = 1500
	}
	if !validMTU(opts.MTU) {
		return nil, fault.Invalid("invalid MTU %d", opts.MTU)
	}
	if !opts.HostIP.IsValid() {
		opts.HostIP = netip.IPv4Unspecified()
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	m := &Manager{
		opts:      opts,
		log:       opts.Logger,
		table:     firewall.New(opts.Bridge, devicePrefix),
		reap:      newReaper(opts.Logger),
		spare:     spare{log: opts.Logger},
		networks:  make(map[string]*network),
		sandboxes: make(map[string]*Sandbox),
	}
	m.life, m.end = context.WithCancel(context.Background())
	for _, dir := range []string{opts.Root, m.netnsDir(), m.stateDir()} {
		// 0711: a container's process may pass to its own namespace file.
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("open networks: %w", err)
		}
	}
	for _, dir := range []string{m.debtsDir(), m.devicesDir()} {
		// They are made when they are needed, too: a start must do with a disk that
		// is full or read-only.
		_ = os.Mkdir(dir, 0o700)
	}
	if err := m.openNetworks(); err != nil {
		return nil, fmt.Errorf("open networks: %w", err)
	}
	if err := m.restore(); err != nil {
		return nil, errors.Join(fmt.Errorf("open networks: %w", err), m.Close())
	}
	return m, nil
}

// Close lets go of the ports and of the kernel's sockets. Namespaces, devices and rules stay.
func (m *Manager) Close() error {
	if m.unwatch != nil {
		m.unwatch()
	}
	m.end()
	m.dunning.Wait()
	m.leaving.Wait() // bounded: closePatience
	errs := []error{m.closeNames()}
	m.spare.close()
	m.reap.close()
	m.closeRelays()
	m.flows.close()
	m.ports.Close()
	if err := errors.Join(append(errs, m.table.Close())...); err != nil {
		return fmt.Errorf("close networks: %w", err)
	}
	return nil
}

// HasDefault tells whether there is a default network.
func (m *Manager) HasDefault() bool { return !m.opts.NoDefault }

// Reconcile keeps the sandboxes of the containers for which alive is true and
// releases all others.
func (m *Manager) Reconcile(ctx context.Context, alive func(containerID string) bool) error {
	m.mu.Lock()
	var gone []string
	for id := range m.sandboxes {
		if !alive(id) {
			gone = append(gone, id)
		}
	}
	m.mu.Unlock()
	var errs []error
	for _, id := range gone {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, m.Release(ctx, id))
	}
	return errors.Join(errs...)
}

// Sandbox gives the sandbox of a container, which may be of an earlier
// Manager; class NotFound if it has none.
func (m *Manager) Sandbox(containerID string) (*Sandbox, error) {
	m.mu.Lock()
	s := m.sandboxes[containerID]
	m.mu.Unlock()
	if s == nil {
		return nil, fault.NotFound("container %s has no network sandbox", containerID)
	}
	return s.clone(), nil
}

// mend repairs what other programs did to the firewall.
func (m *Manager) mend() {
	if mended, err := m.table.Mend(); err != nil {
		m.log.Error("published ports and masquerading do not work", "err", err)
	} else if mended {
		m.log.Warn("the nftables table was removed by another program and is in place again", "table", m.opts.Bridge)
	}
	if err := m.table.Admit(); err != nil {
		m.log.Error("another engine's firewall may drop packets of containers", "err", err)
	}
}

func (m *Manager) netnsDir() string { return filepath.Join(m.opts.ExecRoot, NamespacesDir) }
func (m *Manager) stateDir() string { return filepath.Join(m.opts.ExecRoot, SandboxesDir) }

// keyedMutex is one mutex per key, without a trace of keys that are not in use.
// The zero value is ready.
type keyedMutex struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	mu   sync.Mutex
	refs int
}

// lock waits for the key and gives the function that unlocks it.
func (k *keyedMutex) lock(key string) (unlock func()) {
	k.mu.Lock()
	l := k.held[key]
	if l == nil {
		if k.held == nil {
			k.held = make(map[string]*keyLock)
		}
		l = &keyLock{}
		k.held[key] = l
	}
	l.refs++
	k.mu.Unlock()
	l.mu.Lock()
	return func() {
		l.mu.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.refs--; l.refs == 0 {
			delete(k.held, key)
		}
	}
}
