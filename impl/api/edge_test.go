package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/fault"
)

// TestRecorded holds the edge against what Docker Engine 1.11.2 answered.
// Where berth's status differs the file says why; texts may say more before the
// engine's words.
func TestRecorded(t *testing.T) {
	raw, err := os.ReadFile("testdata/recorded-engine-1.11.2.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded []struct {
		Name, Method, Path, Body, ContentType, Text, Why string
		Headers                                          map[string]string
		Status, BerthStatus                              int
		Nosniff                                          bool
	}
	if err := json.Unmarshal(raw, &recorded); err != nil {
		t.Fatal(err)
	}
	d := serve(t, &engine{}, api.Options{})
	for _, want := range recorded {
		t.Run(want.Name, func(t *testing.T) {
			response, text := d.do(t, want.Method, want.Path, want.Headers["Content-Type"], want.Body)
			status := want.Status
			if want.BerthStatus != 0 {
				status = want.BerthStatus
			}
			if response.StatusCode != status {
				t.Errorf("status %d, wanted %d (the engine: %d); %s", response.StatusCode, status, want.Status, text)
			}
			if got := response.Header.Get("Content-Type"); got != want.ContentType {
				t.Errorf("content type %q, wanted %q", got, want.ContentType)
			}
			if got := response.Header.Get("X-Content-Type-Options") == "nosniff"; got != want.Nosniff {
				t.Errorf("nosniff is %t", got)
			}
			if !strings.HasSuffix(text, want.Text) {
				t.Errorf("text %q, wanted %q", text, want.Text)
			}
		})
	}
}

func TestPrefixesAndPaths(t *testing.T) {
	d := serve(t, &engine{
		image: func(_ context.Context, p *hub.ImageInspectParams) (*models.ImageInspect, error) {
			return &models.ImageInspect{ID: p.Name}, nil
		},
		inspect: func(_ context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
			return &models.ContainerInspect{ID: p.Name, Config: &models.ContainerConfig{}, HostConfig: &models.HostConfig{}}, nil
		},
		remove: func(_ context.Context, p *hub.ImageDeleteParams) ([]models.ImageDeleteItem, error) {
			return []models.ImageDeleteItem{{Untagged: p.Name}}, nil
		},
	}, api.Options{})
	for _, test := range []struct {
		method, path string
		status       int
		contains     string
	}{
		{"GET", "/info", 200, `"MemoryLimit":true`},
		{"GET", "/v1.23/info", 200, `"MemoryLimit":true`},
		{"GET", "/v1.19/info", 200, `"MemoryLimit":true`},
		{"GET", "/v1.18/info", 200, `"MemoryLimit":1`},
		{"GET", "/v1.17/info", 200, `"MemoryLimit":1`},
		{"GET", "/v1.12/info", 200, `"MemoryLimit":1`},
		{"GET", "/v1.18.9/info", 200, `"MemoryLimit":1`},
		{"GET", "/v1.23.0/info", 200, `"MemoryLimit":true`},
		{"GET", "/v1.23.1/info", 400, "client is newer than server (client API version: 1.23.1, server API version: 1.23)"},
		{"GET", "/v2/info", 400, "client is newer"},
		{"GET", "/v9999999999999999999999/info", 400, "client is newer"},
		{"GET", "/v1.9/info", 400, "client version 1.9 is too old"},
		{"GET", "/v1/info", 400, "too old"},
		{"GET", "/v1.24/nothing", 404, "404 page not found"},
		{"GET", "/v1.11/nothing", 404, "404 page not found"},
		{"GET", "/v1.23", 404, "404 page not found"},
		{"GET", "/v1.23/", 404, "404 page not found"},
		{"GET", "/v/info", 404, "404 page not found"},
		{"GET", "/v1.x/info", 404, "404 page not found"},
		{"GET", "/version/info", 404, "404 page not found"},
		{"GET", "/version", 200, `"ApiVersion":"1.23"`},
		{"GET", "/volumes", 501, "VolumeList is not implemented by this engine yet"},
		{"GET", "/v1.18/volumes", 404, "404 page not found"},
		{"GET", "//v1.23//info", 200, "MemoryLimit"},
		{"GET", "/v1.23/./images/../info", 200, "MemoryLimit"},
		{"POST", "//containers//create", 400, "a JSON body is required"},
		{"GET", "/v1.23/info/", 404, "404 page not found"},
		{"GET", "/", 404, "404 page not found"},
		{"GET", "/images/busybox/json", 200, `"Id":"busybox"`},
		{"GET", "/images/library/busybox:1.0/json", 200, `"Id":"library/busybox:1.0"`},
		{"GET", "/images/h:5000/a/b/c@sha256:0/json", 200, `"Id":"h:5000/a/b/c@sha256:0"`},
		{"GET", "/images/a%2Fb/json", 200, `"Id":"a/b"`},
		{"GET", "/images/json/json", 200, `"Id":"json"`},
		{"GET", "/images/a/json/json", 200, `"Id":"a/json"`},
		{"GET", "/containers/a/alias/json", 200, `"Id":"a/alias"`},
		{"DELETE", "/images/a/b", 200, `"Untagged":"a/b"`},
		{"DELETE", "/images/json", 200, `"Untagged":"json"`},
		{"DELETE", "/images/", 404, "404 page not found"},
		{"POST", "/info", 404, "404 page not found"},
		{"PUT", "/v1.23/containers/create", 404, "404 page not found"},
		{"HEAD", "/info", 404, ""},
		{"HEAD", "/_ping", 200, ""},
		{"HEAD", "/v1.20/_ping", 200, ""},
		{"HEAD", "/v1.24/_ping", 400, ""},
		{"GET", "/_ping", 200, "OK"},
		{"OPTIONS", "/containers/json", 200, ""},
		{"OPTIONS", "/anything", 200, ""},
		{"PATCH", "/info", 404, "404 page not found"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			response, text := d.do(t, test.method, test.path, "", "")
			if response.StatusCode != test.status || !strings.Contains(text, test.contains) {
				t.Errorf("%d %q, wanted %d %q", response.StatusCode, text, test.status, test.contains)
			}
			for name, want := range map[string]string{"Api-Version": "1.23", "Ostype": "linux", "Server": "Docker/berth-0.0-test (linux)"} {
				if got := response.Header.Get(name); got != want {
					t.Errorf("header %s: %q, wanted %q", name, got, want)
				}
			}
			if response.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("CORS headers, although not asked for")
			}
			if response.StatusCode >= 400 && test.method != "HEAD" && !strings.HasSuffix(text, "\n") {
				t.Errorf("error %q does not end with a newline", text)
			}
		})
	}
}

