// Package forward is the part of the runtime that hands a container's output to
// the log of the host (journald) or of the network (syslog). One process per
// such container, berth-logger, is a client of the container's monitor like any
// other that attached before the start. So a log that is slow or away holds up
// nobody, and logging goes on without the daemon.
package forward

// Drivers are the log drivers that this package serves.
const (
	Journald = "journald"
	Syslog   = "syslog"
)

// Order is what a forwarder is told to do.
type Order struct {
	// Driver is Journald or Syslog, Options what Check accepted.
	Driver  string
	Options map[string]string
	// Tag names the container in the log.
	Tag string
	// ID is the container's full id, Name its name without the slash.
	ID, Name string
	// Fields are the labels and variables that the options "labels" and "env"
	// chose. Syslog has no place for them.
	Fields map[string]string
	// Lock is a file that the forwarder holds a shared flock(2) on until it has
	// handed over everything. Start writes Run into it.
	Lock string
	// Run tells this run of the container from others. Start makes it.
	Run string
}

// Descriptors of the program berth-logger.
const (
	fdOrder  = 3 // the Order as JSON, to the end
	fdReport = 4 // "ok\n" or an error's text, to the end
	fdStream = 5 // a connection to the monitor
	fdLock   = 6 // the locked file
)
