package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// networks: the making and removal of a network, and a running container that
// joins and leaves one.
func networks(ctx context.Context, a *arena, r *report) error {
	var making, joining []turn
	for _, e := range a.engines {
		making = append(making, turn{e.name, func() error {
			id, err := e.makeNetwork(ctx, "bench")
			if err != nil {
				return err
			}
			return e.removeNetwork(ctx, id)
		}})
		id, err := e.makeNetwork(ctx, "bench-joined")
		if err != nil {
			return err
		}
		defer func() { _ = e.removeNetwork(context.WithoutCancel(ctx), id) }()
		c, err := e.create(ctx, config{Image: "busybox:latest", Cmd: []string{"sleep", "100000"}})
		if err != nil {
			return err
		}
		defer func() { _ = e.remove(context.WithoutCancel(ctx), c) }()
		if err := e.start(ctx, c); err != nil {
			return err
		}
		joining = append(joining, turn{e.name, func() error {
			body := map[string]string{"Container": c}
			if err := e.call(ctx, http.MethodPost, "/networks/"+id+"/connect", body, http.StatusOK, nil); err != nil {
				return err
			}
			return e.call(ctx, http.MethodPost, "/networks/"+id+"/disconnect", body, http.StatusOK, nil)
		}})
	}
	for _, m := range []struct {
		name  string
		turns []turn
	}{{"network create+remove", making}, {"network connect+disconnect", joining}} {
		names, values, err := takeTurns(ctx, a.rounds, m.turns)
		if err != nil {
			return err
		}
		r.add(m.name, "ms", "less", names, values)
	}
	return nil
}

func (e *engine) makeNetwork(ctx context.Context, name string) (id string, err error) {
	var made struct {
		ID string `json:"Id"`
	}
	err = e.call(ctx, http.MethodPost, "/networks/create", map[string]string{"Name": name}, http.StatusCreated, &made)
	return made.ID, err
}

// removeNetwork is answered with 200 by engines of this API, 204 by later ones.
func (e *engine) removeNetwork(ctx context.Context, id string) error {
	return e.call(ctx, http.MethodDelete, "/networks/"+id, nil, anySuccess, nil)
}

// portCounts are how many ports the containers of the measurement publish.
var portCounts = [...]int{0, 1, 10}

// ports: the start alone of a container on the default network with 0, 1 and
// 10 published ports, and what one port costs by that.
func ports(ctx context.Context, a *arena, r *report) error {
	all := make([]map[string][]float64, len(portCounts))
	cost := map[string][]float64{}
	var names []string
	for i := range all {
		all[i] = map[string][]float64{}
	}
	for _, e := range a.engines {
		names = append(names, e.name)
	}
	for round := range a.rounds + 1 {
		for _, e := range a.engines {
			var took [len(portCounts)]float64
			for i, n := range portCounts {
				ms, err := e.timeStart(ctx, n)
				if err != nil {
					return err
				}
				took[i] = ms
			}
			if round == 0 {
				continue
			}
			for i, ms := range took {
				all[i][e.name] = append(all[i][e.name], ms)
			}
			last := len(portCounts) - 1
			cost[e.name] = append(cost[e.name], (took[last]-took[0])/float64(portCounts[last]))
		}
	}
	for i, n := range portCounts {
		r.add(fmt.Sprintf("container start, %d published ports", n), "ms", "less", names, all[i])
	}
	r.add("a published port's share of the start", "ms", "less", names, cost)
	return nil
}

// timeStart gives the time of a start in milliseconds.
func (e *engine) timeStart(ctx context.Context, ports int) (ms float64, err error) {
	c := config{Image: "busybox:latest", Cmd: []string{"sleep", "100000"}, ExposedPorts: map[string]struct{}{}}
	c.HostConfig.PortBindings = map[string][]hostIP{}
	for p := range ports {
		key := fmt.Sprintf("%d/tcp", 8000+p)
		c.ExposedPorts[key] = struct{}{}
		c.HostConfig.PortBindings[key] = []hostIP{{HostPort: fmt.Sprint(18000 + p)}}
	}
	id, err := e.create(ctx, c)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := e.start(ctx, id); err != nil {
		return 0, err
	}
	ms = float64(time.Since(began).Microseconds()) / 1000
	return ms, e.remove(ctx, id)
}
