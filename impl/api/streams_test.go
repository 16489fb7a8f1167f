package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// TestStreamComesAtOnce reads every write before the next one is made.
func TestStreamComesAtOnce(t *testing.T) {
	step := make(chan struct{})
	d := serve(t, &engine{
		logs: func(_ context.Context, _ *hub.ContainerLogsParams, out stream.Output) error {
			if out.Started() {
				return errors.New("started before the first byte")
			}
			if err := out.Begin(); err != nil {
				return err
			}
			for i := range 3 {
				<-step
				if _, err := fmt.Fprintf(out, "line %d\n", i); err != nil {
					return err
				}
			}
			return nil
		},
	}, api.Options{})
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://d/containers/x/logs?stdout=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := d.http.Do(r) // returns after Begin: nothing is written yet
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for i := range 3 {
		step <- struct{}{}
		line, err := lines.ReadString('\n')
		if want := fmt.Sprintf("line %d\n", i); line != want || err != nil {
			t.Fatalf("%q %v, wanted %q", line, err, want)
		}
	}
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("after the end: %q %v", rest, err)
	}
}

func TestStreamErrors(t *testing.T) {
	before, after := fault.NotFound("No such image: x"), fault.Internal("the registry is gone")
	var begun bool
	d := serve(t, &engine{
		pull: func(_ context.Context, _ *hub.ImageCreateParams, out stream.Output) error {
			if !begun {
				return before
			}
			if err := out.Encode(&models.JSONMessage{Status: "Pulling"}); err != nil {
				return err
			}
			return after
		},
		logs: func(_ context.Context, _ *hub.ContainerLogsParams, out stream.Output) error {
			if !begun {
				return before
			}
			if _, err := io.WriteString(out, "text"); err != nil {
				return err
			}
			return after
		},
	}, api.Options{})
	for method, path := range map[string]string{"POST": "/images/create?fromImage=x", "GET": "/containers/x/logs"} {
		response, text := d.do(t, method, path, "", "")
		if response.StatusCode != 404 || text != "No such image: x\n" || response.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s before the first byte: %d %q", path, response.StatusCode, text)
		}
	}
	begun = true
	for _, version := range []string{"", "/v1.18"} {
		response, text := d.do(t, "POST", version+"/images/create?fromImage=x", "", "")
		want := `{"status":"Pulling"}` + "\r\n" + `{"errorDetail":{"message":"the registry is gone"},"error":"the registry is gone"}` + "\r\n"
		if response.StatusCode != 200 || text != want || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("progress: %d %q", response.StatusCode, text)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://d/containers/x/logs", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := d.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("a broken log looks complete: %q", text)
	}
}

func TestEventsOfVersions(t *testing.T) {
	d := serve(t, &engine{
		events: func(_ context.Context, _ *hub.SystemEventsParams, out stream.Output) error {
			for _, e := range []*models.Event{
				{Status: "start", ID: "1", From: "busybox", Time: 1, TimeNano: 2, Type: "container", Action: "start"},
				{Time: 1, TimeNano: 3, Type: "network", Action: "connect"},
			} {
				if err := out.Encode(e); err != nil {
					return err
				}
			}
			return nil
		},
	}, api.Options{})
	const old = `{"status":"start","id":"1","from":"busybox","time":1`
	for version, want := range map[string]string{
		"/v1.18": old + "}\n",
		"/v1.20": old + "}\n",
		"/v1.21": old + `,"timeNano":2` + "}\n",
	} {
		if _, text := d.do(t, "GET", version+"/events", "", ""); text != want {
			t.Errorf("%s: %q, wanted %q", version, text, want)
		}
	}
	if _, text := d.do(t, "GET", "/v1.22/events", "", ""); strings.Count(text, "\n") != 2 || !strings.Contains(text, `"Action":"connect"`) {
		t.Errorf("1.22: %q", text)
	}
}

// echo hijacks, greets, sends back what it reads until the client's
// half-close, and says goodbye.
func echo(w http.ResponseWriter, r *http.Request) error {
	conn, err := stream.Hijack(w, r)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	if _, err := io.Copy(conn, conn); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "bye\n"); err != nil {
		return err
	}
	return conn.CloseWrite()
}

