package shim

import (
	"time"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// clock times the steps of a start, for Report.Steps.
type clock struct {
	last  time.Time
	steps []protocol.Step
}

func startClock() *clock { return &clock{last: time.Now(), steps: make([]protocol.Step, 0, 8)} }

// done notes that a step is over, and another one begins.
func (c *clock) done(name string) {
	now := time.Now()
	c.steps = append(c.steps, protocol.Step{Name: name, Took: now.Sub(c.last)})
	c.last = now
}
