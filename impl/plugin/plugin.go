// Package plugin finds and calls the programs that extend the engine: HTTP
// servers on the same host that keep volumes, networks or addresses, by the plugin
// protocol of Docker Engine 1.8 to 1.12.
//
// A plugin is found by a file: a unix socket NAME.sock below the directory of
// sockets, or an address in NAME.spec or NAME.json below the directories of
// specifications. It is activated at its first use (POST /Plugin.Activate) and
// says then which protocols it speaks.
//
// A plugin is a program that may be slow, dead or wrong. Whatever it does, a
// call ends within the bounds of Options and of the caller's context, its answer
// has a limited size, and nothing here waits for two plugins one after another.
package plugin

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/fault"
)

// The protocols that the engine uses, as Plugin.Activate names them.
const (
	VolumeDriver  = "VolumeDriver"
	NetworkDriver = "NetworkDriver"
	IPAMDriver    = "IpamDriver"
)

// Options say where plugins are looked for and how long they are waited for.
type Options struct {
	// Sockets is the directory of NAME.sock; empty for none.
	Sockets string
	// Specs are the directories of NAME.spec and NAME.json.
	Specs []string
	// Connect is how long a plugin that does not take connections is tried
	// again for (15 s); Call how long one call may take (2 min), which includes it.
	Connect, Call time.Duration
}

// DefaultSockets is where Docker Engine looks for sockets.
const DefaultSockets = "/run/docker/plugins"

// DefaultSpecs gives the directories of specifications.
func DefaultSpecs() []string { return []string{"/etc/docker/plugins", "/usr/lib/docker/plugins"} }

// sulk is how long a plugin that could not be activated is left alone by those
// who ask all plugins.
const sulk = 10 * time.Second

// Registry knows the plugins of one engine. Its methods may be called at once.
type Registry struct {
	opts Options

	mu      sync.Mutex
	plugins map[string]*Plugin // by name
}

// New makes a registry; nothing is looked for before the first use.
func New(opts Options) *Registry {
	if opts.Connect == 0 {
		opts.Connect = 15 * time.Second
	}
	if opts.Call == 0 {
		opts.Call = 2 * time.Minute
	}
	return &Registry{opts: opts, plugins: make(map[string]*Plugin)}
}

// Get gives the plugin of a name, activated. Classes: NotFound (no such plugin,
// or it does not speak the protocol), Internal (it cannot be activated).
func (r *Registry) Get(ctx context.Context, name, protocol string) (*Plugin, error) {
	p, err := r.find(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Call)
	defer cancel()
	speaks, err := p.activate(ctx, true)
	if err != nil {
		return nil, unsent{err}
	}
	if !slices.Contains(speaks, protocol) {
		return nil, fault.NotFound("plugin %s does not implement %s, but %v", name, protocol, speaks)
	}
	return p, nil
}

// find gives the plugin of a name by the file that is there now.
func (r *Registry) find(name string) (*Plugin, error) {
	where, err := r.opts.look(name)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.plugins[name]; p != nil && p.where == *where {
		return p, nil
	}
	p, err := newPlugin(name, *where, r.opts)
	if err != nil {
		return nil, err
	}
	r.plugins[name] = p
	return p, nil
}

// Failed is a plugin that could not be asked.
type Failed struct {
	Name string
	Err  error
}

// All gives the plugins that speak a protocol, by name, and those that could
// not be asked within the context. All are asked at once, and none again that
// failed a moment ago.
func (r *Registry) All(ctx context.Context, protocol string) ([]*Plugin, []Failed) {
	names, err := r.opts.scan()
	var failed []Failed
	if err != nil {
		failed = append(failed, Failed{"", err})
	}
	plugins := make([]*Plugin, len(names))
	errs := make([]error, len(names))
	var asking sync.WaitGroup
	for i, name := range names {
		asking.Go(func() {
			p, err := r.find(name)
			if err != nil {
				errs[i] = err
				return
			}
			speaks, err := p.activate(ctx, false)
			if err != nil {
				errs[i] = err
			} else if slices.Contains(speaks, protocol) {
				plugins[i] = p
			}
		})
	}
	asking.Wait()
	for i, err := range errs {
		if err != nil {
			failed = append(failed, Failed{names[i], err})
		}
	}
	return slices.DeleteFunc(plugins, func(p *Plugin) bool { return p == nil }), failed
}

// activation is one attempt to activate a plugin, shared by all who wait.
type activation struct {
	patient bool // repeats connections
	begun   time.Time
	done    chan struct{}
	// The rest is there once done is closed.
	speaks []string
	err    error
	at     time.Time
}

func (a *activation) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// activate asks the plugin, once, what it speaks. Whoever is not patient gets
// the error of an attempt that failed a moment ago instead of another attempt,
// and the attempt itself does not repeat connections. Whoever is patient gets
// that of a patient attempt since they came, so that nobody waits for more than
// the one that goes on and the next one, however many wait.
func (p *Plugin) activate(ctx context.Context, patient bool) ([]string, error) {
	came := time.Now()
	final := func(a *activation) bool {
		switch {
		case a.err == nil:
			return true
		case patient:
			return a.patient && !a.begun.Before(came)
		}
		return time.Since(a.at) <= sulk
	}
	for {
		p.mu.Lock()
		a := p.activation
		if a == nil || a.over() && !final(a) {
			a = &activation{patient: patient, begun: time.Now(), done: make(chan struct{})}
			p.activation = a
			go p.handshake(a)
		}
		p.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, fault.Internal("plugin %s: activation takes too long: %w", p.name, ctx.Err())
		}
		if final(a) {
			return a.speaks, a.err
		}
	}
}

func (p *Plugin) handshake(a *activation) {
	ctx, cancel := context.WithTimeout(context.Background(), p.opts.Call)
	defer cancel()
	var answer struct{ Implements []string }
	connect := p.opts.Connect
	if !a.patient {
		connect = 0
	}
	a.err = p.call(ctx, connect, "Plugin.Activate", nil, &answer)
	a.speaks, a.at = answer.Implements, time.Now()
	close(a.done)
}

// passivate has the plugin activated again: the program may be another one.
func (p *Plugin) passivate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.activation; a != nil && a.over() {
		p.activation = nil
	}
}

// unsent is the error of a call before which the plugin could not be activated.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// Undone says whether, by the error of a call, the plugin has certainly not done
// what was asked: it was not reached, or says so. After a call that took too
// long, was given up, or got an answer that nobody can read it may have been done.
func Undone(err error) bool {
	return errors.As(err, new(*AnswerError)) || errors.As(err, new(unsent)) || errors.Is(err, ErrConnect) || errdefs.IsNotFound(err)
}

// Answered says whether the error is the plugin's own answer: it was reached.
func Answered(err error) bool { return errors.As(err, new(*AnswerError)) }

// ErrConnect marks errors of calls that never reached the plugin.
var ErrConnect = errors.New("cannot connect")
