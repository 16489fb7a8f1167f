package conformance

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/seed-50ced230/berth/conformance/image"
)

// built builds a Dockerfile that begins with FROM and returns the output.
func (r *Run) built(dockerfile string, options url.Values) (output []byte, name string) {
	archive, err := image.Tar(image.File{Name: "Dockerfile", Content: []byte(dockerfile)})
	if err != nil {
		r.broken("%v", err)
	}
	name = r.fresh()
	options.Set("t", name)
	r.removeImage(name)
	return r.asking(http.StatusOK, http.MethodPost, "/build", options, archive).Body, name
}

// runningIn finds the containers that the output of a build names.
var runningIn = regexp.MustCompile(`Running in ([0-9a-f]{12,64})`)

// buildObserver is for the parameters of build.
func buildObserver(parameter string) arrangement {
	switch parameter {
	case "q":
		return func(r *Run) func(string) any {
			base := r.baseImage()
			return func(word string) any {
				output, _ := r.built("FROM "+base+"\nRUN echo spoken aloud\n", url.Values{"q": {word}, "nocache": {"1"}})
				return bytes.Contains(output, []byte(`"spoken aloud`))
			}
		}
	case "rm":
		return observeBuildRemoves("rm", url.Values{}, "true")
	case "forcerm":
		return observeBuildRemoves("forcerm", url.Values{"rm": {"0"}}, "false")
	case "nocache":
		return func(r *Run) func(string) any {
			file := "FROM " + r.baseImage() + "\nENV CASE=" + r.fresh() + "\n"
			r.built(file, url.Values{})
			return func(word string) any {
				output, _ := r.built(file, url.Values{"nocache": {word}})
				return bytes.Contains(output, []byte("Using cache"))
			}
		}
	case "pull":
		return observeBuildPulls
	}
	return nil
}

// observeBuildRemoves tells whether the container of a command is gone after it.
func observeBuildRemoves(parameter string, options url.Values, command string) arrangement {
	return func(r *Run) func(string) any {
		base := r.baseImage()
		return func(word string) any {
			asked := maps.Clone(options)
			asked.Set(parameter, word)
			asked.Set("nocache", "1")
			output, _ := r.built("FROM "+base+"\nRUN "+command+"\n", asked)
			found := runningIn.FindSubmatch(output)
			if found == nil {
				r.fatal("stream", "names no container that the command ran in: %s", excerpt(output))
			}
			id := string(found[1])
			r.removeContainer(id)
			return r.call(http.MethodGet, "/containers/"+id+"/json", nil, nil).Status == http.StatusNotFound
		}
	}
}

// observeBuildPulls tells whether the newer image of the registry is taken in
// place of the one that is there.
func observeBuildPulls(r *Run) func(string) any {
	return func(word string) any {
		r.imageWithDigest()
		old := r.values["image-id"]
		newer, err := image.New(r.suite.Base, r.fresh())
		if err != nil {
			r.broken("%v", err)
		}
		if _, err := r.registry.Add("busybox", "latest", newer); err != nil {
			r.broken("%v", err)
		}
		r.removeImage(old) // which keeps its digest when its name moves
		name := r.values["image"]
		r.built("FROM "+name+"\nENV A=b\n", url.Values{"pull": {word}})
		id, _ := at(r.inspectImage(name), "Id").(string)
		return strings.TrimPrefix(id, "sha256:") != strings.TrimPrefix(old, "sha256:")
	}
}

// imageObserver is for the parameters of the other operations on images.
func imageObserver(operation, parameter string) arrangement {
	switch operation + " " + parameter {
	case "ImageDelete force":
		return func(r *Run) func(string) any {
			return func(word string) any {
				r.imageLoaded()
				name := r.values["image"]
				r.create(map[string]any{"Image": name})
				return r.asked(http.MethodDelete, "/images/"+name, query("force", word), nil).Status
			}
		}
	case "ImageDelete noprune":
		return observeNoPrune
	case "ImageList all":
		return observeImagesAll
	case "ImageList digests":
		return observeDigests
	case "ImageLoad quiet":
		return func(r *Run) func(string) any {
			return func(word string) any {
				r.imageArchive()
				response := r.asking(http.StatusOK, http.MethodPost, "/images/load", query("quiet", word), r.body)
				return bytes.Contains(response.Body, []byte("progressDetail\":{\""))
			}
		}
	case "ImageTag force":
		return func(r *Run) func(string) any {
			return func(word string) any {
				r.imageLoaded()
				taken := r.values["image"]
				r.removeImage(r.values["image-id"]) // it may lose its name
				r.imageLoaded()
				return r.asked(http.MethodPost, "/images/"+r.values["image"]+"/tag", url.Values{"repo": {taken}, "force": {word}}, nil).Status
			}
		}
	}
	return nil
}

// parentOf is the id of the image that an image was built on.
func (r *Run) parentOf(name string) string {
	parent, _ := at(r.inspectImage(name), "Parent").(string)
	if parent == "" {
		r.fatal("effect", "image %s has no parent", name)
	}
	return parent
}

// observeNoPrune tells whether the parent without a name outlives its child.
func observeNoPrune(r *Run) func(string) any {
	return func(word string) any {
		_, name := r.built("FROM "+r.baseImage()+"\nENV CASE="+r.fresh()+"\nENV MORE=1\n", url.Values{})
		parent := r.parentOf(name)
		r.compareStatus(r.asked(http.MethodDelete, "/images/"+name, query("noprune", word), nil).Status, nil, http.StatusOK)
		left := r.call(http.MethodGet, "/images/"+parent+"/json", nil, nil).Status == http.StatusOK
		if left {
			r.removeImage(parent)
		}
		return left
	}
}

// observeImagesAll tells whether an image between two steps of a build shows.
func observeImagesAll(r *Run) func(string) any {
	_, name := r.built("FROM "+r.baseImage()+"\nENV CASE="+r.fresh()+"\nENV MORE=1\n", url.Values{})
	parent := r.parentOf(name)
	return func(word string) any {
		for _, item := range r.list(r.asking(http.StatusOK, http.MethodGet, "/images/json", query("all", word), nil), "the list") {
			if at(item, "Id") == parent {
				return true
			}
		}
		return false
	}
}

// observeDigests tells whether the list shows the digest of a pulled image.
func observeDigests(r *Run) func(string) any {
	r.imageWithDigest()
	return func(word string) any {
		for _, item := range r.list(r.asking(http.StatusOK, http.MethodGet, "/images/json", query("digests", word), nil), "the list") {
			if strings.Contains(text(at(item, "RepoDigests")), r.values["digest"]) {
				return true
			}
		}
		return false
	}
}
