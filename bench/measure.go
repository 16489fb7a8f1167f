package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// turn is one contender in a measurement that takes turns.
type turn struct {
	name string
	run  func() error
}

// rest is before each turn. What the contender before has left to be done aside is
// over then, such as the removal of a network; and so is the time in which the
// kernel, after one change of a control group, lets others change theirs without a
// grace period of RCU, 5 to 12 ms. Everybody starts as somebody does who starts one
// container.
const rest = 50 * time.Millisecond

// takeTurns lets each contender run once per round, after a round that does
// not count, and gives the times in milliseconds. Every other round goes in the
// reverse order, so that none always comes after the same one.
func takeTurns(ctx context.Context, rounds int, turns []turn) (names []string, values map[string][]float64, err error) {
	values = map[string][]float64{}
	for _, t := range turns {
		names = append(names, t.name)
	}
	for round := range rounds + 1 {
		for i := range turns {
			t := turns[i]
			if round%2 == 1 {
				t = turns[len(turns)-1-i]
			}
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			time.Sleep(rest)
			began := time.Now()
			if err := t.run(); err != nil {
				return nil, nil, err
			}
			if round > 0 {
				values[t.name] = append(values[t.name], float64(time.Since(began).Microseconds())/1000)
			}
		}
	}
	return names, values, nil
}

// life: create, start, wait, remove of "busybox true" without a network.
func life(ctx context.Context, a *arena, r *report) error {
	var turns []turn
	for _, e := range a.engines {
		turns = append(turns, turn{e.name, func() error { return e.live(ctx, withoutNetwork("true")) }})
	}
	for _, o := range a.runtimes {
		turns = append(turns, turn{o.name + " run", o.live})
	}
	names, values, err := takeTurns(ctx, a.rounds, turns)
	if err != nil {
		return err
	}
	r.add("create+start+wait+remove, net none", "ms", "less", names, values)
	return nil
}

// port: the same on the default network with a published port, and what that costs
// beside a life without a network in the same round.
func port(ctx context.Context, a *arena, r *report) error {
	const none = ", net none"
	var turns []turn
	var engines []string
	for _, e := range a.engines {
		engines = append(engines, e.name)
		turns = append(turns,
			turn{e.name + none, func() error { return e.live(ctx, withoutNetwork("true")) }},
			turn{e.name, func() error { return e.live(ctx, withPort("true")) }})
	}
	_, values, err := takeTurns(ctx, a.rounds, turns)
	if err != nil {
		return err
	}
	more := map[string][]float64{}
	for _, e := range engines {
		for i, with := range values[e] {
			more[e] = append(more[e], with-values[e+none][i])
		}
	}
	r.add("create+start+wait+remove, one port", "ms", "less", engines, values)
	r.add("one port more than net none, in the same round", "ms", "less", engines, more)
	return nil
}

// execs: exec create, start to the end of its output, inspect.
func execs(ctx context.Context, a *arena, r *report) error {
	var turns []turn
	for _, e := range a.engines {
		id, err := e.create(ctx, withoutNetwork("sleep", "100000"))
		if err != nil {
			return err
		}
		defer func() { _ = e.remove(context.WithoutCancel(ctx), id) }()
		if err := e.start(ctx, id); err != nil {
			return err
		}
		turns = append(turns, turn{e.name, func() error { return e.execute(ctx, id, "true") }})
	}
	names, values, err := takeTurns(ctx, a.rounds, turns)
	if err != nil {
		return err
	}
	r.add("exec create+start+inspect", "ms", "less", names, values)
	return nil
}

// fill makes stopped containers until there are as many as asked for. They
// have all run, two at a time.
func (e *engine) fill(ctx context.Context, n int) error {
	var have []struct {
		ID string `json:"Id"`
	}
	if err := e.call(ctx, http.MethodGet, "/containers/json?all=1", nil, http.StatusOK, &have); err != nil {
		return err
	}
	todo := make(chan struct{}, n)
	for range n - len(have) {
		todo <- struct{}{}
	}
	close(todo)
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			for range todo {
				id, err := e.create(ctx, withoutNetwork("true"))
				if err == nil {
					err = e.start(ctx, id)
				}
				if err == nil {
					err = e.wait(ctx, id)
				}
				if err != nil {
					errs <- fmt.Errorf("fill: %w", err)
					return
				}
			}
			errs <- nil
		}()
	}
	first, second := <-errs, <-errs
	if first != nil {
		return first
	}
	return second
}
