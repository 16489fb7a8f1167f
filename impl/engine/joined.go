package engine

import (
	"os"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime"
)

// joined is what a start takes from other containers: open files, so that it is
// theirs even if they end meanwhile and their pids are used again. They have to
// stay open until the start is over.
type joined struct {
	files  []*os.File
	borrow []runtime.Borrow
}

// open opens a namespace of a running container by its name in /proc/<pid>/ns.
func (j *joined) open(e *Engine, id, name string) (*os.File, error) {
	other, err := e.containers.Get(id)
	if err != nil {
		return nil, err
	}
	task, err := e.runningTask(other)
	if err != nil {
		return nil, fault.Conflict("cannot join the %s namespace of container %s: it is not running", name, id)
	}
	f, err := task.Namespace(name)
	if err != nil {
		return nil, err
	}
	j.files = append(j.files, f)
	return f, nil
}

func (j *joined) close() {
	for _, f := range j.files {
		_ = f.Close()
	}
}
