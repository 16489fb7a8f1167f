package endurance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
)

// unending are operations whose answer may have no end: it is read for a moment.
var unending = map[string]bool{
	"ContainerAttach": true, "ContainerAttachWebsocket": true, "ContainerLogs": true, "ContainerStats": true, "ContainerWait": true, "ExecStart": true, "SystemEvents": true,
}

// failures are the answers 500 that are right: the engine could not do what was
// asked, and the reason is neither its own nor the client's mistake.
var failures = regexp.MustCompile(strings.Join([]string{
	`connection refused`, `network is unreachable`, `no such host`, // of registries and remote contexts; there is no other host
	`^Cannot (un)?pause container`,                 // that does not run, or runs already: the documents have no other status
	`failed to write .*: invalid argument`,         // a limit that only the kernel can refuse, at the start
	`^Cannot resize container`,                     // that does not run or has no terminal: so do they here
	`the (mini|maxi)mum allowed cpu-shares`,        // another, since 1.19
	`oom_score_adj: Permission denied`,             // by a daemon without CAP_SYS_RESOURCE
	`could not find an available, non-overlapping`, // every subnet is taken
}, "|"))

// TestDrawnFromDocuments sends sequences of requests that are drawn from the
// documents of all versions, to objects that earlier ones have made. Every answer comes within a
// bound and has a status that the document knows, none is a failure of the engine's own, and in
// the end nothing is left over. BERTH_SEED repeats the draws, BERTH_ROUNDS is how many
// requests there are, BERTH_TIME bounds them (a duration).
func TestDrawnFromDocuments(t *testing.T) {
	seed, _ := draws(t)
	e := start(t, options{})
	// What is made once and kept is no leak: work of all kinds, and nothing of it left.
	if err := e.transfer(context.Background(), "/build?nocache=1", pack(map[string]string{"Dockerfile": "FROM busybox\nRUN true\n"})); err != nil {
		t.Fatal(err)
	}
	if err := e.transfer(context.Background(), "/build?t=bare", pack(map[string]string{"Dockerfile": "FROM scratch\nCOPY a /\n", "a": "x"})); err != nil {
		t.Fatal(err)
	}
	e.create("", map[string]any{"Image": "bare", "Cmd": []string{"x"}}) // the layer below containers of its kind stays
	e.clear(t)
	before := e.steady()
	e.loadBusybox()
	limit := duration(t, 12*time.Second)
	var archive, image bytes.Buffer
	if err := busybox.Archive(&image, "busybox:latest"); err != nil {
		t.Fatal(err)
	}
	if err := busybox.Archive(&archive, "loaded:latest"); err != nil {
		t.Fatal(err)
	}
	all := contracts(t)
	const workers = 3
	each := rounds(t, 1800) / workers
	deadline := time.Now().Add(limit)
	statuses := map[int]int{}
	var mu sync.Mutex
	var busy sync.WaitGroup
	host := t.TempDir()
	for i := range workers {
		busy.Go(func() {
			d := &drawer{Rand: rand.New(rand.NewPCG(seed, uint64(i))), image: archive.Bytes(), host: host}
			for n := range each {
				if time.Now().After(deadline) {
					return
				}
				if n%15 == 0 {
					d.live = e.objects(t)
				}
				d.contract = pick(d.Rand, all...)
				if i == 0 && n%15 == 0 && !slices.Contains(d.live["image"], "busybox:latest") {
					if err := e.transfer(context.Background(), "/images/load", raw{"application/x-tar", bytes.NewReader(image.Bytes())}); err != nil {
						t.Errorf("load busybox again: %v", err)
					}
				}
				o := pick(d.Rand, d.contract.operations...)
				if d.odds(45) { // what the others need
					id := pick(d.Rand, "ContainerCreate", "ContainerCreate", "ContainerStart", "ContainerStart", "ContainerExec", "NetworkCreate", "VolumeCreate")
					if at := slices.IndexFunc(d.contract.operations, func(o *operation) bool { return o.ID == id }); at >= 0 {
						o = d.contract.operations[at]
					}
				}
				r := d.draw(o)
				status, err := e.try(r, d)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
				if err != nil {
					t.Errorf("%v\n%v", r, err)
				}
			}
		})
	}
	busy.Wait()
	t.Logf("answers by status: %v", statuses)
	if statuses[200] == 0 || statuses[201] == 0 || statuses[204] == 0 || statuses[400] == 0 || statuses[404] == 0 || statuses[409] == 0 {
		t.Error("the draws are too one-sided to prove anything")
	}
	e.clear(t)
	e.settles(before)
}

