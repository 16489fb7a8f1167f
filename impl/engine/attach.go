package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/logs"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/stream"
)

// duplex is a client's connection after the takeover.
type duplex interface {
	io.ReadWriteCloser
}

// attachRequest is what both forms of attach ask for.
type attachRequest struct {
	logs, stream          bool
	stdin, stdout, stderr bool
	merged                bool // no frames, as at a terminal
	keys                  []byte
	// ended waits, after the last output, until the process's end is recorded.
	ended func()
}

// ContainerAttach serves POST /containers/(id or name)/attach.
func (e *Engine) ContainerAttach(ctx context.Context, p *hub.ContainerAttachParams, w http.ResponseWriter, r *http.Request) error {
	q, err := newAttachRequest(p.Logs, p.Stream, p.Stdin, p.Stdout, p.Stderr, p.DetachKeys)
	if err != nil {
		return err
	}
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	return e.attach(c, q, func() (duplex, error) { return stream.Hijack(w, r) })
}

// ContainerAttachWebsocket serves GET /containers/(id or name)/attach/ws. The
// streams that the client does not name are all attached: the documents of
// v1.18–v1.23 have no parameters for them.
func (e *Engine) ContainerAttachWebsocket(ctx context.Context, p *hub.ContainerAttachWebsocketParams, w http.ResponseWriter, r *http.Request) error {
	if !stream.WantsWebsocket(r) {
		return fault.Invalid("bad parameter: the request is no WebSocket handshake")
	}
	if !p.Stdin && !p.Stdout && !p.Stderr {
		p.Stdin, p.Stdout, p.Stderr = true, true, true
	}
	q, err := newAttachRequest(p.Logs, p.Stream, p.Stdin, p.Stdout, p.Stderr, p.DetachKeys)
	if err != nil {
		return err
	}
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	// A websocket has frames of its own: stdout and stderr share one stream.
	q.merged = true
	return e.attach(c, q, func() (duplex, error) { return stream.Websocket(w, r) })
}

func newAttachRequest(logs, live, stdin, stdout, stderr bool, detachKeys string) (attachRequest, error) {
	keys, err := parseDetachKeys(detachKeys)
	if err != nil {
		return attachRequest{}, err
	}
	return attachRequest{logs: logs, stream: live, stdin: stdin, stdout: stdout, stderr: stderr, keys: keys}, nil
}

// attach connects a client. Errors are possible until takeover is called; from
// then on the connection's end is all that the client learns.
func (e *Engine) attach(c *container.Container, q attachRequest, takeover func() (duplex, error)) error {
	rec := c.Record()
	if rec.State.Status == container.Paused {
		return fault.Conflict("Container %s is paused. Unpause the container before attach", rec.Name[1:])
	}
	var a *runtime.Attachment
	var cancel func()
	running := false
	if q.stream {
		opts := runtime.AttachOptions{Stdin: q.stdin && rec.Config.OpenStdin, Stdout: q.stdout, Stderr: q.stderr, Pending: q.logs}
		var err error
		if a, cancel, running, err = e.attachTask(c, opts); err != nil {
			return err
		}
	}
	conn, err := takeover()
	if err != nil {
		if a != nil {
			cancel()
			a.Close()
		}
		return err
	}
	defer conn.Close()
	e.publish(rec, "attach", nil)
	if q.logs && (q.stdout || q.stderr) {
		var until *logs.Position
		if running {
			if until, err = logPosition(e.ctx, a); err != nil {
				a.Close()
				return nil
			}
		}
		out := newRecordWriter(conn, rec.Config.Tty || q.merged, false)
		// A log that cannot be read has nothing to show here.
		if read, rerr := e.logReader(rec); rerr == nil {
			err = read(e.ctx, logs.Query{Stdout: q.stdout, Stderr: q.stderr, Tail: -1, Until: until, Pause: out.flush}, out.write)
		}
		if err != nil {
			if a != nil {
				cancel()
				a.Close()
			}
			return nil
		}
	}
	if a != nil {
		defer cancel()
		q.ended = func() { e.awaitEnd(c) }
		detached := pump(conn, a, q, rec.Config.Tty)
		if detached {
			e.publish(rec, "detach", nil)
		}
	}
	return nil
}

