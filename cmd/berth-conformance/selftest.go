package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/seed-50ced230/berth/conformance"
	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/mutate"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// selfTest proves the suite: a proxy in front of the daemon does one thing wrong
// at a time, and the case that is about that thing has to fail. Cases that do
// not even pass without the proxy's doing prove nothing; they are counted apart,
// and only those of --expected-reds may be. It uses the newest of the chosen
// versions. Status 1 if a mutation survives or could not be tried.
func selfTest(o options, stdout io.Writer) (int, error) {
	documents, chosen, _, err := o.selection()
	if err != nil {
		return 0, err
	}
	if len(chosen) == 0 {
		return 0, fmt.Errorf("no case matches")
	}
	// Who chooses cases leaves mutations out, which is meant.
	partial := o.focus != "" || o.labelFilter != ""
	reds, err := o.reds()
	if err != nil {
		return 0, err
	}
	config, err := o.tlsConfig()
	if err != nil {
		return 0, err
	}
	daemon, err := wire.ParseEndpoint(o.host, config)
	if err != nil {
		return 0, err
	}
	base, err := image.NewBase(o.busybox)
	if err != nil {
		return 0, err
	}
	directory, err := os.MkdirTemp("", "berth-conformance-")
	if err != nil {
		return 0, fmt.Errorf("make a directory for the proxy's socket: %w", err)
	}
	defer os.RemoveAll(directory)
	socket := filepath.Join(directory, "sock")
	ctx := context.Background()
	proxy, err := mutate.Start(socket, func() (net.Conn, error) { return daemon.Dial(ctx) })
	if err != nil {
		return 0, err
	}
	defer proxy.Close()
	endpoint, err := wire.ParseEndpoint("unix://"+socket, nil)
	if err != nil {
		return 0, err
	}

	suite := conformance.NewSuite(endpoint, base, o.timeout, runID())
	// What a mutation keeps from being removed would stay for ever.
	suite.BeforeCleanup = func() { proxy.Set(nil) }
	defer suite.RemoveImages(documents)
	version := chosen[len(chosen)-1].Document.Version
	cases := map[string]*conformance.Case{}
	for _, c := range chosen {
		if c.Document.Version == version {
			cases[c.Operation.ID+"/"+c.Name] = c
		}
	}
	trial := trial{ctx: ctx, suite: suite, proxy: proxy, cases: cases, clean: map[string]conformance.Verdict{}}
	counts := map[string]int{}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	excused := 0
	for _, mutation := range mutate.Mutations() {
		if conformance.CompareVersions(version, mutation.Since()) < 0 {
			continue // there is nothing to mutate yet
		}
		outcome, detail := trial.try(mutation)
		counts[outcome]++
		if outcome == untried && (partial || reds.Reason("v"+version+"/"+mutation.Case) != "") {
			excused++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", outcome, mutation.Case, mutation.Name, detail)
	}
	if err := table.Flush(); err != nil {
		return 0, err
	}
	fmt.Fprintf(stdout, "version %s: %d mutations caught, %d survived, %d not tried\n", version, counts[caught], counts[survived], counts[untried])
	if counts[survived] > 0 || counts[untried] > excused {
		return 1, nil
	}
	return 0, nil
}

// Outcomes of a mutation.
const (
	caught   = "caught"
	survived = "SURVIVED"
	untried  = "not tried"
)

type trial struct {
	ctx   context.Context // lives as long as selfTest
	suite *conformance.Suite
	proxy *mutate.Proxy
	cases map[string]*conformance.Case
	// clean is the verdict of a case without a mutation.
	clean map[string]conformance.Verdict
}

func (t *trial) try(mutation mutate.Mutation) (outcome, detail string) {
	c := t.cases[mutation.Case]
	if c == nil {
		return untried, "the case is not chosen"
	}
	verdict, known := t.clean[mutation.Case]
	if !known {
		t.proxy.Set(nil)
		verdict = t.suite.Run(t.ctx, c).Verdict
		t.clean[mutation.Case] = verdict
	}
	if verdict != conformance.Pass {
		return untried, "the daemon itself: " + string(verdict)
	}
	t.proxy.Set(&mutation.Change)
	result := t.suite.Run(t.ctx, c)
	if result.Verdict != conformance.Fail {
		return survived, string(result.Verdict) + " " + result.Explain()
	}
	for _, finding := range result.Findings {
		if finding.Rule == mutation.Rule() {
			return caught, finding.String()
		}
	}
	return survived, fmt.Sprintf("what was noticed is not %s, but: %s", mutation.Rule(), result.Explain())
}
