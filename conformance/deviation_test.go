package conformance

import (
	"strings"
	"testing"
)

func TestDeviations(t *testing.T) {
	list, err := ParseDeviations([]byte(`
- {case: v1.*/ContainerInspect/recorded-*, rule: shape, path: "Mounts[].*", reason: because, source: there}
- {case: v1.18/SystemInfo/recorded-info, rule: status, reason: because, source: there}
- {case: "*/*/*", rule: status, text: 400 beside 500, reason: because, source: there}
`))
	if err != nil {
		t.Fatal(err)
	}
	const inspect = "v1.20/ContainerInspect/recorded-inspect-running"
	for _, test := range []struct {
		id        string
		finding   Finding
		explained bool
	}{
		{inspect, Finding{Rule: "shape", Path: "Mounts[].Name"}, true},
		{inspect, Finding{Rule: "shape", Path: "Mounts"}, false},
		{inspect, Finding{Rule: "status"}, false},
		{"v1.20/ContainerList/recorded-list", Finding{Rule: "shape", Path: "Mounts[].Name"}, false},
		{"v1.18/SystemInfo/recorded-info", Finding{Rule: "status", Path: "anything"}, true},
		{inspect, Finding{Rule: "status", Text: "400 beside 500"}, true},
		{inspect, Finding{Rule: "status", Text: "400 beside 404"}, false},
	} {
		rest, explained := list.Explain(test.id, []Finding{test.finding})
		if (len(explained) == 1) != test.explained || len(rest)+len(explained) != 1 {
			t.Errorf("%s %v: explained %v, rest %v", test.id, test.finding, explained, rest)
		}
	}
	for _, bad := range []string{"- {case: x, rule: y, reason: z}", "- {case: x, rule: y, reason: z, source: w, more: v}", "x", `- {case: "[", rule: y, reason: z, source: w}`} {
		if _, err := ParseDeviations([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// A deviation that none of its cases shows any more is stale; one whose cases
// did not run, or were blocked, is not.
func TestStaleDeviations(t *testing.T) {
	list := Deviations{{Case: "v1.*/SystemInfo/recorded-info", Rule: "shape", Path: "Debug", Reason: "r", Source: "s"}}
	shown := []Explained{{Finding: Finding{Rule: "shape", Path: "Debug"}}}
	result := func(id string, verdict Verdict, explained []Explained) *Result {
		return &Result{Case: &Case{ID: id}, Verdict: verdict, Explained: explained}
	}
	for _, test := range []struct {
		results []*Result
		stale   bool
	}{
		{nil, false},
		{[]*Result{result("v1.18/Other/x", Pass, nil)}, false},
		{[]*Result{result("v1.18/SystemInfo/recorded-info", Blocked, nil)}, false},
		{[]*Result{result("v1.18/SystemInfo/recorded-info", Pass, nil)}, true},
		{[]*Result{result("v1.18/SystemInfo/recorded-info", Pass, nil), result("v1.19/SystemInfo/recorded-info", Pass, shown)}, false},
	} {
		if stale := list.Stale(test.results); (len(stale) == 1) != test.stale {
			t.Errorf("%v: %v", test.results, stale)
		}
	}
}

// All 654 recorded exchanges have their case.
func TestEveryRecordingIsReplayed(t *testing.T) {
	cases := 0
	for _, c := range Cases(allDocuments(t)) {
		if strings.HasPrefix(c.Name, "recorded-") {
			cases++
		}
	}
	exchanges := 0
	for _, recorded := range recordings() {
		exchanges += max(1, len(recorded.Versions))
	}
	if cases != 654 || exchanges != 654 {
		t.Errorf("%d cases of %d exchanges, want 654", cases, exchanges)
	}
}
