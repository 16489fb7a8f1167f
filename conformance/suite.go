package conformance

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// Suite runs cases against one daemon.
type Suite struct {
	Endpoint wire.Endpoint
	// Base is the file system of every image.
	Base *image.Base
	// Timeout bounds every exchange, or every read of a streamed one.
	Timeout time.Duration
	// RunID makes the names of this run its own.
	RunID string
	// BeforeCleanup is called before a case removes what it made, if it is set.
	BeforeCleanup func()
	// Alone has each case load what it needs itself, and compares what the daemon
	// has before and after it.
	Alone bool

	serial   atomic.Int64
	refusals map[string]string // why a version is refused, by version
	loaded   map[string]string // the base image's name, by version
}

// NewSuite makes a suite for a daemon. Cases run one after the other: many of
// them use names that the document prescribes.
func NewSuite(endpoint wire.Endpoint, base *image.Base, timeout time.Duration, runID string) *Suite {
	return &Suite{
		Endpoint: endpoint, Base: base, Timeout: timeout, RunID: runID,
		refusals: map[string]string{}, loaded: map[string]string{},
	}
}

// Result is what a case found.
type Result struct {
	*Case
	Verdict Verdict
	// Reason explains a verdict that findings do not.
	Reason   string
	Findings []Finding
	// Explained are findings that a reviewed deviation explains; they leave the
	// verdict alone.
	Explained []Explained
	// Answers are what the request itself was answered with.
	Answers []Answer
	// Reference is nil without a second daemon.
	Reference *Reference
	Adapted   []string
	Exchanges []Recorded
	Duration  time.Duration
}

// Explain is the reason and the findings, one per line.
func (r *Result) Explain() string {
	var lines []string
	if r.Reason != "" {
		lines = append(lines, r.Reason)
	}
	for _, finding := range r.Findings {
		lines = append(lines, finding.String())
	}
	return strings.Join(lines, "\n")
}

// caseTimeout bounds a whole case.
const caseTimeout = 3 * time.Minute

// Run runs one case and removes what it made.
func (s *Suite) Run(ctx context.Context, c *Case) *Result {
	if s.Alone {
		return s.runAlone(ctx, c)
	}
	ctx, cancel := context.WithTimeout(ctx, caseTimeout)
	defer cancel()
	started := time.Now()
	run := &Run{Case: c, suite: s, ctx: ctx, phase: setup, values: map[string]string{}}
	verdict, reason := run.guarded(func() {
		if refusal := s.refused(run); refusal != "" {
			panic(halt{Unsupported, refusal})
		}
		c.run(run)
	})
	if s.BeforeCleanup != nil {
		s.BeforeCleanup()
	}
	if cleaned, problem := run.guarded(run.cleanUp); cleaned == SuiteError {
		verdict, reason = cleaned, problem
	}
	findings, explained := ReviewedDeviations().Explain(c.ID, run.findings)
	switch {
	case verdict == Pass && len(findings) > 0:
		verdict = Fail
	case verdict == Fail && len(findings) == 0 && len(explained) > 0:
		verdict = Pass
	}
	return &Result{
		Case: c, Verdict: verdict, Reason: reason, Findings: findings, Explained: explained, Answers: run.answers, Adapted: run.adapted,
		Exchanges: run.exchanges, Duration: time.Since(started),
	}
}

// guarded turns the panics of a case into its verdict.
func (r *Run) guarded(f func()) (verdict Verdict, reason string) {
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case halt:
			verdict, reason = problem.verdict, problem.text
		default:
			verdict, reason = SuiteError, fmt.Sprintf("panic: %v\n%s", problem, stack())
		}
	}()
	f()
	return Pass, ""
}

// refused asks once per version whether the daemon speaks it at all.
func (s *Suite) refused(r *Run) string {
	version := r.Document.Version
	refusal, known := s.refusals[version]
	if known {
		return refusal
	}
	response := r.call(http.MethodGet, "/_ping", nil, nil)
	if response.Status != http.StatusOK {
		refusal = fmt.Sprintf("the daemon refuses version %s with status %d: %s", version, response.Status, excerpt(response.Body))
	}
	s.refusals[version] = refusal
	return refusal
}

func (s *Suite) fresh() string {
	return fmt.Sprintf("bc-%s-%d", s.RunID, s.serial.Add(1))
}

// CompareVersions compares API versions, "1.9" before "1.18": negative if a is
// older than b.
func CompareVersions(a, b string) int {
	return slices.Compare(numbers(a), numbers(b))
}

func numbers(version string) []int {
	var list []int
	for part := range strings.SplitSeq(version, ".") {
		number, _ := strconv.Atoi(part) // a part that is no number sorts first
		list = append(list, number)
	}
	return list
}
