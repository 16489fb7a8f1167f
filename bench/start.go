package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// starts: from the start of the daemon's process to its first answer, with
// many stopped containers to read.
func starts(ctx context.Context, a *arena, r *report) error {
	var names []string
	values := map[string][]float64{}
	for _, e := range a.engines {
		if err := e.fill(ctx, a.containers); err != nil {
			return err
		}
		names = append(names, e.name)
	}
	for round := range a.options.starts + 1 {
		for _, e := range a.engines {
			if err := e.daemon.Stop(time.Minute); err != nil {
				return err
			}
			e.client.CloseIdleConnections()
			began := time.Now()
			if err := e.restart(ctx); err != nil {
				return err
			}
			if round > 0 {
				values[e.name] = append(values[e.name], float64(time.Since(began).Microseconds())/1000)
			}
			var list []struct {
				ID string `json:"Id"`
			}
			if err := e.call(ctx, http.MethodGet, "/containers/json?all=1", nil, http.StatusOK, &list); err != nil {
				return err
			}
			if len(list) < a.containers {
				return fmt.Errorf("%s: %d containers after the start, want %d", e.name, len(list), a.containers)
			}
		}
	}
	r.add(fmt.Sprintf("daemon start to first answer, %d stopped containers", a.containers), "ms", "less", names, values)
	return nil
}

func (e *engine) restart(ctx context.Context) error {
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d, err := e.daemon.Restart(starting)
	if err != nil {
		return err
	}
	e.daemon = d
	return nil
}
