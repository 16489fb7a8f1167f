package docs

import (
	"fmt"
	"strings"
)

// rawStream is the media type of a connection that an operation takes over.
const rawStream = "application/vnd.docker.raw-stream"

// reference makes the document that the viewer shows: the version's own, with
// what Swagger has no place for written into the descriptions (wire formats,
// example exchanges, changes, the suite's verdicts), and without the extensions
// that only programs read. The document itself is not changed.
func (s *Site) reference(v *version) ([]byte, error) {
	document, err := parse(v.raw)
	if err != nil {
		return nil, err
	}
	for _, methods := range document.at("paths").properties() {
		for _, node := range methods.properties() {
			o := v.byID[node.at("operationId").string()]
			if o == nil {
				continue
			}
			if err := s.enrich(v, o, node); err != nil {
				return nil, err
			}
		}
	}
	return document.MarshalJSON()
}

// enrich writes into an operation of the viewer's copy.
func (s *Site) enrich(v *version, o *operation, node tree) error {
	examples, err := examplesOf(v.Name, o)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(node.at("description").string())
	if w := wireFormat(o); w.Text != "" {
		b.WriteString("\n\n**On the wire.** " + w.Text)
		if w.Sample != "" {
			b.WriteString("\n\n```text\n" + w.Sample + "\n```")
		}
	}
	if list := filterList(o); list != "" {
		b.WriteString("\n\n**Filters.**\n\n" + list)
	}
	if changes := s.contract.changesOf(o.ID, s.contract.before(v), v.Name); len(changes) > 0 {
		fmt.Fprintf(&b, "\n\n**Changed in %s.**\n\n", v.Name)
		for _, c := range changes {
			fmt.Fprintf(&b, "- %s\n", c.Description)
		}
	}
	for _, e := range examples {
		fmt.Fprintf(&b, "\n\n**Example %s.** %s\n\n```http\n%s\n```\n\n```http\n%s\n```\n",
			e.Name, mendedNote(e), e.Request, e.Response)
	}
	fmt.Fprintf(&b, "\n\n%s[All versions, conformance and a form to try it](../operations/%s/index.html)\n", s.verdictNote(v, o), o.ID)
	node.set("description", text(b.String()))
	node.remove("x-examples")
	if len(examples) > 0 {
		node.set("x-codeSamples", samples(examples))
	}
	answers(node, examples)
	payload(node, examples)
	return nil
}

func filterList(o *operation) string {
	var b strings.Builder
	for _, p := range o.node.at("parameters").items() {
		for _, f := range p.at("x-filters").items() {
			fmt.Fprintf(&b, "- `%s` (%s): %s\n", f.at("name").string(), form(f), f.at("description").string())
		}
	}
	return b.String()
}

func mendedNote(e example) string {
	if e.Mended == "" {
		return ""
	}
	return "Mended: " + e.Mended
}

// samples are the requests as commands, in the viewer's extension.
func samples(examples []example) tree {
	list := list()
	for _, e := range examples {
		sample := object()
		sample.set("lang", text("Shell"))
		sample.set("label", text("curl: "+e.Name))
		sample.set("source", text(e.Curl))
		list.add(sample)
	}
	return list
}

// answers puts the body of the first example of each status where Swagger has
// it (Response Object, "examples").
func answers(node tree, examples []example) {
	for _, e := range examples {
		response := node.at("responses", e.status)
		if !response.found() || !e.body.found() || e.mediaType == "" || response.at("examples").found() {
			continue
		}
		examples := object()
		examples.set(e.mediaType, e.body)
		response.set("examples", examples)
	}
}

// payload puts the first example's request where Swagger has it (Schema Object,
// "example"). A reference cannot carry it, so it goes around the reference.
func payload(node tree, examples []example) {
	for _, p := range node.at("parameters").items() {
		if p.at("in").string() != "body" {
			continue
		}
		for _, e := range examples {
			if !e.sent.found() {
				continue
			}
			parts := list()
			parts.add(p.at("schema"))
			schema := object()
			schema.set("allOf", parts)
			schema.set("example", e.sent)
			p.set("schema", schema)
			break
		}
	}
}
