package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/tools/reference"
)

var parameter = regexp.MustCompile(`\(([^)]*)\)`)

// template turns the documents' /containers/(id or name)/resize?h=<height>
// into /containers/{name}/resize: "id or name" is a name, and so is the name
// of an image or a volume; an exec has only an id, and networks are called by
// id although they also go by name.
func template(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return parameter.ReplaceAllStringFunc(path, func(p string) string {
		if p == "(id)" || strings.HasPrefix(path, "/networks/") {
			return "{id}"
		}
		return "{name}"
	})
}

// noEntry are rows that the documents' list markup makes but that name no
// parameter: the forms of a bind, and the kinds of credentials, whose fields
// are mentions of the row above.
var noEntry = map[string]bool{
	"host-src": true, "volume-name": true,
	"Credential": true, "Token": true, "Identity": true,
}

func entries(rows []row) []reference.Entry {
	var (
		top   []reference.Entry
		build func(from, depth int) ([]reference.Entry, int)
	)
	build = func(from, depth int) ([]reference.Entry, int) {
		var list []reference.Entry
		for i := from; i < len(rows); {
			r := rows[i]
			switch {
			case r.Depth < depth:
				return list, i
			case r.Depth > depth:
				below, next := build(i, r.Depth)
				last := &list[len(list)-1]
				last.Entries = append(last.Entries, below...)
				i = next
			case noEntry[r.Name]:
				i++
			default:
				list = append(list, reference.Entry{Name: r.Name, Type: typeOf(r.Text), Default: defaultOf(r.Text), Mentions: mentions(rows, i)})
				i++
			}
		}
		return list, len(rows)
	}
	for next := 0; next < len(rows); {
		var list []reference.Entry
		list, next = build(next, rows[next].Depth)
		top = append(top, list...)
	}
	return top
}

var member = regexp.MustCompile(`"([A-Za-z]\w*)"\s*:|` + "`(MaximumRetryCount)`")

// mentions returns the members that a row's text shows, and those of the rows
// below it that are no entries. Placeholders like "key" and the row's own name
// are none.
func mentions(rows []row, at int) []string {
	texts := []string{rows[at].Text}
	for _, r := range rows[at+1:] {
		if r.Depth <= rows[at].Depth {
			break
		}
		if noEntry[r.Name] {
			texts = append(texts, r.Text)
		}
	}
	var names []string
	for _, text := range texts {
		for _, m := range member.FindAllStringSubmatch(text, -1) {
			name := m[1] + m[2]
			switch {
			case name == rows[at].Name, slices.Contains(names, name):
			case strings.HasPrefix(name, "key"), strings.HasPrefix(name, "option"), name == "hostname", name == "container":
			default:
				names = append(names, name)
			}
		}
	}
	return names
}

// types tells a value's type from a row's text; the first that matches
// counts.
var types = []struct {
	text *regexp.Regexp
	kind string
}{
	{regexp.MustCompile(`as a string or an array of strings`), "string|array"},
	{regexp.MustCompile(`as a string or unsigned integer|integer or string like`), "string"},
	{regexp.MustCompile(`^1/True/true or 0/False/false|^Boolean value|[Ss]pecified as a boolean value|^If "1", "true", or "True"|^Requests daemon to check.*Defaults to .false`), "boolean"},
	{regexp.MustCompile(`(?i)^a json encoded value|^JSON encoded|^JSON map|^base64-encoded|^A base64-url-safe`), "string"},
	{regexp.MustCompile(`^A string (value|specifying)|^String value|^Path to |^Sets the networking mode`), "string"},
	{regexp.MustCompile(`^A list of|^List of|^Limit (read|write) rate .* in the form of: .*\[|^Block IO weight \(relative device weight\)`), "array"},
	{regexp.MustCompile(`^A map of|^An object mapping|^Adds a map|^A mapping of|specified as a map: |The value is an object|specified as a JSON object`), "object"},
	{regexp.MustCompile(`^An integer value|Accepts an integer|accepts a weight value|UNIX timestamp \(integer\)|^[Nn]umber of seconds|in bytes\.|in microseconds\.|^Microseconds of|^Total memory|^Memory .*in bytes|^Set memory limit|^CPU shares|pids limit|^(height of|width)`), "integer"},
}

func typeOf(text string) string {
	for _, t := range types {
		if t.text.MatchString(text) {
			return t.kind
		}
	}
	return ""
}

var defaults = []*regexp.Regexp{
	regexp.MustCompile("(?:D|, d)efault (?:is )?`?(true|false|all)\\b"),
	regexp.MustCompile("[Dd]efaults to `?([\\w-]+)"),
	regexp.MustCompile(`Default: (\d+)`),
	regexp.MustCompile("`(\\w+)` by default"),
	regexp.MustCompile("When not set, `(\\w+)` is assumed"),
}

func defaultOf(text string) string {
	if strings.Contains(text, "(default behavior)") {
		return "true"
	}
	for _, d := range defaults {
		if m := d.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}
