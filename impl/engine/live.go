package engine

import (
	"context"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime"
)

// live is what the engine knows of a container only while it itself lives: the
// task of the run, clients that wait for the next run, a pending restart.
type live struct {
	mu      sync.Mutex
	task    *runtime.Task
	waiting map[*runtime.Attachment]struct{} // attached before the start
	gone    bool                             // the container is removed
	// remains is a run that was worked off, but of which the runtime has something
	// still: the kernel did not let it go, or the end could not be recorded.
	remains *runtime.Task
	// ended is closed when the end of the run has been worked off; nil between runs.
	ended chan struct{}
	// restart cancels the wait before the next run; nil when none is pending.
	restart context.CancelFunc
	// delay before the next restart by policy; see policy.go.
	delay time.Duration

	// telling is held from a signal to the event of it, and from the state of an end
	// to the event of it.
	telling sync.Mutex
	// saving is held while the container's record is written or erased, and guards
	// saved, the snapshot that is on the disk, intended, which says that the disk has no
	// more of the run than that it was about to begin, and erased.
	saving   sync.Mutex
	saved    *container.Record
	intended bool
	erased   bool
}

// operate finds a container and takes the right to operate on it, which the
// caller gives back with unlock. Class NotFound, also if the container is removed
// while operate waits.
func (e *Engine) operate(ctx context.Context, ref string) (c *container.Container, unlock func(), err error) {
	if c, err = e.containers.Get(ref); err != nil {
		return nil, nil, err
	}
	if unlock, err = c.Lock(ctx); err != nil {
		return nil, nil, err
	}
	if _, err := e.containers.Get(c.ID); err != nil {
		unlock()
		return nil, nil, err
	}
	return c, unlock, nil
}

// live gives the container's entry, made at the first call.
func (e *Engine) live(id string) *live {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lives[id]
	if l == nil {
		l = &live{waiting: map[*runtime.Attachment]struct{}{}}
		e.lives[id] = l
	}
	return l
}

// known gives the container's entry, nil if there is none: the container is removed,
// or nothing happened to it since the engine's start.
func (e *Engine) known(id string) *live {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lives[id]
}

// forget drops the entry of a removed container and ends those who wait for
// its start.
func (e *Engine) forget(id string) {
	e.mu.Lock()
	l := e.lives[id]
	delete(e.lives, id)
	e.mu.Unlock()
	if l == nil {
		return
	}
	l.mu.Lock()
	l.gone = true
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for a := range waiting {
		a.Close()
	}
}

// enqueue keeps an attachment for the next start. The returned function takes
// it back.
func (l *live) enqueue(a *runtime.Attachment) (cancel func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return nil, false
	}
	l.waiting[a] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, a)
	}, true
}

// takeWaiting hands the waiting attachments over to a start.
func (l *live) takeWaiting() []*runtime.Attachment {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*runtime.Attachment
	for a := range l.waiting {
		all = append(all, a)
	}
	clear(l.waiting)
	return all
}

// begin notes the task of a new run.
func (l *live) begin(t *runtime.Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.task = t
	l.ended = make(chan struct{})
}

// letGo removes what the runtime has of a run that was worked off.
func (l *live) letGo(ctx context.Context, t *runtime.Task) error {
	err := t.Delete(ctx)
	if err != nil {
		l.keep(t)
	}
	return err
}

// keep leaves it to the next run, or to the container's removal.
func (l *live) keep(t *runtime.Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remains = t
}

// sweep removes what was kept.
func (l *live) sweep(ctx context.Context) error {
	l.mu.Lock()
	remains := l.remains
	l.remains = nil
	l.mu.Unlock()
	if remains == nil {
		return nil
	}
	if err := l.letGo(ctx, remains); err != nil {
		return fault.Internal("something of the container's last run is left: %w", err)
	}
	return nil
}

// settled notes that the end of the run has been worked off.
func (l *live) settled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.task = nil
	if l.ended != nil {
		close(l.ended)
		l.ended = nil
	}
}

// settle waits, for a container whose process has ended, until the end has been
// worked off.
func (e *Engine) settle(ctx context.Context, id string) error {
	l := e.live(id)
	l.mu.Lock()
	ended := l.ended
	l.mu.Unlock()
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// save writes the container's present record. Writes of one container go one
// after another, each with the newest snapshot, so that an older never
// overwrites a newer.
func (e *Engine) save(c *container.Container) error {
	l := e.live(c.ID)
	l.saving.Lock()
	defer l.saving.Unlock()
	return e.put(c, l)
}

// put is save for who holds saving.
func (e *Engine) put(c *container.Container, l *live) error {
	r := c.Record()
	if err := e.Containers.Put(r); err != nil {
		return err
	}
	l.saved, l.intended, l.erased = r, false, false
	return nil
}

// saveStart writes that a run of the container is about to begin. The next save has
// the state itself.
func (e *Engine) saveStart(c *container.Container, s container.Start) error {
	l := e.live(c.ID)
	l.saving.Lock()
	defer l.saving.Unlock()
	l.intended = true // also where the disk takes nothing now: saveStarted tries again
	return e.Containers.Put(c.Record().Starting(s))
}

// saveStarted writes what came of it, if nothing was written since.
func (e *Engine) saveStarted(c *container.Container) error {
	l := e.live(c.ID)
	l.saving.Lock()
	defer l.saving.Unlock()
	if !l.intended || l.erased {
		return nil
	}
	return e.put(c, l)
}

// erase forgets a record. Nobody but save, of a removal that failed, brings it back.
func (e *Engine) erase(c *container.Container) error {
	l := e.live(c.ID)
	l.saving.Lock()
	defer l.saving.Unlock()
	if err := e.Containers.Delete(c.ID); err != nil {
		return err
	}
	l.saved, l.erased = nil, true
	return nil
}

// recorded waits until a container's present state is on the disk: it comes before
// answers that say how a run ended. Where the disk takes nothing the answer comes all
// the same, since the state is the truth; who changed it has told of the failure.
func (e *Engine) recorded(c *container.Container) {
	l := e.known(c.ID)
	if l == nil {
		return // removed, or as it was read from the disk
	}
	l.saving.Lock()
	defer l.saving.Unlock()
	if l.erased || l.saved == c.Record() {
		return
	}
	_ = e.put(c, l)
}

// runningTask gives the task of a running container. Class Conflict when it
// does not run.
func (e *Engine) runningTask(c *container.Container) (*runtime.Task, error) {
	l := e.live(c.ID)
	l.mu.Lock()
	task := l.task
	l.mu.Unlock()
	if task == nil || !c.Record().State.Live() {
		return nil, fault.Conflict("Container %s is not running", c.ID)
	}
	return task, nil
}
