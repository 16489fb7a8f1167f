package conformance

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/registry"
)

// imageLoaded is an image with one name; busybox's place in the examples.
func (r *Run) imageLoaded() {
	name := r.fresh()
	img := r.loadImage(name, name+":latest")
	r.removeImage(name)
	r.values["image"], r.values["image-id"] = name, img.ID
}

func (r *Run) imageInNamespace() {
	name := r.fresh() + "/myapp:latest"
	r.loadImage(name, name)
	r.removeImage(name)
	r.values["namespaced"] = name
}

// imageUbuntu gives the daemon an image of the name that the document
// prescribes; one that is there stays and is used.
func (r *Run) imageUbuntu() {
	if r.call(http.MethodGet, "/images/ubuntu/json", nil, nil).Status == http.StatusOK {
		return
	}
	r.loadImage("ubuntu", "ubuntu:latest")
	r.removeImage("ubuntu:latest")
}

// imageArchive is the body of a load.
func (r *Run) imageArchive() {
	name := r.fresh()
	img, err := image.New(r.suite.Base, name)
	if err != nil {
		r.broken("%v", err)
	}
	if r.body, err = img.Archive(name + ":latest"); err != nil {
		r.broken("%v", err)
	}
	r.removeImage(name)
	r.values["image"], r.values["image-id"] = name, img.ID
}

// imageCommitted is a child of the image that the container was made of.
func (r *Run) imageCommitted() {
	name := r.fresh()
	r.runToEnd("echo more >/more")
	query := url.Values{"container": {r.values["container"]}, "repo": {name}, "comment": {"made by a fixture"}}
	response := r.must(r.call(http.MethodPost, "/commit", query, map[string]any{}), "committing a container", http.StatusCreated)
	r.removeImage(name)
	r.values["image"] = name
	r.values["id"], _ = r.object(response, "the answer to commit")["Id"].(string)
	r.values["parent"], _ = r.inspect(r.values["container"])["Image"].(string)
}

// buildContext is the body of a build: a file, a command and settings.
func (r *Run) buildContext() {
	dockerfile := fmt.Sprintf("FROM %s\nCOPY note.txt /note.txt\nRUN cat /note.txt > /built\nENV FROM_BUILD=yes\nCMD [\"cat\", \"/built\"]\n", r.baseImage())
	archive, err := image.Tar(
		image.File{Name: "Dockerfile", Content: []byte(dockerfile)},
		image.File{Name: "note.txt", Content: []byte("note " + r.fresh() + "\n")},
	)
	if err != nil {
		r.broken("%v", err)
	}
	r.body = archive
}

// startRegistry runs a registry until the case is over.
func (r *Run) startRegistry(username, password string) *registry.Registry {
	started, err := registry.Start(username, password)
	if err != nil {
		r.broken("%v", err)
	}
	r.later(func() { _ = started.Close() })
	r.registry = started
	r.values["registry"] = started.Address
	return started
}

// registryStarted holds one image, busybox:latest.
func (r *Run) registryStarted() {
	server := r.startRegistry("", "")
	img, err := image.New(r.suite.Base, r.fresh())
	if err != nil {
		r.broken("%v", err)
	}
	digest, err := server.Add("busybox", "latest", img)
	if err != nil {
		r.broken("%v", err)
	}
	r.values["image"], r.values["image-id"], r.values["digest"] = server.Address+"/busybox", img.ID, digest
	r.removeImage(server.Address + "/busybox:latest")
}

func (r *Run) registryWithLogin() {
	r.values["username"], r.values["password"] = "hannibal", r.fresh()
	r.startRegistry("hannibal", r.values["password"])
}

// imageTaggedForRegistry is an image whose name begins with the registry's
// address.
func (r *Run) imageTaggedForRegistry() {
	name := r.values["registry"] + "/test"
	img := r.loadImage(r.fresh(), name+":latest")
	r.removeImage(name + ":latest")
	r.values["image"], r.values["image-id"] = name, img.ID
}

// imageWithDigest was pulled from a registry, which gives it a digest.
func (r *Run) imageWithDigest() {
	r.registryStarted()
	query := url.Values{"fromImage": {r.values["image"]}, "tag": {"latest"}}
	r.must(r.call(http.MethodPost, "/images/create", query, nil), "pulling an image", http.StatusOK)
	response := r.call(http.MethodGet, "/images/"+r.values["image"]+"/json", nil, nil)
	r.must(response, "inspecting the pulled image", http.StatusOK)
}
