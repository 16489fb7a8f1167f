package build

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
)

// runCommand takes a RUN step.
func (s *session) runCommand(ctx context.Context, g *stage, st *step, i *instructions.RunCommand) error {
	if g.image == "" {
		return st.fail(fault.Invalid("RUN has nothing to run: there are no files in scratch"))
	}
	command := g.command(i.ShellDependantCmdLine)
	if len(command) == 0 {
		return st.fail(fault.Invalid("RUN requires at least one argument"))
	}
	// Two runs with other values of declared variables are two steps: the
	// values stand before the command, behind a word with which none begins.
	// Of the predefined variables only their presence is told.
	recorded := command
	vars := g.argEnv()
	if len(vars)+len(s.args.proxies()) > 0 {
		recorded = append(append(image.Words{fmt.Sprintf("|%d", len(vars))}, vars...), command...)
	}
	probe := copyConfig(g.config)
	probe.Cmd, probe.Image = recorded, g.image.String()
	if hit, err := s.cached(ctx, g, probe); hit || err != nil {
		return err
	}
	config := copyConfig(probe)
	config.Cmd, config.Entrypoint = command, image.Words{}
	for _, kv := range append(vars, s.args.proxies()...) {
		if name, _, _ := strings.Cut(kv, "="); true {
			if _, ok := lookup(config.Env, name); !ok {
				config.Env = append(slices.Clip(config.Env), kv)
			}
		}
	}
	id, err := s.createContainer(ctx, g, config)
	if err != nil {
		return err
	}
	if err := s.say(" ---> Running in %s\n", short(id)); err != nil {
		return err
	}
	out := &textWriter{to: s.out.Text}
	code, err := s.Containers.Run(ctx, id, out)
	if err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	if code != 0 {
		return &ExitError{Command: strings.Join(command, " "), Code: code}
	}
	return s.commit(ctx, g, id, probe)
}

// textWriter passes bytes on as text and holds back the beginning of a
// character whose end has not come yet.
type textWriter struct {
	to   func(string) error
	held []byte
}

var _ io.Writer = (*textWriter)(nil)

func (w *textWriter) Write(p []byte) (int, error) {
	text := append(w.held, p...)
	cut := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				cut = at
			}
			break
		}
	}
	w.held = slices.Clone(text[cut:])
	if cut == 0 {
		return len(p), nil
	}
	if err := w.to(string(text[:cut])); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *textWriter) flush() error {
	if len(w.held) == 0 {
		return nil
	}
	text := string(w.held)
	w.held = nil
	return w.to(text)
}
