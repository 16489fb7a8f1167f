package endurance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// worker puts load on the engine: it draws one operation after another on
// objects of its own and keeps the ledger.
type worker struct {
	client
	*ledger
	*rand.Rand
	// prefix begins the names of what it makes.
	prefix string
	number int
	// dir is a directory on the host where containers write what they did.
	dir string
	// source is the name of an image to pull, archive one to load, with its name
	// and what it prints.
	source, sourcePrints   string
	loaded, loadedPrints   string
	archive                []byte
	networks, volumes, own []*thing
	boxes                  []*box
}

// work goes on until ctx ends, the ledger says that it is enough, or a request fails.
func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil && !w.resting() {
		w.number++
		if !w.operation()(ctx, fmt.Sprintf("%s-%d", w.prefix, w.number)) {
			return
		}
	}
}

// operation draws one; those that take long come less often.
func (w *worker) operation() func(ctx context.Context, name string) bool {
	switch n := w.IntN(100); {
	case n < 14:
		return w.makeBox(sleeps)
	case n < 20:
		return w.makeBox(counts)
	case n < 32:
		return w.makeBox(ends)
	case n < 37:
		return w.makeBox(always)
	case n < 42:
		return w.makeBox(retries)
	case n < 47:
		return w.echo
	case n < 57:
		return w.exec1
	case n < 64:
		return w.stop
	case n < 72:
		return w.removeBox
	case n < 78:
		return w.network
	case n < 84:
		return w.volume
	case n < 88:
		return w.pull
	case n < 92:
		return w.load
	case n < 96:
		return w.build
	default:
		return w.removeThing
	}
}

// succeed is a request that has to succeed.
func (w *worker) succeed(ctx context.Context, method, path string, body, into any) error {
	a, err := w.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	if !a.ok() {
		return errors.New(a.String())
	}
	if into != nil {
		return a.decode(into)
	}
	return nil
}

func (w *worker) makeBox(k kind) func(context.Context, string) bool {
	return func(ctx context.Context, name string) bool {
		b := w.box(k, name)
		return w.createBox(ctx, b) && w.startBox(ctx, b)
	}
}

func (w *worker) createBox(ctx context.Context, b *box) bool {
	host := map[string]any{}
	config := map[string]any{"Image": "busybox", "HostConfig": host, "Labels": map[string]string{"soak": b.name}}
	switch b.kind {
	case sleeps, always:
		config["Cmd"] = sleep
		if b.kind == always {
			w.countRuns(b, config, "exec "+strings.Join(sleep, " "))
			host["RestartPolicy"] = map[string]any{"Name": "always"}
		}
		if w.IntN(3) == 0 {
			config["ExposedPorts"] = map[string]any{"8080/tcp": map[string]any{}}
			host["PublishAllPorts"] = true
		}
		if n := len(w.networks); n > 0 && w.IntN(2) == 0 && w.networks[n-1].created == acknowledged {
			host["NetworkMode"] = w.networks[n-1].name
		}
	case counts:
		b.counts = filepath.Join(w.dir, b.name)
		host["Binds"] = []string{w.dir + ":/counts"}
		config["Cmd"] = []string{"sh", "-c", `i=0; while :; do i=$((i+1)); echo $i; echo $i >/counts/` + b.name + `.new; mv /counts/` + b.name + `.new /counts/` + b.name + `; sleep 0.02; done`}
	case ends:
		b.code = w.IntN(100)
		b.lines = []string{"begin", "end"}
		host["NetworkMode"] = "none"
		command := fmt.Sprintf("echo begin; sleep 0.%d; echo end; exit %d", w.IntN(3), b.code)
		if n := len(w.volumes); n > 0 && w.volumes[n-1].created == acknowledged {
			b.volume = w.volumes[n-1].name
			host["Binds"] = []string{b.volume + ":/volume"}
			command = "echo kept >/volume/" + b.name + "; " + command
		}
		config["Cmd"] = []string{"sh", "-c", command}
	case retries:
		b.code = 5
		host["RestartPolicy"] = map[string]any{"Name": "on-failure", "MaximumRetryCount": 2}
		host["NetworkMode"] = "none"
		w.countRuns(b, config, "echo run; exit 5")
	case echoes:
		config["OpenStdin"] = true
		config["Cmd"] = []string{"cat"}
		host["NetworkMode"] = "none"
	}
	return w.step(&b.created, "create "+b.name, func() error {
		var made struct{ ID string }
		err := w.succeed(ctx, http.MethodPost, "/containers/create?name="+b.name, config, &made)
		if err == nil {
			b.id = made.ID
			w.happened("container", "create", b.id)
		}
		return err
	})
}

