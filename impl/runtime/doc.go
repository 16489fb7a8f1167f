// Package runtime runs containers, each below a process of its own that
// outlives the daemon.
//
// # Lifecycle
//
// [Runtime.Start] gives an order to a berth-shim. The shim mounts the
// container's root, builds the container with libcontainer, starts its process
// and then turns into its monitor (execve keeps the pid, the children and the
// open files): a very small program that holds the container's standard
// streams, writes its log, serves attached clients, and keeps its exit code.
// The daemon talks to the monitor over a socket in the container's handle
// directory and can be killed and replaced at any time: [Runtime.List] names
// the handles, [Runtime.Load] finds the running (or meanwhile exited) container
// again. [Task.Delete] ends the story and leaves nothing behind.
//
// Monitors stay in the daemon's cgroup: who runs the daemon must not kill that
// when the daemon ends (systemd: KillMode=process).
//
// An exec ([Task.Exec]) is a second, smaller pair of the same kind.
//
// # Handle directory
//
// Root/<container id>/ holds:
//
//	handle.json   version, pids and their start times, cgroup, times (written atomically)
//	exit          how the container ended (written once, atomically, by the monitor)
//	sock          the monitor's socket
//	exec/<id>/    the same three files for each exec
//
// and Root/state/<container id>/ is libcontainer's own state.
//
// Nothing there needs to survive a reboot: Root belongs on a tmpfs.
package runtime
