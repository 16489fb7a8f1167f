package fieldtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// The forms of JSON that bodies are written in.
type (
	object = map[string]any
	list   = []any
)

// answer is what the engine said.
type answer struct {
	status int
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, bytes.TrimSpace(a.body)) }

// text is an error's message.
func (a answer) text() string { return strings.TrimSpace(string(a.body)) }

// side is an engine to talk to.
type side struct {
	*daemon.Daemon
	client *http.Client
	// dir has its roots; name is its bridge's and its cgroup's.
	dir, name string
}

func newSide(d *daemon.Daemon, dir, name string) side {
	return side{Daemon: d, client: daemon.Client(d.Socket()), dir: dir, name: name}
}

// berthSide starts a further berthd, which ends with the test and has the tests'
// images.
func berthSide(t *testing.T, name, bridge, address string, further ...string) *side {
	t.Helper()
	dir := filepath.Join(scratch, name)
	remains := daemon.Remains{Dir: dir, Bridge: bridge, Cgroup: "/" + bridge}
	t.Cleanup(func() {
		if err := remains.Remove(); err != nil {
			t.Error(err)
		}
	})
	engine, err := startBerth(dir, bridge, address, further...)
	if err != nil {
		t.Fatal(err)
	}
	s := newSide(engine, dir, bridge)
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.makeImages(); err != nil {
		t.Fatal(err)
	}
	return &s
}

// plainSide is an engine without further flags.
func plainSide(t *testing.T) side {
	t.Helper()
	if *further == "" {
		return own
	}
	return *berthSide(t, "plain", "berthfield3", "10.219.0.1/24")
}

// stop ends the engine, which must have been well.
func (s side) stop() error {
	s.client.CloseIdleConnections()
	return errors.Join(s.Stop(30*time.Second), daemon.Healthy(s.Log()))
}

func (s side) request(method, path string, body io.Reader, contentType string) (answer, error) {
	req, err := http.NewRequest(method, "http://engine"+path, body)
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, data}, err
}

// requestJSON sends body as JSON, nothing if it is nil.
func (s side) requestJSON(method, path string, body any) (answer, error) {
	if body == nil {
		return s.request(method, path, nil, "")
	}
	data, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	return s.request(method, path, bytes.NewReader(data), "application/json")
}