// countRuns has a container write down each of its runs first.
func (w *worker) countRuns(b *box, config map[string]any, command string) {
	b.runs = filepath.Join(w.dir, b.name+".runs")
	config["Cmd"] = []string{"sh", "-c", "echo run >>/runs/" + filepath.Base(b.runs) + "; " + command}
	config["HostConfig"].(map[string]any)["Binds"] = []string{w.dir + ":/runs"}
}

func (w *worker) startBox(ctx context.Context, b *box) bool {
	ok := w.step(&b.started, "start "+b.name, func() error {
		return w.succeed(ctx, http.MethodPost, "/containers/"+b.id+"/start", nil, nil)
	})
	if ok {
		w.happened("container", "start", b.id)
		w.boxes = append(w.boxes, b)
	}
	return ok
}

// pick gives one of its containers that runs.
func (w *worker) pick(kinds ...kind) *box {
	for _, i := range w.Perm(len(w.boxes)) {
		b := w.boxes[i]
		for _, k := range kinds {
			if b.kind == k && b.started == acknowledged && b.stopped == never && b.removed == never {
				return b
			}
		}
	}
	return nil
}

// exec1 leaves a mark in a container and looks at the exec's output and exit code.
func (w *worker) exec1(ctx context.Context, name string) bool {
	b := w.pick(sleeps, always)
	if b == nil {
		return true
	}
	var d done
	return w.step(&d, "exec in "+b.name, func() error {
		o, err := w.exec(ctx, b.id, "sh", "-c", "echo "+name+" >>/marks; echo out; exit 3")
		if err == nil && (o.code != 3 || o.stdout != "out\n") {
			err = fmt.Errorf("exec: %+v", o)
		}
		if err == nil {
			b.marks = append(b.marks, name)
		}
		return err
	})
}

// echo talks to a container over an attached connection; what came back must
// be in the log.
func (w *worker) echo(ctx context.Context, name string) bool {
	b := w.pick(echoes)
	if b == nil {
		return w.makeBox(echoes)(ctx, name)
	}
	var d done
	return w.step(&d, "attach to "+b.name, func() error {
		conn, r, resp, err := w.hijack(http.MethodPost, "/containers/"+b.id+"/attach?stream=1&stdin=1&stdout=1", "")
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if resp.StatusCode != http.StatusSwitchingProtocols && resp.StatusCode != http.StatusOK {
			return fmt.Errorf("attach: %s", resp.Status)
		}
		for i := range 3 {
			line := fmt.Sprintf("%s-%d", name, i)
			if _, err := io.WriteString(conn, line+"\n"); err != nil {
				return err
			}
			var frame [8]byte
			if _, err := io.ReadFull(r, frame[:]); err != nil {
				return err
			}
			text := make([]byte, frame[7])
			if _, err := io.ReadFull(r, text); err != nil {
				return err
			}
			if string(text) != line+"\n" {
				return fmt.Errorf("said %q, heard %q", line, text)
			}
			b.echoed = append(b.echoed, line)
		}
		return nil
	})
}

