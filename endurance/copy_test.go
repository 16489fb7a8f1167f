package endurance

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
)

// TestCopyAtTheEnd copies out of containers and into them while they end: whether
// one still runs is no client's concern, and what goes to a volume is there.
func TestCopyAtTheEnd(t *testing.T) {
	e := start(t, options{})
	var busy sync.WaitGroup
	for worker := range 3 {
		busy.Go(func() {
			for run := range 12 {
				volume := fmt.Sprintf("copy-%d-%d", worker, run)
				id := made(t, e.client, "/containers/create", map[string]any{
					"Image": "busybox", "Cmd": []string{"true"}, "HostConfig": map[string]any{"Binds": []string{volume + ":/data"}},
				})
				want(t, e.client, 204, http.MethodPost, "/containers/"+id+"/start", nil)
				for part := range 6 {
					want(t, e.client, 200, http.MethodGet, "/containers/"+id+"/archive?path=/etc", nil)
					want(t, e.client, 200, http.MethodHead, "/containers/"+id+"/archive?path=/etc", nil)
					want(t, e.client, 200, http.MethodPut, "/containers/"+id+"/archive?path=/etc", pack(map[string]string{"new": "x"}))
					file := fmt.Sprintf("part%d", part)
					want(t, e.client, 200, http.MethodPut, "/containers/"+id+"/archive?path=/data", pack(map[string]string{file: "x"}))
					if _, err := os.Stat(e.data("volumes", volume, "_data", file)); err != nil {
						t.Errorf("put into the volume, and not there: %v", err)
					}
				}
				want(t, e.client, 204, http.MethodDelete, "/containers/"+id+"?force=1", nil)
			}
		})
	}
	busy.Wait()
}
