package docs

import (
	"encoding/json"
	"slices"
	"strings"
)

// entry is something that can be found.
type entry struct {
	// Kind is operation, parameter, field, status or change.
	Kind string `json:"k"`
	// Text is what is searched and shown.
	Text string `json:"t"`
	// Link is relative to the site's root.
	Link string `json:"l"`
	// Versions that have it.
	Versions []string `json:"v"`
}

// addSearch adds the index of the search page. Like the references it is a
// script, so that it can be read without a server.
func (s *Site) addSearch() error {
	var entries []*entry
	byKey := map[string]*entry{}
	add := func(version string, e entry) {
		key := e.Kind + "\n" + e.Text + "\n" + e.Link
		known := byKey[key]
		if known == nil {
			known = &e
			byKey[key] = known
			entries = append(entries, known)
		}
		if !slices.Contains(known.Versions, version) {
			known.Versions = append(known.Versions, version)
		}
	}
	for _, v := range s.contract.versions {
		for _, o := range v.Operations {
			link := "operations/" + o.ID + "/index.html"
			add(v.Name, entry{Kind: "operation", Text: o.ID + ": " + o.Summary + " (" + o.Method + " " + o.Path + ")", Link: link})
			for _, f := range o.facts {
				kind := "field"
				switch f.Place {
				case "query", "path", "header", "filter":
					kind = "parameter"
				case "status":
					continue
				}
				if f.Name == "(whole)" || strings.HasSuffix(f.Name, "[]") || strings.HasSuffix(f.Name, "{}") {
					continue
				}
				add(v.Name, entry{Kind: kind, Text: f.Name + " in the " + f.Place + " of " + o.ID, Link: link})
			}
		}
	}
	for _, c := range s.contract.changes {
		add(c.Version, entry{Kind: "change", Text: c.Description, Link: "v" + c.Version + "/changes/index.html"})
	}
	raw, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	s.files["search/index.js"] = file{content: slices.Concat([]byte("window.entries = "), raw, []byte(";\n"))}
	return nil
}
