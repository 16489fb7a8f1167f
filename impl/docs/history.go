package docs

import (
	"encoding/json"

	"github.com/seed-50ced230/berth/spec"
)

// history is an operation over all versions.
type history struct {
	ID, Method, Path, Tag, Summary string
	Wire                           wire
	Versions                       []state
	// Try is what the form to try the operation needs, as JSON by version.
	Try string
}

// state is the operation in one version.
type state struct {
	Version string
	// Operation is nil if the version lacks it.
	Operation   *operation
	Changes     []spec.Change
	Differences []difference
	Verdicts    *Verdicts
	Examples    []example
}

func (s *Site) history(id string) (history, error) {
	newest := s.contract.newest(id)
	h := history{
		ID: id, Method: newest.Method, Path: newest.Path, Tag: newest.Tag, Summary: newest.Summary, Wire: wireFormat(newest),
	}
	forms := map[string]tryForm{}
	var previous *version
	for _, v := range s.contract.versions {
		st := state{Version: v.Name, Operation: v.byID[id], Verdicts: s.conformance.of(v.Name, id)}
		if st.Operation != nil {
			var err error
			if st.Examples, err = examplesOf(v.Name, st.Operation); err != nil {
				return h, err
			}
			if forms[v.Name], err = formOf(st.Operation, st.Examples); err != nil {
				return h, err
			}
		}
		if previous != nil {
			st.Changes = s.contract.changesOf(id, previous.Name, v.Name)
			if previous.byID[id] != nil && st.Operation != nil {
				st.Differences = differ(previous.byID[id], st.Operation)
			}
		}
		previous = v
		h.Versions = append(h.Versions, st)
	}
	raw, err := json.Marshal(forms)
	h.Try = string(raw)
	return h, err
}

// tryForm describes the form to try an operation in one version.
type tryForm struct {
	Method     string      `json:"method"`
	Path       string      `json:"path"`
	Hijacks    bool        `json:"hijacks"`
	Parameters []parameter `json:"parameters"`
	// Body is the example's, indented; HasBody says that there may be one.
	Body    string `json:"body"`
	HasBody bool   `json:"hasBody"`
}

// parameter is a field of the form.
type parameter struct {
	Name        string   `json:"name"`
	In          string   `json:"in"`
	Type        string   `json:"type"`
	Required    bool     `json:"required"`
	Description string   `json:"description"`
	Values      []string `json:"values,omitempty"`
}

func formOf(o *operation, examples []example) (tryForm, error) {
	f := tryForm{Method: o.Method, Path: o.Path, Hijacks: o.hijacks() || o.node.at("responses", "101").found(), Parameters: []parameter{}}
	for _, p := range o.node.at("parameters").items() {
		in := p.at("in").string()
		if in == "body" {
			f.HasBody = true
			continue
		}
		item := parameter{
			Name: p.at("name").string(), In: in, Type: p.at("type").string(),
			Required: p.at("required").string() == "true", Description: p.at("description").string(),
		}
		for _, v := range p.at("enum").items() {
			item.Values = append(item.Values, v.string())
		}
		f.Parameters = append(f.Parameters, item)
	}
	if f.HasBody && len(examples) > 0 && examples[0].sent.found() {
		var err error
		if f.Body, err = examples[0].sent.indented(); err != nil {
			return f, err
		}
	}
	return f, nil
}
