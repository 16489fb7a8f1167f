package conformance

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// volumeKeeper is a daemon that has volumes, one network and nothing else.
func volumeKeeper(t *testing.T) wire.Endpoint {
	t.Helper()
	var mu sync.Mutex
	names := map[string]bool{"somebodys": true}
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, value any) { _ = json.NewEncoder(w).Encode(value) }
	mux.HandleFunc("GET /v1.23/_ping", func(w http.ResponseWriter, _ *http.Request) { reply(w, "OK") })
	mux.HandleFunc("GET /containers/json", func(w http.ResponseWriter, _ *http.Request) { reply(w, []any{}) })
	mux.HandleFunc("GET /images/json", func(w http.ResponseWriter, _ *http.Request) { reply(w, nil) })
	mux.HandleFunc("GET /networks", func(w http.ResponseWriter, _ *http.Request) { reply(w, []any{map[string]any{"Id": "n"}}) })
	mux.HandleFunc("GET /volumes", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var list []any
		for name := range names {
			list = append(list, map[string]any{"Name": name})
		}
		reply(w, map[string]any{"Volumes": list})
	})
	mux.HandleFunc("POST /v1.23/volumes/create", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Name string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		defer mu.Unlock()
		names[body.Name] = true
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("DELETE /volumes/{name}", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		delete(names, r.PathValue("name"))
		w.WriteHeader(http.StatusNoContent)
	})
	path := filepath.Join(t.TempDir(), "sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	endpoint, err := wire.ParseEndpoint("unix://"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}

// A case that leaves something or takes something away is noticed, whatever it
// finds itself, and one that tidies up is not.
func TestAlone(t *testing.T) {
	t.Parallel()
	volume := func(r *Run) string {
		name := r.fresh()
		r.must(r.call(http.MethodPost, "/volumes/create", nil, map[string]any{"Name": name}), "creating a volume", http.StatusCreated)
		return name
	}
	for name, c := range map[string]struct {
		run  func(*Run)
		want string
	}{
		"tidies": {func(r *Run) { r.removeVolume(volume(r)) }, ""},
		"leaves": {func(r *Run) { volume(r) }, "the case left volume bc-run-"},
		"takes":  {func(r *Run) { r.removeVolume("somebodys") }, "the case took away volume somebodys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite := NewSuite(volumeKeeper(t), nil, 10*time.Second, "run")
			suite.Alone = true
			operation := &document.Operation{ID: "VolumeCreate", Method: http.MethodPost, Path: "/volumes/create"}
			one := newCase(Case{Name: name, Document: &document.Document{Version: "1.23"}, Operation: operation, run: c.run}, "own")
			first, second := suite.Run(t.Context(), one), suite.Run(t.Context(), one)
			verdict := Pass
			if c.want != "" {
				verdict = Fail
			}
			noticed := slices.ContainsFunc(first.Findings, func(f Finding) bool { return f.Rule == "alone" && strings.HasPrefix(f.Text, c.want) })
			if first.Verdict != verdict || noticed != (c.want != "") {
				t.Errorf("%s: %s", first.Verdict, first.Explain())
			}
			// Names stay this run's own from case to case: what is left is left again.
			if name == "leaves" && second.Verdict != Fail {
				t.Errorf("the second time: %s: %s", second.Verdict, second.Explain())
			}
		})
	}
}