func TestHijack(t *testing.T) {
	d := serve(t, &engine{
		attach: func(_ context.Context, p *hub.ContainerAttachParams, w http.ResponseWriter, r *http.Request) error {
			if p.Name != "x" {
				return fault.NotFound("No such container: %s", p.Name)
			}
			return echo(w, r)
		},
		execute: func(_ context.Context, p *hub.ExecStartParams, w http.ResponseWriter, r *http.Request) error {
			if !p.Body.Tty {
				return fault.Invalid("no tty in the body")
			}
			return echo(w, r)
		},
	}, api.Options{})
	const common = "Api-Version: 1.23\r\nOstype: linux\r\nServer: Docker/berth-0.0-test (linux)\r\n\r\n"
	const upgraded = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" + common
	const plain = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n" + common
	const body = `{"Tty":true,"Detach":false}`
	for _, test := range []struct{ name, request, head string }{
		{"attach, upgrade", "POST /v1.23/containers/x/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n", upgraded},
		{"attach, plain", "POST /v1.18/containers/x/attach?stream=1 HTTP/1.1\r\nHost: d\r\n\r\n", plain},
		{"attach, input at once", "POST /containers/x/attach HTTP/1.1\r\nHost: d\r\nContent-Type: text/plain\r\n\r\n", plain},
		{"attach, with a body", fmt.Sprintf("POST /v1.23/containers/x/attach?stream=1 HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n%s", len(body), body), upgraded},
		{"exec", fmt.Sprintf("POST /v1.21/exec/e/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n%s", len(body), body), upgraded},
		{"exec, chunked", fmt.Sprintf("POST /exec/e/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body), plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			input := "some input\n"
			request := test.request
			early := strings.Contains(test.name, "at once")
			if early {
				request += input
			}
			conn, r := d.raw(t, request)
			head := make([]byte, len(test.head)+len("hello\n"))
			if _, err := io.ReadFull(r, head); err != nil || string(head) != test.head+"hello\n" {
				t.Fatalf("%q %v, wanted %q", head, err, test.head)
			}
			if !early {
				if _, err := io.WriteString(conn, input); err != nil {
					t.Fatal(err)
				}
			}
			if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(r); err != nil || string(rest) != input+"bye\n" {
				t.Errorf("%q %v", rest, err)
			}
		})
	}
	response, text := d.do(t, "POST", "/containers/nope/attach?stream=1", "", "")
	if response.StatusCode != 404 || text != "No such container: nope\n" {
		t.Errorf("%d %q", response.StatusCode, text)
	}
	response, text = d.do(t, "POST", "/exec/e/start", "application/json", `{"Tty":`)
	if response.StatusCode != 400 {
		t.Errorf("%d %q", response.StatusCode, text)
	}
}

// TestLogsUpgrade asks for the bare connection where a stream allows it.
func TestLogsUpgrade(t *testing.T) {
	ended := make(chan error, 1)
	d := serve(t, &engine{
		logs: func(ctx context.Context, p *hub.ContainerLogsParams, out stream.Output) error {
			if p.Name != "x" {
				return fault.NotFound("No such container: %s", p.Name)
			}
			if err := out.Begin(); err != nil {
				return err
			}
			_, err := io.WriteString(out, "line\n")
			if p.Follow {
				<-ctx.Done()
				ended <- ctx.Err()
			}
			return err
		},
	}, api.Options{})
	request := func(path string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
	}
	const head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
	for _, version := range []string{"", "/v1.18"} {
		_, r := d.raw(t, request(version+"/containers/x/logs?stdout=1"))
		if all, err := io.ReadAll(r); err != nil || !strings.HasPrefix(string(all), head) || !strings.HasSuffix(string(all), "\r\n\r\nline\n") {
			t.Errorf("%q %v", all, err)
		}
	}
	_, r := d.raw(t, request("/containers/nope/logs?stdout=1"))
	if status, err := r.ReadString('\n'); err != nil || status != "HTTP/1.1 404 Not Found\r\n" {
		t.Errorf("%q %v", status, err)
	}
	conn, r := d.raw(t, request("/containers/x/logs?stdout=1&follow=1"))
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "line\n" {
			break
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the engine did not learn that the client has gone")
	}
}

