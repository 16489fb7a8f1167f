package container

import (
	"context"
	"sync"
	"sync/atomic"
)

// Container is one container: a snapshot for readers, a lock for the
// operations that change it.
type Container struct {
	// ID is 64 lower-case hex digits.
	ID string

	operation chan struct{} // holds a token while nobody operates

	snapshot atomic.Pointer[Record]

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
}

// New makes a container with a first snapshot.
func New(r *Record) *Container {
	c := &Container{ID: r.ID, operation: make(chan struct{}, 1), changed: make(chan struct{})}
	c.operation <- struct{}{}
	c.snapshot.Store(r)
	return c
}

// Record is the present snapshot; it is shared and must not be changed.
func (c *Container) Record() *Record { return c.snapshot.Load() }

// Lock gives the caller the right to operate on the container (start, stop,
// remove, …) until the returned function is called. It waits for other
// operations or the end of ctx.
func (c *Container) Lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-c.operation:
		return func() { c.operation <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Update publishes a changed snapshot and returns it. change must be short: it
// runs under a lock that other updates of this container wait for.
func (c *Container) Update(change func(*Record)) *Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.snapshot.Load().clone()
	change(r)
	c.snapshot.Store(r)
	close(c.changed)
	c.changed = make(chan struct{})
	return r
}

// Await returns the first snapshot for which reached is true, which may be the
// present one.
func (c *Container) Await(ctx context.Context, reached func(*Record) bool) (*Record, error) {
	for {
		c.mu.Lock()
		r, changed := c.snapshot.Load(), c.changed
		c.mu.Unlock()
		if reached(r) {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Changed is closed at the next Update.
func (c *Container) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}
