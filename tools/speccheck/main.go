// Command speccheck proves the contract against the distilled reference of the
// published documents: what the reference lists is in the documents, what the
// documents have beyond it is marked, every documented exchange is an example
// that can be replayed, every documented change is an action or has a reason
// why not. It prints what it counted and fails on the first run that finds
// anything wrong, after listing everything.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/check"
	"github.com/seed-50ced230/berth/tools/contract"
	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/reference"
)

func main() {
	spec := flag.String("spec", "spec", "`directory` of the contract")
	flag.Parse()
	ok, err := run(*spec, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "speccheck:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(dir string, out io.Writer) (ok bool, err error) {
	in, err := load(dir)
	if err != nil {
		return false, err
	}
	report := check.Run(in)
	problems := report.Problems
	for _, v := range in.Versions {
		if err := check.Valid(in.Documents[v]); err != nil {
			problems = append(problems, fmt.Sprintf("v%s is not valid Swagger 2.0: %v", v, err))
		}
		fresh, err := isFresh(dir, v, in)
		if err != nil {
			return false, err
		}
		if !fresh {
			problems = append(problems, fmt.Sprintf("v%s.json is not what the sources render to; run make spec", v))
		}
	}
	sort.Strings(problems)
	for _, p := range problems {
		fmt.Fprintln(out, p)
	}
	table(out, in, report)
	if len(problems) > 0 {
		fmt.Fprintf(out, "%d problems\n", len(problems))
	}
	return len(problems) == 0, nil
}

func load(dir string) (check.Input, error) {
	c, err := contract.Load(dir)
	if err != nil {
		return check.Input{}, err
	}
	in := check.Input{Contract: c, Documents: map[string]*yaml.Node{}}
	for _, v := range c.Versions {
		in.Versions = append(in.Versions, v.Number)
		in.Documents[v.Number], err = document.Load(filepath.Join(dir, "v"+v.Number+".json"))
		if err != nil {
			return in, err
		}
	}
	in.Reference, in.Changes, err = reference.Load(filepath.Join(dir, "reference"), in.Versions)
	return in, err
}

// isFresh compares a published document with what its sources render to.
func isFresh(dir, version string, in check.Input) (bool, error) {
	published, err := os.ReadFile(filepath.Join(dir, "v"+version+".json"))
	if err != nil {
		return false, err
	}
	for _, v := range in.Contract.Versions {
		if v.Number == version {
			rendered, err := contract.Published(v.Document)
			return bytes.Equal(rendered, published), err
		}
	}
	return false, nil
}

func table(out io.Writer, in check.Input, r *check.Report) {
	fmt.Fprintf(out, "%-28s", "")
	for _, v := range in.Versions {
		fmt.Fprintf(out, "%8s", v)
	}
	fmt.Fprintf(out, "%8s\n", "all")
	rows := []struct {
		name  string
		count func(v string) int
	}{
		{"operations", func(v string) int { return r.Counts[v].Operations }},
		{"parameters", func(v string) int { return r.Counts[v].Parameters }},
		{"body fields and filters", func(v string) int { return r.Counts[v].Fields }},
		{"statuses", func(v string) int { return r.Counts[v].Statuses }},
		{"examples", func(v string) int { return r.Counts[v].Examples }},
		{"values in examples", func(v string) int { return r.Counts[v].Values }},
		{"properties of models", func(v string) int { return r.Counts[v].Properties }},
		{"marked as undocumented", func(v string) int { return r.Counts[v].Unlisted }},
		{"documented changes", func(v string) int { return r.Shaped[v] + r.Shapeless[v] }},
		{"  without a shape", func(v string) int { return r.Shapeless[v] }},
		{"actions of the overlay", func(v string) int { return r.Actions[v] }},
		{"differences (swagger diff)", func(v string) int { return r.Differences[v] }},
	}
	for _, row := range rows {
		sum := 0
		var b strings.Builder
		for _, v := range in.Versions {
			n := row.count(v)
			sum += n
			fmt.Fprintf(&b, "%8d", n)
		}
		fmt.Fprintf(out, "%-28s%s%8d\n", row.name, b.String(), sum)
	}
}
