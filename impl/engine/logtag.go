package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Bounds of a tag, which is a client's program in the daemon: its text, each value
// that its functions give, and all of its output, bytes.
const (
	tagTextMax   = 4 << 10
	tagValueMax  = 4 << 10
	tagOutputMax = 64 << 10
)

// logInfo is what the option tag can say (Docker's "log tags").
type logInfo struct {
	ID, FullID           string
	Name                 string
	ImageID, ImageFullID string
	ImageName            string
	DaemonName           string
	Command              string
}

// logTag carries out the template of the option tag (or of its old name
// syslog-tag). It has no loops, and what its functions make is bounded.
func logTag(options map[string]string, info *logInfo) (string, error) {
	text := options["tag"]
	if text == "" {
		text = options["syslog-tag"]
	}
	if text == "" {
		text = "{{.ID}}"
	}
	if len(text) > tagTextMax {
		return "", fault.Invalid("log option tag: it is longer than %d bytes", tagTextMax)
	}
	t, err := template.New("log-tag").Funcs(tagFunctions()).Parse(text)
	if err != nil {
		return "", fault.Invalid("log option tag: %w", err)
	}
	for _, part := range t.Templates() {
		if part.Tree != nil && loops(part.Root) {
			return "", fault.Invalid("log option tag: range, template and block are not allowed")
		}
	}
	b := &tagOutput{}
	if err := t.Execute(b, info); err != nil {
		return "", fault.Invalid("log option tag: %w", err)
	}
	return b.String(), nil
}

// loops says whether a part of a template may take long: it repeats something, or
// calls a template, which may be itself.
func loops(n parse.Node) bool {
	switch n := n.(type) {
	case nil:
		return false
	case *parse.ListNode:
		if n == nil {
			return false
		}
		for _, child := range n.Nodes {
			if loops(child) {
				return true
			}
		}
		return false
	case *parse.IfNode:
		return loops(n.List) || loops(n.ElseList)
	case *parse.WithNode:
		return loops(n.List) || loops(n.ElseList)
	case *parse.TextNode, *parse.ActionNode, *parse.CommentNode:
		return false
	}
	return true
}

// wide are formats of printf that make much out of little.
var wide = regexp.MustCompile(`[0-9]{4}|\*`)

var errTagValue = fmt.Errorf("a value is longer than %d bytes", tagValueMax)

// tagFunctions are those of Docker's templates and, with bounds, those of Go's that
// make texts.
func tagFunctions() template.FuncMap {
	bounded := func(s string) (string, error) {
		if len(s) > tagValueMax {
			return "", errTagValue
		}
		return s, nil
	}
	variadic := func(f func(...any) string) func(...any) (string, error) {
		return func(args ...any) (string, error) { return bounded(f(args...)) }
	}
	return template.FuncMap{
		"json": func(v any) (string, error) {
			b, err := json.Marshal(v)
			if err != nil {
				return "", err
			}
			return bounded(string(b))
		},
		"split": func(s, separator string) ([]string, error) {
			if _, err := bounded(s); err != nil {
				return nil, err
			}
			return strings.Split(s, separator), nil
		},
		"join":     func(list []string, separator string) (string, error) { return bounded(strings.Join(list, separator)) },
		"lower":    func(s string) (string, error) { return bounded(strings.ToLower(s)) },
		"upper":    func(s string) (string, error) { return bounded(strings.ToUpper(s)) },
		"print":    variadic(fmt.Sprint),
		"println":  variadic(fmt.Sprintln),
		"html":     variadic(template.HTMLEscaper),
		"js":       variadic(template.JSEscaper),
		"urlquery": variadic(template.URLQueryEscaper),
		"printf": func(format string, args ...any) (string, error) {
			if wide.MatchString(format) {
				return "", errors.New("printf: a width of more than 999 is not allowed")
			}
			return bounded(fmt.Sprintf(format, args...))
		},
	}
}

// tagOutput takes a bounded text.
type tagOutput struct{ strings.Builder }

func (o *tagOutput) Write(p []byte) (int, error) {
	if o.Len()+len(p) > tagOutputMax {
		return 0, fmt.Errorf("its result is longer than %d bytes", tagOutputMax)
	}
	return o.Builder.Write(p)
}
