package api_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/api/listen"
	"github.com/seed-50ced230/berth/impl/grant"
	"github.com/seed-50ced230/berth/impl/stream"
)

// engine is an engine for tests: what a test does not set is not implemented.
type engine struct {
	hub.Unimplemented
	list    func(context.Context, *hub.ContainerListParams) ([]models.ContainerSummary, error)
	create  func(context.Context, *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error)
	inspect func(context.Context, *hub.ContainerInspectParams) (*models.ContainerInspect, error)
	start   func(context.Context, *hub.ContainerStartParams) error
	stop    func(context.Context, *hub.ContainerStopParams) error
	kill    func(context.Context, *hub.ContainerKillParams) error
	wait    func(context.Context, *hub.ContainerWaitParams, stream.Output) error
	logs    func(context.Context, *hub.ContainerLogsParams, stream.Output) error
	stats   func(context.Context, *hub.ContainerStatsParams, stream.Output) error
	attach  func(context.Context, *hub.ContainerAttachParams, http.ResponseWriter, *http.Request) error
	ws      func(context.Context, *hub.ContainerAttachWebsocketParams, http.ResponseWriter, *http.Request) error
	execute func(context.Context, *hub.ExecStartParams, http.ResponseWriter, *http.Request) error
	image   func(context.Context, *hub.ImageInspectParams) (*models.ImageInspect, error)
	remove  func(context.Context, *hub.ImageDeleteParams) ([]models.ImageDeleteItem, error)
	build   func(context.Context, *hub.ImageBuildParams, stream.Output) error
	pull    func(context.Context, *hub.ImageCreateParams, stream.Output) error
	save    func(context.Context, *hub.ImageGetAllParams, stream.Output) error
	events  func(context.Context, *hub.SystemEventsParams, stream.Output) error
	auth    func(context.Context, *hub.SystemAuthParams) (*models.AuthResponse, error)
	network func(context.Context, *hub.NetworkCreateParams) (*models.NetworkCreateResponse, error)
}

// An unset function leaves its operation to hub.Unimplemented.
func (e *engine) ContainerList(ctx context.Context, p *hub.ContainerListParams) ([]models.ContainerSummary, error) {
	if e.list == nil {
		return e.Unimplemented.ContainerList(ctx, p)
	}
	return e.list(ctx, p)
}

func (e *engine) ContainerCreate(ctx context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	if e.create == nil {
		return &models.ContainerCreateResponse{ID: "0123", Warnings: nil}, nil
	}
	return e.create(ctx, p)
}

func (e *engine) ContainerInspect(ctx context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	if e.inspect == nil {
		return e.Unimplemented.ContainerInspect(ctx, p)
	}
	return e.inspect(ctx, p)
}

func (e *engine) ContainerStart(ctx context.Context, p *hub.ContainerStartParams) error {
	return e.start(ctx, p)
}

func (e *engine) ContainerStop(ctx context.Context, p *hub.ContainerStopParams) error {
	return e.stop(ctx, p)
}

func (e *engine) ContainerKill(ctx context.Context, p *hub.ContainerKillParams) error {
	return e.kill(ctx, p)
}

func (e *engine) ContainerWait(ctx context.Context, p *hub.ContainerWaitParams, out stream.Output) error {
	return e.wait(ctx, p, out)
}

func (e *engine) ContainerLogs(ctx context.Context, p *hub.ContainerLogsParams, out stream.Output) error {
	return e.logs(ctx, p, out)
}

func (e *engine) ContainerStats(ctx context.Context, p *hub.ContainerStatsParams, out stream.Output) error {
	return e.stats(ctx, p, out)
}

func (e *engine) ContainerAttach(ctx context.Context, p *hub.ContainerAttachParams, w http.ResponseWriter, r *http.Request) error {
	return e.attach(ctx, p, w, r)
}

func (e *engine) ContainerAttachWebsocket(ctx context.Context, p *hub.ContainerAttachWebsocketParams, w http.ResponseWriter, r *http.Request) error {
	return e.ws(ctx, p, w, r)
}

