// Package protocol is what the daemon's side of the runtime, the shim and the
// monitor say to each other: the order that starts a shim, the handle that
// finds it again, and the messages on the handle's socket.
package protocol

import (
	"time"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/userns"
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
	// CgroupName, DevicesName and the names with BorrowedName and a number are places of
	// mounts, which the shim sees alone.
	CgroupName   = "cgroup"
	DevicesName  = "devices"
	BorrowedName = "borrowed"
)

// FDOrders is the descriptor on which a shim waits for its order: a message of
// one byte, the version, with these files. Connections of clients follow.
const FDOrders = 3

// Files that come with an order.
const (
	FileOrder   = iota // the Order as JSON (a memfd at offset 0)
	FileReport         // where the Report goes
	FileListen         // the listening socket
	FileHandle         // the handle directory
	FileMountNS        // the daemon's mount namespace
	FileConns          // Conns connections, then the namespaces of Borrow
)

// Order is what a shim is told to do.
type Order struct {
	// ID is the container's id; Exec the exec's, or empty.
	ID, Exec string
	// Run is as in package runtime.
	Run int `json:",omitempty"`
	// Dir is the handle directory (the same as FileHandle).
	Dir string
	// StateRoot is libcontainer's state directory.
	StateRoot string
	Systemd   bool
	// OCI describes a container, Process an exec; the other is nil.
	OCI     *specs.Spec    `json:",omitempty"`
	Process *specs.Process `json:",omitempty"`
	// Borrow names the mounts of OCI whose source is in another container.
	Borrow []Borrow `json:",omitempty"`

	Rootfs Rootfs
	Stdio  Stdio
	Log    Log
	Spool  Spool
	// Conns is the number of inherited connections.
	Conns int
	// Profiles is the directory of the seccomp profiles that have a short form.
	Profiles string `json:",omitempty"`
	// Timed asks for the Steps of the Report.
	Timed bool `json:",omitempty"`
}

// ProfilePrefix begins the name of a system call that stands for all rules of a
// seccomp profile; its key follows.
const ProfilePrefix = "profile:"

// Profile is a seccomp profile and its key, the SHA-256 of its JSON in hexadecimal
// digits. The file of that name in an order's Profiles has the same JSON.
type Profile struct {
	Key     string
	Seccomp *specs.LinuxSeccomp
}

// Borrow is a mount whose source is a path in another mount namespace. The
// namespaces' files come after the connections, in the order of the list.
type Borrow struct {
	// Mount is the index in OCI.Mounts.
	Mount int
	// Path is in the other namespace, as its processes see it.
	Path string
}

// Rootfs is as in package runtime, as are Stdio and Log below.
type Rootfs struct {
	Dir         string
	Lower       []string
	Upper, Work string
	Target      string
	IDs         userns.Map
	Tree, Place string
}

// Stdio is as in package runtime.
type Stdio struct{ OpenStdin, StdinOnce bool }

// Log is as in package runtime.
type Log struct {
	Path    string
	MaxSize int64
	MaxFile int
	Attrs   string
}

// Spool is where the monitor keeps what a client did not read yet, and how many
// bytes per client.
type Spool struct {
	Dir string
	Max int64
}

// Handle is how a daemon finds a container or an exec again.
type Handle struct {
	Version int
	ID      string
	Exec    string `json:",omitempty"`
	// Run is as in package runtime; 0 also from daemons that numbered no runs.
	Run int `json:",omitempty"`
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
	// Steps are what the shim did, in this order, if it was asked for them.
	Steps []Step `json:",omitempty"`
}

// Step is a part of a shim's work and the time it took, ns.
type Step struct {
	Name string
	Took time.Duration
}
