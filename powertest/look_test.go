package powertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/database"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/volume"
)

// remains is what was found on a disk.
type remains struct {
	things map[string]string
	// complaints are what must not be after a loss of power: damage, and everything
	// that the log would warn of.
	complaints []string
}

func (r *remains) complain(format string, args ...any) {
	r.complaints = append(r.complaints, fmt.Sprintf(format, args...))
}

func (r *remains) expect(what string, err error) bool {
	if err != nil {
		r.complain("%s: %v", what, err)
	}
	return err == nil
}

// look opens everything in a data root as berthd does at its start, but for what needs
// the kernel's help, and reads all of it.
func look(root string) *remains {
	r := &remains{things: map[string]string{}}
	log := &listener{}
	before := slog.Default()
	slog.SetDefault(slog.New(log))
	defer slog.SetDefault(before)
	images := filepath.Join(root, "image")
	r.expect("the images' database", database.Check(filepath.Join(images, "images.db"), filepath.Join(images, "layers"), filepath.Join(images, "rw")))
	file := filepath.Join(root, "containers.db")
	named := []string{filepath.Join(images, "rw"), filepath.Join(root, "containers")}
	r.expect("the containers' database", database.Check(file, named...))

	var records []*container.Record
	store, err := container.OpenStore(file, named...)
	if r.expect("open the containers", err) {
		records, err = store.Load(func(id string, err error) { r.complain("container %s: %v", id, err) })
		r.expect("read the containers", err)
		r.expect("close the containers", store.Close())
	}
	for _, c := range records {
		c.Settle(true) // as a start in another generation of the runtime does
		r.container(root, c)
	}
	options := image.Options{ImageOf: func(id string) (image digest.Digest) {
		for _, c := range records {
			if c.ID == id {
				image = c.Image
			}
		}
		return image
	}}
	if s, err := image.Open(images, options); r.expect("open the images", err) {
		r.images(s, records)
		r.expect("close the images", s.Close())
	}
	if v, err := volume.Open(root, nil); r.expect("open the volumes", err) {
		for _, kept := range v.Kept() {
			volumeThings(r.things, kept.Name, kept.Mountpoint)
		}
	}
	r.networks(filepath.Join(root, "network", "networks.json"))
	if l, err := events.Open(filepath.Join(root, "events"), func(err error) { r.complain("events: %v", err) }); r.expect("open the events", err) {
		r.expect("close the events", l.Close())
	}
	if id, err := os.ReadFile(filepath.Join(root, "engine-id")); err == nil && len(strings.TrimSpace(string(id))) != 59 {
		r.complain("the engine's id is %q", id)
	}
	r.complaints = append(r.complaints, log.lines...)
	return r
}

func (r *remains) container(root string, c *container.Record) {
	var networks []string
	for _, p := range c.Places {
		networks = append(networks, p.Network)
	}
	containerThings(r.things, c.Name[1:], c.ID, root, c.HostConfig.Memory, networks)
	switch {
	case c.State.Active():
		r.things["end of "+c.Name[1:]] = "none"
	case c.State.Status == container.Exited:
		r.things["end of "+c.Name[1:]] = fmt.Sprint(c.State.ExitCode)
	}
}

func (r *remains) images(s *image.Store, records []*container.Record) {
	ctx := context.Background()
	there := map[string]bool{}
	for _, id := range s.Writables() {
		there[id] = true
		if !slices.ContainsFunc(records, func(c *container.Record) bool { return c.ID == id }) {
			r.expect("sweep the layer of a container", s.RemoveWritable(id))
		}
	}
	for _, c := range records {
		_, err := s.Writable(c.ID)
		if !there[c.ID] { // berthd makes it again
			_, err = s.NewWritable(ctx, c.ID, c.Image)
		}
		r.expect("container "+c.Name, err)
	}
	report, err := s.Check(ctx, false)
	if !r.expect("check the images", err) {
		return
	}
	for _, f := range report.Findings {
		r.complain("check: %v", f)
	}
	all, err := s.List(image.Filter{All: true})
	if !r.expect("list the images", err) {
		return
	}
	for _, i := range all {
		for _, tag := range i.Tags {
			r.things["image "+tag] = i.ID.String()
		}
	}
}

// containerThings tells of a container and what it wrote.
func containerThings(things map[string]string, name, id, root string, limit int64, networks []string) {
	things["container "+name] = id
	if limit > 0 {
		things["limit of "+name] = fmt.Sprint(limit)
	}
	if slices.Sort(networks); len(networks) > 1 {
		things["networks of "+name] = strings.Join(networks, " ")
	}
	if text, err := os.ReadFile(filepath.Join(root, "image", "rw", id, "upper", "file")); err == nil {
		things["file of "+name] = string(text)
	}
}

// volumeThings tells of a volume whose data are in dir.
func volumeThings(things map[string]string, name, dir string) {
	things["volume "+name] = "made"
	if text, err := os.ReadFile(filepath.Join(dir, "file")); err == nil {
		things["file in "+name] = string(text)
	}
	there, whole := 0, 0
	for _, file := range contents {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err == nil {
			there++
		}
		if string(text) == content(file) {
			whole++
		}
	}
	switch {
	case whole == len(contents):
		things["content of "+name] = "whole"
	case there > 0:
		things["content of "+name] = fmt.Sprintf("%d of %d files, %d of them whole", there, len(contents), whole)
	}
}

// networks reads the file of the networks as package network does.
func (r *remains) networks(path string) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var file struct{ Networks []struct{ ID, Name string } }
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	r.expect("the networks", err)
	for _, n := range file.Networks {
		if n.Name != "bridge" && n.Name != "host" && n.Name != "none" {
			r.things["network "+n.Name] = n.ID
		}
	}
}

// listener keeps what a log warns of.
type listener struct {
	mu    sync.Mutex
	lines []string
}

func (l *listener) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (l *listener) Handle(_ context.Context, record slog.Record) error {
	line := record.Level.String() + " " + record.Message
	record.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

func (l *listener) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *listener) WithGroup(string) slog.Handler      { return l }
