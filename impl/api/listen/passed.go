package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"
)

// firstPassed is the number of the first file descriptor that systemd passes
// (sd_listen_fds(3)).
const firstPassed = 3

// Passed says whether systemd passed sockets to this process, as long as Open
// has not taken them.
func Passed() bool {
	return os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_FDS") != "" && os.Getenv("LISTEN_FDS") != "0"
}

// passed are the sockets of systemd's socket activation. They are looked for
// when the first fd:// address comes, and every one is given out once.
type passed struct {
	looked bool
	files  []*os.File // nil once given out
}

// take gives the listeners that an address names: all that are left for an
// empty name or *, the one of a descriptor number, or those of a
// FileDescriptorName.
func (p *passed) take(name string) ([]net.Listener, error) {
	if !p.looked {
		p.looked = true
		p.files = activation.Files(true)
	}
	number, err := strconv.Atoi(name)
	isNumber := err == nil
	var listeners []net.Listener
	for i, file := range p.files {
		if file == nil || !(name == "" || name == "*" || isNumber && number == firstPassed+i || file.Name() == name) {
			continue
		}
		l, err := net.FileListener(file)
		if err != nil {
			err = fmt.Errorf("descriptor %d is no listening socket: %w", firstPassed+i, err)
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return nil, err
		}
		listeners = append(listeners, l)
		p.files[i] = nil
		if err := file.Close(); err != nil { // the listener has its own descriptor
			return listeners, err
		}
	}
	if len(listeners) == 0 {
		return nil, errors.New("systemd passed no such socket")
	}
	return listeners, nil
}

// close closes the sockets that no address named.
func (p *passed) close() error {
	var err error
	for _, file := range p.files {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
	}
	p.files = nil
	return err
}
