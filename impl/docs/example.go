package docs

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// example is a documented exchange, filled in, as text.
type example struct {
	Name, Source, Mended string
	// Request and Response are messages as they go over the wire, bodies indented.
	Request, Response string
	// Curl asks the same of a local engine.
	Curl string

	status    string
	body      tree
	query     string
	sent      tree
	mediaType string
}

// examplesOf reads an operation's x-examples.
func examplesOf(version string, o *operation) ([]example, error) {
	var out []example
	for _, e := range o.node.at("x-examples").items() {
		values := map[string]string{}
		for name, p := range e.at("placeholders").properties() {
			values[name] = p.at("value").string()
		}
		filled := fill(e, values)
		x, err := render(version, o, filled)
		if err != nil {
			return nil, fmt.Errorf("example %s of %s: %w", e.at("name").string(), o.ID, err)
		}
		out = append(out, x)
	}
	return out, nil
}

// fill copies a tree with every "{name}" in its strings replaced.
func fill(t tree, values map[string]string) tree {
	var pairs []string
	for name, value := range values {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return t.mapped(strings.NewReplacer(pairs...).Replace)
}

func render(version string, o *operation, e tree) (example, error) {
	x := example{Name: e.at("name").string(), Source: e.at("source").string(), Mended: e.at("mended").string()}
	request, response := e.at("request"), e.at("response")

	target := "/v" + version + o.Path
	for name, value := range request.at("path").properties() {
		target = strings.ReplaceAll(target, "{"+name+"}", value.string())
	}
	x.query = queryOf(request.at("query"))
	if x.query != "" {
		target += "?" + x.query
	}
	x.sent = request.at("body")
	curl := []string{"curl --unix-socket /run/berth.sock"}
	if o.Stream != "" {
		curl[0] += " --no-buffer"
	}
	if o.Method == http.MethodHead {
		curl[0] += " --head"
	} else if o.Method != http.MethodGet {
		curl[0] += " -X " + o.Method
	}
	headers := ""
	for name, value := range request.at("headers").properties() {
		headers += name + ": " + value.string() + "\n"
		curl = append(curl, "-H "+shell(name+": "+value.string()))
	}
	body, err := bodyOf(request)
	if err != nil {
		return x, err
	}
	if body != "" {
		if request.at("stream").found() {
			curl = append(curl, "--data-binary @archive.tar")
		} else {
			curl = append(curl, "-d "+shell(body))
		}
	}
	curl = append(curl, shell("http://localhost"+target))
	x.Curl = strings.Join(curl, " \\\n  ")
	x.Request = o.Method + " " + target + " HTTP/1.1\n" + headers
	if body != "" {
		x.Request += "\n" + body
	}

	x.status = response.at("status").string()
	code, err := strconv.Atoi(x.status)
	if err != nil {
		return x, fmt.Errorf("status: %w", err)
	}
	x.Response = fmt.Sprintf("HTTP/1.1 %s %s\n", x.status, http.StatusText(code))
	for name, value := range response.at("headers").properties() {
		x.Response += name + ": " + value.string() + "\n"
		if strings.EqualFold(name, "Content-Type") {
			x.mediaType = value.string()
		}
	}
	if body, err = bodyOf(response); err != nil {
		return x, err
	}
	if body != "" {
		x.Response += "\n" + body
	}
	x.body = response.at("body")
	return x, nil
}

// queryOf encodes a query in the order of its names.
func queryOf(query tree) string {
	values := url.Values{}
	for name, value := range query.properties() {
		if items := value.items(); items != nil {
			for _, item := range items {
				values.Add(name, item.string())
			}
			continue
		}
		values.Add(name, value.string())
	}
	return values.Encode()
}

// bodyOf is the body of a request or response, in words where it cannot be
// written down.
func bodyOf(message tree) (string, error) {
	if events := message.at("events").items(); len(events) > 0 {
		var lines []string
		for _, e := range events {
			raw, err := e.MarshalJSON()
			if err != nil {
				return "", err
			}
			lines = append(lines, string(raw))
		}
		return strings.Join(lines, "\n"), nil
	}
	if body := message.at("body"); body.found() {
		return body.indented()
	}
	if text := message.at("text").string(); text != "" {
		return text, nil
	}
	switch stream := message.at("stream").string(); stream {
	case "", "none":
		return "", nil
	default:
		return "(" + streams[stream].name + ")", nil
	}
}

// shell quotes a word for sh(1).
func shell(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// wire explains what follows the head of an answer.
type wire struct {
	Text string
	// Sample is a piece of the stream, to be shown as it stands.
	Sample string
}

// stream is a form of a stream as a reader needs to know it; name stands in
// examples for what cannot be written down.
type stream struct {
	name string
	wire
}

// streams are the values of x-berth-stream.
var streams = map[string]stream{
	"multiplexed": {"stream in frames", wire{
		Text: "With a terminal the bytes come as they are. Without one every piece comes in a frame: one byte names the stream (1 standard " +
			"output, 2 standard error), three bytes are zero, four bytes hold the payload's length, most significant first; then comes the payload.",
		Sample: "01 00 00 00  00 00 00 06  68 65 6c 6c 6f 0a   standard output, 6 bytes: hello\\n\n" +
			"02 00 00 00  00 00 00 05  6f 6f 70 73 0a      standard error, 5 bytes: oops\\n",
	}},
	"raw": {"stream of bytes", wire{Text: "The bytes come as they are, without frames."}},
	"json-lines": {"stream of JSON objects", wire{
		Text: "JSON objects come one after the other, each as soon as it is known. The status is 200 before the work is done: " +
			"read to the end and look for an object with error and errorDetail.",
	}},
	"tar": {"tar archive", wire{
		Text: "The body is a tar archive. One without its two closing blocks of zeros was cut off.",
	}},
	"none": {"no body", wire{Text: "Nothing follows the head."}},
}

const (
	hijacked = "After the head of the answer the connection belongs to the operation. A client that sends Connection: Upgrade and " +
		"Upgrade: tcp is answered 101, any other 200; what follows is the same. Each side may close its half and go on reading."
	streamed = "The answer's head comes at once, its body while the work goes on."
	socketed = "The connection becomes a websocket (RFC 6455); its messages carry the bytes of the streams."
)

// wireFormat explains what an operation sends after the head; its text is empty
// for an answer that is an ordinary body.
func wireFormat(o *operation) wire {
	w := streams[o.Stream].wire
	switch {
	case o.hijacks():
		w.Text = hijacked + " " + w.Text
	case o.Mode == "stream":
		w.Text = streamed + " " + w.Text
	case strings.HasSuffix(o.Path, "/ws"):
		w.Text = socketed
	}
	return w
}

// hijacks says whether the operation takes the connection over.
func (o *operation) hijacks() bool {
	for _, p := range o.node.at("produces").items() {
		if p.string() == rawStream && o.Mode == "raw" {
			return true
		}
	}
	return false
}
