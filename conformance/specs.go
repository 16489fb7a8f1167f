package conformance

import (
	"fmt"
	"regexp"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
)

// Selection chooses cases.
type Selection struct {
	// Versions are API versions, "1.23"; empty for all.
	Versions []string
	// Focus is a regular expression that the id must contain; nil for all.
	Focus *regexp.Regexp
	// Labels is a label filter in Ginkgo's language; empty for all.
	Labels string
}

// Choose returns the chosen cases in their order.
func (s Selection) Choose(cases []*Case) ([]*Case, error) {
	filter, err := types.ParseLabelFilter(s.Labels)
	if err != nil {
		return nil, fmt.Errorf("label filter %q: %w", s.Labels, err)
	}
	versions := map[string]bool{}
	for _, version := range s.Versions {
		versions[version] = true
	}
	var chosen []*Case
	for _, c := range cases {
		switch {
		case len(versions) > 0 && !versions[c.Document.Version]:
		case s.Focus != nil && !s.Focus.MatchString(c.ID):
		case !filter(c.Labels):
		default:
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

// Define puts the cases into Ginkgo's tree, one It per case, and has every
// result handed to report. Ginkgo sees everything but a pass as a failure; what
// is expected to be red is the report's matter.
// A second suite, if it is not nil, runs each case on its daemon, too.
func Define(suite, reference *Suite, cases []*Case, report func(*Result)) {
	for len(cases) > 0 {
		version := cases[0].Document.Version
		n := 0
		for n < len(cases) && cases[n].Document.Version == version {
			n++
		}
		group := cases[:n]
		cases = cases[n:]
		ginkgo.Describe("v"+version, ginkgo.Label("v"+version), func() {
			for _, c := range group {
				ginkgo.It(c.Operation.ID+"/"+c.Name, ginkgo.Label(c.Labels...), func(ctx ginkgo.SpecContext) {
					result := suite.Run(ctx, c)
					if reference != nil {
						reference.RunBeside(ctx, result)
					}
					report(result)
					if result.Verdict != Pass {
						ginkgo.Fail(string(result.Verdict) + ": " + result.Explain())
					}
				})
			}
		})
	}
}
