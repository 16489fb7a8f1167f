package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "github.com/seed-50ced230/berth/clients/go"
	generated "github.com/seed-50ced230/berth/gen/client/v1_23"
	"github.com/seed-50ced230/berth/gen/client/v1_23/containers"
	"github.com/seed-50ced230/berth/gen/client/v1_23/images"
	"github.com/seed-50ced230/berth/gen/client/v1_23/misc"
	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	v1_23 "github.com/seed-50ced230/berth/gen/v1_23/models"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/api/listen"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// engine answers what the test asks for.
type engine struct{ hub.Unimplemented }

func (engine) SystemPing(context.Context, *hub.SystemPingParams) (string, error) { return "OK", nil }

func (engine) ContainerCreate(_ context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	return &models.ContainerCreateResponse{ID: p.Name + " " + p.Body.Image, Warnings: []string{}}, nil
}

func (engine) ContainerInspect(_ context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	return nil, fault.NotFound("No such container: %s", p.Name)
}

func (engine) ContainerLogs(_ context.Context, _ *hub.ContainerLogsParams, out stream.Output) error {
	if _, err := stream.NewFrameWriter(out, stream.Stdout).Write([]byte("out")); err != nil {
		return err
	}
	_, err := stream.NewFrameWriter(out, stream.Stderr).Write([]byte("err"))
	return err
}

func (engine) SystemEvents(_ context.Context, _ *hub.SystemEventsParams, out stream.Output) error {
	return errors.Join(out.Encode(&models.Event{Action: "create"}), out.Encode(&models.Event{Action: "start"}))
}

func (engine) ImageBuild(_ context.Context, p *hub.ImageBuildParams, out stream.Output) error {
	all, err := io.ReadAll(p.Body)
	return errors.Join(err, out.Encode(&models.JSONMessage{Stream: string(all)}))
}

func TestGeneratedClient(t *testing.T) {
	address := "unix://" + filepath.Join(t.TempDir(), "d.sock")
	listeners, err := listen.Open(t.Context(), []string{address}, listen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	edge := api.New(engine{}, api.Options{Version: "test", Logger: slog.New(slog.DiscardHandler)})
	go func() { ended <- edge.Serve(ctx, listeners, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	transport, err := client.New(address, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := generated.New(transport, nil)

	pong, err := c.Misc.SystemPing(misc.NewSystemPingParams())
	if err != nil || pong.Payload != "OK" {
		t.Errorf("ping: %v %v", pong, err)
	}

	name := "name"
	body := &v1_23.ContainerCreateRequest{}
	body.Image = "busybox"
	created, err := c.Containers.ContainerCreate(containers.NewContainerCreateParams().WithName(&name).WithConfig(body))
	if err != nil || created.Payload.ID != "name busybox" {
		t.Errorf("create: %v %v", created, err)
	}

	_, err = c.Containers.ContainerInspect(containers.NewContainerInspectParams().WithName("a/b"))
	var missing *containers.ContainerInspectNotFound
	if !errors.As(err, &missing) || !strings.Contains(missing.Payload, "No such container: a") {
		t.Errorf("inspect: %v", err)
	}

	var multiplexed, stdout, stderr bytes.Buffer
	if _, err := c.Containers.ContainerLogs(containers.NewContainerLogsParams().WithName("x"), &multiplexed); err != nil {
		t.Fatal(err)
	}
	if err := client.Split(&stdout, &stderr, &multiplexed); err != nil || stdout.String() != "out" || stderr.String() != "err" {
		t.Errorf("logs: %q %q %v", stdout.String(), stderr.String(), err)
	}

	var lines bytes.Buffer
	if _, err := c.Misc.SystemEvents(misc.NewSystemEventsParams(), &lines); err != nil {
		t.Fatal(err)
	}
	events := json.NewDecoder(&lines)
	for _, want := range []string{"create", "start"} {
		var e models.Event
		if err := events.Decode(&e); err != nil || e.Action != want {
			t.Errorf("event %q %v, wanted %q", e.Action, err, want)
		}
	}

	var progress bytes.Buffer
	archive := io.NopCloser(strings.NewReader("an archive"))
	if _, err := c.Images.ImageBuild(images.NewImageBuildParams().WithInputStream(archive), &progress); err != nil || progress.String() != `{"stream":"an archive"}`+"\r\n" {
		t.Errorf("build: %q %v", progress.String(), err)
	}
}

// TestHijackRefused: an answer of 400 and above is an Error.
func TestHijackRefused(t *testing.T) {
	address := "unix://" + filepath.Join(t.TempDir(), "d.sock")
	c, err := client.New(address, client.Options{Version: "1.18"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Attach(t.Context(), "x", client.Attachment{Stream: true}); err == nil {
		t.Error("nobody listens, and no error")
	}
	listeners, err := listen.Open(t.Context(), []string{address}, listen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.18/exec/silent/start" {
			<-r.Context().Done()
			return
		}
		http.Error(w, "No such container: "+r.URL.String()+" "+r.Header.Get("Upgrade"), http.StatusNotFound)
	})}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(listeners[0]) }() // ends with Close
	_, err = c.Attach(t.Context(), "a b", client.Attachment{Logs: true, Stdin: true, DetachKeys: "ctrl-a,d"})
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != 404 || refused.Message != "No such container: /v1.18/containers/a%20b/attach?detachKeys=ctrl-a%2Cd&logs=1&stdin=1 tcp" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.ExecStart(ctx, "silent", false); err == nil {
		t.Error("an engine that does not answer, and no error")
	}
}

func TestAddress(t *testing.T) {
	for _, address := range []string{"", "npipe://x", "://", "/run/x.sock"} {
		if _, err := client.New(address, client.Options{}); err == nil {
			t.Errorf("%q accepted", address)
		}
	}
}