func (w *worker) stop(ctx context.Context, _ string) bool {
	b := w.pick(sleeps, counts, always, echoes)
	if b == nil {
		return true
	}
	ok := w.step(&b.stopped, "stop "+b.name, func() error {
		return w.succeed(ctx, http.MethodPost, "/containers/"+b.id+"/stop?t=0", nil, nil)
	})
	if ok {
		w.happened("container", "die", b.id)
	}
	return ok
}

func (w *worker) removeBox(ctx context.Context, _ string) bool {
	b := w.pick(sleeps, counts, always, echoes)
	if b == nil {
		return true
	}
	ok := w.step(&b.removed, "remove "+b.name, func() error {
		return w.succeed(ctx, http.MethodDelete, "/containers/"+b.id+"?force=1", nil, nil)
	})
	if ok {
		w.happened("container", "die", b.id)
		w.happened("container", "destroy", b.id)
	}
	return ok
}

// network makes one and, sometimes, has a container join and leave it.
func (w *worker) network(ctx context.Context, name string) bool {
	t := w.thing("network", name)
	ok := w.step(&t.created, "create network "+name, func() error {
		var made struct{ ID string }
		err := w.succeed(ctx, http.MethodPost, "/networks/create", map[string]any{"Name": name, "CheckDuplicate": true}, &made)
		t.id = made.ID
		return err
	})
	if !ok {
		return false
	}
	w.happened("network", "create", t.id)
	w.networks = append(w.networks, t)
	b := w.pick(sleeps)
	if b == nil {
		return true
	}
	for _, verb := range []string{"connect", "disconnect"} {
		var d done
		if !w.step(&d, "network "+verb, func() error {
			return w.succeed(ctx, http.MethodPost, "/networks/"+name+"/"+verb, map[string]any{"Container": b.id}, nil)
		}) {
			return false
		}
		w.happened("network", verb, t.id)
	}
	return true
}

func (w *worker) volume(ctx context.Context, name string) bool {
	t := w.thing("volume", name)
	ok := w.step(&t.created, "create volume "+name, func() error {
		return w.succeed(ctx, http.MethodPost, "/volumes/create", map[string]any{"Name": name}, nil)
	})
	if ok {
		w.happened("volume", "create", name)
		w.volumes = append(w.volumes, t)
	}
	return ok
}

func (w *worker) image(name, prints, what string, request func() error) bool {
	t := w.thing("image", name)
	t.content = prints
	ok := w.step(&t.created, what+" "+name, request)
	if ok {
		w.own = append(w.own, t)
	}
	return ok
}

func (w *worker) has(name string) bool {
	for _, t := range w.own {
		if t.name == name && t.removed != acknowledged {
			return true
		}
	}
	return false
}

func (w *worker) pull(ctx context.Context, _ string) bool {
	if w.has(w.source) {
		return true
	}
	return w.image(w.source, w.sourcePrints, "pull", func() error {
		return w.transfer(ctx, "/images/create?fromImage="+w.source, nil)
	})
}

func (w *worker) load(ctx context.Context, _ string) bool {
	if w.has(w.loaded) {
		return true
	}
	return w.image(w.loaded, w.loadedPrints, "load", func() error {
		return w.transfer(ctx, "/images/load", raw{"application/x-tar", bytes.NewReader(w.archive)})
	})
}

func (w *worker) build(ctx context.Context, name string) bool {
	return w.image("built:"+name, name, "build", func() error {
		return w.transfer(ctx, "/build?nocache=1&t=built:"+name, pack(map[string]string{
			"Dockerfile": "FROM busybox\nCOPY file /file\nRUN cp /file /content\nCMD [\"cat\", \"/content\"]\n", "file": name + strings.Repeat(" ", 1<<16),
		}))
	})
}

// removeThing removes the oldest image of the worker that is still there.
func (w *worker) removeThing(ctx context.Context, _ string) bool {
	for _, t := range w.own {
		if t.removed != never {
			continue
		}
		return w.step(&t.removed, "remove image "+t.name, func() error {
			return w.succeed(ctx, http.MethodDelete, "/images/"+t.name, nil, nil)
		})
	}
	return true
}
