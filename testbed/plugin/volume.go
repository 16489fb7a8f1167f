// Package plugin has plugins for tests: they speak the protocols of volume, network
// and address drivers and of authorization through another implementation of them
// than the engine's own, in a process of their own, write down what they are asked, and
// misbehave where a test wants it.
package plugin

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/go-plugins-helpers/volume"
)

// Desk is a plugin's directory that it shares with the test.
type Desk struct {
	Dir string
	mu  *sync.Mutex
}

// NewDesk makes the directory a desk.
func NewDesk(dir string) Desk { return Desk{dir, &sync.Mutex{}} }

// Calls gives the requests so far, one per line: the method and its arguments.
func (d Desk) Calls() []string {
	text, err := os.ReadFile(filepath.Join(d.Dir, "calls"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// Count says how many requests so far begin with a text.
func (d Desk) Count(prefix string) int {
	calls := slices.DeleteFunc(d.Calls(), func(c string) bool { return !strings.HasPrefix(c, prefix) })
	return len(calls)
}

// Behave says what is wrong with a method from now on: "hang", "slow", "fail",
// "lie", or "" for nothing; Join of a network also "late", which hangs when all is
// done, and "steal", which gives eth0 for the interface to take, CreateEndpoint of a
// network a hardware address to give, Mount of a volume a path to give, RequestAddress "repeat", which gives an
// address that is in use.
func (d Desk) Behave(method, how string) error {
	return os.WriteFile(filepath.Join(d.Dir, "behave-"+method), []byte(how), 0o600)
}

// told gives what Behave said of a method.
func (d Desk) told(method string) string {
	how, _ := os.ReadFile(filepath.Join(d.Dir, "behave-"+method))
	return string(how)
}

// note writes a request down and misbehaves; lie says that the answer must be wrong.
func (d Desk) note(method string, args ...any) (lie bool, err error) {
	d.mu.Lock()
	f, err := os.OpenFile(filepath.Join(d.Dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, append([]any{method}, args...)...)
		f.Close()
	}
	d.mu.Unlock()
	if err != nil {
		return false, err
	}
	switch d.told(method) {
	case "hang":
		time.Sleep(time.Hour)
	case "slow":
		time.Sleep(300 * time.Millisecond)
	case "fail":
		return false, fmt.Errorf("%s fails as told", method)
	case "lie":
		return true, nil
	}
	return false, nil
}

// volumes keeps each volume as a directory below the desk's volumes/.
type volumes struct{ Desk }

// ServeVolumes serves a volume plugin at a unix socket until the process ends.
func ServeVolumes(socket, dir string) error {
	d := volumes{NewDesk(dir)}
	if err := os.MkdirAll(d.path(""), 0o755); err != nil {
		return err
	}
	l, err := listen(socket)
	if err != nil {
		return err
	}
	return volume.NewHandler(d).Serve(l)
}

func listen(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return net.Listen("unix", socket)
}

func (d volumes) path(name string) string { return filepath.Join(d.Dir, "volumes", name) }

func (d volumes) Create(r *volume.CreateRequest) error {
	if _, err := d.note("Create", r.Name, r.Options); err != nil {
		return err
	}
	return os.MkdirAll(d.path(r.Name), 0o755) // no error if it is there
}

func (d volumes) List() (*volume.ListResponse, error) {
	lie, err := d.note("List")
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(d.path(""))
	if err != nil {
		return nil, err
	}
	answer := &volume.ListResponse{}
	for _, e := range entries {
		answer.Volumes = append(answer.Volumes, &volume.Volume{Name: e.Name(), Mountpoint: d.path(e.Name())})
	}
	if lie {
		answer.Volumes = append(answer.Volumes, nil, &volume.Volume{Name: "../../etc"}, &volume.Volume{},
			&volume.Volume{Name: "esc\x1b[2J"}, &volume.Volume{Name: "odd", Mountpoint: "relative/../.."})
	}
	return answer, nil
}

func (d volumes) Get(r *volume.GetRequest) (*volume.GetResponse, error) {
	lie, err := d.note("Get", r.Name)
	if err != nil {
		return nil, err
	}
	if lie {
		return &volume.GetResponse{Volume: &volume.Volume{Name: "another", Mountpoint: "/"}}, nil
	}
	if _, err := os.Stat(d.path(r.Name)); err != nil {
		return nil, fmt.Errorf("no volume %s here", r.Name)
	}
	return &volume.GetResponse{Volume: &volume.Volume{Name: r.Name, Mountpoint: d.path(r.Name)}}, nil
}

func (d volumes) Remove(r *volume.RemoveRequest) error {
	if _, err := d.note("Remove", r.Name); err != nil {
		return err
	}
	return os.RemoveAll(d.path(r.Name))
}

func (d volumes) Path(r *volume.PathRequest) (*volume.PathResponse, error) {
	_, err := d.note("Path", r.Name)
	return &volume.PathResponse{Mountpoint: d.path(r.Name)}, err
}

func (d volumes) Mount(r *volume.MountRequest) (*volume.MountResponse, error) {
	lie, err := d.note("Mount", r.Name, r.ID)
	if lie {
		return &volume.MountResponse{Mountpoint: "../../etc"}, nil
	}
	if path := d.told("Mount"); filepath.IsAbs(path) {
		return &volume.MountResponse{Mountpoint: path}, nil
	}
	return &volume.MountResponse{Mountpoint: d.path(r.Name)}, err
}

func (d volumes) Unmount(r *volume.UnmountRequest) error {
	_, err := d.note("Unmount", r.Name, r.ID)
	return err
}

func (d volumes) Capabilities() *volume.CapabilitiesResponse {
	return &volume.CapabilitiesResponse{Capabilities: volume.Capability{Scope: "local"}}
}
