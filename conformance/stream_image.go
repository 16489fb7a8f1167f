package conformance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// progress reads a stream of progress messages to its end: every line a JSON
// object of the operation's schema, ended by CR LF, none with an error.
func (r *Run) progress(req wire.Request) []any {
	stream := r.begin(req)
	raw, err := io.ReadAll(stream)
	if err != nil {
		r.fatal("stream", "after %d bytes: %v", len(raw), err)
	}
	lines, err := wire.DecodeLines(bytes.NewReader(raw))
	if err != nil {
		r.fatal("stream", "%v", err)
	}
	if len(lines) == 0 {
		r.finding("stream", "", "has no line")
	}
	for line := range bytes.Lines(raw) {
		if !bytes.HasSuffix(line, []byte("\r\n")) {
			r.finding("stream", "", "a line does not end with CR LF: %s", excerpt(line))
			break
		}
	}
	for _, line := range lines {
		r.compareLine(line)
		if message := at(line, "error"); message != nil {
			r.fatal("effect", "the stream reports an error: %s", text(message))
		}
	}
	return lines
}

// removeUnnamed removes the images without a name that a build will have made
// when the case is over: those that were not there before.
func (r *Run) removeUnnamed() {
	before := r.imageIDs()
	r.later(func() {
		for _, id := range r.imageIDs() {
			if !slices.Contains(before, id) {
				r.call(http.MethodDelete, "/images/"+id, query("force", "1"), nil)
			}
		}
	})
}

// imageIDs lists the images without a name that are nobody's parent.
func (r *Run) imageIDs() []string {
	var ids []string
	response := r.must(r.call(http.MethodGet, "/images/json", nil, nil), "listing images", http.StatusOK)
	for _, item := range r.list(response, "the list of images") {
		if tags := text(at(item, "RepoTags")); tags == "null" || tags == "[]" || tags == `["\u003cnone\u003e:\u003cnone\u003e"]` {
			ids = append(ids, fmt.Sprint(at(item, "Id")))
		}
	}
	return ids
}

// built finds the id in the last line of a build.
var built = regexp.MustCompile(`Successfully built ([0-9a-f]{12})`)

func replayBuild(r *Run, req wire.Request) {
	r.removeUnnamed()
	lines := r.progress(req)
	var said strings.Builder
	for _, line := range lines {
		part, _ := at(line, "stream").(string)
		said.WriteString(part)
	}
	id := built.FindStringSubmatch(said.String())
	if id == nil {
		r.fatal("effect", "the build does not say which image it built: %q", said.String())
	}
	if !strings.Contains(said.String(), "Step 1") {
		r.finding("value", "/stream", "no line tells of Step 1")
	}
	img := r.inspectImage(id[1])
	r.equal("effect", "/Config/Cmd", at(img, "Config", "Cmd"), []string{"cat", "/built"})
	if env := text(at(img, "Config", "Env")); !strings.Contains(env, `"FROM_BUILD=yes"`) {
		r.finding("effect", "/Config/Env", "is %s, expected FROM_BUILD=yes in it", env)
	}
}

func replayPull(r *Run, req wire.Request) {
	r.progress(req)
	img := r.inspectImage(r.values["image"] + ":latest")
	r.equal("effect", "/Id", at(img, "Id"), r.values["image-id"])
}

func replayPush(r *Run, req wire.Request) {
	// The engines that the document describes want credentials, even empty ones.
	r.progress(req)
	if !r.registry.Has("test", "latest") {
		r.finding("effect", "", "the registry did not get the image: %s", strings.Join(r.registry.Requests(), ", "))
	}
}

func replayLoad(r *Run, req wire.Request) {
	r.progress(req)
	r.loaded()
}

// loaded wants the image of the archive.
func (r *Run) loaded() {
	img := r.inspectImage(r.values["image"] + ":latest")
	r.equal("effect", "/Id", at(img, "Id"), r.values["image-id"])
}

// inspectImage reads an image back.
func (r *Run) inspectImage(reference string) map[string]any {
	response := r.must(r.call(http.MethodGet, "/images/"+reference+"/json", nil, nil), "inspecting image "+reference, http.StatusOK)
	return r.object(response, "the image")
}

// wantSaved wants an archive that can be loaded again: manifest.json with the
// images' names, and every file that it names.
func (r *Run) wantSaved(files map[string][]byte) {
	value, err := wire.DecodeJSON(files["manifest.json"])
	if err != nil {
		r.finding("stream", "", "manifest.json of the archive: %v", err)
		return
	}
	manifest := text(value)
	for _, name := range []string{"image", "namespaced"} {
		reference := r.values[name]
		if reference == "" {
			continue
		}
		if !strings.Contains(reference, ":") {
			reference += ":latest"
		}
		if !strings.Contains(manifest, `"`+reference+`"`) {
			r.finding("stream", "", "manifest.json names no %s: %s", reference, manifest)
		}
	}
	images, _ := value.([]any)
	for _, img := range images {
		layers, _ := at(img, "Layers").([]any)
		for _, name := range append(layers, at(img, "Config")) {
			if _, there := files[fmt.Sprint(name)]; !there {
				r.finding("stream", "", "the archive has no %v, which manifest.json names", name)
			}
		}
	}
}

// comparePathStat decodes the header that describes a path of a container.
func (r *Run) comparePathStat(header http.Header, name string) {
	const header64 = "X-Docker-Container-Path-Stat"
	raw, err := base64.StdEncoding.DecodeString(header.Get(header64))
	if err != nil || len(raw) == 0 {
		r.finding("header", "", "%s is %q, expected JSON in base64", header64, header.Get(header64))
		return
	}
	value, err := wire.DecodeJSON(raw)
	if err != nil {
		r.finding("header", "", "%s: %v", header64, err)
		return
	}
	if declared := r.Document.Definitions["ContainerPathStat"]; declared != nil {
		r.compareSchema(declared, value)
	}
	r.equal("header", "/name", at(value, "name"), name)
}

// query is a query of one parameter.
func query(name, value string) url.Values { return url.Values{name: {value}} }
