package conformance

import (
	"testing"
)

func result(id string, verdict Verdict) *Result {
	return &Result{Case: &Case{ID: id}, Verdict: verdict}
}

func TestExpectedRedsHoldInBothDirections(t *testing.T) {
	reds, err := ParseExpectedReds([]byte("- case: v1.*/ImagePush/push\n  reason: push comes later\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		result *Result
		want   string
	}{
		"listed and red":        {result("v1.18/ImagePush/push", Fail), ""},
		"listed, not supported": {result("v1.18/ImagePush/push", Unsupported), ""},
		"listed and green":      {result("v1.18/ImagePush/push", Pass), "listed as red and passed"},
		"not listed and red":    {result("v1.18/ImageTag/tag", Blocked), "blocked and not listed"},
		"not listed and green":  {result("v1.18/ImageTag/tag", Pass), ""},
		"the suite is broken":   {result("v1.18/ImagePush/push", SuiteError), "the suite is broken, which no list excuses"},
	} {
		got := ""
		if differences := reds.Compare([]*Result{test.result}); len(differences) > 0 {
			got = differences[0].Text
		}
		if got != test.want {
			t.Errorf("%s: %q, expected %q", name, got, test.want)
		}
	}
}

func TestParseExpectedReds(t *testing.T) {
	for text, ok := range map[string]bool{
		"":                                   true,
		"# nothing is red\n":                 true,
		"[]":                                 true,
		"- case: a\n":                        false,
		"- case: a\n  reason: b\n  why: c\n": false,
		"- case: '[a'\n  reason: b\n":        false,
		"case: a":                            false,
	} {
		if _, err := ParseExpectedReds([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
