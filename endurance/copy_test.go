package endurance

import (
	"net/http"
	"sync"
	"testing"
)

// TestCopyAtTheEnd copies out of containers and into them while they end: whether
// one still runs is no client's concern.
func TestCopyAtTheEnd(t *testing.T) {
	e := start(t, options{})
	var busy sync.WaitGroup
	for range 3 {
		busy.Go(func() {
			for range 12 {
				id := made(t, e.client, "/containers/create", map[string]any{"Image": "busybox", "Cmd": []string{"true"}})
				want(t, e.client, 204, http.MethodPost, "/containers/"+id+"/start", nil)
				for range 6 {
					want(t, e.client, 200, http.MethodGet, "/containers/"+id+"/archive?path=/etc", nil)
					want(t, e.client, 200, http.MethodHead, "/containers/"+id+"/archive?path=/etc", nil)
					want(t, e.client, 200, http.MethodPut, "/containers/"+id+"/archive?path=/etc", pack(map[string]string{"new": "x"}))
				}
				want(t, e.client, 204, http.MethodDelete, "/containers/"+id+"?force=1", nil)
			}
		})
	}
	busy.Wait()
}
