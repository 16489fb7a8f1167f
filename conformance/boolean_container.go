package conformance

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// asked sends a request in the phase request, whatever its status.
func (r *Run) asked(method, path string, query url.Values, body any) *wire.Response {
	r.phase = request
	response := r.call(method, path, query, body)
	r.phase = check
	if response.Status == http.StatusNotImplemented {
		panic(halt{Unsupported, "status 501: " + excerpt(response.Body)})
	}
	return response
}

// shownItem is the item of the list of containers that has an id, nil without.
func (r *Run) shownItem(id string, query url.Values) any {
	for _, item := range r.list(r.asking(http.StatusOK, http.MethodGet, "/containers/json", query, nil), "the list") {
		if at(item, "Id") == id {
			return item
		}
	}
	return nil
}

func observeListAll(r *Run) func(string) any {
	id := r.create(nil)
	return func(word string) any { return r.shownItem(id, query("all", word)) != nil }
}

func observeListSize(r *Run) func(string) any {
	r.containerWithChanges()
	return func(word string) any {
		return at(r.shownItem(r.values["container"], url.Values{"all": {"1"}, "size": {word}}), "SizeRw") != nil
	}
}

func observeInspectSize(r *Run) func(string) any {
	r.containerWithChanges()
	return func(word string) any {
		response := r.asking(http.StatusOK, http.MethodGet, r.containerPath("/json"), query("size", word), nil)
		return at(r.object(response, "the container"), "SizeRw") != nil
	}
}

// observeStatsStream tells whether a second sample follows the first.
func observeStatsStream(r *Run) func(string) any {
	r.containerRunning()
	return func(word string) any {
		stream := r.streaming(r.request(http.MethodGet, r.containerPath("/stats"), query("stream", word), nil), http.StatusOK)
		defer func() { _ = stream.Close() }()
		var heard bytes.Buffer
		piece := make([]byte, 4096)
		for bytes.Count(heard.Bytes(), []byte(`"read"`)) < 2 {
			n, err := stream.Read(piece)
			heard.Write(piece[:n])
			if errors.Is(err, io.EOF) {
				return "one sample"
			}
			if err != nil {
				r.fatal("stream", "%v", err)
			}
		}
		return "more"
	}
}

func observeDeleteForce(r *Run) func(string) any {
	return func(word string) any {
		r.start(r.create(nil))
		return r.asked(http.MethodDelete, r.containerPath(""), query("force", word), nil).Status
	}
}

// observeDeleteVolumes tells whether the directory of an anonymous volume is
// still there, as another container sees it: before 1.21 no operation shows
// volumes.
func observeDeleteVolumes(r *Run) func(string) any {
	return func(word string) any {
		id := r.create(map[string]any{"Volumes": map[string]any{"/cargo": map[string]any{}}})
		source := r.volumeSource(r.inspect(id), "/cargo")
		directory, name := path.Dir(path.Dir(source)), path.Base(path.Dir(source))
		r.compareStatus(r.asked(http.MethodDelete, r.containerPath(""), query("v", word), nil).Status, nil, http.StatusNoContent)
		r.start(r.create(map[string]any{"HostConfig": map[string]any{"Binds": []string{directory + ":/volumes:ro"}}}))
		left := slices.Contains(strings.Fields(r.output("ls", "/volumes")), name)
		if left {
			r.removeVolume(name)
		}
		return left
	}
}

// volumeSource is the directory on the host that a container has at a path.
func (r *Run) volumeSource(container map[string]any, destination string) string {
	if source, ok := at(container, "Volumes", destination).(string); ok {
		return source
	}
	mounts, _ := container["Mounts"].([]any)
	for _, mount := range mounts {
		if at(mount, "Destination") == destination {
			source, _ := at(mount, "Source").(string)
			return source
		}
	}
	r.fatal("effect", "the container shows nothing mounted at %s", destination)
	return ""
}

// observeDeleteLink tells whether the name that a link gives was removed.
func observeDeleteLink(r *Run) func(string) any {
	return func(word string) any {
		linked := r.create(nil)
		name := r.values["container-name"]
		r.create(map[string]any{"HostConfig": map[string]any{"Links": []string{name + ":alias"}}})
		status := r.asked(http.MethodDelete, "/containers/"+r.values["container-name"]+"/alias", query("link", word), nil).Status
		left := r.call(http.MethodGet, "/containers/"+linked+"/json", nil, nil).Status == http.StatusOK
		return status == http.StatusNoContent && left
	}
}

// observeCommitPause tells whether the container was paused meanwhile, as the
// events have it.
func observeCommitPause(r *Run) func(string) any {
	r.containerRunning()
	id := r.values["container"]
	return func(word string) any {
		name := r.fresh()
		r.removeImage(name)
		events := r.open(r.request(http.MethodGet, "/events", nil, nil))
		r.compareStatus(r.asked(http.MethodPost, "/commit", url.Values{"container": {id}, "repo": {name}, "pause": {word}}, map[string]any{}).Status, nil, http.StatusCreated)
		last := r.create(nil)
		var heard []byte
		piece := make([]byte, 4096)
		for !bytes.Contains(heard, []byte(last)) {
			n, err := events.Read(piece)
			heard = append(heard, piece[:n]...)
			if err != nil {
				r.fatal("stream", "events end before that of the next container: %v", err)
			}
		}
		return bytes.Contains(heard, []byte(`"status":"pause","id":"`+id))
	}
}

func observeNoOverwrite(r *Run) func(string) any {
	archive, err := image.Tar(image.File{Name: "root", Content: []byte("no directory")})
	if err != nil {
		r.broken("%v", err)
	}
	return func(word string) any {
		r.containerCreated()
		return r.asked(http.MethodPut, r.containerPath("/archive"), url.Values{"path": {"/"}, "noOverwriteDirNonDir": {word}}, archive).Status
	}
}