func TestCORS(t *testing.T) {
	d := serve(t, &engine{}, api.Options{CORS: "http://foo"})
	for _, method := range []string{"OPTIONS", "GET"} {
		response, _ := d.do(t, method, "/info", "", "")
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin":  "http://foo",
			"Access-Control-Allow-Headers": "Origin, X-Requested-With, Content-Type, Accept, X-Registry-Auth",
			"Access-Control-Allow-Methods": "HEAD, GET, POST, DELETE, PUT, OPTIONS",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, wanted %q", method, name, got, want)
			}
		}
	}
}

func TestDocument(t *testing.T) {
	form := func(pattern string) func(string) ([]byte, bool, error) {
		return func(version string) ([]byte, bool, error) {
			if version == "1.21" {
				return nil, true, errors.New("broken")
			}
			return fmt.Appendf(nil, pattern, version), version != "1.20", nil
		}
	}
	d := serve(t, &engine{}, api.Options{Documents: map[string]api.Document{
		"/swagger.json": {MediaType: "application/json", Read: form(`{"version":%q}`)},
		"/swagger.yaml": {MediaType: "application/yaml", Read: form("version: %q\n")},
	}})
	for _, test := range []struct {
		method, path string
		status       int
		media, want  string
	}{
		{"GET", "/swagger.json", 200, "application/json", `{"version":"1.23"}`},
		{"GET", "/v1.19/swagger.json", 200, "application/json", `{"version":"1.19"}`},
		{"GET", "/v1.19/swagger.yaml", 200, "application/yaml", "version: \"1.19\"\n"},
		{"GET", "/v1.20/swagger.json", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/v1.21/swagger.yaml", 500, "text/plain; charset=utf-8", "broken\n"},
		{"GET", "/v1.19/swagger.xml", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"POST", "/v1.19/swagger.json", 404, "text/plain; charset=utf-8", "404 page not found\n"},
	} {
		response, text := d.do(t, test.method, test.path, "", "")
		if got := response.Header.Get("Content-Type"); response.StatusCode != test.status || got != test.media || text != test.want {
			t.Errorf("%s %s: %d %s %q, wanted %d %s %q", test.method, test.path, response.StatusCode, got, text, test.status, test.media, test.want)
		}
	}
}

// However a client writes a version, requests are counted under one name, and
// what reaches no operation under none: a client cannot make up names without end.
func TestObserve(t *testing.T) {
	seen := make(chan api.Served, 1)
	d := serve(t, &engine{}, api.Options{Observe: func(s api.Served) { seen <- s }})
	for path, want := range map[string][2]string{
		"/v1.18/_ping": {"SystemPing", "1.18"}, "/v1.018/_ping": {"SystemPing", "1.18"}, "/v1.18.0.0/_ping": {"SystemPing", "1.18"},
		"/v1.12/_ping": {"SystemPing", "1.12"}, "/_ping": {"SystemPing", ""},
		"/v1.99/_ping": {"", ""}, "/v1.11.7/_ping": {"", ""}, "/v1.18/nothing": {"", ""},
	} {
		d.do(t, "GET", path, "", "")
		if got := <-seen; got.Operation != want[0] || got.Version != want[1] {
			t.Errorf("%s is counted for %q at %q, wanted %q at %q", path, got.Operation, got.Version, want[0], want[1])
		}
	}
}

func TestErrors(t *testing.T) {
	var failure error
	d := serve(t, &engine{
		list: func(context.Context, *hub.ContainerListParams) ([]models.ContainerSummary, error) {
			return nil, failure
		},
	}, api.Options{})
	for _, test := range []struct {
		err    error
		status int
	}{
		{fault.NotFound("No such container: x"), 404},
		{fault.Conflict("taken"), 409},
		{fault.Invalid("bad"), 400},
		{fault.Forbidden("no"), 403},
		{fault.Unauthorized("who"), 401},
		{fault.Unimplemented("later"), 501},
		{fault.Unavailable("busy"), 503},
		{fault.NotAcceptable("shape"), 406},
		{fault.Internal("broken"), 500},
		{errors.New("plain"), 500},
		{fmt.Errorf("open: %w", fs.ErrNotExist), 500},
		{fmt.Errorf("outer: %w", fault.NotFound("inner")), 404},
		{fault.Internal("lost the volume: %w", fault.NotFound("x")), 500},
		{errors.Join(errors.New("a"), fault.Conflict("b")), 409},
		{fmt.Errorf("x: %w", errdefs.ErrAlreadyExists), 409},
		{context.DeadlineExceeded, 500},
	} {
		failure = test.err
		response, text := d.do(t, "GET", "/containers/json", "", "")
		if response.StatusCode != test.status || text != test.err.Error()+"\n" {
			t.Errorf("%v: %d %q, wanted %d", test.err, response.StatusCode, text, test.status)
		}
		if got := response.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("%v: content type %q", test.err, got)
		}
	}
	failure = fault.NotModified("as it is")
	response, text := d.do(t, "GET", "/containers/json", "", "")
	if response.StatusCode != http.StatusNotModified || text != "" || response.Header.Get("Content-Type") != "" {
		t.Errorf("not modified: %d %q %v", response.StatusCode, text, response.Header)
	}
}