// awaitEnd waits a moment for the record of a run's end. A process that closed
// its output may go on, so it is a moment only.
func (e *Engine) awaitEnd(c *container.Container) {
	ctx, cancel := context.WithTimeout(e.ctx, time.Second)
	defer cancel()
	_, _ = c.Await(ctx, func(r *container.Record) bool { return !r.State.Live() })
}

// attachTask attaches to the running container, or to the next run of one that
// does not run.
func (e *Engine) attachTask(c *container.Container, opts runtime.AttachOptions) (a *runtime.Attachment, cancel func(), running bool, err error) {
	for range 3 {
		if task, err := e.runningTask(c); err == nil {
			if a, err = task.Attach(e.ctx, opts); err == nil {
				return a, func() {}, true, nil
			}
			if _, over := task.Exit(); !over {
				return nil, nil, false, fault.Internal("attach to container %s: %w", c.ID, err)
			}
			// It ended between the look and the attempt.
			if err := e.settle(e.ctx, c.ID); err != nil {
				return nil, nil, false, err
			}
		}
		a, err := e.Runtime.NewAttachment(opts)
		if err != nil {
			return nil, nil, false, fault.Internal("attach to container %s: %w", c.ID, err)
		}
		cancel, ok := e.live(c.ID).enqueue(a)
		if !ok {
			a.Close()
			return nil, nil, false, fault.NotFound("No such container: %s", c.ID)
		}
		if !c.Record().State.Live() {
			return a, cancel, false, nil
		}
		// It was started meanwhile, perhaps without this client.
		if e.live(c.ID).withdraw(a) {
			a.Close()
			continue
		}
		return a, cancel, false, nil
	}
	return nil, nil, false, fault.Internal("attach to container %s: it starts and ends too fast", c.ID)
}

// withdraw takes an attachment back and says whether it was still waiting.
func (l *live) withdraw(a *runtime.Attachment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.waiting[a]; !ok {
		return false
	}
	delete(l.waiting, a)
	return true
}

// closeWriter is the half-close that hijacked connections and attachments have
// and websockets have not.
type closeWriter interface{ CloseWrite() error }

// pump moves bytes between a client and a process until the output ends, the
// client is gone or it typed the detach keys (detached is true then). It closes
// the attachment.
func pump(conn duplex, a *runtime.Attachment, q attachRequest, tty bool) (detached bool) {
	var once sync.Once
	end := func() { once.Do(func() { a.Close(); conn.Close() }) }
	defer end()
	input := make(chan error, 1)
	go func() {
		var r io.Reader = conn
		if tty && q.stdin {
			r = &escapeReader{r: conn, keys: q.keys}
		}
		var err error
		if q.stdin {
			_, err = io.Copy(a, r)
		} else {
			_, err = io.Copy(io.Discard, r)
		}
		switch {
		case errors.Is(err, errDetached):
		case err == nil && q.stdin:
			// The client's half-close: the output goes on.
			err = a.CloseWrite()
		}
		input <- err
		// A client that only listens and half-closes (docker-py) still wants
		// the output; one that is gone shows in the next write.
		if errors.Is(err, errDetached) || (err != nil && !errors.Is(err, io.EOF)) {
			end()
		}
	}()
	// Either side's end ends the session.
	var err error
	if q.merged && !tty {
		err = stream.Split(conn, conn, a)
	} else {
		_, err = io.Copy(conn, a)
	}
	if err == nil && q.ended != nil {
		q.ended()
	}
	if half, ok := conn.(closeWriter); ok {
		_ = half.CloseWrite()
	}
	end()
	return errors.Is(<-input, errDetached)
}

func logPosition(ctx context.Context, a *runtime.Attachment) (*logs.Position, error) {
	at, err := a.Position(ctx)
	if err != nil {
		return nil, err
	}
	return &logs.Position{Inode: at.Inode, Offset: at.Offset, Written: at.Written}, nil
}
