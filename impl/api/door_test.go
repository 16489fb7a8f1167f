package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/grant"
	"github.com/seed-50ced230/berth/spec"
)

func granted(t *testing.T, labels []string, allow ...string) *grant.Grant {
	t.Helper()
	g, err := grant.New("unix:///a.sock", allow, labels)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestDoorOfEveryOperation allows one operation after another, and calls every
// operation at every version and without a version: the allowed one reaches the
// engine and every other one is refused.
func TestDoorOfEveryOperation(t *testing.T) {
	of, _ := documented(t)
	ids := map[string]bool{}
	for _, operations := range of {
		for _, op := range operations {
			ids[op.ID] = true
		}
	}
	count := 0
	for id := range ids {
		// This engine tells of each operation that it was reached, by 501.
		d := serveThrough(t, hub.Unimplemented{}, api.Options{Version: "x"}, granted(t, nil, id))
		for _, version := range append(spec.Versions(), "") {
			prefix, operations := "/v"+version, of[version]
			if version == "" {
				prefix, operations = "", of["1.23"]
			}
			for c, op := range operations {
				response, text := d.send(t, op.request(t, c.method, prefix+c.path))
				status, want := http.StatusForbidden, op.ID+" is not allowed on the socket unix:///a.sock\n"
				if op.ID == id {
					status, want = http.StatusNotImplemented, op.ID+" is not implemented by this engine yet\n"
					count++
				}
				if c.method == http.MethodHead {
					want = ""
				}
				if response.StatusCode != status || text != want {
					t.Errorf("%s allowed, %s %s: %d %q, wanted %d %q", id, c.method, prefix+c.path, response.StatusCode, text, status, want)
				}
			}
		}
		if err := d.stop(); err != nil {
			t.Error(err)
		}
	}
	if count != 302+len(of["1.23"]) {
		t.Errorf("%d operations were allowed, wanted 302 and the newest without a version", count)
	}
}

// TestDoorOfTags allows tags, which are the documents' own.
func TestDoorOfTags(t *testing.T) {
	d := serveThrough(t, hub.Unimplemented{}, api.Options{}, granted(t, nil, "volumes", "ImageList", "documents"))
	for path, status := range map[string]int{
		"/volumes": 501, "/volumes/a": 501, "/images/json": 501, "/images/a/json": 403, "/networks": 403, "/info": 403,
		"/containers/json": 403, "/swagger.json": 404, "/v1.24/volumes": 400, "/v1.24/networks": 400, "/nothing": 404,
	} {
		if response, text := d.do(t, http.MethodGet, path, "", ""); response.StatusCode != status {
			t.Errorf("%s: %d %q, wanted %d", path, response.StatusCode, text, status)
		}
	}
}

// TestDoorTricks tries to pass a door that allows GET /containers/json (and the
// ping) by the shape of the request.
func TestDoorTricks(t *testing.T) {
	reached := make(chan string, 100)
	e := &engine{
		list: func(context.Context, *hub.ContainerListParams) ([]models.ContainerSummary, error) { return nil, nil },
		inspect: func(_ context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
			reached <- "inspect " + p.Name
			return nil, nil
		},
		attach: func(context.Context, *hub.ContainerAttachParams, http.ResponseWriter, *http.Request) error {
			reached <- "attach"
			return nil
		},
		ws: func(context.Context, *hub.ContainerAttachWebsocketParams, http.ResponseWriter, *http.Request) error {
			reached <- "ws"
			return nil
		},
		execute: func(context.Context, *hub.ExecStartParams, http.ResponseWriter, *http.Request) error {
			reached <- "exec"
			return nil
		},
		create: func(context.Context, *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
			reached <- "create"
			return nil, nil
		},
	}
	documents := map[string]api.Document{"/swagger.json": {MediaType: "application/json", Read: func(string) ([]byte, bool, error) {
		return []byte("{}"), true, nil
	}}}
	d := serveThrough(t, e, api.Options{Documents: documents}, granted(t, nil, "ContainerList"))
	const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
	const websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for _, trick := range []struct {
		line, head string
		status     int
	}{
		{"GET /containers/json", "", 200},
		{"GET /v1.18/containers/json", "", 200},
		{"GET //containers//json", "", 200},
		{"GET /containers%2fjson", "", 200},
		{"GET http://d/containers/json", "", 200},
		{"GET /containers/json/", "", 404},
		{"GET /containers/json/json", "", 403},
		{"GET /containers/json/../a/json", "", 403},
		{"GET /containers/a/json?x=/containers/json", "", 403},
		{"GET /containers/a/json#/containers/json", "", 403},
		{"GET /v1.23/../v1.18/containers/a/json", "", 403},
		{"GET /v1.00000023/containers/a/json", "", 403},
		{"GET /v1.15/containers/a/json", "", 403},
		{"GET /containers/%2e%2e/containers/a/json", "", 403},
		{"GET /containers/a%2fjson", "", 403},
		{"GET http://d/containers/a/json", "", 403},
		{"GET /_ping", "", 403},
		{"HEAD /_ping", "", 403},
		{"HEAD /v1.23/_ping", "", 403},
		{"GET /swagger.json", "", 403},
		{"GET /v1.20/swagger.json", "", 403},
		{"HEAD /containers/json", "", 404},
		{"get /containers/a/json", "", 404},
		{"OPTIONS /containers/a/json", "", 200},
		{"GET /containers/a/json", "X-Original-URL: /containers/json\r\nX-HTTP-Method-Override: GET\r\n", 403},
		{"POST /containers/json", "X-HTTP-Method-Override: GET\r\n", 404},
		{"POST /containers/a/attach?stream=1", upgrade, 403},
		{"POST /exec/a/start", upgrade + "Content-Type: application/json\r\n", 403},
		{"GET /containers/a/attach/ws?stream=1", websocket, 403},
		{"POST /containers/create", "Content-Type: application/json\r\n", 403},
		{"POST /containers/create", "Expect: 100-continue\r\n", 403},
	} {
		_, r := d.raw(t, trick.line+" HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"+trick.head+"\r\n")
		method, _, _ := strings.Cut(trick.line, " ")
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Errorf("%s: %v", trick.line, err)
			continue
		}
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode != trick.status {
			t.Errorf("%s: %d %q, wanted %d", trick.line, response.StatusCode, text, trick.status)
		}
	}
	// What follows an allowed request on its connection is no part of it.
	_, r := d.raw(t, "GET /containers/json HTTP/1.1\r\nHost: d\r\n\r\nGET /containers/a/json HTTP/1.1\r\nHost: d\r\n\r\n")
	for _, status := range []int{200, 403} {
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		if response.StatusCode != status {
			t.Errorf("pipelined: %d, wanted %d", response.StatusCode, status)
		}
	}
	close(reached)
	for what := range reached {
		t.Errorf("the engine was reached: %s", what)
	}
}

