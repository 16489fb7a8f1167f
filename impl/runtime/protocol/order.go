// Package protocol is what the daemon's side of the runtime, the shim and the
// monitor say to each other: the order that starts a shim, the handle that
// finds it again, and the messages on the handle's socket.
package protocol

import (
	"time"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Version is the version of the handle. A daemon reads handles of this version
// and older ones.
const Version = 1

// Names in a handle directory.
const (
	HandleName = "handle.json"
	ExitName   = "exit"
	SocketName = "sock"
	ExecsName  = "exec"
)

// Files that a shim inherits, by descriptor. Attached clients follow.
const (
	FDOrder   = 3 + iota // the Order as JSON (a memfd at offset 0)
	FDReport             // where the Report goes
	FDListen             // the listening socket
	FDHandle             // the handle directory
	FDMountNS            // the daemon's mount namespace
	FDConns
)

// Order is what a shim is told to do.
type Order struct {
	// ID is the container's id; Exec the exec's, or empty.
	ID, Exec string
	// Dir is the handle directory (the same as FDHandle).
	Dir string
	// StateRoot is libcontainer's state directory.
	StateRoot string
	Systemd   bool
	// OCI describes a container, Process an exec; the other is nil.
	OCI     *specs.Spec    `json:",omitempty"`
	Process *specs.Process `json:",omitempty"`

	Rootfs Rootfs
	Stdio  Stdio
	Log    Log
	// Conns is the number of inherited connections.
	Conns int
}

// Rootfs, Stdio and Log are as in package runtime.
type Rootfs struct {
	Dir         string
	Lower       []string
	Upper, Work string
	Target      string
}

// Stdio is as in package runtime.
type Stdio struct{ OpenStdin, StdinOnce bool }

// Log is as in package runtime.
type Log struct {
	Path    string
	MaxSize int64
	MaxFile int
}

// Handle is how a daemon finds a container or an exec again.
type Handle struct {
	Version int
	ID      string
	Exec    string `json:",omitempty"`
	// Shim and Pid are the pids of the monitor and of the process, with their
	// start times (field 22 of /proc/<pid>/stat), because pids are used again.
	Shim      int
	ShimStart uint64
	Pid       int
	PidStart  uint64
	StartedAt time.Time
	Terminal  bool
	// Cgroup and CgroupPaths are libcontainer's, for pause, update and stats.
	Cgroup      *cgroups.Cgroup   `json:",omitempty"`
	CgroupPaths map[string]string `json:",omitempty"`
}

// Report is the shim's answer to an order: a handle or an error.
type Report struct {
	Handle *Handle `json:",omitempty"`
	// Error is the text and Code the exit code of a failed start.
	Error string `json:",omitempty"`
	Code  int    `json:",omitempty"`
}
