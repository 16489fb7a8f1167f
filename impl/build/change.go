package build

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-connections/nat"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
)

// change takes an instruction whose variables have been replaced.
func (s *session) change(ctx context.Context, g *stage, st *step) error {
	c := g.config
	switch i := st.command.(type) {
	case *instructions.RunCommand:
		return s.runCommand(ctx, g, st, i)
	case *instructions.CopyCommand:
		return s.copyFiles(ctx, g, st, copyRequest{name: "COPY", sources: i.SourcePaths, to: i.DestPath, from: i.From, chown: i.Chown, chmod: i.Chmod})
	case *instructions.AddCommand:
		return s.copyFiles(ctx, g, st, copyRequest{name: "ADD", sources: i.SourcePaths, to: i.DestPath, chown: i.Chown, chmod: i.Chmod, add: true})
	case *instructions.WorkdirCommand:
		return s.workdir(ctx, g, st, i)
	case *literalLabels:
		return s.commitLabels(ctx, g, i.Labels)
	case *instructions.LabelCommand:
		return s.commitLabels(ctx, g, i.Labels)
	case *instructions.MaintainerCommand:
		g.author = i.Maintainer
		return s.commitConfig(ctx, g, "MAINTAINER "+i.Maintainer)
	case *instructions.EnvCommand:
		text := "ENV"
		for _, kv := range i.Env {
			c.Env = setEnv(c.Env, kv.Key, kv.Value)
			text += " " + kv.Key + "=" + kv.Value
		}
		return s.commitConfig(ctx, g, text)
	case *instructions.ArgCommand:
		return s.commitConfig(ctx, g, "ARG "+s.declare(g, i))
	case *instructions.CmdCommand:
		c.Cmd = g.command(i.ShellDependantCmdLine)
		c.ArgsEscaped = false
		g.commandSet = len(i.CmdLine) > 0
		return s.commitConfig(ctx, g, fmt.Sprintf("CMD %q", []string(c.Cmd)))
	case *instructions.EntrypointCommand:
		c.Entrypoint = g.command(i.ShellDependantCmdLine)
		if !g.commandSet {
			c.Cmd = nil
		}
		return s.commitConfig(ctx, g, fmt.Sprintf("ENTRYPOINT %q", []string(c.Entrypoint)))
	case *instructions.ExposeCommand:
		return s.expose(ctx, g, st, i)
	case *instructions.VolumeCommand:
		for _, v := range i.Volumes {
			if v = strings.TrimSpace(v); v == "" {
				return st.fail(fault.Invalid("VOLUME specified can not be an empty string"))
			}
			if c.Volumes == nil {
				c.Volumes = map[string]struct{}{}
			}
			c.Volumes[v] = struct{}{}
		}
		return s.commitConfig(ctx, g, fmt.Sprintf("VOLUME %v", i.Volumes))
	case *instructions.UserCommand:
		c.User = i.User
		return s.commitConfig(ctx, g, "USER "+i.User)
	case *instructions.StopSignalCommand:
		c.StopSignal = i.Signal
		return s.commitConfig(ctx, g, "STOPSIGNAL "+i.Signal)
	case *instructions.ShellCommand:
		c.Shell = i.Shell
		return s.commitConfig(ctx, g, fmt.Sprintf("SHELL %v", i.Shell))
	case *instructions.HealthCheckCommand:
		h := image.Healthcheck{
			Test: i.Health.Test, Interval: int64(i.Health.Interval), Timeout: int64(i.Health.Timeout),
			StartPeriod: int64(i.Health.StartPeriod), Retries: i.Health.Retries,
		}
		c.Healthcheck = &h
		if err := s.say("[Warning] HEALTHCHECK is recorded in the image; this engine does not run it\n"); err != nil {
			return err
		}
		return s.commitConfig(ctx, g, fmt.Sprintf("HEALTHCHECK &{%q %q %q %q %s}", h.Test,
			i.Health.Interval.String(), i.Health.Timeout.String(), i.Health.StartPeriod.String(), strconv.QuoteRune(rune(h.Retries))))
	case *instructions.OnbuildCommand:
		c.OnBuild = append(c.OnBuild, i.Expression)
		return s.commitConfig(ctx, g, "ONBUILD "+i.Expression)
	}
	return st.fail(fault.Invalid("%s is not served", strings.ToUpper(st.node.Value)))
}

