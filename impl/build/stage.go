package build

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

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
	index int
	name  string
	steps []*step
	// first is the number of the first step.
	first int
	// done is closed when all steps have been taken, or one has failed with err.
	// Nobody else looks at the stage before.
	done chan struct{}
	err  error

	// image is the last step's; empty at the start of one from scratch. release
	// lets the store remove it again.
	image   digest.Digest
	release func()
	config  *image.Config
	author  string
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

// stand goes on with an image that is held. The one before is its parent, or was
// not yet used.
func (g *stage) stand(id digest.Digest, release func()) {
	g.letGo()
	g.image, g.release = id, release
}

// letGo lets the stage's image be removed.
func (g *stage) letGo() {
	if g.release != nil {
		g.release()
		g.release = nil
	}
}

// split puts the steps of a Dockerfile into stages.
func (d *dockerfile) split() []*stage {
	var stages []*stage
	for i := range d.steps {
		st := &d.steps[i]
		if from, ok := st.command.(*instructions.Stage); ok {
			stages = append(stages, &stage{
				index: len(stages), name: from.Name, first: i + 1, escape: d.escape,
				args: map[string]string{}, config: &image.Config{}, done: make(chan struct{}),
			})
		}
		g := stages[len(stages)-1] // the first step is a FROM
		g.steps = append(g.steps, st)
	}
	return stages
}

// run takes all stages and names the image.
func (s *session) run(ctx context.Context, d *dockerfile) (digest.Digest, error) {
	s.args, s.flights = &arguments{given: s.req.Args}, &flights{}
	if err := s.declareGlobal(d); err != nil {
		return "", err
	}
	s.stages, s.users = d.split(), &atomic.Int32{}
	for i := range d.steps {
		if usesContext(d.steps[i].command) {
			s.users.Add(1)
		}
	}
	defer func() {
		for _, g := range s.stages {
			g.letGo()
		}
	}()
	if err := s.takeStages(ctx, d); err != nil {
		return "", err
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

// takeStages takes as many stages at once as there are processors and one more:
// most steps wait for a disk or a network now and then. They begin in their
// order, so that one that others need is never behind them. The first failure in
// the order of the Dockerfile is the build's, as if stages were taken one by one:
// those before it come to their end, those after it are cancelled.
func (s *session) takeStages(ctx context.Context, d *dockerfile) error {
	turns := newTurns(s.out, s.dir, len(s.stages), s.limits)
	defer turns.close()
	places := make(chan struct{}, runtime.GOMAXPROCS(0)+1)
	var (
		mu      sync.Mutex
		failed  = len(s.stages) // the first one
		cancels = make([]context.CancelFunc, len(s.stages))
		running sync.WaitGroup
		owns    []*session
	)
	for i, g := range s.stages {
		places <- struct{}{}
		mu.Lock()
		if failed < i {
			mu.Unlock()
			break
		}
		stageCtx, cancel := context.WithCancel(ctx)
		cancels[i] = cancel
		mu.Unlock()
		own := *s
		own.stage, own.voice = g, turns.voices[i]
		own.out = own.voice.output(stageCtx, own.landed)
		owns = append(owns, &own)
		running.Go(func() {
			defer func() { <-places }()
			defer cancel()
			g.err = own.takeStage(stageCtx, d)
			own.landed()
			close(g.done)
			mu.Lock()
			defer mu.Unlock()
			if g.err != nil && i < failed {
				failed = i
				for _, later := range cancels[i+1:] {
					if later != nil {
						later()
					}
				}
			}
		})
	}
	running.Wait()
	for i, own := range owns {
		if err := own.closeStage(own.stage.err, failed < i); err != nil {
			s.Logger.Error("a stage of a build left something behind", "error", err)
		}
	}
	if failed < len(s.stages) {
		return s.stages[failed].err
	}
	return nil
}

// takeStage takes the steps of one stage.
func (s *session) takeStage(ctx context.Context, d *dockerfile) error {
	for i, st := range s.stage.steps {
		if err := s.take(ctx, d, st, s.stage.first+i); err != nil {
			return err
		}
	}
	return s.voice.end()
}

// need waits for the end of an earlier stage.
func (s *session) need(ctx context.Context, earlier *stage) error {
	select {
	case <-earlier.done:
		if earlier.err != nil {
			return errNeeded
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take takes one step of the Dockerfile.
func (s *session) take(ctx context.Context, d *dockerfile, st *step, number int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.step = number
	if err := s.announce(s.step, st); err != nil {
		return err
	}
	if usesContext(st.command) {
		defer s.users.Add(-1)
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
	s.landed()
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
	s.kept, s.containers = append(s.kept, s.containers...), nil
	return nil
}

func (s *session) current() *stage { return s.stage }

// expand replaces the variables of a word by the stage's environment and the
// declared build-time variables, of which the former win.
func (s *session) expand(word string) (string, error) {
	g := s.current()
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
	g := s.current()
	switch earlier := s.stageNamed(base); {
	case earlier != nil:
		if err := s.need(ctx, earlier); err != nil {
			return err
		}
		g.config, g.author = copyConfig(earlier.config), earlier.author
		if earlier.image != "" {
			img, release, err := s.Images.Hold(earlier.image.String())
			if err != nil {
				return err
			}
			g.stand(img.ID, release)
		}
	case base == "scratch":
	default:
		img, release, err := s.baseImage(ctx, base, s.req.Pull)
		if err != nil {
			return err
		}
		g.stand(img.ID, release)
		g.author = img.Author
		if img.Config != nil {
			g.config = copyConfig(img.Config)
		}
	}
	g.config.Image = g.image.String()
	if _, ok := lookup(g.config.Env, "PATH"); !ok {
		g.config.Env = append(g.config.Env, defaultPath)
	}
	return s.settle(g)
}

// stageNamed finds an earlier stage by its name or number.
func (s *session) stageNamed(name string) *stage {
	for _, g := range slices.Backward(s.stages[:s.stage.index]) {
		if g.name != "" && strings.EqualFold(g.name, name) {
			return g
		}
	}
	return nil
}

// baseImage finds an image, and fetches it if it is not here or anew is set. The
// image stays until release.
func (s *session) baseImage(ctx context.Context, name string, anew bool) (img *image.Image, release func(), err error) {
	if !anew || s.req.Fetch == nil {
		img, release, err = s.hold(name)
		if err == nil || s.req.Fetch == nil || !errdefs.IsNotFound(err) {
			return img, release, err
		}
	}
	// The client is told of the pull as it goes.
	if err := s.voice.await(ctx); err != nil {
		return nil, nil, err
	}
	if err := s.req.Fetch(ctx, name); err != nil {
		return nil, nil, err
	}
	return s.hold(name)
}

// hold keeps an image that can be used.
func (s *session) hold(name string) (*image.Image, func(), error) {
	img, release, err := s.Images.Hold(name)
	if err != nil {
		return nil, nil, err
	}
	if img.Damaged != nil {
		release()
		return nil, nil, img.Damaged
	}
	return img, release, nil
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
	s.triggering = true
	defer func() { s.triggering = false }()
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
	before := s.stages[:s.stage.index]
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
