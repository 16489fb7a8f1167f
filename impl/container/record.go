// Package container keeps the engine's containers: what was asked for and what
// became of it.
//
// A Record is what must survive a restart of the daemon; a Store writes records
// to disk and a Registry finds containers by id, name and prefix. Readers get
// immutable snapshots and never wait for a container's operations: Container
// publishes a new snapshot at each change.
package container

import (
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/gen/hub/models"
)

// Status is the word that GET /containers/json (v1.23) has for a state.
type Status string

// The states of a container. A container that restarts by its policy is
// Restarting from the end of one run to the beginning of the next.
const (
	Created    Status = "created"
	Running    Status = "running"
	Paused     Status = "paused"
	Restarting Status = "restarting"
	Exited     Status = "exited"
	Dead       Status = "dead"
)

// State is what became of a container.
type State struct {
	Status Status
	// Pid of the first process in the daemon's pid namespace; 0 unless active.
	Pid int
	// ExitCode of the last run: 0–255, 128+n after signal n.
	ExitCode int
	// Error is why the last start failed, or why the run ended otherwise than
	// by itself. Empty for an ordinary end.
	Error      string
	OOMKilled  bool
	StartedAt  time.Time
	FinishedAt time.Time
}

// Active says that there is a run: running, paused or between two runs.
func (s State) Active() bool {
	return s.Status == Running || s.Status == Paused || s.Status == Restarting
}

// Live says that there is a process now.
func (s State) Live() bool { return s.Status == Running || s.Status == Paused }

// Mount is something of the host's that appears in the container.
type Mount struct {
	// Name is the volume's name; empty for a bind mount.
	Name string `json:",omitempty"`
	// Driver is the volume's driver; empty for a bind mount.
	Driver string `json:",omitempty"`
	// Source is a path on the host.
	Source string
	// Destination is an absolute path in the container.
	Destination string
	// Mode is the third part of a bind as it was given ("ro", "z", …).
	Mode string
	RW   bool
	// Propagation is shared, slave, private, rshared, rslave, rprivate or empty.
	Propagation string
	// Anonymous says that the volume was made for this container.
	Anonymous bool `json:",omitempty"`
	// NoCopy keeps the image's content out of a new volume.
	NoCopy bool `json:",omitempty"`
}

// Endpoint is the container's place in one network, as of the last start.
type Endpoint struct {
	models.EndpointSettings
	// Network is the name under which the settings appear.
	Network string
}

// Place is a network that the container belongs to, as clients chose it; it
// becomes an Endpoint at each start.
type Place struct {
	// NetworkID and Network are the network's id and name.
	NetworkID, Network string
	// IPAMConfig holds the addresses that the client asked for; nil without any.
	IPAMConfig *models.EndpointIPAMConfig `json:",omitempty"`
	Links      []string                   `json:",omitempty"`
	Aliases    []string                   `json:",omitempty"`
}

// Network is the network of the container's last run.
type Network struct {
	SandboxID  string                          `json:",omitempty"`
	SandboxKey string                          `json:",omitempty"`
	Endpoints  []Endpoint                      `json:",omitempty"`
	Ports      map[string][]models.PortBinding `json:",omitempty"`
}

// Record is the durable part of a container. It is immutable once published.
type Record struct {
	ID      string
	Name    string // with the leading slash
	Created time.Time
	// Image is the id of the image; ImageName the reference as the client gave it.
	Image     digest.Digest
	ImageName string
	// Path and Args are the command line after merging entrypoint and command.
	Path string
	Args []string

	Config     *models.ContainerConfig
	HostConfig *models.HostConfig
	Mounts     []Mount
	// Places are the container's networks, the one of its network mode first.
	// Empty for the modes host, none and container.
	Places []Place

	State        State
	RestartCount int
	// Stopped says that a client stopped the container, so that no restart
	// policy may start it again until a client starts it.
	Stopped bool
	// Renewed says that a client's restart is between two runs. It is not kept.
	Renewed bool `json:"-"`
	Network Network
	// Start is the run that was about to begin when the record was written, in
	// records on the disk only.
	Start *Start `json:",omitempty"`
}

// Start is a run whose process may have been executed or not.
type Start struct {
	// Generation is the runtime's, At the time when it was about to begin.
	Generation string
	At         time.Time
	// RestartCount and Config are the run's.
	RestartCount int
	Config       *models.ContainerConfig
}

// Starting is the record that says that a run is about to begin.
func (r *Record) Starting(s Start) *Record {
	c := r.clone()
	c.Start = &s
	return c
}

// Settle takes the run that was about to begin out of the record: as one that began,
// or as one that never did.
func (r *Record) Settle(began bool) {
	s := r.Start
	r.Start = nil
	if s == nil || !began {
		return
	}
	r.State = State{Status: Running, StartedAt: s.At, FinishedAt: r.State.FinishedAt}
	r.RestartCount, r.Stopped = s.RestartCount, false
	if s.Config != nil {
		r.Config = s.Config
	}
}

// Exec is a further process that a client defined in a container.
type Exec struct {
	ID        string
	Container string
	Config    models.ExecConfig
	Args      []string
	// Privileged and User are as given.
	Privileged bool
	User       string
	Started    bool
	Running    bool
	// DetachKeys are the bytes that detach a client at a terminal.
	DetachKeys []byte
	// ExitCode is nil until the process ended (or could not be started).
	ExitCode *int
	Pid      int
}

// clone copies what Update's function may change in place.
func (r *Record) clone() *Record {
	c := *r
	c.Mounts = slices.Clone(r.Mounts)
	c.Places = slices.Clone(r.Places)
	c.Network.Endpoints = slices.Clone(r.Network.Endpoints)
	c.Network.Ports = maps.Clone(r.Network.Ports)
	return &c
}