func TestClientGoesAway(t *testing.T) {
	cancelled, running := make(chan error, 1), make(chan struct{})
	d := serve(t, &engine{
		wait: func(ctx context.Context, _ *hub.ContainerWaitParams, _ stream.Output) error {
			close(running)
			<-ctx.Done()
			cancelled <- ctx.Err()
			return ctx.Err()
		},
	}, api.Options{})
	conn, _ := d.raw(t, "POST /containers/x/wait HTTP/1.1\r\nHost: d\r\n\r\n")
	<-running
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-cancelled:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the engine did not learn that the client has gone")
	}
}

// TestPullSurvivesClient: before 1.22 a pull went on without its client.
func TestPullSurvivesClient(t *testing.T) {
	for version, survives := range map[string]bool{"/v1.21": true, "/v1.22": false} {
		t.Run(version, func(t *testing.T) {
			running, closed, result := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			d := serve(t, &engine{
				pull: func(ctx context.Context, _ *hub.ImageCreateParams, out stream.Output) error {
					close(running)
					<-closed
					if !survives {
						<-ctx.Done()
						result <- ctx.Err()
						return ctx.Err()
					}
					var err error
					for range 1000 {
						err = errors.Join(err, out.Encode(&models.JSONMessage{Status: strings.Repeat("x", 1000)}), ctx.Err())
					}
					result <- err
					return err
				},
			}, api.Options{})
			conn, _ := d.raw(t, "POST "+version+"/images/create?fromImage=x HTTP/1.1\r\nHost: d\r\n\r\n")
			<-running
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			close(closed)
			if err := <-result; (err == nil) != survives {
				t.Errorf("the pull ended with %v", err)
			}
		})
	}
}

func TestDrain(t *testing.T) {
	streaming, attached, finishing, blocked := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	d := serve(t, &engine{
		events: func(ctx context.Context, _ *hub.SystemEventsParams, out stream.Output) error {
			if err := out.Begin(); err != nil {
				return err
			}
			close(streaming)
			<-ctx.Done()
			return nil
		},
		attach: func(_ context.Context, _ *hub.ContainerAttachParams, w http.ResponseWriter, r *http.Request) error {
			conn, err := stream.Hijack(w, r)
			if err != nil {
				return err
			}
			defer conn.Close()
			close(attached)
			_, err = io.Copy(io.Discard, conn)
			return err
		},
		list: func(context.Context, *hub.ContainerListParams) ([]models.ContainerSummary, error) {
			close(finishing)
			time.Sleep(100 * time.Millisecond) // shorter than the grace of serve
			return []models.ContainerSummary{}, nil
		},
		wait: func(ctx context.Context, _ *hub.ContainerWaitParams, _ stream.Output) error {
			close(blocked)
			<-ctx.Done()
			return ctx.Err()
		},
	}, api.Options{})
	_, events := d.raw(t, "GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
	_, attach := d.raw(t, "POST /containers/x/attach HTTP/1.1\r\nHost: d\r\n\r\n")
	_, waiting := d.raw(t, "POST /containers/x/wait HTTP/1.1\r\nHost: d\r\n\r\n")
	_, list := d.raw(t, "GET /containers/json HTTP/1.1\r\nHost: d\r\n\r\n")
	<-streaming
	<-attached
	<-blocked
	<-finishing
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*bufio.Reader{"events": events, "attach": attach, "wait": waiting, "list": list} {
		answer, err := io.ReadAll(r)
		text := string(answer)
		switch {
		case name == "wait" && (!strings.HasPrefix(text, "HTTP/1.1 503 ") || !strings.HasSuffix(text, "the daemon is ending\n")):
			t.Errorf("wait was answered: %q", text)
		case err != nil:
			t.Errorf("%s: %v after %q", name, err, text)
		case name == "list" && !strings.HasSuffix(text, "[]\n"):
			t.Errorf("list was not finished: %q", text)
		case name == "events" && !strings.HasSuffix(text, "0\r\n\r\n"):
			t.Errorf("events did not end in order: %q", text)
		}
	}
	if conn, err := d.dial(t.Context(), "", ""); err == nil {
		_ = conn.Close()
		t.Error("the daemon still listens")
	}
}
