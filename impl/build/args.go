package build

import (
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/seed-50ced230/berth/impl/fault"
)

// predefined are the variables that commands see without an ARG (Dockerfile
// reference, "Predefined ARGs"). They are no part of what the cache compares.
var predefined = []string{
	"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy",
}

// arguments are the build-time variables of a build.
type arguments struct {
	given map[string]*string
	// global are those that were declared before the first FROM.
	global map[string]string

	mu   sync.Mutex
	used map[string]bool
}

// value gives a declared variable its value: the client's, or the default.
func (a *arguments) value(name string, fallback *string) (string, bool) {
	a.use(name)
	if v, ok := a.given[name]; ok {
		if v == nil {
			return "", false
		}
		return *v, true
	}
	if fallback != nil {
		return *fallback, true
	}
	v, ok := a.global[name]
	return v, ok
}

func (a *arguments) use(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used == nil {
		a.used = map[string]bool{}
	}
	a.used[name] = true
}

// globalEnv lists the variables that FROM sees.
func (a *arguments) globalEnv() []string {
	var env []string
	for k, v := range a.global {
		env = append(env, k+"="+v)
	}
	return env
}

// unused lists what the client gave and no instruction asked for.
func (a *arguments) unused() []string {
	var names []string
	for k := range a.given {
		if !a.used[k] && !slices.Contains(predefined, k) {
			names = append(names, k)
		}
	}
	sort.Strings(names)
	return names
}

// proxies lists the predefined variables that the client gave.
func (a *arguments) proxies() []string {
	var env []string
	for _, k := range predefined {
		if v := a.given[k]; v != nil {
			env = append(env, k+"="+*v)
		}
	}
	return env
}

// declareGlobal reads the ARG instructions before the first FROM.
func (s *session) declareGlobal(d *dockerfile) error {
	s.args.global = map[string]string{}
	for _, c := range d.args {
		for _, arg := range c.Args {
			value := arg.Value
			if value != nil {
				out, _, err := shell.NewLex(d.escape).ProcessWord(*value, shell.EnvsFromSlice(s.args.globalEnv()))
				if err != nil {
					return fault.Invalid("ARG %s: %w", arg.Key, err)
				}
				value = &out
			}
			if v, ok := s.args.value(arg.Key, value); ok {
				s.args.global[arg.Key] = v
			}
		}
	}
	return nil
}

// declare takes an ARG instruction of a stage and gives its text for the history.
func (s *session) declare(g *stage, c *instructions.ArgCommand) string {
	var words []string
	for _, arg := range c.Args {
		if v, ok := s.args.value(arg.Key, arg.Value); ok {
			g.args[arg.Key] = v
		}
		word := arg.Key
		if arg.Value != nil {
			word += "=" + *arg.Value
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