// TestDoorIsAudited looks at the lines about refusals and changes.
func TestDoorIsAudited(t *testing.T) {
	e := &engine{inspect: func(context.Context, *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
		return &models.ContainerInspect{ID: "1", Config: &models.ContainerConfig{}}, nil
	}}
	d := serveThrough(t, e, api.Options{}, granted(t, []string{"a=b"}, "ContainerCreate", "ContainerInspect", "ContainerStop"))
	who := fmt.Sprintf("uid=%d gid=%d pid=%d", os.Getuid(), os.Getgid(), os.Getpid())
	for _, try := range []struct {
		method, path, body string
		status             int
		line               string // "" for none
	}{
		{"GET", "/v1.20/images/some/name/json", "", 403, `level=WARN msg=audit id=1 verdict=refused socket=unix:///a.sock operation=ImageInspect object=some/name ` + who},
		{"POST", "/containers/create?name=x", `{}`, 201, `level=INFO msg=audit id=2 verdict=allowed socket=unix:///a.sock operation=ContainerCreate object=x ` + who},
		{"GET", "/containers/other/json", "", 404, `level=WARN msg=audit id=3 verdict=refused socket=unix:///a.sock operation=ContainerInspect object=other ` + who},
		{"POST", "/containers/create", `{"HostConfig":{"Privileged":true}}`, 403, `level=WARN msg=audit id=4 verdict=refused socket=unix:///a.sock operation=ContainerCreate object="" ` + who},
		{"GET", "/_ping", "", 403, `level=WARN msg=audit id=5 verdict=refused socket=unix:///a.sock operation=SystemPing object="" ` + who},
		{"GET", "/nothing", "", 404, ""},
	} {
		before := strings.Count(d.log.String(), "msg=audit")
		response, text := d.do(t, try.method, try.path, "application/json", try.body)
		if response.StatusCode != try.status {
			t.Errorf("%s %s: %d %q", try.method, try.path, response.StatusCode, text)
		}
		if !strings.Contains(d.log.String(), try.line) || try.line == "" && strings.Count(d.log.String(), "msg=audit") != before {
			t.Errorf("%s %s: no line\n%s\nin\n%s", try.method, try.path, try.line, d.log)
		}
	}
}
