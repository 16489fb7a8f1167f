// Package build makes images from Dockerfiles.
//
// A build reads its context into a directory of its own, parses the whole
// Dockerfile before it does anything, and then takes one step after another:
// every step starts from an image, changes its configuration or its files, and
// commits an image. A step that was taken before, from the same image and with
// the same files, is not taken again: the image that it made is found by the
// configuration of the container that it was committed from.
//
// Stages are taken side by side, and what they say is told in the order of the
// Dockerfile (turns.go). A stage waits for those that it starts from or copies
// from.
//
// Files are copied without running anything. Both trees, the context and the
// image under work, are reached through descriptors, and links in them are
// resolved inside of them (tree.go), so that no context can name a file of the
// host.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// Containers runs the commands of RUN steps. A container is made, runs at most
// once, is committed by the builder through the image store, and is removed.
type Containers interface {
	// Create makes a container and does not start it. config.Image is the id of
	// the image below; config.Cmd is the whole command.
	Create(ctx context.Context, config *image.Config, r Resources) (id string, err error)
	// Run starts the container, copies what it prints to output and gives its
	// exit code. When ctx ends the container is killed, and Run returns.
	Run(ctx context.Context, id string, output io.Writer) (code int, err error)
	// Remove removes the container, which may run, and its volumes.
	Remove(ctx context.Context, id string) error
}

// Resources bound every container of a build; zero values set no bound.
type Resources struct {
	// Memory and Swap (memory and swap together, -1 for no bound) in bytes.
	Memory, Swap int64
	// CPUShares is a weight; CPUPeriod and CPUQuota are microseconds.
	CPUShares, CPUPeriod, CPUQuota int64
	CpusetCpus, CpusetMems         string
	// ShmSize is the size of /dev/shm in bytes.
	ShmSize      int64
	CgroupParent string
	Ulimits      []Ulimit
}

// Ulimit is a resource limit by its name without RLIMIT_ (setrlimit(2)).
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// Limits bound what a build takes from outside.
type Limits struct {
	// ContextBytes are the most file bytes of a context, of an archive that is
	// unpacked by ADD and of a download; sparse holes count.
	ContextBytes int64
	// ContextEntries are the most files and directories of a context or archive.
	ContextEntries int
	// DockerfileBytes is the longest Dockerfile.
	DockerfileBytes int64
	// StageOutput and Output are the most bytes of output that are kept on disk of
	// one stage and of all stages of a build, until it is the stage's turn to be
	// told. A stage that prints more waits.
	StageOutput, Output int64
}

// DefaultLimits are used where a limit is zero.
var DefaultLimits = Limits{ContextBytes: 100 << 30, ContextEntries: 10_000_000, DockerfileBytes: 4 << 20, StageOutput: 16 << 20, Output: 256 << 20}

// Builder makes images. Its fields are set once and not changed.
type Builder struct {
	Images     *image.Store
	Containers Containers
	// Root is the directory for contexts. What is in it when the builder starts
	// work belongs to nobody, see Sweep.
	Root string
	// NewID makes the id of an intermediate container.
	NewID func() string
	// Version is recorded in images as the engine's.
	Version string
	Limits  Limits
	// Denied are networks in which ADD and remote contexts find nobody. What
	// RUN reaches is the containers' network's business.
	Denied []netip.Prefix
	Logger *slog.Logger
}

// Request is one build.
type Request struct {
	// Context is a tar, which may be compressed; nil with Remote.
	Context io.Reader
	// Remote is the address of a git repository, of a tar or of a Dockerfile.
	Remote string
	// Dockerfile is a path in the context.
	Dockerfile string
	// Tags are the names to give to the image, checked and in their familiar form.
	Tags []string
	// Fetch pulls an image that is not here, and tells the client about it; nil
	// when there is nowhere to pull from: then only images that are here are found.
	Fetch func(ctx context.Context, name string) error
	// NoCache takes every step anew; Pull fetches base images even if they are here.
	NoCache, Pull bool
	// Remove takes intermediate containers away after their step, ForceRemove
	// also after a failure.
	Remove, ForceRemove bool
	// Args are the values of build-time variables; nil unsets a default.
	Args map[string]*string
	// Labels are added to the image.
	Labels    map[string]string
	Resources Resources
}

// Output receives what a build tells its client.
type Output struct {
	// Text takes what clients print as it is.
	Text func(text string) error
	// Progress takes steps of downloads.
	Progress image.ProgressFunc
	// Tagged hears of every name that was given to the image.
	Tagged func(id digest.Digest, name string)
}

// ExitError says that a command of a RUN step failed.
type ExitError struct {
	Command string
	// Code is the command's exit code, never 0.
	Code int
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("The command '%s' returned a non-zero code: %d", e.Command, e.Code)
}

// StreamCode is what the failure's last line in the progress stream bears.
func (e *ExitError) StreamCode() int { return e.Code }

