package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
)

// stage is what a FROM and the instructions after it have made so far.
type stage struct {
	name string
	// image is the last step's; empty at the start of one from scratch.
	image  digest.Digest
	config *image.Config
	author string
	// commandSet says that this stage has a CMD of its own.
	commandSet bool
	// missed says that a step was not in the cache: those after it are not
	// looked for.
	missed bool
	escape rune
	// args are the variables that ARG has declared in this stage.
	args map[string]string
}

// defaultPath is the PATH of commands in images that set none.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// run takes all steps and names the image.
func (s *session) run(ctx context.Context, d *dockerfile) (digest.Digest, error) {
	s.args.given = s.req.Args
	if err := s.declareGlobal(d); err != nil {
		return "", err
	}
	for i := range d.steps {
		if err := s.take(ctx, d, &d.steps[i]); err != nil {
			return "", err
		}
	}
	if left := s.args.unused(); len(left) > 0 {
		if err := s.say("[Warning] One or more build-args %v were not consumed\n", left); err != nil {
			return "", err
		}
	}
	last := s.stages[len(s.stages)-1]
	if last.image == "" {
		return "", fault.Invalid("No image was generated. Is your Dockerfile empty?")
	}
	for _, name := range s.req.Tags {
		tagged, err := s.Images.Tag(ctx, last.image.String(), name, "")
		if err != nil {
			return "", err
		}
		if s.out.Tagged != nil {
			s.out.Tagged(last.image, tagged)
		}
	}
	return last.image, s.say("Successfully built %s\n", short(last.image.String()))
}

// take takes one step of the Dockerfile.
func (s *session) take(ctx context.Context, d *dockerfile, st *step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.step++
	if err := s.announce(s.step, st); err != nil {
		return err
	}
	if from, ok := st.command.(*instructions.Stage); ok {
		if err := s.from(ctx, d, st, from); err != nil {
			return err
		}
		return s.triggers(ctx)
	}
	return s.dispatch(ctx, st)
}

func (s *session) announce(n int, st *step) error {
	title, err := st.title(s.expand)
	if err != nil {
		return err
	}
	return s.say("Step %d : %s\n", n, title)
}

// dispatch takes a step that is no FROM, tells its image and removes the
// container it was made in.
func (s *session) dispatch(ctx context.Context, st *step) error {
	g := s.current()
	if e, ok := st.command.(instructions.SupportsSingleWordExpansion); ok {
		if _, literal := st.command.(*literalLabels); !literal {
			if err := e.Expand(s.expand); err != nil {
				return st.fail(fault.Invalid("%w", err))
			}
		}
	}
	if err := s.change(ctx, g, st); err != nil {
		return err
	}
	return s.settle(g)
}

// settle ends a step.
func (s *session) settle(g *stage) error {
	id := ""
	if g.image != "" {
		id = short(g.image.String())
	}
	if err := s.say(" ---> %s\n", id); err != nil {
		return err
	}
	if err := s.dropLayers(true); err != nil {
		return err
	}
	if s.req.Remove || s.req.ForceRemove {
		return s.removeContainers(true)
	}
	s.containers = nil
	return nil
}

func (s *session) current() *stage {
	if len(s.stages) == 0 {
		return nil
	}
	return s.stages[len(s.stages)-1]
}

// expand replaces the variables of a word by the stage's environment and the
// declared build-time variables, of which the former win.
func (s *session) expand(word string) (string, error) {
	g := s.current()
	if g == nil {
		return word, nil
	}
	out, _, err := shell.NewLex(g.escape).ProcessWord(word, shell.EnvsFromSlice(append(g.argEnv(), g.config.Env...)))
	return out, err
}

// argEnv lists the declared variables that the environment does not have.
func (g *stage) argEnv() []string {
	var env []string
	for k, v := range g.args {
		if _, ok := lookup(g.config.Env, k); !ok {
			env = append(env, k+"="+v)
		}
	}
	slices.Sort(env)
	return env
}

