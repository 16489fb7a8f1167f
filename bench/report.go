package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report gathers the figures.
type report struct {
	Time    time.Time         `json:"time"`
	Machine string            `json:"machine"`
	Notes   map[string]string `json:"contenders"`
	Results []*result         `json:"results"`
	Sheets  []*sheet          `json:"sheets,omitempty"`
}

// result is one measurement of all contenders.
type result struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	// Better is "less" or "more".
	Better  string    `json:"better"`
	Figures []*figure `json:"figures"`
}

// figure is one contender's part.
type figure struct {
	Contender string  `json:"contender"`
	Median    float64 `json:"median"`
	Least     float64 `json:"least"`
	Most      float64 `json:"most"`
	N         int     `json:"n"`
	// Ratio says how many times berth is better: more than 1 is in its favour.
	Ratio  float64   `json:"berth_is_better,omitempty"`
	Values []float64 `json:"values"`
}

func newReport(a *arena) *report {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	kernel, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-") // the version without the builder's own marks
	r := &report{
		Time:    time.Now().UTC().Truncate(time.Second),
		Machine: fmt.Sprintf("%d processors, Linux %s %s, %s", runtime.NumCPU(), kernel, runtime.GOARCH, hierarchy()),
		Notes:   map[string]string{},
	}
	for _, p := range append([]string{a.berthd, a.dockerd}, strings.Split(a.options.runtimes, ",")...) {
		if p == "" {
			continue
		}
		version, _ := exec.Command(p, "--version").Output()
		first, _, _ := strings.Cut(string(version), "\n")
		r.Notes[p] = first
	}
	return r
}

func hierarchy() string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return "cgroup v2"
	}
	return "cgroup v1"
}

// add takes a measurement: the values of each contender, the first of which is
// berth if it takes part.
func (r *report) add(name, unit, better string, contenders []string, values map[string][]float64) {
	res := &result{Name: name, Unit: unit, Better: better}
	var own float64
	for _, c := range contenders {
		v := slices.Clone(values[c])
		if len(v) == 0 {
			continue
		}
		slices.Sort(v)
		f := &figure{Contender: c, Median: median(v), Least: v[0], Most: v[len(v)-1], N: len(v), Values: values[c]}
		if c == "berth" {
			own = f.Median
		} else if own > 0 && f.Median > 0 {
			f.Ratio = f.Median / own
			if better == "more" {
				f.Ratio = own / f.Median
			}
		}
		res.Figures = append(res.Figures, f)
	}
	r.Results = append(r.Results, res)
}

// medianOf values in any order.
func medianOf(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return median(slices.Sorted(slices.Values(values)))
}

// median of sorted values.
func median(v []float64) float64 {
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %s\n", r.Time.Format("2006-01-02 15:04 MST"), r.Machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nmeasurement\tcontender\tmedian\tleast\tmost\tn\tberth is better by")
	for _, res := range r.Results {
		for i, f := range res.Figures {
			name := res.Name
			if i > 0 {
				name = ""
			}
			ratio := ""
			if f.Ratio > 0 {
				ratio = fmt.Sprintf("%.2f ×", f.Ratio)
			}
			fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\t%d\t%s\n", name, f.Contender, number(f.Median), res.Unit, number(f.Least), number(f.Most), f.N, ratio)
		}
	}
	t.Flush()
	for _, s := range r.Sheets {
		s.print(w)
	}
}

// number has three significant digits.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// saveTable writes one row per measurement: the medians of all contenders, and
// in brackets how many times berth is better.
func (r *report) saveTable(path string) error {
	if path == "" {
		return nil
	}
	var columns []string
	for _, res := range r.Results {
		for _, f := range res.Figures {
			if !slices.Contains(columns, f.Contender) {
				columns = append(columns, f.Contender)
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Medians on %s (%s). In brackets: how many times better berth is.\n\n", r.Machine, r.Time.Format("2006-01-02"))
	if len(columns) > 0 {
		fmt.Fprintf(&b, "| | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)))
	}
	for _, res := range r.Results {
		cells := make([]string, len(columns))
		for _, f := range res.Figures {
			cell := number(f.Median) + " " + res.Unit
			if f.Ratio > 0 {
				cell += fmt.Sprintf(" (%.1f ×)", f.Ratio)
			}
			cells[slices.Index(columns, f.Contender)] = cell
		}
		fmt.Fprintf(&b, "| %s | %s |\n", res.Name, strings.Join(cells, " | "))
	}
	for _, s := range r.Sheets {
		s.markdown(&b)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
