package conformance

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/image"
)

// fixture returns the function that builds a precondition of that name, nil if
// the suite has none. It leaves in Run.values what placeholders stand for.
func fixture(name string) func(*Run) {
	switch name {
	case "container-created":
		return (*Run).containerCreated
	case "container-exited":
		return (*Run).containerExited
	case "container-newest":
		return (*Run).containerNewest
	case "container-running":
		return (*Run).containerRunning
	case "container-running-tty":
		return (*Run).containerRunningTTY
	case "container-running-stdin":
		return (*Run).containerRunningStdin
	case "container-running-with-logs":
		return (*Run).containerWithLogs
	case "container-paused":
		return (*Run).containerPaused
	case "container-with-changes":
		return (*Run).containerWithChanges
	case "container-with-file":
		return (*Run).containerWithFile
	case "container-with-volume":
		return (*Run).containerWithVolume
	case "container-in-network":
		return (*Run).containerInNetwork
	case "container-redis3", "container-parent", "container-other":
		return func(r *Run) { r.containerNamed(strings.TrimPrefix(name, "container-")) }
	case "exec-created":
		return (*Run).execCreated
	case "exec-exited":
		return (*Run).execExited
	case "exec-running-tty":
		return (*Run).execRunningTTY
	case "image":
		return (*Run).imageLoaded
	case "image-in-namespace":
		return (*Run).imageInNamespace
	case "image-ubuntu":
		return (*Run).imageUbuntu
	case "image-archive":
		return (*Run).imageArchive
	case "image-committed", "image-with-parent":
		return (*Run).imageCommitted
	case "image-with-digest":
		return (*Run).imageWithDigest
	case "image-tagged-for-registry":
		return (*Run).imageTaggedForRegistry
	case "build-context":
		return (*Run).buildContext
	case "registry":
		return (*Run).registryStarted
	case "registry-index":
		return (*Run).registryStarted
	case "registry-with-login":
		return (*Run).registryWithLogin
	case "network":
		return (*Run).networkCreated
	case "network-isolated-nw":
		return (*Run).networkIsolated
	case "volume":
		return (*Run).volumeCreated
	case "events-past":
		return (*Run).eventsPast
	default:
		return nil
	}
}

// prepare builds the preconditions of an example and gives every placeholder of
// its request a value.
func (r *Run) prepare() {
	for _, name := range r.Example.Preconditions {
		build := fixture(name)
		if build == nil {
			r.broken("the suite has no fixture %q", name)
		}
		build(r)
	}
	for _, name := range r.Example.PlaceholderNames() {
		placeholder := r.Example.Placeholders[name]
		if value := r.bind(name, placeholder.Kind); value != "" {
			r.values[name] = value
			continue
		}
		if document.Mentions(r.requestStrings(), name) {
			r.broken("nothing gives placeholder %q a value (%s); fixtures gave %s", name, placeholder.Kind, r.knownValues())
		}
	}
}

// requestStrings is everything of the request that may hold a placeholder.
func (r *Run) requestStrings() []any {
	q := r.Example.Request
	return []any{q.Path, q.Query, q.Headers, q.Body}
}

// bind finds the value of a placeholder, "" if the answer is to tell it.
func (r *Run) bind(name, kind string) string {
	switch kind {
	case "container-name":
		return r.values["container-name"]
	case "network-id":
		if r.Example.Name == "inspect-bridge" {
			return r.networkID("bridge")
		}
		if name == "bridge" || name == "none" || name == "host" {
			return r.networkID(name)
		}
	case "volume-name", "network-name":
		if r.values[name] == "" {
			r.values[name] = r.fresh()
		}
	}
	return r.values[name]
}

// baseImage is the name of the image that containers are made of. It is loaded
// once per version and stays until the end of the run.
func (r *Run) baseImage() string {
	version := r.Document.Version
	if name := r.suite.loaded[version]; name != "" {
		return name
	}
	name := "berth-conformance/base:" + r.suite.RunID + "-v" + version
	r.loadImage("base", name)
	r.suite.loaded[version] = name
	return name
}

// loadImage loads an image with these names and returns its id. The author makes
// it a different image than those of other authors.
func (r *Run) loadImage(author string, names ...string) *image.Image {
	img, err := image.New(r.suite.Base, author)
	if err != nil {
		r.broken("%v", err)
	}
	archive, err := img.Archive(names...)
	if err != nil {
		r.broken("%v", err)
	}
	r.must(r.call(http.MethodPost, "/images/load", nil, archive), "loading an image", http.StatusOK)
	return img
}

// removeImage removes an image when the case is over; it may be gone already.
func (r *Run) removeImage(reference string) {
	r.later(func() {
		r.call(http.MethodDelete, "/images/"+reference, url.Values{"force": {"1"}}, nil)
	})
}

// removeContainer removes a container when the case is over.
func (r *Run) removeContainer(id string) {
	r.later(func() {
		r.call(http.MethodDelete, "/containers/"+id, url.Values{"force": {"1"}, "v": {"1"}}, nil)
	})
}

// RemoveImages removes the images that all cases shared.
func (s *Suite) RemoveImages(documents []*document.Document) {
	for _, doc := range documents {
		if name := s.loaded[doc.Version]; name != "" {
			c := &Case{ID: "end", Document: doc}
			run := &Run{Case: c, suite: s, ctx: contextForEnd(), phase: cleanup, values: map[string]string{}}
			run.removeImage(name)
			run.cleanUp()
		}
	}
}

// waitFor asks until the answer is yes or ten seconds are over.
func (r *Run) waitFor(what string, done func() bool) bool {
	pause := 5 * time.Millisecond
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); pause = min(2*pause, 200*time.Millisecond) {
		if done() {
			return true
		}
		time.Sleep(pause)
	}
	r.fatal("effect", "%s did not come about in ten seconds", what)
	return false
}

// unixTime is a time as the queries want it.
func unixTime(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
