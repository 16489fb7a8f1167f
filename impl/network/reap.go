package network

import (
	"log/slog"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/impl/network/bridge"
)

// reaper waits until the kernel has removed the interface of a released
// sandbox and only then gives its address back. The kernel does that on its own
// after the namespace's last reference is gone, tens of milliseconds later and
// for many namespaces at once; to delete the interface ourselves would make
// every Release wait for it. Until then the old namespace still answers for
// the address.
type reaper struct {
	log  *slog.Logger
	stop chan struct{}

	mu      sync.Mutex
	waiting []*remains
	running bool
	closed  bool
	done    sync.WaitGroup
}

// remains are what a released endpoint leaves for a while.
type remains struct {
	device string
	free   func()
	since  time.Time
}

const (
	// reapPatience is how long the kernel has; then the interface is deleted.
	// A process that holds the namespace (a container that joined it) is the
	// usual reason.
	reapPatience = time.Second
	// restPatience is how long somebody who asks for a resting address by value
	// waits for it: what the kernel has, and the deletion after that.
	restPatience = 2 * reapPatience
	reapFirst    = 4 * time.Millisecond
	reapMost     = 64 * time.Millisecond
)

func newReaper(log *slog.Logger) *reaper {
	return &reaper{log: log, stop: make(chan struct{})}
}

// add calls free, which gives the address back, when the interface is gone.
func (r *reaper) add(device string, free func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, &remains{device: device, free: free, since: time.Now()})
	if !r.running && !r.closed {
		r.running = true
		r.done.Add(1)
		go r.run()
	}
}

// run ends when nothing is left to wait for.
func (r *reaper) run() {
	defer r.done.Done()
	pause := reapFirst
	for {
		select {
		case <-r.stop:
			return
		case <-time.After(pause):
		}
		r.mu.Lock()
		batch := r.waiting
		r.waiting = nil
		r.mu.Unlock()

		var left []*remains
		for _, w := range batch {
			if !r.gone(w) {
				left = append(left, w)
			}
		}

		r.mu.Lock()
		if len(left) < len(batch) {
			pause = reapFirst
		} else {
			pause = min(2*pause, reapMost)
		}
		r.waiting = append(left, r.waiting...)
		if len(r.waiting) == 0 {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
}

// gone gives the address back if the interface does not exist any more.
func (r *reaper) gone(w *remains) bool {
	if bridge.Exists(w.device) {
		if time.Since(w.since) < reapPatience {
			return false
		}
		if err := bridge.Detach(w.device); err != nil {
			r.log.Warn("interface of a released container stays", "interface", w.device, "err", err)
			w.since = time.Now()
			return false
		}
	}
	w.free()
	return true
}

// close ends the waiting; what is left is swept by the next Open.
func (r *reaper) close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.stop)
	}
	r.mu.Unlock()
	r.done.Wait()
}