// from begins a stage.
func (s *session) from(ctx context.Context, d *dockerfile, st *step, from *instructions.Stage) error {
	base, _, err := shell.NewLex(d.escape).ProcessWord(from.BaseName, shell.EnvsFromSlice(s.args.globalEnv()))
	if err != nil {
		return st.fail(fault.Invalid("%w", err))
	}
	if base == "" {
		return st.fail(fault.Invalid("base name (%s) should not be blank", from.BaseName))
	}
	g := &stage{name: from.Name, escape: d.escape, args: map[string]string{}, config: &image.Config{}}
	switch earlier := s.stageNamed(base); {
	case earlier != nil:
		g.image, g.config, g.author = earlier.image, copyConfig(earlier.config), earlier.author
	case base == "scratch":
	default:
		img, err := s.baseImage(ctx, base, s.req.Pull)
		if err != nil {
			return err
		}
		g.image, g.author = img.ID, img.Author
		if img.Config != nil {
			g.config = copyConfig(img.Config)
		}
	}
	g.config.Image = g.image.String()
	if _, ok := lookup(g.config.Env, "PATH"); !ok {
		g.config.Env = append(g.config.Env, defaultPath)
	}
	s.stages = append(s.stages, g)
	return s.settle(g)
}

// stageNamed finds an earlier stage by its name or number.
func (s *session) stageNamed(name string) *stage {
	for _, g := range slices.Backward(s.stages) {
		if g.name != "" && strings.EqualFold(g.name, name) {
			return g
		}
	}
	return nil
}

// baseImage finds an image, and fetches it if it is not here or anew is set.
func (s *session) baseImage(ctx context.Context, name string, anew bool) (*image.Image, error) {
	img, err := s.Images.Get(name)
	if err == nil && !anew {
		return img, img.Damaged
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, err
	}
	if s.req.Fetch == nil {
		return img, err
	}
	if perr := s.req.Fetch(ctx, name); perr != nil {
		return nil, perr
	}
	if img, err = s.Images.Get(name); err != nil {
		return nil, err
	}
	return img, img.Damaged
}

// triggers takes the ONBUILD instructions of the base image.
func (s *session) triggers(ctx context.Context) error {
	g := s.current()
	list := g.config.OnBuild
	g.config.OnBuild = nil
	if len(list) == 0 {
		return nil
	}
	word := "trigger"
	if len(list) > 1 {
		word = "triggers"
	}
	if err := s.say("# Executing %d build %s...\n", len(list), word); err != nil {
		return err
	}
	for _, text := range list {
		parsed, err := parser.Parse(strings.NewReader(text))
		if err != nil {
			return fault.Invalid("ONBUILD trigger %q: %w", text, err)
		}
		for i, node := range parsed.AST.Children {
			st, err := parseStep(node)
			if err != nil {
				return fmt.Errorf("ONBUILD trigger %q: %w", text, err)
			}
			st.line = 0
			switch st.command.(type) {
			case *instructions.OnbuildCommand, *instructions.Stage, *instructions.MaintainerCommand:
				return fault.Invalid("%s isn't allowed as an ONBUILD trigger", strings.ToUpper(node.Value))
			}
			if err := s.announce(i+1, &st); err != nil {
				return err
			}
			if err := s.dispatch(ctx, &st); err != nil {
				return err
			}
		}
	}
	return nil
}

// sourceStage finds what --from of COPY means: a stage before this one by name
// or number, or nil for an image.
func (s *session) sourceStage(name string) (*stage, error) {
	before := s.stages[:len(s.stages)-1]
	for _, g := range slices.Backward(before) {
		if g.name != "" && strings.EqualFold(g.name, name) {
			return g, nil
		}
	}
	n, err := strconv.Atoi(name)
	if errors.Is(err, strconv.ErrSyntax) {
		if g := s.current(); g.name != "" && strings.EqualFold(g.name, name) {
			return nil, fault.Invalid("invalid from flag value %s: refers to current build stage", name)
		}
		return nil, nil
	}
	if err != nil || n < 0 || n >= len(before) {
		return nil, fault.Invalid("invalid from flag value %s: there is no such stage before this one", name)
	}
	return before[n], nil
}
