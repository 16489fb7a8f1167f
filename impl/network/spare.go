package network

import (
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/netns"
)

// spareAge is how long a spare namespace is good: the kernel gives a new one the
// host's settings of that moment (net/ipv4/devinet.c, devinet_init_net), and a
// container is to have those of its start.
const spareAge = 10 * time.Second

// spare keeps one network namespace ready, with its loopback device up. The kernel
// needs a millisecond to make one, and more to furnish it while it takes another
// one apart, because both want the same lock; with a spare, this is aside of a
// container's start. Nothing but a descriptor holds it: it goes with the daemon.
type spare struct {
	log *slog.Logger

	mu        sync.Mutex
	namespace *os.File // nil: none is ready
	made      time.Time
	making    bool
	closed    bool
	work      sync.WaitGroup
}

// take gives the spare namespace, which is the caller's to close; nil if there is
// none, or too old a one.
func (s *spare) take() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.namespace
	s.namespace = nil
	if f != nil && time.Since(s.made) > spareAge {
		_ = f.Close()
		return nil
	}
	return f
}

// refill makes a spare namespace aside if there is none.
func (s *spare) refill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.making || s.namespace != nil {
		return
	}
	s.making = true
	s.work.Go(func() {
		made := time.Now()
		f, err := netns.New(bridge.Loopback)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.making = false
		switch {
		case err != nil:
			s.log.Debug("no spare network namespace", "error", err) // a start that needs one will say it
		case s.closed:
			_ = f.Close()
		default:
			s.namespace, s.made = f, made
		}
	})
}

func (s *spare) close() {
	s.mu.Lock()
	s.closed = true
	if s.namespace != nil {
		_ = s.namespace.Close()
		s.namespace = nil
	}
	s.mu.Unlock()
	s.work.Wait()
}
