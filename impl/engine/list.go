package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
)

// ContainerList serves GET /containers/json from snapshots, the newest first.
func (e *Engine) ContainerList(ctx context.Context, p *hub.ContainerListParams) ([]models.ContainerSummary, error) {
	s, err := e.newSelection(p)
	if err != nil {
		return nil, err
	}
	list := []models.ContainerSummary{}
	all := e.containers.List()
	links := e.linkNames(all)
	named := map[string]digest.Digest{}
	for _, c := range all {
		r := c.Record()
		take, stop := s.next(r)
		if stop {
			break
		}
		if !take {
			continue
		}
		m := e.summary(r, named)
		m.Names = append(m.Names, links[r.ID]...)
		if p.Size {
			rw, root, err := e.sizes(ctx, r)
			if err != nil {
				return nil, err
			}
			m.SizeRw, m.SizeRootFs = &rw, &root
		}
		list = append(list, m)
	}
	return list, nil
}

// summary is one entry of a list. named has the images that names were found to stand
// for: many containers have one image.
func (e *Engine) summary(r *container.Record, named map[string]digest.Digest) models.ContainerSummary {
	m := models.ContainerSummary{
		ID:         r.ID,
		Names:      []string{r.Name},
		Image:      e.shownImage(r, named),
		ImageID:    r.Image.String(),
		Command:    shownCommand(r),
		Created:    r.Created.Unix(),
		Ports:      shownPorts(r),
		Labels:     r.Config.Labels,
		State:      string(r.State.Status),
		Status:     statusText(r.State, time.Now()),
		HostConfig: &models.ContainerSummaryHostConfig{NetworkMode: r.HostConfig.NetworkMode},
		Mounts:     mountPoints(r),
	}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	m.NetworkSettings = &models.ContainerSummaryNetworkSettings{Networks: networkSettings(r).Networks}
	return m
}

// shownImage is the reference that the container was made from, or the image's
// id if the reference names another image meanwhile.
func (e *Engine) shownImage(r *container.Record, named map[string]digest.Digest) string {
	id, ok := named[r.ImageName]
	if !ok {
		if img, err := e.Images.Get(r.ImageName); err == nil {
			id = img.ID
		}
		named[r.ImageName] = id
	}
	if id == "" || id != r.Image {
		return r.Image.String()
	}
	return r.ImageName
}

func shownCommand(r *container.Record) string {
	words := []string{r.Path}
	for _, a := range r.Args {
		if strings.Contains(a, " ") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// shownPorts lists the published bindings and, without a public port, the
// exposed ports of a running container, sorted.
func shownPorts(r *container.Record) []models.Port {
	ports := []models.Port{}
	for key, bindings := range portMap(r) {
		number, proto, _ := strings.Cut(key, "/")
		private, _ := strconv.ParseInt(number, 10, 64)
		if len(bindings) == 0 {
			ports = append(ports, models.Port{PrivatePort: private, Type: proto})
		}
		for _, b := range bindings {
			public, _ := strconv.ParseInt(b.HostPort, 10, 64)
			ports = append(ports, models.Port{IP: b.HostIP, PrivatePort: private, PublicPort: public, Type: proto})
		}
	}
	slices.SortFunc(ports, func(a, b models.Port) int {
		if a.PrivatePort != b.PrivatePort {
			return int(a.PrivatePort - b.PrivatePort)
		}
		if n := strings.Compare(a.Type, b.Type); n != 0 {
			return n
		}
		return int(a.PublicPort - b.PublicPort)
	})
	return ports
}

// statusText is the words that docker ps prints.
func statusText(s container.State, now time.Time) string {
	since := func(t time.Time) string { return units.HumanDuration(now.Sub(t)) }
	switch s.Status {
	case container.Running:
		return "Up " + since(s.StartedAt)
	case container.Paused:
		return fmt.Sprintf("Up %s (Paused)", since(s.StartedAt))
	case container.Restarting:
		return fmt.Sprintf("Restarting (%d) %s ago", s.ExitCode, since(s.FinishedAt))
	case container.Dead:
		return "Dead"
	case container.Exited:
		return fmt.Sprintf("Exited (%d) %s ago", s.ExitCode, since(s.FinishedAt))
	}
	return "Created"
}
