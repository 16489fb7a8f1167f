package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// inode is the inode number of a file (stat(2), st_ino).
func inode(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// watcher tells subscribers that something changed in a directory. All share
// one inotify instance, because the kernel allows a user only 128 of them
// (fs.inotify.max_user_instances) while thousands of logs may be followed.
type watcher struct {
	notify *fsnotify.Watcher
	done   chan struct{}

	mu   sync.Mutex
	subs map[string]map[*subscription]struct{} // by directory
}

// subscription is one reader's interest in a directory.
type subscription struct {
	w    *watcher
	dir  string
	wake chan struct{} // holds at most one token
}

func newWatcher() (*watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch logs: %w", err)
	}
	w := &watcher{notify: n, done: make(chan struct{}), subs: map[string]map[*subscription]struct{}{}}
	go w.run()
	return w, nil
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			w.wake(filepath.Dir(e.Name))
		case _, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			w.wakeAll() // the queue ran over: everybody looks
		}
	}
}

func (w *watcher) wake(dir string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.subs[dir] {
		s.token()
	}
}

func (w *watcher) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, set := range w.subs {
		for s := range set {
			s.token()
		}
	}
}

func (s *subscription) token() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) subscribe(dir string) (*subscription, error) {
	s := &subscription{w: w, dir: filepath.Clean(dir), wake: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	set := w.subs[s.dir]
	if set == nil {
		if err := w.notify.Add(s.dir); err != nil {
			return nil, fmt.Errorf("watch logs: %w", err)
		}
		set = map[*subscription]struct{}{}
		w.subs[s.dir] = set
	}
	set[s] = struct{}{}
	return s, nil
}

func (s *subscription) close() {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	set := s.w.subs[s.dir]
	delete(set, s)
	if len(set) == 0 {
		delete(s.w.subs, s.dir)
		// The directory may be gone, and the watch with it.
		_ = s.w.notify.Remove(s.dir)
	}
}

func (w *watcher) close() error {
	err := w.notify.Close()
	<-w.done
	return err
}
