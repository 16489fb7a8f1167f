package engine

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/runtime"
)

// runningExecs are the ids of the container's execs that run, sorted; nil
// without any.
func (e *Engine) runningExecs(id string) []string {
	var ids []string
	for _, x := range e.execsOf(id) {
		if desc := x.snapshot(); desc.Running {
			ids = append(ids, desc.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func (e *Engine) execsOf(id string) []*exec {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []*exec
	for _, x := range e.execs {
		if x.desc.Container == id { // never changes
			all = append(all, x)
		}
	}
	return all
}

// endExecs waits until the execs of a container that ended are worked off: the
// kernel ends them with the container's first process.
func (e *Engine) endExecs(id string) {
	for _, x := range e.execsOf(id) {
		x.mu.Lock()
		task := x.task
		x.mu.Unlock()
		if task == nil {
			continue
		}
		select {
		case <-x.done:
		case <-task.Done():
			<-x.done
		case <-e.ctx.Done():
			return
		}
	}
}

// forgetExecs drops the execs of a removed container.
func (e *Engine) forgetExecs(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, x := range e.execs {
		if x.desc.Container == id {
			delete(e.execs, key)
		}
	}
}

// adoptExecs finds the execs of a running container again.
func (e *Engine) adoptExecs(ctx context.Context, c *container.Container, task *runtime.Task) {
	e.loadExecs(c.ID, func(x *exec) {
		running, err := task.LoadExec(ctx, x.desc.ID)
		if err != nil {
			if x.desc.Started && x.desc.ExitCode == nil {
				x.failed(128) // the daemon died before the process was there
			}
			return
		}
		x.task = running
		x.desc.Started = true
		close(x.started)
		if _, over := running.Exit(); over {
			e.finishExec(ctx, x, running)
			return
		}
		x.desc.Running = true
		x.desc.Pid = running.Pid()
		e.watchExec(x, running)
	})
}

// loadExecs reads the definitions of a container's execs.
func (e *Engine) loadExecs(id string, take func(*exec)) {
	paths, _ := filepath.Glob(filepath.Join(e.execDir(id), "*.json"))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		x := newExec(container.Exec{})
		if err == nil {
			err = json.Unmarshal(data, &x.desc)
		}
		if err != nil || x.desc.ID != strings.TrimSuffix(filepath.Base(path), ".json") || x.desc.Container != id || len(x.desc.Args) == 0 {
			e.Logger.Warn("an exec's definition cannot be read; it is dropped", "file", path, "error", err)
			continue
		}
		if x.desc.ExitCode != nil {
			close(x.started)
			close(x.done)
		}
		e.mu.Lock()
		e.execs[x.desc.ID] = x
		e.mu.Unlock()
		if x.desc.ExitCode == nil {
			take(x)
		}
	}
}

func commandLine(args []string) string { return strings.Join(args, " ") }
