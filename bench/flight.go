package main

import (
	"context"
	"errors"
	"sync"
)

// inFlight is how many lives go on at once, and livesEach how many each of them has
// in one turn, so that the last one to end weighs little.
const inFlight, livesEach = 8, 3

// flight: lives without a network, eight at a time, in lives per second.
func flight(ctx context.Context, a *arena, r *report) error {
	var turns []turn
	for _, e := range a.engines {
		turns = append(turns, turn{e.name, func() error { return together(func() error { return e.live(ctx, withoutNetwork("true")) }) }})
	}
	for _, o := range a.runtimes {
		turns = append(turns, turn{o.name + " run", func() error { return together(o.live) }})
	}
	names, values, err := takeTurns(ctx, max(a.rounds/3, 1), turns)
	if err != nil {
		return err
	}
	r.add("create+start+wait+remove, 8 in flight", "/s", "more", names, rates(values, inFlight*livesEach))
	return nil
}

func together(f func() error) error {
	errs := make([]error, inFlight)
	var all sync.WaitGroup
	for i := range inFlight {
		all.Go(func() {
			for range livesEach {
				errs[i] = errors.Join(errs[i], f())
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
