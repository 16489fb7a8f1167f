package endurance

import (
	"fmt"
	"sync"
	"time"
)

// done says how far an intent came: what was asked for and not acknowledged
// may have happened or not.
type done int

const (
	never done = iota
	asked
	acknowledged
)

// box is what the ledger knows of a container.
type box struct {
	name, id string
	kind     kind
	created  done
	started  done
	stopped  done
	removed  done
	// code is what it exits with, lines what it writes then.
	code  int
	lines []string
	// marks are the names of acknowledged execs, each of which left a line.
	marks []string
	// echoed are the lines that came back to an attached client.
	echoed []string
	// counts is a file that holds the last number it wrote to its log.
	counts string
	// volume, if not empty, is the volume that it writes its name to.
	volume string
	// runs is the file that each run adds a line to.
	runs string
}

// kind says what a container does.
type kind string

const (
	sleeps  kind = "sleeps"  // until it is stopped
	counts  kind = "counts"  // writes numbers to its log
	ends    kind = "ends"    // writes lines and exits
	echoes  kind = "echoes"  // gives back what an attached client says
	always  kind = "always"  // sleeps, and its policy has it restarted always
	retries kind = "retries" // exits with an error, its policy has it restarted twice
)

// thing is a network, a volume or an image.
type thing struct {
	kind, name, id   string
	created, removed done
	content          string // what an image's command prints
}

// happening is an event that must be in the history.
type happening struct{ kind, action, id string }

// ledger is the bookkeeping of one round.
type ledger struct {
	mu     sync.Mutex
	boxes  []*box
	things []*thing
	events []happening
	// failures are refusals that nothing explains.
	failures []string
	requests int
	// killed is set just before the kill: from then on failures are expected.
	killed bool
	// rests is set when no further request is wanted.
	rests bool
	began time.Time
}

func (l *ledger) box(k kind, name string) *box {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &box{name: name, kind: k}
	l.boxes = append(l.boxes, b)
	return b
}

func (l *ledger) thing(kind, name string) *thing {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &thing{kind: kind, name: name}
	l.things = append(l.things, t)
	return t
}

func (l *ledger) happened(kind, action, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, happening{kind, action, id})
}

// failed notes a failure of a request: what came before the kill is a fault.
func (l *ledger) failed(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.killed {
		l.failures = append(l.failures, fmt.Sprintf("%s: %v", what, err))
	}
}

// count is how many requests were begun.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

func (l *ledger) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rests = true
}

func (l *ledger) resting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rests
}

func (l *ledger) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.killed = true
}

// step does a request and keeps its fate in d: asked before, acknowledged when
// it succeeded.
func (l *ledger) step(d *done, what string, request func() error) bool {
	l.mu.Lock()
	*d = asked
	l.requests++
	l.mu.Unlock()
	err := request()
	if err != nil {
		l.failed(what, err)
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	*d = acknowledged
	return true
}