func (e *engine) ExecStart(ctx context.Context, p *hub.ExecStartParams, w http.ResponseWriter, r *http.Request) error {
	return e.execute(ctx, p, w, r)
}

func (e *engine) ImageInspect(ctx context.Context, p *hub.ImageInspectParams) (*models.ImageInspect, error) {
	return e.image(ctx, p)
}

func (e *engine) ImageDelete(ctx context.Context, p *hub.ImageDeleteParams) ([]models.ImageDeleteItem, error) {
	return e.remove(ctx, p)
}

func (e *engine) ImageBuild(ctx context.Context, p *hub.ImageBuildParams, out stream.Output) error {
	return e.build(ctx, p, out)
}

func (e *engine) ImageCreate(ctx context.Context, p *hub.ImageCreateParams, out stream.Output) error {
	return e.pull(ctx, p, out)
}

func (e *engine) ImageGetAll(ctx context.Context, p *hub.ImageGetAllParams, out stream.Output) error {
	return e.save(ctx, p, out)
}

func (e *engine) SystemEvents(ctx context.Context, p *hub.SystemEventsParams, out stream.Output) error {
	return e.events(ctx, p, out)
}

func (e *engine) SystemAuth(ctx context.Context, p *hub.SystemAuthParams) (*models.AuthResponse, error) {
	return e.auth(ctx, p)
}

func (e *engine) NetworkCreate(ctx context.Context, p *hub.NetworkCreateParams) (*models.NetworkCreateResponse, error) {
	return e.network(ctx, p)
}

func (e *engine) SystemPing(context.Context, *hub.SystemPingParams) (string, error) {
	return "OK", nil
}

func (e *engine) SystemInfo(context.Context, *hub.SystemInfoParams) (*models.Info, error) {
	return &models.Info{ID: "test", MemoryLimit: true}, nil
}

func (e *engine) SystemVersion(context.Context, *hub.SystemVersionParams) (*models.Version, error) {
	return &models.Version{APIVersion: "1.23", BuildTime: "2015-12-01T07:09:13.444803460+00:00"}, nil
}

// daemon is an edge that serves an engine on a unix socket.
type daemon struct {
	socket string
	http   *http.Client
	log    *logBuffer
	stop   func() error // drains; for tests of the end
}

// serve starts a daemon, which ends with the test.
func serve(t *testing.T, e hub.API, options api.Options) *daemon {
	t.Helper()
	return serveThrough(t, e, options, nil)
}

// serveThrough is serve with a door before the engine if the grant is not nil.
func serveThrough(t *testing.T, e hub.API, options api.Options, g *grant.Grant) *daemon {
	t.Helper()
	d := &daemon{socket: filepath.Join(t.TempDir(), "d.sock"), log: &logBuffer{}}
	if options.Version == "" {
		options.Version = "0.0-test"
	}
	options.Logger = slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	listeners, err := listen.Open(t.Context(), []string{"unix://" + d.socket}, listen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if g != nil {
		listeners[0] = &api.Door{Listener: listeners[0], Grant: g}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	edge := api.New(e, options)
	go func() { ended <- edge.Serve(ctx, listeners, 300*time.Millisecond) }()
	d.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	d.http = &http.Client{
		Transport:     &http.Transport{DialContext: d.dial, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		d.http.CloseIdleConnections()
		if err := d.stop(); err != nil {
			t.Errorf("the daemon did not end well: %v", err)
		}
	})
	return d
}

func (d *daemon) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", d.socket)
}

// do sends a request and reads the whole answer.
func (d *daemon) do(t *testing.T, method, path, contentType, body string) (*http.Response, string) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://d"+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return d.send(t, r)
}

func (d *daemon) send(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := d.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v after %q", r.Method, r.URL.Path, err, text)
	}
	return response, string(text)
}

// raw sends bytes on a connection of its own and gives it, with a deadline.
func (d *daemon) raw(t *testing.T, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := d.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// logBuffer collects a log.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
