package metrics_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/metrics"
)

var (
	metricName = regexp.MustCompile(`\b(?:berth|go|process)_[a-z_]+`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	matcher    = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	legend     = regexp.MustCompile(`{{([a-z]+)}}`)
)

// TestDashboard holds grafana.json against what a daemon serves: every metric
// that it asks for is there, with every label that it groups or selects by.
func TestDashboard(t *testing.T) {
	raw, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	m := metrics.New("1.2", "abc", func() metrics.Holdings {
		return metrics.Holdings{Containers: map[string]int{"running": 1}}
	})
	m.Observe(metrics.Request{Operation: "ContainerStart", Version: "1.21", UserAgent: "docker-py/5.0.3", Status: 204, Duration: time.Second})
	m.Event("image", "pull")
	text := scrape(t, m)

	used := map[string]bool{}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			names := metricName.FindAllString(target.Expr, -1)
			if len(names) != 1 {
				t.Errorf("%s: %q asks for %d metrics", panel.Title, target.Expr, len(names))
				continue
			}
			used[names[0]] = true
			sample := regexp.MustCompile(`(?m)^` + names[0] + `(\{[^}]*\})? `).FindString(text)
			if sample == "" {
				t.Errorf("%s: no metric %s", panel.Title, names[0])
				continue
			}
			var labels []string
			for _, list := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				labels = append(labels, strings.Split(list[1], ", ")...)
			}
			for _, expression := range []*regexp.Regexp{matcher, legend} {
				for _, label := range expression.FindAllStringSubmatch(target.Expr+target.LegendFormat, -1) {
					labels = append(labels, label[1])
				}
			}
			for _, label := range labels {
				// Prometheus itself adds the instance.
				if label != "instance" && !strings.Contains(sample, label+`="`) {
					t.Errorf("%s: %s has no label %s", panel.Title, sample, label)
				}
			}
		}
	}
	for _, line := range strings.Split(text, "\n") {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " ")
		if !strings.HasPrefix(line, "# TYPE berth_") {
			continue
		}
		if !used[name] && !used[name+"_bucket"] {
			t.Errorf("no panel shows %s", name)
		}
	}
}
