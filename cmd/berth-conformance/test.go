package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/formatter"
	"github.com/seed-50ced230/berth/conformance"
	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/report"
	"github.com/seed-50ced230/berth/conformance/wire"
	"github.com/seed-50ced230/berth/spec"
)

// outcome stands for a testing.T: Ginkgo only says whether the suite failed.
type outcome struct{ failed bool }

func (o *outcome) Fail() { o.failed = true }

// test runs the chosen cases and writes the reports.
func test(o options, stdout io.Writer) (int, error) {
	documents, chosen, all, err := o.selection()
	if err != nil {
		return 0, err
	}
	if len(chosen) == 0 {
		return 0, fmt.Errorf("no case matches")
	}
	config, err := o.tlsConfig()
	if err != nil {
		return 0, err
	}
	endpoint, err := wire.ParseEndpoint(o.host, config)
	if err != nil {
		return 0, err
	}
	base, err := image.NewBase(o.busybox)
	if err != nil {
		return 0, err
	}
	reds, err := o.reds()
	if err != nil {
		return 0, err
	}
	suite := conformance.NewSuite(endpoint, base, o.timeout, runID())
	suite.Alone = o.alone
	started := time.Now()
	var results []*conformance.Result
	reference, err := o.second(base)
	if err != nil {
		return 0, err
	}
	conformance.Define(suite, reference, chosen, func(result *conformance.Result) {
		results = append(results, result)
		show(stdout, result, reds.Reason(result.ID), o.verbose)
	})
	// Ginkgo's own output would repeat what show and the reports say.
	formatter.ColorableStdOut = io.Discard
	suiteConfig, reporterConfig := ginkgo.GinkgoConfiguration()
	reporterConfig.Succinct = true
	suiteConfig.Timeout = 2 * time.Hour
	// No case may need another one: the order is a new one each time.
	suiteConfig.RandomizeAllSpecs = true
	if o.seed != 0 {
		suiteConfig.RandomSeed = o.seed
	}
	ginkgo.RunSpecs(&outcome{}, "berth-conformance", suiteConfig, reporterConfig)
	suite.RemoveImages(documents)
	if reference != nil {
		reference.RemoveImages(documents)
	}

	// Ginkgo chooses an order of its own; reports keep the documents'.
	order := map[string]int{}
	for i, c := range chosen {
		order[c.ID] = i
	}
	slices.SortFunc(results, func(a, b *conformance.Result) int { return order[a.ID] - order[b.ID] })

	list, err := spec.Changes()
	if err != nil {
		return 0, err
	}
	gaps, err := conformance.KnownGaps()
	if err != nil {
		return 0, err
	}
	made := report.New(report.Facts{
		Documents: documents, Gaps: gaps,
		Host: endpoint, Reference: o.reference, Started: started, All: all, Results: results, Reds: reds, Changes: list,
	})
	if o.report != "" {
		if err := made.Write(o.report); err != nil {
			return 0, err
		}
	}
	summary(stdout, made)
	fmt.Fprintf(stdout, "order: --seed %d\n", suiteConfig.RandomSeed)
	if len(results) != len(chosen) {
		return 0, fmt.Errorf("%d of %d cases were run", len(results), len(chosen))
	}
	switch made.Result {
	case "fail":
		return 1, nil
	case "partial":
		return 3, nil
	}
	return 0, nil
}

// reds reads the file of --expected-reds; nil without one.
func (o options) reds() (conformance.ExpectedReds, error) {
	if o.expectedReds == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(o.expectedReds)
	if err != nil {
		return nil, fmt.Errorf("--expected-reds: %w", err)
	}
	return conformance.ParseExpectedReds(raw)
}

// second is the suite of --reference; nil without one.
func (o options) second(base *image.Base) (*conformance.Suite, error) {
	if o.reference == "" {
		return nil, nil
	}
	endpoint, err := wire.ParseEndpoint(o.reference, nil)
	if err != nil {
		return nil, fmt.Errorf("--reference: %w", err)
	}
	second := conformance.NewSuite(endpoint, base, o.timeout, runID())
	second.Alone = o.alone
	return second, nil
}

// runID makes the names of a run its own.
func runID() string {
	raw := make([]byte, 3)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// show prints a result.
func show(stdout io.Writer, result *conformance.Result, expected string, verbose bool) {
	if result.Verdict == conformance.Pass && !verbose {
		return
	}
	note := ""
	if result.Verdict != conformance.Pass && expected != "" {
		note = " (expected: " + expected + ")"
	}
	fmt.Fprintf(stdout, "%-11s %s%s\n", result.Verdict, result.ID, note)
	if explanation := result.Explain(); explanation != "" {
		fmt.Fprintln(stdout, "            "+strings.ReplaceAll(explanation, "\n", "\n            "))
	}
}

// summary prints the counts by version.
func summary(stdout io.Writer, made *report.Report) {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "\nversion")
	for _, verdict := range conformance.Verdicts() {
		fmt.Fprintf(table, "\t%s", verdict)
	}
	fmt.Fprintln(table)
	shown := map[string]bool{}
	for _, c := range made.Cases {
		if shown[c.Version] {
			continue
		}
		shown[c.Version] = true
		fmt.Fprint(table, c.Version)
		for _, verdict := range conformance.Verdicts() {
			fmt.Fprintf(table, "\t%d", made.Totals[c.Version][verdict])
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	for _, disagreement := range made.Disagreements {
		if strings.HasSuffix(disagreement, "listed as red and passed") || strings.HasSuffix(disagreement, "no longer occurs") ||
			strings.HasSuffix(disagreement, "no documented change explains") || strings.HasSuffix(disagreement, "covers it") ||
			strings.HasSuffix(disagreement, "and covered") {
			fmt.Fprintln(stdout, disagreement)
		}
	}
	fmt.Fprintf(stdout, "result: %s, %d of %d cases in %.0f s\n", made.Result, made.Chosen, made.Known, made.Seconds)
}

// listed is a case of --list --json.
type listed struct {
	ID          string   `json:"id"`
	Version     string   `json:"version"`
	Operation   string   `json:"operation"`
	Tag         string   `json:"tag"`
	Requirement string   `json:"requirement"`
	Source      string   `json:"source"`
	Level       string   `json:"level"`
	Labels      []string `json:"labels"`
}

// list prints the chosen cases.
func list(o options, stdout io.Writer) (int, error) {
	_, chosen, all, err := o.selection()
	if err != nil {
		return 0, err
	}
	items := make([]listed, 0, len(chosen))
	for _, c := range chosen {
		items = append(items, listed{
			ID: c.ID, Version: c.Document.Version, Operation: c.Operation.ID, Tag: c.Operation.Tag(),
			Requirement: c.Requirement, Source: c.Source, Level: string(c.Level), Labels: c.Labels,
		})
	}
	if o.asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", " ")
		return 0, encoder.Encode(items)
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, item := range items {
		fmt.Fprintf(table, "%s\t%s\n", item.ID, strings.Join(item.Labels[2:], " "))
	}
	if err := table.Flush(); err != nil {
		return 0, err
	}
	fmt.Fprintf(stdout, "%d of %d cases\n", len(chosen), len(all))
	return 0, nil
}
