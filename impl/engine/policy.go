package engine

import (
	"context"
	"time"

	"github.com/seed-50ced230/berth/impl/container"
)

// The delay before a restart by policy doubles from 100 ms to a minute and
// begins anew after a run of ten seconds (v1.18 reference, RestartPolicy).
const (
	firstDelay  = 100 * time.Millisecond
	longestWait = time.Minute
	steadyRun   = 10 * time.Second
)

// wantsRestart says whether the policy asks for another run after this end: of
// this daemon, or of the next one, if it ends.
func wantsRestart(r *container.Record, code int) bool {
	if r.Stopped {
		return false
	}
	p := r.HostConfig.RestartPolicy
	switch p.Name {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		if code == 0 {
			return false
		}
		return p.MaximumRetryCount == 0 || int64(r.RestartCount) < p.MaximumRetryCount
	}
	return false
}

// scheduleRestart starts the container again after the delay, unless somebody
// starts, stops or removes it before.
func (e *Engine) scheduleRestart(c *container.Container, r *container.Record) {
	l := e.live(c.ID)
	ctx, cancel := context.WithCancel(e.ctx)
	l.mu.Lock()
	if r.State.FinishedAt.Sub(r.State.StartedAt) >= steadyRun || l.delay == 0 {
		l.delay = firstDelay
	} else {
		l.delay = min(2*l.delay, longestWait)
	}
	delay := l.delay
	l.restart = cancel
	l.mu.Unlock()
	e.background(func(context.Context) {
		defer cancel()
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		unlock, err := c.Lock(ctx)
		if err != nil {
			return
		}
		defer unlock()
		r := c.Record()
		if ctx.Err() != nil || r.State.Status != container.Restarting || r.Stopped {
			return
		}
		if _, err := e.containers.Get(c.ID); err != nil {
			return // removed
		}
		if err := e.start(context.WithoutCancel(ctx), c, r.RestartCount+1); err != nil {
			e.Logger.Warn("a restart by policy failed", "container", c.ID, "error", err)
		}
	})
}

// cancelRestart takes a pending restart back.
func (e *Engine) cancelRestart(id string) {
	l := e.live(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.restart != nil {
		l.restart()
		l.restart = nil
	}
}

// applyPolicies starts, after the daemon's own start, what was restarting and
// what a policy wants to run.
func (e *Engine) applyPolicies() {
	for _, c := range e.containers.List() {
		r := c.Record()
		if r.State.Live() || r.State.Status == container.Dead {
			continue
		}
		l := e.live(c.ID)
		l.mu.Lock()
		pending := l.restart != nil
		l.mu.Unlock()
		again := r.State.Status == container.Restarting ||
			r.HostConfig.RestartPolicy.Name == "always" && !r.State.StartedAt.IsZero()
		if pending || !again {
			continue
		}
		r = c.Update(func(r *container.Record) {
			r.State.Status = container.Restarting
			r.Stopped = false // "always" also means those that a client stopped
		})
		e.scheduleRestart(c, r)
	}
}
