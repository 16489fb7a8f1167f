package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// hear follows the engine's events until stop is called. Then heard gives, for each
// event, the time from the one that it bears to its arrival here, µs.
func (e *engine) hear(ctx context.Context) (heard <-chan []float64, stop func(), err error) {
	ctx, stop = context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+prefix+"/events", nil)
	if err != nil {
		stop()
		return nil, nil, err
	}
	resp, err := e.client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("%s: follow the events: %s", e.name, resp.Status)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	values := make(chan []float64, 1)
	go func() {
		defer resp.Body.Close()
		var all []float64
		defer func() { values <- all }()
		for d := json.NewDecoder(resp.Body); ; {
			var event struct{ TimeNano int64 }
			if d.Decode(&event) != nil {
				return
			}
			all = append(all, float64(time.Now().UnixNano()-event.TimeNano)/1000)
		}
	}()
	return values, stop, nil
}
