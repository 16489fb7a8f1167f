package check

import (
	"encoding/json"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/reference"
)

// examples compares the documented exchanges with x-examples: there is one
// item for each, and with its placeholders filled in it is the exchange.
func (c *checker) examples(op document.Operation, ref reference.Operation) {
	items := map[string]*yaml.Node{}
	names := map[string]bool{}
	for _, item := range document.Items(document.Get(op.Node, "x-examples")) {
		source, name := document.Text(item, "source"), document.Text(item, "name")
		if items[source] != nil {
			c.say(op.ID, "two examples for %q", source)
		}
		if names[name] || name == "" {
			c.say(op.ID, "the example's name %q is empty or taken", name)
		}
		items[source], names[name] = item, true
	}
	for i, e := range ref.Examples {
		source := ref.Source(i)
		item := items[source]
		if item == nil {
			c.say(op.ID, "no example for %q", source)
			continue
		}
		delete(items, source)
		x, err := parseExchange(e)
		if err != nil {
			c.say(op.ID, "the reference's example %q: %v", source, err)
			continue
		}
		v, err := document.Value(item)
		if err != nil {
			c.say(op.ID, "example %q: %v", document.Text(item, "name"), err)
			continue
		}
		t := &trial{checker: c, op: op, documented: x, name: document.Text(item, "name")}
		t.item, _ = fill(v, placeholders(v)).(map[string]any)
		t.run()
		c.count.Examples++
	}
	for source := range items {
		c.say(op.ID, "the reference has no example %q", source)
	}
}

// placeholders returns the literal values by name.
func placeholders(item any) map[string]any {
	values := map[string]any{}
	m, _ := item.(map[string]any)
	declared, _ := m["placeholders"].(map[string]any)
	for name, p := range declared {
		if p, ok := p.(map[string]any); ok {
			values[name] = p["value"]
		}
	}
	return values
}

// fill replaces {name} in strings and member names; a string that is nothing
// but a placeholder becomes the placeholder's value with its type.
func fill(v any, values map[string]any) any {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "{") && strings.HasSuffix(v, "}") {
			if value, ok := values[v[1:len(v)-1]]; ok {
				return value
			}
		}
		return fillText(v, values)
	case []any:
		filled := make([]any, len(v))
		for i := range v {
			filled[i] = fill(v[i], values)
		}
		return filled
	case map[string]any:
		filled := make(map[string]any, len(v))
		for k := range v {
			filled[fillText(k, values)] = fill(v[k], values)
		}
		return filled
	}
	return v
}

func fillText(s string, values map[string]any) string {
	for name, value := range values {
		s = strings.ReplaceAll(s, "{"+name+"}", text(value))
	}
	return s
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return compact(v)
}

// trial is one example compared with its documented exchange.
type trial struct {
	*checker
	op         document.Operation
	name       string
	documented exchange
	item       map[string]any // filled
	mends      int            // places that differ from the documented ones because those are malformed
}

func (t *trial) complain(format string, args ...any) {
	t.say(t.op.ID+" example "+t.name, format, args...)
}

func (t *trial) run() {
	request, _ := t.item["request"].(map[string]any)
	response, _ := t.item["response"].(map[string]any)
	if response == nil {
		t.complain("no response")
		return
	}
	t.line(request)
	t.headers("request", request, t.documented.reqHeaders)
	t.payload("request", request, t.documented.reqBody)
	if status, _ := strconv.Atoi(text(response["status"])); t.documented.status == 0 {
		t.mends++
	} else if status != t.documented.status {
		t.complain("the status is %d, documented %d", status, t.documented.status)
	}
	t.headers("response", response, t.documented.resHeaders)
	t.payload("response", response, t.documented.resBody)
	mended, _ := t.item["mended"].(string)
	if t.mends > 0 && mended == "" {
		t.complain("the documented exchange is malformed and the example does not say in `mended` how it was mended")
	}
	if standsIn := t.documented.reqBody + t.documented.resBody; t.mends == 0 && mended != "" && !strings.Contains(standsIn, "{{") {
		t.complain("`mended` says that the documented exchange is malformed; it is not")
	}
	t.shapes(request, response)
}

