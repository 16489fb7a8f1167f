package runtime

import (
	"syscall"
	"time"
)

// Exit says how a process ended.
type Exit struct {
	// Code is the exit status: 0–255, and 128+n after death by signal n.
	Code int
	// Signal is the signal that ended the process, 0 if it exited by itself.
	Signal syscall.Signal
	// OOMKilled says that the kernel killed a process of the container because
	// of the container's memory limit.
	OOMKilled bool
	// At is the time of the end, as seen by the process's parent.
	At time.Time
	// Reason is empty for an ordinary end. Otherwise the process did not end by
	// itself and this says what happened, e.g. that its monitor was killed.
	Reason string
}

// StartError says why a process could not be started. Everything that the
// attempt had made is undone when it is returned.
type StartError struct {
	// Code is the exit code that Docker gives such a container: 127 (command
	// not found), 126 (command cannot be invoked), 128 (everything else that
	// concerns the container's configuration).
	Code int
	// Text is the runtime's message, without a trailing newline.
	Text string
}

func (e *StartError) Error() string { return e.Text }
