package image

import (
	"sync"

	"github.com/opencontainers/go-digest"
)

// holds are the images that an operation stands on, such as the build whose last
// step made them. They are kept in memory only: with the process goes who needs them.
// Store.mu guards them.
type holds struct {
	held map[digest.Digest]int
	// leaving are images that a removal is about to delete, or will spare; the
	// channel is closed when that is known.
	leaving map[digest.Digest]<-chan struct{}
}

func newHolds() holds {
	return holds{held: map[digest.Digest]int{}, leaving: map[digest.Digest]<-chan struct{}{}}
}

// Hold is Get, and keeps the image until release is called: Remove refuses to
// delete it, whatever the options (it may take its names), and so does not delete
// its parents either.
func (s *Store) Hold(ref string) (img *Image, release func(), err error) {
	for {
		s.mu.Lock()
		img, err := s.findLocked(ref)
		if err != nil || img == nil {
			s.mu.Unlock()
			if err == nil {
				err = notFound(ref)
			}
			return nil, nil, err
		}
		leaving, ok := s.holds.leaving[img.ID]
		if !ok {
			release := s.holdImageLocked(img.ID)
			s.mu.Unlock()
			return img, release, nil
		}
		s.mu.Unlock()
		<-leaving
	}
}

func (s *Store) holdImageLocked(id digest.Digest) (release func()) {
	s.holds.held[id]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.holds.held[id]--; s.holds.held[id] == 0 {
			delete(s.holds.held, id)
		}
	})
}

// isHeld says whether an operation stands on the image.
func (s *Store) isHeld(id digest.Digest) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.holds.held[id] > 0
}

// claim marks an image that nobody holds as one that may go, so that nobody begins
// to hold it until the removal is over. It says whether nobody holds it.
func (r *removal) claim(id digest.Digest) bool {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds.held[id] > 0 {
		return false
	}
	s.holds.leaving[id] = r.over
	return true
}

// end lets those go on who wait for the outcome.
func (r *removal) end() {
	r.s.mu.Lock()
	clear(r.s.holds.leaving) // one removal at a time
	r.s.mu.Unlock()
	close(r.over)
}
