package image

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// trash removes folders in the background. What is in it has no name any more
// for anybody else, so a crash leaves only work for the next start.
type trash struct {
	dir  string
	log  *slog.Logger
	next atomic.Int64
	work chan struct{}
	stop chan struct{}
	done sync.WaitGroup
}

func newTrash(dir string, log *slog.Logger) *trash {
	t := &trash{dir: dir, log: log, work: make(chan struct{}, 1), stop: make(chan struct{})}
	t.done.Go(func() {
		for {
			select {
			case <-t.work:
				t.empty()
			case <-t.stop:
				t.empty()
				return
			}
		}
	})
	t.wake()
	return t
}

// add moves path away at once and removes it soon.
func (t *trash) add(path string) error {
	for {
		to := filepath.Join(t.dir, strconv.FormatInt(t.next.Add(1), 10))
		if _, err := os.Lstat(to); err == nil {
			continue // from before the last start
		}
		if err := os.Rename(path, to); err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		t.wake()
		return nil
	}
}

func (t *trash) wake() {
	select {
	case t.work <- struct{}{}:
	default:
	}
}

func (t *trash) empty() {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		t.log.Error("image store: read trash", "error", err)
		return
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(t.dir, e.Name())); err != nil {
			t.log.Error("image store: remove", "error", err)
		}
	}
}

// close finishes what is in the trash.
func (t *trash) close() {
	close(t.stop)
	t.done.Wait()
}