// try sends a request and says what is wrong with its answer.
func (e *engine) try(r request, d *drawer) (status int, err error) {
	limit := 30 * time.Second
	if unending[r.ID] {
		limit = 150 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, r.method, "http://d"+r.url, bytes.NewReader(r.body))
	if err != nil {
		return 0, err
	}
	if r.kind != "" {
		q.Header.Set("Content-Type", r.kind)
	}
	resp, err := e.hc.Do(q)
	if err != nil {
		if unending[r.ID] && errors.Is(err, context.DeadlineExceeded) {
			return 0, nil
		}
		return 0, fmt.Errorf("no answer within %v: %w\n%.20000s", limit, err, e.stacks())
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil && !unending[r.ID] {
		return resp.StatusCode, fmt.Errorf("%d, and then: %w", resp.StatusCode, err)
	}
	switch {
	case resp.StatusCode == http.StatusInternalServerError && !failures.Match(text):
		return resp.StatusCode, fmt.Errorf("500 %.600s", text)
	case !r.documented(resp.StatusCode):
		return resp.StatusCode, fmt.Errorf("an undocumented status: %d %.600s", resp.StatusCode, text)
	}
	var made struct{ ID string }
	if r.ID == "ContainerExec" && json.Unmarshal(text, &made) == nil && made.ID != "" {
		d.live["exec"] = append(d.live["exec"], made.ID)
	}
	return resp.StatusCode, nil
}

// objects lists what there is.
func (e *engine) objects(t *testing.T) map[string][]string {
	t.Helper()
	var list struct {
		containers, images, networks []struct {
			ID              string
			Name            string
			Names, RepoTags []string
		}
		volumes struct{ Volumes []struct{ Name string } }
	}
	for path, into := range map[string]any{"/containers/json?all=1": &list.containers, "/images/json": &list.images, "/networks": &list.networks, "/volumes": &list.volumes} {
		a, err := e.send(context.Background(), http.MethodGet, path, nil)
		if err == nil {
			err = a.decode(into)
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	live := map[string][]string{}
	for _, c := range list.containers {
		live["container"] = append(live["container"], c.ID)
		live["id"] = append(live["id"], c.ID)
		for _, name := range c.Names {
			live["container"] = append(live["container"], strings.TrimPrefix(name, "/"))
		}
	}
	for _, i := range list.images {
		live["image"] = append(append(live["image"], i.ID), i.RepoTags...)
	}
	for _, n := range list.networks {
		live["network"] = append(live["network"], n.ID, n.Name)
	}
	for _, v := range list.volumes.Volumes {
		live["volume"] = append(live["volume"], v.Name)
	}
	return live
}

// clear removes everything, which has to be possible whatever was done.
func (e *engine) clear(t *testing.T) {
	t.Helper()
	live := e.objects(t)
	for _, id := range live["id"] {
		want(t, e.client, 204, http.MethodDelete, "/containers/"+id+"?force=1&v=1", nil)
	}
	for _, id := range live["network"] {
		if len(id) == 64 {
			_, _ = e.send(context.Background(), http.MethodDelete, "/networks/"+id, nil) // bridge, host and none stay
		}
	}
	for _, name := range e.objects(t)["volume"] {
		want(t, e.client, 204, http.MethodDelete, "/volumes/"+url.PathEscape(name), nil)
	}
	for range 50 { // parents come after their children
		left := e.objects(t)["image"]
		if len(left) == 0 {
			break
		}
		for _, id := range left {
			if strings.HasPrefix(id, "sha256:") {
				_, _ = e.send(context.Background(), http.MethodDelete, "/images/"+id+"?force=1", nil) // may be gone with another
			}
		}
	}
	left := e.objects(t)
	if len(left["container"])+len(left["image"])+len(left["volume"]) > 0 || len(left["network"]) != 6 {
		t.Errorf("cannot be removed: %v", left)
	}
}
