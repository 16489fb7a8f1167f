package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/build"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/stream"
)

// ImageBuild serves POST /build.
func (e *Engine) ImageBuild(ctx context.Context, p *hub.ImageBuildParams, out stream.Output) error {
	req, err := e.buildRequest(p)
	if err != nil {
		return err
	}
	said := &buildOutput{out: out, quiet: p.Q}
	req.Fetch = func(ctx context.Context, name string) error {
		return e.pullForBuild(ctx, name, p.XRegistryConfig, said.stream())
	}
	id, err := e.builder().Build(ctx, req, build.Output{
		Text:     said.text,
		Progress: progressTo(said.stream()),
		Tagged: func(id digest.Digest, name string) {
			if img, err := e.Images.Get(id.String()); err == nil {
				e.imageEvent("tag", id, name, labelsOf(img))
			}
		},
	})
	if err != nil {
		return errors.Join(said.reveal(), err)
	}
	if p.Q {
		return say(out, "%s\n", id)
	}
	return nil
}

// builder is the builder of this engine's store and containers.
func (e *Engine) builder() *build.Builder {
	return &build.Builder{
		Images:     e.Images,
		Containers: buildContainers{e},
		Root:       filepath.Join(e.DataRoot, "build"),
		NewID:      newID,
		Version:    e.Version,
		Denied:     e.BuildDenied,
		Logger:     e.Logger,
	}
}

func (e *Engine) buildRequest(p *hub.ImageBuildParams) (*build.Request, error) {
	req := &build.Request{
		Remote:      p.Remote,
		Dockerfile:  p.Dockerfile,
		NoCache:     p.Nocache,
		Pull:        p.Pull,
		Remove:      p.Rm,
		ForceRemove: p.Forcerm,
		Resources: build.Resources{
			Memory: p.Memory, Swap: p.Memswap,
			CPUShares: p.Cpushares, CPUPeriod: p.Cpuperiod, CPUQuota: p.Cpuquota,
			CpusetCpus: p.Cpusetcpus, CpusetMems: p.Cpusetmems,
			ShmSize: p.Shmsize, CgroupParent: p.Cgroupparent,
		},
	}
	if p.Body != nil {
		req.Context = p.Body
	}
	for _, t := range p.T {
		if t == "" {
			continue
		}
		name, err := image.ParseTag(t, "")
		if err != nil {
			return nil, err
		}
		if !slices.Contains(req.Tags, name) {
			req.Tags = append(req.Tags, name)
		}
	}
	for _, field := range []struct {
		name, text string
		into       any
	}{
		{"buildargs", p.Buildargs, &req.Args},
		{"labels", p.Labels, &req.Labels},
		{"ulimits", p.Ulimits, &req.Resources.Ulimits},
	} {
		if field.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(field.text), field.into); err != nil {
			return nil, fault.Invalid("bad parameter: %s: %w", field.name, err)
		}
	}
	// Limits that no container can have are told before the build begins; to look
	// at the host's controllers for none takes as long as a step.
	if reflect.ValueOf(req.Resources).IsZero() {
		return req, nil
	}
	if _, err := e.checkHostConfig(&models.ContainerConfig{}, buildHostConfig(req.Resources)); err != nil {
		return nil, err
	}
	return req, nil
}

// pullForBuild fetches a base image with the client's credentials for its
// registry. A name without a tag means latest, not all tags.
func (e *Engine) pullForBuild(ctx context.Context, name, config string, out stream.Output) error {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return fault.Invalid("invalid reference format: %s", name)
	}
	if err := image.CheckName(named); err != nil {
		return err
	}
	q := &hub.ImageCreateParams{FromImage: reference.FamiliarName(named), XRegistryAuth: registryAuth(config, reference.Domain(named))}
	switch r := reference.TagNameOnly(named).(type) {
	case reference.Digested:
		q.Tag = r.Digest().String()
	case reference.Tagged:
		q.Tag = r.Tag()
	}
	return e.pull(ctx, q, out)
}

// indexKey is what clients call the public index in their credentials.
const indexKey = "https://index.docker.io/v1/"

// registryAuth picks a registry's credentials out of the header
// X-Registry-Config, in the form of X-Registry-Auth. It is a map from registries to
// credentials, or a ConfigFile object that has one (v1.18 reference, "Build image from
// a Dockerfile"; clients of that time called it configs or auths). Empty if there are
// none; a malformed header has none.
func registryAuth(config, host string) string {
	var all map[string]json.RawMessage
	raw, err := base64.URLEncoding.DecodeString(config)
	if err != nil || json.Unmarshal(raw, &all) != nil {
		return ""
	}
	maps := []map[string]json.RawMessage{all}
	for _, name := range []string{"configs", "auths"} {
		var inner map[string]json.RawMessage
		if json.Unmarshal(all[name], &inner) == nil {
			maps = append(maps, inner)
		}
	}
	keys := []string{host, "https://" + host, "http://" + host}
	if host == "docker.io" {
		keys = []string{indexKey, "index.docker.io", host}
	}
	for _, m := range maps {
		for _, k := range keys {
			if cred, ok := m[k]; ok {
				return base64.URLEncoding.EncodeToString(cred)
			}
		}
	}
	return ""
}

// longestQuiet bounds, in bytes, what a quiet build keeps to show it if it fails.
const longestQuiet = 1 << 20

// buildOutput writes a build's text into the stream, or keeps its end if the
// client wants to read of failures only.
type buildOutput struct {
	out   stream.Output
	quiet bool
	kept  []string
	size  int
}

func (b *buildOutput) text(t string) error {
	if !b.quiet {
		return say(b.out, "%s", t)
	}
	b.kept = append(b.kept, t)
	b.size += len(t)
	for b.size > longestQuiet && len(b.kept) > 1 {
		b.size -= len(b.kept[0])
		b.kept = b.kept[1:]
	}
	return nil
}

// reveal shows what was kept.
func (b *buildOutput) reveal() error {
	text := strings.Join(b.kept, "")
	b.kept = nil
	if text == "" {
		return nil
	}
	return say(b.out, "%s", text)
}

// stream is where pulls and downloads tell how far they are.
func (b *buildOutput) stream() stream.Output {
	if b.quiet {
		return silent{b.out}
	}
	return b.out
}

// silent is an output into which nothing is written.
type silent struct{ stream.Output }

func (silent) Write(p []byte) (int, error) { return len(p), nil }
func (silent) Encode(any) error            { return nil }
func (silent) Begin() error                { return nil }
