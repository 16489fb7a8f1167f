package engine

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/filter"
)

// selection chooses containers for a list.
type selection struct {
	all     bool // also those that do not run
	limit   int  // 0: none
	taken   int
	before  string // full ids; the list begins behind the first …
	since   string // … and ends in front of the second
	began   bool
	filters filter.Conditions
	exited  map[int]bool
	image   map[string]bool // ids of the images of filter ancestor
	ids     patterns
	names   patterns
}

// statuses are the words of filter status.
var statuses = [...]container.Status{
	container.Created, container.Restarting, container.Running, container.Paused, container.Exited, container.Dead,
}

func (e *Engine) newSelection(p *hub.ContainerListParams) (*selection, error) {
	s := &selection{all: p.All}
	var err error
	if s.filters, err = filter.Parse(p.Filters); err != nil {
		return nil, err
	}
	err = s.filters.Only("exited", "status", "label", "id", "name", "ancestor", "before", "since", "isolation")
	if err != nil {
		return nil, err
	}
	for _, word := range s.filters["status"] {
		if !slices.Contains(statuses[:], container.Status(word)) {
			return nil, fault.Invalid("Unrecognised filter value for status: %s", word)
		}
		s.all = true
	}
	for _, code := range s.filters["exited"] {
		n, err := strconv.Atoi(code)
		if err != nil {
			return nil, fault.Invalid("filter exited: %q is no exit code", code)
		}
		if s.exited == nil {
			s.exited = map[int]bool{}
		}
		s.exited[n] = true
		s.all = true
	}
	for _, ref := range s.filters["ancestor"] {
		if s.image == nil {
			s.image = map[string]bool{}
		}
		if img, err := e.Images.Get(ref); err == nil {
			e.addDescendants(s.image, img.ID)
		}
	}
	s.ids, s.names = newPatterns(s.filters["id"]), newPatterns(s.filters["name"])
	before, since := p.Before, p.Since
	if v := s.filters["before"]; len(v) > 0 {
		before = v[0]
	}
	if v := s.filters["since"]; len(v) > 0 {
		since = v[0]
	}
	if s.before, err = e.fullID(before); err != nil {
		return nil, err
	}
	if s.since, err = e.fullID(since); err != nil {
		return nil, err
	}
	if p.Limit != nil && *p.Limit > 0 {
		s.limit, s.all = int(*p.Limit), true
	}
	if s.before != "" || s.since != "" {
		s.all = true
	}
	s.began = s.before == ""
	return s, nil
}

func (e *Engine) fullID(ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	c, err := e.containers.Get(ref)
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

// next says whether the next container of the list, the newest first, is taken
// and whether the list ends in front of it.
func (s *selection) next(r *container.Record) (take, stop bool) {
	if !s.began {
		s.began = r.ID == s.before
		return false, false
	}
	if r.ID == s.since || s.limit > 0 && s.taken == s.limit {
		return false, true
	}
	if !s.matches(r) {
		return false, false
	}
	s.taken++
	return true, false
}

func (s *selection) matches(r *container.Record) bool {
	f := s.filters
	if !s.all && !r.State.Active() {
		return false
	}
	if s.exited != nil && (!s.exited[r.State.ExitCode] || r.State.Active() || r.State.Status == container.Created) {
		return false
	}
	if len(f["status"]) > 0 && !slices.Contains(f["status"], string(r.State.Status)) {
		return false
	}
	if s.image != nil && !s.image[r.Image.String()] {
		return false
	}
	if !f.MatchLabels(r.Config.Labels) {
		return false
	}
	return s.ids.match(r.ID) && s.names.match(r.Name, r.Name[1:])
}

// addDescendants adds an image and all that were made from it.
func (e *Engine) addDescendants(set map[string]bool, id digest.Digest) {
	if set[id.String()] {
		return
	}
	set[id.String()] = true
	for _, child := range e.Images.Children(id) {
		e.addDescendants(set, child.ID)
	}
}

// patterns are the values of a filter that are regular expressions for a part of
// the text. One that cannot be compiled matches only a text that is equal.
type patterns []pattern

type pattern struct {
	text       string
	expression *regexp.Regexp
}

func newPatterns(values []string) patterns {
	var list patterns
	for _, v := range values {
		expression, _ := regexp.Compile(v)
		list = append(list, pattern{v, expression})
	}
	return list
}

// match is true without patterns, or if one of them matches one of the texts.
func (list patterns) match(texts ...string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(p pattern) bool {
		return slices.ContainsFunc(texts, func(text string) bool {
			return text == p.text || p.expression != nil && p.expression.MatchString(text)
		})
	})
}