func TestStatusesWithoutBody(t *testing.T) {
	d := serve(t, &engine{
		stop: func(context.Context, *hub.ContainerStopParams) error { return nil },
		auth: func(_ context.Context, p *hub.SystemAuthParams) (*models.AuthResponse, error) {
			if p.Body != nil && p.Body.Username == "token" {
				return &models.AuthResponse{Status: "Login Succeeded"}, nil
			}
			return nil, nil
		},
	}, api.Options{})
	response, text := d.do(t, "POST", "/containers/x/stop", "", "")
	if response.StatusCode != 204 || text != "" || response.ContentLength > 0 {
		t.Errorf("stop: %d %q", response.StatusCode, text)
	}
	response, text = d.do(t, "POST", "/auth", "application/json", `{"username":"a"}`)
	if response.StatusCode != 204 || text != "" {
		t.Errorf("auth without a status: %d %q", response.StatusCode, text)
	}
	response, text = d.do(t, "POST", "/v1.18/auth", "application/json", `{"username":"token"}`)
	if response.StatusCode != 200 || text != `{"Status":"Login Succeeded"}`+"\n" {
		t.Errorf("auth: %d %q", response.StatusCode, text)
	}
}

func TestPanic(t *testing.T) {
	d := serve(t, &engine{
		list: func(context.Context, *hub.ContainerListParams) ([]models.ContainerSummary, error) { panic("secret") },
	}, api.Options{})
	response, text := d.do(t, "GET", "/containers/json", "", "")
	if response.StatusCode != 500 || strings.Contains(text, "secret") || strings.Contains(text, "goroutine") {
		t.Errorf("%d %q", response.StatusCode, text)
	}
	log := d.log.String()
	if !strings.Contains(log, "secret") || !strings.Contains(log, "TestPanic") {
		t.Errorf("the log has no panic or no stack: %s", log)
	}
	if response, _ := d.do(t, "GET", "/_ping", "", ""); response.StatusCode != 200 {
		t.Error("the daemon does not serve after a panic")
	}
}

func TestLog(t *testing.T) {
	d := serve(t, &engine{
		stop: func(context.Context, *hub.ContainerStopParams) error { return fault.NotFound("No such container: x") },
	}, api.Options{})
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://d/v1.20/containers/x/stop?t=5&secret=query", io.NopCloser(strings.NewReader("")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Registry-Auth", "secret-header")
	d.send(t, r)
	d.do(t, "GET", "/info", "", "")
	log := d.log.String()
	for _, want := range []string{"id=1", "id=2", "method=POST", "path=/v1.20/containers/x/stop", "version=1.20", "version=-", "operation=ContainerStop", "status=404", "status=200", "duration=", `error="No such container: x"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, "secret") {
		t.Errorf("the log tells too much:\n%s", log)
	}
}