// command is the whole command line of a CMD, ENTRYPOINT or RUN.
func (g *stage) command(line instructions.ShellDependantCmdLine) image.Words {
	if !line.PrependShell {
		return image.Words(line.CmdLine)
	}
	return append(g.shell(), strings.Join(line.CmdLine, " "))
}

// shell is the program that runs commands in shell form, and its arguments.
func (g *stage) shell() image.Words {
	if len(g.config.Shell) > 0 {
		return slices.Clone(g.config.Shell)
	}
	return image.Words{"/bin/sh", "-c"}
}

func (s *session) commitLabels(ctx context.Context, g *stage, labels instructions.KeyValuePairs) error {
	text := "LABEL"
	for _, kv := range labels {
		if g.config.Labels == nil {
			g.config.Labels = map[string]string{}
		}
		g.config.Labels[kv.Key] = kv.Value
		text += " " + kv.Key + "=" + kv.Value
	}
	return s.commitConfig(ctx, g, text)
}

func (s *session) expose(ctx context.Context, g *stage, st *step, i *instructions.ExposeCommand) error {
	var words []string
	for _, p := range i.Ports {
		more, err := shell.NewLex(g.escape).ProcessWords(p, shell.EnvsFromSlice(append(g.argEnv(), g.config.Env...)))
		if err != nil {
			return st.fail(fault.Invalid("%w", err))
		}
		words = append(words, more...)
	}
	ports, _, err := nat.ParsePortSpecs(words)
	if err != nil {
		return st.fail(fault.Invalid("%w", err))
	}
	for p := range ports {
		if g.config.ExposedPorts == nil {
			g.config.ExposedPorts = map[string]struct{}{}
		}
		g.config.ExposedPorts[string(p)] = struct{}{}
	}
	slices.Sort(words)
	return s.commitConfig(ctx, g, "EXPOSE "+strings.Join(words, " "))
}

// workdir makes the directory at once, so that it is root's whatever USER says,
// as it would be if the next RUN's start made it.
func (s *session) workdir(ctx context.Context, g *stage, st *step, i *instructions.WorkdirCommand) error {
	if i.Path == "" {
		return st.fail(fault.Invalid("cannot normalize nothing"))
	}
	dir := i.Path // an absolute path stays as it is written
	if !path.IsAbs(dir) {
		dir = path.Join("/", g.config.WorkingDir, dir)
	}
	g.config.WorkingDir = dir
	probe := g.nop("WORKDIR " + dir)
	if hit, err := s.cached(ctx, g, probe); hit || err != nil {
		return err
	}
	return s.inLayer(ctx, g, probe, true, nil, func(t *tree) error {
		at, err := t.resolve(path.Clean(dir), true)
		if err == nil {
			err = t.makeDirs(at, owner{})
		}
		if err != nil {
			return st.fail(fault.Invalid("make the working directory: %w", err))
		}
		return nil
	})
}

// copyConfig copies a configuration so far as steps change it in place.
func copyConfig(c *image.Config) *image.Config {
	d := *c
	d.Env, d.OnBuild = slices.Clone(c.Env), slices.Clone(c.OnBuild)
	d.ExposedPorts, d.Volumes, d.Labels = cloneMap(c.ExposedPorts), cloneMap(c.Volumes), cloneMap(c.Labels)
	return &d
}

func cloneMap[V any](m map[string]V) map[string]V {
	if m == nil {
		return nil
	}
	d := make(map[string]V, len(m))
	for k, v := range m {
		d[k] = v
	}
	return d
}

// lookup finds a variable in a list of NAME=value.
func lookup(env []string, name string) (string, bool) {
	for _, kv := range env {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			return v, true
		}
	}
	return "", false
}

// setEnv sets a variable; one that is there keeps its place.
func setEnv(env []string, name, value string) []string {
	for i, kv := range env {
		if k, _, _ := strings.Cut(kv, "="); k == name {
			env = slices.Clone(env)
			env[i] = name + "=" + value
			return env
		}
	}
	return append(slices.Clip(env), name+"="+value)
}
