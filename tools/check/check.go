// Package check compares the contract's documents with the distilled reference
// in both directions: nothing that the reference lists may be missing, and
// nothing that it does not list may be there without x-undocumented.
package check

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/contract"
	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/reference"
)

// Input is what is compared.
type Input struct {
	Versions  []string              // oldest first
	Documents map[string]*yaml.Node // as published
	Reference map[string]reference.Document
	Changes   map[string]int // documented changes by version
	Contract  *contract.Contract
}

// Counts says how much of one version was compared.
type Counts struct {
	Operations, Parameters, Fields, Statuses, Examples, Values, Properties, Unlisted int
}

// Report collects problems and counts.
type Report struct {
	Problems []string
	Counts   map[string]*Counts
	// Changes counts the documented changes by version: how many are
	// actions, how many have no shape.
	Shaped, Shapeless map[string]int
	// Differences and Actions count what swagger diff found between a
	// version and the one before, and the overlay's actions.
	Differences, Actions map[string]int
}

func (r *Report) problem(format string, args ...any) {
	p := fmt.Sprintf(format, args...)
	if !slices.Contains(r.Problems, p) {
		r.Problems = append(r.Problems, p)
	}
}

// Run does every comparison but the general validity of the documents; see
// Valid.
func Run(in Input) *Report {
	r := Compare(in)
	r.differences(in)
	return r
}

// Compare does what Run does without swagger diff, which takes most of the
// time.
func Compare(in Input) *Report {
	r := &Report{
		Counts: map[string]*Counts{}, Shaped: map[string]int{}, Shapeless: map[string]int{},
		Differences: map[string]int{}, Actions: map[string]int{},
	}
	shown := marks{}
	for _, v := range in.Versions {
		r.Counts[v] = &Counts{}
		// What an older version's document shows is documented until an
		// overlay removes it, even if later examples leave it out.
		shown = shown.copy()
		c := &checker{
			Report: r, version: v, count: r.Counts[v], doc: in.Documents[v], ref: in.Reference[v], shown: shown,
		}
		c.run()
	}
	r.changes(in)
	return r
}

// marks are the properties that the reference shows, as "Definition.property".
type marks map[string]bool

func (m marks) copy() marks {
	c := make(marks, len(m))
	for k := range m {
		c[k] = true
	}
	return c
}

// checker compares one version.
type checker struct {
	*Report
	version string
	count   *Counts
	doc     *yaml.Node
	ref     reference.Document
	shown   marks
}

func (c *checker) say(op, format string, args ...any) {
	c.problem("v%s %s: %s", c.version, op, fmt.Sprintf(format, args...))
}

func (c *checker) run() {
	listed := map[string]reference.Operation{}
	for _, ref := range c.ref.Operations {
		listed[ref.Method+" "+ref.Path] = ref
	}
	ops := map[string]document.Operation{}
	ids := map[string]bool{}
	for _, op := range document.Operations(c.doc) {
		key := op.Method + " " + op.Path
		ops[key] = op
		if ids[op.ID] || op.ID == "" {
			c.say(key, "the operationId %q is empty or taken", op.ID)
		}
		ids[op.ID] = true
		if _, ok := listed[key]; !ok {
			if unlisted(op.Node) {
				c.count.Unlisted++
			} else {
				c.say(op.ID, "%s is not in the reference and not marked as undocumented", key)
			}
		}
		switch mode := document.Text(op.Node, "x-berth-mode"); mode {
		case "json", "stream", "raw":
		default:
			c.say(op.ID, "x-berth-mode %q", mode)
		}
	}
	for _, ref := range c.ref.Operations {
		op, ok := ops[ref.Method+" "+ref.Path]
		if !ok {
			c.say(ref.Method+" "+ref.Path, "the operation is missing")
			continue
		}
		c.count.Operations++
		c.parameters(op, ref)
		c.body(op, ref)
		c.statuses(op, ref)
		c.examples(op, ref)
	}
	// Only now is it known what tables and examples show.
	for _, ref := range c.ref.Operations {
		if op, ok := ops[ref.Method+" "+ref.Path]; ok {
			c.invented(op, ref)
		}
	}
	c.properties()
}

// unlisted reports whether a node carries the mark.
func unlisted(n *yaml.Node) bool { return document.Text(n, "x-undocumented") != "" }