// line compares method, path and query.
func (t *trial) line(request map[string]any) {
	if t.documented.odd {
		t.mends++
	}
	if t.documented.method != t.op.Method {
		t.complain("the method is %s, documented %s", t.op.Method, t.documented.method)
	}
	path := t.op.Path
	params, _ := request["path"].(map[string]any)
	for name, value := range params {
		path = strings.ReplaceAll(path, "{"+name+"}", text(value))
	}
	if path != t.documented.path {
		t.complain("the path is %s, documented %s", path, t.documented.path)
	}
	query := url.Values{}
	values, _ := request["query"].(map[string]any)
	for name, value := range values {
		if list, ok := value.([]any); ok {
			for _, v := range list {
				query.Add(name, text(v))
			}
			continue
		}
		query.Add(name, text(value))
	}
	if query.Encode() != t.documented.query.Encode() {
		t.complain("the query is %q, documented %q", query.Encode(), t.documented.query.Encode())
	}
}

func (t *trial) headers(side string, part map[string]any, documented map[string]string) {
	ours := map[string]string{}
	values, _ := part["headers"].(map[string]any)
	for name, value := range values {
		ours[textproto.CanonicalMIMEHeaderKey(name)] = text(value)
	}
	mended, _ := t.item["mended"].(string)
	for name, value := range documented {
		if ours[name] != value && strings.Contains(mended, value) {
			t.mends++ // the mend names the malformed value
		} else if ours[name] != value {
			t.complain("the %s header %s is %q, documented %q", side, name, ours[name], value)
		}
	}
	for name := range ours {
		if _, ok := documented[name]; !ok && t.documented.status != 0 {
			t.complain("the %s header %s is not documented", side, name)
		}
	}
}

// payload compares a body. A documented body that is one JSON value must be
// the same value; one that is several, the same events; anything else must be
// the same text, or a stream.
func (t *trial) payload(side string, part map[string]any, documented string) {
	body, hasBody := part["body"]
	events, hasEvents := part["events"].([]any)
	stream, hasStream := part["stream"].(string)
	literal, hasText := part["text"].(string)
	one, errOne := parseJSON(documented)
	many, errMany := parseJSONs(documented)
	switch {
	case documented == "":
		if hasBody || hasEvents || hasText || hasStream && stream != "none" {
			if side == "response" && t.documented.status == 0 {
				t.mends++
				return
			}
			t.complain("the %s has a body, documented is none", side)
		}
	case hasEvents:
		if errMany == nil {
			if !same(many, events) {
				t.complain("the %s's events differ: %s", side, difference(many, events, ""))
			}
			return
		}
		t.mended(side, documented, events)
	case hasBody:
		if errOne == nil {
			if !same(one, body) {
				t.complain("the %s's body differs: %s", side, difference(one, body, ""))
			}
			return
		}
		t.mended(side, documented, body)
	case hasText:
		if strings.TrimSpace(literal) != documented {
			t.complain("the %s's text is %q, documented %q", side, literal, documented)
		}
	case hasStream:
		if errOne == nil || errMany == nil && len(many) > 0 {
			t.complain("the %s's body is %s in the document, not a stream", side, compact(one))
		}
	default:
		t.complain("the %s has no body, documented is %q", side, documented)
	}
}

// mended compares what a malformed body and its mend have in common: every
// scalar of the document must be in the mend and the other way round.
func (t *trial) mended(side, documented string, ours any) {
	t.mends++
	raw, err := json.Marshal(ours)
	if err != nil {
		t.complain("%v", err)
		return
	}
	want, have := tokens(documented), tokens(plain(string(raw)))
	var lost, new []string
	for tok, n := range want {
		if have[tok] < n && tok != `"..."` {
			lost = append(lost, tok)
		}
	}
	for tok, n := range have {
		if want[tok] < n {
			new = append(new, tok)
		}
	}
	if len(lost)+len(new) > 0 {
		t.complain("the mended %s is another one: lost %v, new %v", side, lost, new)
	}
}

// plain undoes the escapes that encoding/json makes for HTML.
func plain(s string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(s)
}
