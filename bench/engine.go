package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// prefix is the version of the API that all engines are asked at.
const prefix = "/v1.23"

// engine is a daemon, asked through its socket without any client library, so
// that no library's time is measured.
type engine struct {
	name   string
	daemon *daemon.Daemon
	client *http.Client
}

// anySuccess is for answers whose status differs between the engines.
const anySuccess = 0

// call sends a JSON request, checks the status and decodes the answer into
// result if that is not nil.
func (e *engine) call(ctx context.Context, method, path string, body any, want int, result any) error {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://engine"+prefix+path, content)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", e.name, method, path, err)
	}
	if resp.StatusCode != want && !(want == anySuccess && resp.StatusCode/100 == 2) {
		return fmt.Errorf("%s: %s %s: %s: %s", e.name, method, path, resp.Status, bytes.TrimSpace(answer))
	}
	if result != nil {
		return json.Unmarshal(answer, result)
	}
	return nil
}

func (e *engine) load(ctx context.Context) error {
	var image bytes.Buffer
	if err := busybox.Archive(&image, "busybox:latest"); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine"+prefix+"/images/load", &image)
	if err != nil {
		return err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: load: %s: %s", e.name, resp.Status, answer)
	}
	return nil
}

// config is the body of a create: no network at all, or the default one with a
// published port.
type config struct {
	Image        string
	Cmd          []string
	ExposedPorts map[string]struct{} `json:",omitempty"`
	AttachStdout bool                `json:",omitempty"`
	HostConfig   hostConfig
}

type hostConfig struct {
	NetworkMode  string              `json:",omitempty"`
	PortBindings map[string][]hostIP `json:",omitempty"`
	Binds        []string            `json:",omitempty"`
}

type hostIP struct{ HostIP, HostPort string }

func withoutNetwork(cmd ...string) config {
	return config{Image: "busybox:latest", Cmd: cmd, HostConfig: hostConfig{NetworkMode: "none"}}
}

func withPort(cmd ...string) config {
	c := config{Image: "busybox:latest", Cmd: cmd, ExposedPorts: map[string]struct{}{"80/tcp": {}}}
	c.HostConfig.PortBindings = map[string][]hostIP{"80/tcp": {{HostIP: "127.0.0.1", HostPort: "18080"}}}
	return c
}

func (e *engine) create(ctx context.Context, c config) (id string, err error) {
	var made struct {
		ID string `json:"Id"`
	}
	err = e.call(ctx, http.MethodPost, "/containers/create", c, http.StatusCreated, &made)
	return made.ID, err
}

func (e *engine) start(ctx context.Context, id string) error {
	return e.call(ctx, http.MethodPost, "/containers/"+id+"/start", nil, http.StatusNoContent, nil)
}

func (e *engine) wait(ctx context.Context, id string) error {
	var ended struct{ StatusCode int }
	if err := e.call(ctx, http.MethodPost, "/containers/"+id+"/wait", nil, http.StatusOK, &ended); err != nil {
		return err
	}
	if ended.StatusCode != 0 {
		return fmt.Errorf("%s: container %s ended with %d", e.name, id, ended.StatusCode)
	}
	return nil
}

func (e *engine) remove(ctx context.Context, id string) error {
	return e.call(ctx, http.MethodDelete, "/containers/"+id+"?force=1&v=1", nil, http.StatusNoContent, nil)
}

// live is the whole life of a container.
func (e *engine) live(ctx context.Context, c config) error {
	id, err := e.create(ctx, c)
	if err != nil {
		return err
	}
	if err := e.start(ctx, id); err != nil {
		return err
	}
	if err := e.wait(ctx, id); err != nil {
		return err
	}
	return e.remove(ctx, id)
}

// execute runs a further process: create, start with its output to the end,
// inspect.
func (e *engine) execute(ctx context.Context, id string, cmd ...string) error {
	var made struct {
		ID string `json:"Id"`
	}
	body := map[string]any{"AttachStdout": true, "AttachStderr": true, "Cmd": cmd}
	if err := e.call(ctx, http.MethodPost, "/containers/"+id+"/exec", body, http.StatusCreated, &made); err != nil {
		return err
	}
	if err := e.hijack("/exec/"+made.ID+"/start", `{"Detach":false,"Tty":false}`); err != nil {
		return err
	}
	for range 1000 { // the end of the output may come before the exit is known
		var ended struct {
			ExitCode int
			Running  bool
		}
		if err := e.call(ctx, http.MethodGet, "/exec/"+made.ID+"/json", nil, http.StatusOK, &ended); err != nil {
			return err
		}
		if ended.ExitCode != 0 {
			return fmt.Errorf("%s: exec ended with %d", e.name, ended.ExitCode)
		}
		if !ended.Running {
			return nil
		}
	}
	return fmt.Errorf("%s: exec still runs after its output has ended", e.name)
}

// hijack posts a body on a connection of its own and reads to the end.
func (e *engine) hijack(path, body string) error {
	conn, err := net.Dial("unix", e.daemon.Socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST %s%s HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n%s",
		prefix, path, len(body), body)
	if err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	status, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 101 ") && !strings.Contains(status, " 200 ") {
		return fmt.Errorf("%s: POST %s: %s", e.name, path, strings.TrimSpace(status))
	}
	_, err = io.Copy(io.Discard, r)
	return err
}
