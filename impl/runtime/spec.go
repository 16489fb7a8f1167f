package runtime

import (
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/runtime/forward"
	"github.com/seed-50ced230/berth/impl/userns"
)

// Spec describes one container to start.
type Spec struct {
	// ID names the container: letters, digits, '_', '+', '-' and '.'.
	ID string
	// Run is a number of the caller's for this run of the container: Task.Run gives
	// it back, to a later daemon, too. 0 is none.
	Run int
	// OCI is the container's configuration in the terms of the OCI runtime
	// specification. Root.Path is filled in by the runtime from Rootfs; Hooks
	// must be nil. Linux.CgroupsPath is the cgroup (see package defaults);
	// Process.Terminal says whether it has a terminal.
	OCI *specs.Spec
	// Borrow are mounts of OCI whose sources belong to other containers.
	Borrow []Borrow
	// Rootfs is what becomes the container's "/".
	Rootfs Rootfs
	// Stdio says what becomes of the standard streams.
	Stdio Stdio
	// Log says where the output is recorded.
	Log Log
	// Attachments are clients that attached before the start, made by
	// Runtime.NewAttachment. They miss nothing. Start takes them over: it closes them
	// when it fails.
	Attachments []*Attachment
}

// Borrow has a bind mount of a container take its source from another
// container.
type Borrow struct {
	// Mount is the index in OCI.Mounts; its Source is not used.
	Mount int
	// Namespace is the other's mount namespace (Task.Namespace). It stays the
	// caller's and must be open until Start returns.
	Namespace *os.File
	// Path is the source as the other container sees it.
	Path string
}

// Rootfs is either an overlay, which the shim mounts in a mount namespace of
// its own (no trace of it on the host), or a directory that is used as it is.
type Rootfs struct {
	// Dir is a directory that is the root as it is. When it is set, the other
	// fields must be empty.
	Dir string
	// Lower are the read-only layers, the topmost first, at least one.
	Lower []string
	// Upper and Work are the writable layer and overlayfs's work directory, on
	// one filesystem. Both empty: the overlay is read-only.
	Upper, Work string
	// Target is an existing empty directory where the overlay is mounted. In a user
	// namespace, its root must be able to pass to it.
	Target string
	// IDs, if there are any, are the map of the user namespace that OCI names by a
	// path: the layers belong to the container's ids on the disk. Then Tree is a
	// directory that holds all layers, and Place an existing empty one in which
	// they are seen with the host's ids while the overlay is mounted.
	IDs         userns.Map
	Tree, Place string
}

// Stdio says what becomes of a process's standard streams. Without a
// terminal, standard output and error are separate streams.
type Stdio struct {
	// OpenStdin keeps a standard input for attached clients; otherwise the
	// process reads /dev/null.
	OpenStdin bool
	// StdinOnce closes the standard input when the first client that attached
	// to it closes its side. It is ignored when the process has a terminal.
	StdinOnce bool
}

// Log is a log file in the form of Docker's json-file driver: one JSON object
// {"log": …, "stream": "stdout"|"stderr", "time": RFC 3339 with nanoseconds}
// and a newline per line of output. Lines of more than 16 KiB are split: only
// the last part's "log" ends with a newline.
type Log struct {
	// Path is the file to append to; empty means no log. Rotated files are
	// Path.1 (the youngest), Path.2 …
	Path string
	// MaxSize is the size in bytes after which the file is rotated; 0 or less
	// means never.
	MaxSize int64
	// MaxFile is the number of files kept, the current one included; less than
	// 1 counts as 1 (with 1, the file is truncated at MaxSize).
	MaxFile int
	// Attrs are recorded with each line as its "attrs" (Docker's options labels
	// and env): a JSON object, empty for none.
	Attrs string
	// Forward, if not nil, is where the output goes besides the file.
	Forward *forward.Order
}

// ExecSpec describes a further process in a running container.
type ExecSpec struct {
	// ID names the exec within the container.
	ID string
	// Process is what runs: Args, Env, Cwd, User, Capabilities (nil means the
	// container's own), NoNewPrivileges, Terminal, ConsoleSize, Rlimits,
	// ApparmorProfile, SelinuxLabel.
	Process *specs.Process
	// OpenStdin gives the process a standard input, which ends when the first
	// client that attached to it closes its side (without a terminal).
	OpenStdin bool
	// Attachments are clients that miss nothing, see Spec.Attachments.
	Attachments []*Attachment
}
