package clienttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// remote speaks HTTP to an engine: it is the client for what no ready-made
// client lets a test ask.
type remote struct {
	t       *testing.T
	host    string
	version string
	hc      *http.Client
}

func newRemote(t *testing.T, host, version string) *remote {
	a := &remote{t: t, host: host, version: version, hc: daemon.Client(strings.TrimPrefix(host, "unix://"))}
	t.Cleanup(a.hc.CloseIdleConnections)
	return a
}

// forEachVersion runs a test once per version from first on.
func forEachVersion(t *testing.T, first string, test func(t *testing.T, a *remote)) {
	t.Parallel()
	for _, v := range versions[slices.Index(versions, first):] {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			test(t, newRemote(t, engine, v))
		})
	}
}

// since says whether the version under test is at least v.
func (a *remote) since(v string) bool {
	return slices.Index(versions, a.version) >= slices.Index(versions, v)
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) String() string { return fmt.Sprintf("%d %.600s", r.status, r.body) }

// open sends a request; the body is a reader, nil, or sent as JSON. The answer's
// body is open until the test ends.
func (a *remote) open(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case io.Reader:
		content, kind = b, "application/x-tar"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			a.t.Error(err)
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://engine/v"+a.version+path, content)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", kind)
	answer, err := a.hc.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	a.t.Cleanup(func() { answer.Body.Close() })
	return answer, nil
}

// send is open that reads the whole answer, within patience. It may be called
// from any goroutine.
func (a *remote) send(method, path string, body any) (reply, error) {
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	answer, err := a.open(ctx, method, path, body)
	if err != nil {
		return reply{}, err
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		err = fmt.Errorf("%s %s: after %d bytes: %w", method, path, len(text), err)
	}
	return reply{answer.StatusCode, answer.Header, text}, err
}

// call sends a request that must be answered with one of the statuses; without
// any, every success will do.
func (a *remote) call(method, path string, body any, statuses ...int) reply {
	a.t.Helper()
	r, err := a.send(method, path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	if !slices.Contains(statuses, r.status) && (len(statuses) > 0 || r.status >= 300 && r.status != http.StatusNotModified) {
		a.t.Fatalf("%s %s: %v, want %v", method, path, r, statuses)
	}
	return r
}

// object is call for an answer in JSON.
func (a *remote) object(method, path string, body any) map[string]any {
	a.t.Helper()
	r := a.call(method, path, body)
	var value map[string]any
	if err := json.Unmarshal(r.body, &value); err != nil {
		a.t.Fatalf("%s %s: %v: %v", method, path, err, r)
	}
	return value
}

// shell is the command line of a script.
func shell(script string) []string { return []string{"sh", "-c", script} }

// create makes a container that is removed when the test ends, and returns its
// id. The image is busybox unless config says otherwise.
func (a *remote) create(config map[string]any) string {
	a.t.Helper()
	if config["Image"] == nil {
		config["Image"] = "busybox"
	}
	id, _ := a.object(http.MethodPost, "/containers/create", config)["Id"].(string)
	a.t.Cleanup(func() {
		// The test's own context is over.
		r, err := http.NewRequest(http.MethodDelete, "http://engine/v1.23/containers/"+id+"?force=1&v=1", nil)
		if err == nil {
			var answer *http.Response
			if answer, err = a.hc.Do(r); err == nil {
				answer.Body.Close()
			}
		}
		if err != nil {
			a.t.Error(err)
		}
	})
	return id
}

// run creates and starts a container.
func (a *remote) run(config map[string]any) string {
	a.t.Helper()
	id := a.create(config)
	a.call(http.MethodPost, "/containers/"+id+"/start", nil, http.StatusNoContent)
	return id
}

// wait gives the exit code of a container.
func (a *remote) wait(id string) int {
	a.t.Helper()
	code, ok := a.object(http.MethodPost, "/containers/"+id+"/wait", nil)["StatusCode"].(float64)
	if !ok {
		a.t.Fatalf("wait for %s: no StatusCode", id)
	}
	return int(code)
}

// state is the member State of inspect.
func (a *remote) state(id string) map[string]any {
	a.t.Helper()
	s, _ := a.object(http.MethodGet, "/containers/"+id+"/json", nil)["State"].(map[string]any)
	return s
}