// Sweep removes the contexts that a killed engine left.
func (b *Builder) Sweep() error {
	if err := os.RemoveAll(b.Root); err != nil {
		return fmt.Errorf("sweep build contexts: %w", err)
	}
	return nil
}

// Build makes an image and gives its id. Nothing is told to out before the
// context has been read and the Dockerfile has been understood. Whatever the
// outcome, only images and, where the request says so, intermediate containers
// remain.
func (b *Builder) Build(ctx context.Context, req *Request, out Output) (id digest.Digest, err error) {
	if err := os.MkdirAll(b.Root, 0o700); err != nil {
		return "", fault.Internal("make the directory for build contexts: %w", err)
	}
	layer.Spread(b.Root)
	dir, err := os.MkdirTemp(b.Root, "build")
	if err != nil {
		return "", fault.Internal("make a directory for the build: %w", err)
	}
	s := &session{Builder: b, req: req, out: out, dir: dir, limits: b.limits(), cleanup: context.WithoutCancel(ctx)}
	defer func() {
		if cerr := s.close(); cerr != nil {
			b.Logger.Error("a build left something behind", "error", cerr)
		}
	}()
	if err := s.readContext(ctx); err != nil {
		return "", cancelled(ctx, err)
	}
	file, err := s.parseDockerfile()
	if err != nil {
		return "", err
	}
	if err := s.applyIgnoreFile(); err != nil {
		return "", err
	}
	id, err = s.run(ctx, file)
	return id, cancelled(ctx, err)
}

// cancelled words the end of a build whose client is gone.
func cancelled(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("Build cancelled: %w", ctx.Err()) // the text that Docker's engine prints
	}
	return err
}

func (b *Builder) limits() Limits {
	l := b.Limits
	if l.ContextBytes == 0 {
		l.ContextBytes = DefaultLimits.ContextBytes
	}
	if l.ContextEntries == 0 {
		l.ContextEntries = DefaultLimits.ContextEntries
	}
	if l.DockerfileBytes == 0 {
		l.DockerfileBytes = DefaultLimits.DockerfileBytes
	}
	if l.StageOutput == 0 {
		l.StageOutput = DefaultLimits.StageOutput
	}
	if l.Output == 0 {
		l.Output = DefaultLimits.Output
	}
	return l
}

// session is one build under way.
type session struct {
	*Builder
	req    *Request
	out    Output
	dir    string
	limits Limits
	// cleanup is the request's context without its end.
	cleanup context.Context

	files      *tree  // the build context; nil for a single Dockerfile
	dockerfile []byte // its content
	proxy      string // of git, with denied networks
	stages     []*stage
	args       *arguments
	flights    *flights
	// users counts the steps that may use the context and are not over.
	users *atomic.Int32

	// What follows is of the stage that is taken; each has a copy of the session.

	stage *stage
	voice *voice
	step  int
	// triggering says that a base image's ONBUILD instructions are taken.
	triggering bool
	// land says that the step is taken that the cache did not have; nil for none.
	land       func()
	containers []string // intermediate ones, not removed yet
	kept       []string // those of steps that are over
	layers     []string // writable layers without a container
}

// close removes the build's directory.
func (s *session) close() error {
	var err error
	if s.files != nil {
		err = s.files.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// closeStage removes what a stage does not leave behind. failure is its outcome;
// needless says that the stage was beside one that failed.
func (s *session) closeStage(failure error, needless bool) error {
	keep := failure != nil && !s.req.ForceRemove && !(errors.Is(failure, context.Canceled) && s.req.Remove)
	if failure == nil {
		keep = !s.req.Remove && !s.req.ForceRemove
	}
	if needless {
		s.containers = append(s.kept, s.containers...)
	}
	var err error
	if !keep || needless {
		err = s.removeContainers(false)
	}
	return errors.Join(err, s.dropLayers(false))
}

// landed ends a step that others may wait for.
func (s *session) landed() {
	if s.land != nil {
		s.land()
		s.land = nil
	}
}

// removeContainers takes the intermediate containers away, and says so if the
// client is to know.
func (s *session) removeContainers(tell bool) error {
	var errs []error
	for _, id := range s.containers {
		if err := s.Containers.Remove(s.cleanup, id); err != nil {
			errs = append(errs, err)
			continue
		}
		if tell {
			errs = append(errs, s.say("Removing intermediate container %s\n", short(id)))
		}
	}
	s.containers = nil
	return errors.Join(errs...)
}

func (s *session) say(format string, args ...any) error {
	return s.out.Text(fmt.Sprintf(format, args...))
}

// short is an id as the output shows it: its first twelve digits.
func short(id string) string {
	if d := digest.Digest(id); d.Validate() == nil {
		id = d.Encoded()
	}
	return id[:min(12, len(id))]
}
