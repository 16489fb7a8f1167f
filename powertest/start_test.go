package powertest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/testbed/disk"
)

// start cuts power, has berthd check what is left, starts one on it, and uses everything.
func (r *trial) start(t *testing.T, c disk.Cut) (wrong []string) {
	err := r.after(c, func() error {
		if err := check(r.dir); err != nil {
			wrong = append(wrong, err.Error())
		}
		e, err := boot(t, r.dir)
		if err != nil {
			return err
		}
		u := &user{engine: e, things: map[string]string{}}
		use := u.use()
		complaints, err := e.end()
		wrong = append(append(append(wrong, u.wrong...), complaints...), r.compare(c.At, u.things)...)
		return errors.Join(use, err)
	})
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

// check runs "berthd check" on the data root in dir.
func check(dir string) error {
	config := filepath.Join(dir, "check.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return err
	}
	out, err := exec.Command(filepath.Join(*binaries, "berthd"), "check", "--config-file", config,
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("berthd check: %w\n%s", err, out)
	}
	return os.Remove(config)
}

// user looks at all that an engine has, and uses it.
type user struct {
	*engine
	things map[string]string
	wrong  []string
}

type box struct {
	ID    string
	Name  string
	Image string
	State struct {
		Status   string
		ExitCode int
		Error    string
	}
	Mounts          []struct{ Name string }
	HostConfig      struct{ Memory int64 }
	NetworkSettings struct{ Networks map[string]any }
}

func (u *user) use() error {
	if err := errors.Join(u.networks(), u.volumes(), u.images()); err != nil {
		return err
	}
	list, err := get[[]struct{ ID string }](u.engine, "/containers/json?all=1")
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := u.box(c.ID); err != nil {
			return err
		}
	}
	if u.things["image busybox:latest"] == "" {
		return nil
	}
	return u.fresh()
}

func (u *user) complain(format string, args ...any) {
	u.wrong = append(u.wrong, fmt.Sprintf(format, args...))
}

func (u *user) networks() error {
	list, err := get[[]struct{ ID, Name string }](u.engine, "/networks")
	for _, n := range list {
		if n.Name != "bridge" && n.Name != "host" && n.Name != "none" {
			u.things["network "+n.Name] = n.ID
		}
	}
	return err
}

func (u *user) volumes() error {
	list, err := get[struct {
		Volumes []struct{ Name, Mountpoint string }
	}](u.engine, "/volumes")
	for _, v := range list.Volumes {
		volumeThings(u.things, v.Name, v.Mountpoint)
	}
	return err
}

// images reads every image as a whole.
func (u *user) images() error {
	list, err := get[[]struct {
		ID       string
		RepoTags []string
	}](u.engine, "/images/json?all=1")
	for _, i := range list {
		for _, tag := range i.RepoTags {
			if tag == "<none>:<none>" {
				continue
			}
			u.things["image "+tag] = i.ID
		}
		if _, err := u.ask(http.MethodGet, "/images/get?names="+url.QueryEscape(i.ID), nil); err != nil {
			u.complain("%v", err)
		}
	}
	return err
}

// box looks at a container, whose volumes must be its own, and runs it.
func (u *user) box(id string) error {
	c, err := get[box](u.engine, "/containers/"+id+"/json")
	if err != nil {
		return err
	}
	name := c.Name[1:]
	containerThings(u.things, name, c.ID, filepath.Join(u.dir, "data"), c.HostConfig.Memory, sorted(c.NetworkSettings.Networks))
	switch {
	case c.State.Status == "exited" && strings.Contains(c.State.Error, "host was restarted"):
		u.things["end of "+name] = "none"
	case c.State.Status == "exited":
		u.things["end of "+name] = fmt.Sprint(c.State.ExitCode)
	case c.State.Status != "created":
		u.complain("container %s is %s", name, c.State.Status)
	}
	for _, m := range c.Mounts {
		if status, text, err := u.send(http.MethodDelete, "/volumes/"+m.Name, nil); err != nil || status != http.StatusConflict {
			u.complain("volume %s of container %s could be removed: %d %s %v", m.Name, name, status, text, err)
		}
	}
	if _, err := u.ask(http.MethodGet, "/containers/"+id+"/logs?stdout=1&stderr=1", nil); err != nil {
		u.complain("%v", err)
	}
	if _, err := u.ask(http.MethodPost, "/containers/"+id+"/start", nil); err != nil {
		u.complain("%v", err)
		return nil
	}
	if _, err := u.ask(http.MethodPost, "/containers/"+id+"/kill", nil); err != nil && !strings.Contains(err.Error(), "not running") {
		u.complain("%v", err)
	}
	if _, err := u.ask(http.MethodPost, "/containers/"+id+"/wait", nil); err != nil {
		u.complain("%v", err)
	}
	if _, err := u.ask(http.MethodDelete, "/containers/"+id, nil); err != nil {
		u.complain("%v", err)
	}
	return nil
}

// fresh makes and runs something new.
func (u *user) fresh() error {
	l := &load{engine: u.engine, ledger: &ledger{now: func() int { return 0 }}}
	for i, operation := range []func(string) error{l.loadImage, l.buildImage, l.makeNetwork, l.makeVolume, l.runBox} {
		if err := operation(fmt.Sprintf("new%d", i)); err != nil {
			return err
		}
	}
	for _, thing := range []string{"end of new4"} {
		if may := l.may(thing, 1); len(may) != 1 || may[0] != "7" {
			return fmt.Errorf("%s is %q", thing, may)
		}
	}
	return nil
}
