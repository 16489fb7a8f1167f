package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/image"
)

// runFormerPull leaves a pull while the registry holds its layer back, has the
// registry go on, and waits for the image.
func runFormerPull(r *Run) {
	name := r.slowRegistry()
	req := r.request(http.MethodPost, "/images/create", url.Values{"fromImage": {name}, "tag": {"latest"}}, nil)
	r.phase = request
	stream := r.open(req)
	r.phase = check
	_ = stream.Close()
	time.Sleep(cancelled)
	r.registry.Resume()
	r.waitFor("the image of the pull whose client left", func() bool {
		return r.call(http.MethodGet, "/images/"+name+":latest/json", nil, nil).Status == http.StatusOK
	})
}

// cancelled is the time after which a daemon that cancels has noticed that a
// client is gone.
const cancelled = 300 * time.Millisecond

// runFormerPush leaves a push while the registry answers no upload, has the
// registry go on, and waits for what was pushed.
func runFormerPush(r *Run) {
	r.startRegistry("", "")
	r.imageTaggedForRegistry()
	r.registry.Stall()
	before := len(r.registry.Requests())
	req := r.request(http.MethodPost, "/images/"+r.values["image"]+"/push", query("tag", "latest"), nil)
	req.Header.Set("X-Registry-Auth", "e30=")
	r.phase = request
	stream := r.open(req)
	r.phase = check
	r.waitFor("the beginning of an upload", func() bool {
		return slices.ContainsFunc(r.registry.Requests()[before:], func(s string) bool {
			return strings.HasPrefix(s, http.MethodPost) && strings.Contains(s, "/blobs/uploads")
		})
	})
	_ = stream.Close()
	time.Sleep(cancelled)
	r.registry.Resume()
	r.waitFor("what is pushed without its client", func() bool { return r.registry.Has("test", "latest") })
}

// slowRegistry has an image with a layer that only this case has, and holds it
// back.
func (r *Run) slowRegistry() string {
	server := r.startRegistry("", "")
	base, err := image.BaseOf(image.File{Name: "note", Content: []byte(r.fresh())})
	if err != nil {
		r.broken("%v", err)
	}
	img, err := image.New(base, r.fresh())
	if err != nil {
		r.broken("%v", err)
	}
	if _, err := server.Add("slow", "latest", img); err != nil {
		r.broken("%v", err)
	}
	server.Stall()
	name := server.Address + "/slow"
	r.removeImage(name + ":latest")
	return name
}
