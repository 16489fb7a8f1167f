package runtime_test

import (
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// The handle goes before the exit code: an engine that is killed in between must
// not find a container whose end nobody recorded.
func TestHandleGoesFirst(t *testing.T) {
	w := newWorld(t)
	for range 5 { // the order in which a directory is read is by chance
		task, err := w.rt.Start(testContext(t), w.spec("true"))
		must(t, err)
		wait(t, task)
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		must(t, err)
		_, err = unix.InotifyAddWatch(fd, filepath.Join(w.root, task.ID()), unix.IN_DELETE)
		must(t, err)
		must(t, task.Delete(testContext(t)))
		buf := make([]byte, 1<<16)
		n, err := unix.Read(fd, buf)
		must(t, err)
		must(t, unix.Close(fd))
		var names []string
		for at := 0; at < n; {
			size := int(buf[at+12]) | int(buf[at+13])<<8 // inotify(7): wd, mask, cookie, len, name
			name := buf[at+16 : at+16+size]
			names = append(names, string(name[:max(0, slices.Index(name, 0))]))
			at += 16 + size
		}
		if len(names) < 2 || names[0] != "handle.json" || !slices.Contains(names, "exit") {
			t.Errorf("removed in the order %q", names)
		}
	}
}
