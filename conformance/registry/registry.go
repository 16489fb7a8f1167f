// Package registry is a small image registry in the process of the suite: the
// distribution API (version 2) for push and pull, the search of the version 1
// API, and optionally a login. It listens on 127.0.0.1, where engines accept
// plain HTTP, so the daemon under test must run on the same host.
package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/seed-50ced230/berth/conformance/image"
)

// Registry is a running registry. Its content is in memory.
type Registry struct {
	// Address is host:port.
	Address string

	username, password string
	server             *http.Server

	mu        sync.Mutex
	blobs     map[string][]byte            // by digest
	uploads   map[string][]byte            // by upload id
	manifests map[string]map[string]stored // by repository, then by tag or digest
	requests  []string
	serial    int
	// held is closed when layers go on; nil while none is held back.
	held chan struct{}
}

type stored struct {
	mediaType string
	content   []byte
}

// Start listens on a free port of 127.0.0.1. With a username every request
// needs it and the password.
func Start(username, password string) (*Registry, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the registry: %w", err)
	}
	r := &Registry{
		Address: listener.Addr().String(), username: username, password: password,
		blobs: map[string][]byte{}, uploads: map[string][]byte{}, manifests: map[string]map[string]stored{},
	}
	r.server = &http.Server{Handler: r} // on loopback, for the length of a case
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// Close stops the registry and its connections.
func (r *Registry) Close() error { return r.server.Close() }

// Stall has every layer from now on come or go half and no further, until Resume
// or until the client leaves. Configurations still come whole.
func (r *Registry) Stall() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = make(chan struct{})
	}
}

// Resume ends Stall.
func (r *Registry) Resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		close(r.held)
		r.held = nil
	}
}

// hold waits while layers are held back; false means that the client has gone.
func hold(request *http.Request, held chan struct{}) bool {
	select {
	case <-held:
		return true
	case <-request.Context().Done():
		return false
	}
}

// Add puts an image into a repository under a tag and returns the digest of its
// manifest.
func (r *Registry) Add(repository, tag string, img *image.Image) (string, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return "", err
	}
	layer := img.Base.Gzipped()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs[img.ID], r.blobs[image.Digest(layer)] = img.Config, layer
	r.store(repository, tag, stored{image.ManifestType, manifest})
	return image.Digest(manifest), nil
}

func (r *Registry) store(repository, tag string, manifest stored) {
	if r.manifests[repository] == nil {
		r.manifests[repository] = map[string]stored{}
	}
	r.manifests[repository][tag] = manifest
	r.manifests[repository][image.Digest(manifest.content)] = manifest
}

// Has says whether a repository has a manifest under that tag or digest.
func (r *Registry) Has(repository, reference string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.manifests[repository][reference]
	return ok
}

// Requests lists method and path of every request so far.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.requests...)
}

// ServeHTTP routes a request.
func (r *Registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, request.Method+" "+request.URL.RequestURI())
	r.mu.Unlock()
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if username, password, _ := request.BasicAuth(); r.username != "" && (username != r.username || password != r.password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="conformance"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return
	}
	path := request.URL.Path
	switch {
	case path == "/v2/":
		writeJSON(w, http.StatusOK, map[string]any{})
	case path == "/v1/_ping":
		w.Header().Set("X-Docker-Registry-Version", "0.9.1")
		w.Header().Set("X-Docker-Registry-Standalone", "True")
		writeJSON(w, http.StatusOK, true)
	case path == "/v1/search":
		search(w, request)
	case strings.HasPrefix(path, "/v2/") && strings.Contains(path, "/manifests/"):
		repository, reference, _ := strings.Cut(strings.TrimPrefix(path, "/v2/"), "/manifests/")
		r.manifest(w, request, repository, reference)
	case strings.HasPrefix(path, "/v2/") && strings.Contains(path, "/blobs/uploads/"):
		repository, id, _ := strings.Cut(strings.TrimPrefix(path, "/v2/"), "/blobs/uploads/")
		r.upload(w, request, repository, id)
	case strings.HasPrefix(path, "/v2/") && strings.Contains(path, "/blobs/"):
		_, digest, _ := strings.Cut(path, "/blobs/")
		r.blob(w, request, digest)
	default:
		refuse(w, http.StatusNotFound, "UNSUPPORTED", "not found")
	}
}

// search answers one repository whose name contains the term, whatever it is.
func search(w http.ResponseWriter, request *http.Request) {
	term := request.URL.Query().Get("q")
	writeJSON(w, http.StatusOK, map[string]any{
		"num_results": 1, "query": term,
		"results": []any{map[string]any{
			"name": "conformance/" + term, "description": "found by the suite's registry",
			"star_count": 7, "is_official": false, "is_automated": true, "is_trusted": true,
		}},
	})
}

func (r *Registry) manifest(w http.ResponseWriter, request *http.Request, repository, reference string) {
	if request.Method == http.MethodPut {
		content, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.store(repository, reference, stored{request.Header.Get("Content-Type"), content})
		r.mu.Unlock()
		w.Header().Set("Docker-Content-Digest", image.Digest(content))
		w.Header().Set("Location", request.URL.Path)
		w.WriteHeader(http.StatusCreated)
		return
	}
	r.mu.Lock()
	manifest, ok := r.manifests[repository][reference]
	r.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
		return
	}
	w.Header().Set("Docker-Content-Digest", image.Digest(manifest.content))
	serve(w, request, manifest.mediaType, manifest.content)
}

func (r *Registry) blob(w http.ResponseWriter, request *http.Request, digest string) {
	r.mu.Lock()
	content, ok := r.blobs[digest]
	held := r.held
	r.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry")
		return
	}
	w.Header().Set("Docker-Content-Digest", digest)
	if held != nil && request.Method == http.MethodGet && !bytes.HasPrefix(content, []byte("{")) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:len(content)/2])
		_ = http.NewResponseController(w).Flush()
		if hold(request, held) {
			_, _ = w.Write(content[len(content)/2:])
		}
		return
	}
	serve(w, request, "application/octet-stream", content)
}

// upload is the three steps of a push: POST begins, PATCH appends, PUT ends and
// names the digest. POST and PUT may bring the whole content as well.
func (r *Registry) upload(w http.ResponseWriter, request *http.Request, repository, id string) {
	r.mu.Lock()
	held := r.held
	r.mu.Unlock()
	content, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	// Only now does the server notice a client that goes.
	if held != nil && !hold(request, held) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if request.Method == http.MethodPost {
		r.serial++
		id = fmt.Sprintf("upload-%d", r.serial)
		r.uploads[id] = nil
	}
	if _, ok := r.uploads[id]; !ok {
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "upload unknown")
		return
	}
	r.uploads[id] = append(r.uploads[id], content...)
	digest := request.URL.Query().Get("digest")
	if digest == "" {
		w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
		w.Header().Set("Docker-Upload-UUID", id)
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(r.uploads[id])-1, 0)))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if image.Digest(r.uploads[id]) != digest {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content")
		return
	}
	r.blobs[digest] = r.uploads[id]
	delete(r.uploads, id)
	w.Header().Set("Location", "/v2/"+repository+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

func serve(w http.ResponseWriter, request *http.Request, mediaType string, content []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	if request.Method != http.MethodHead {
		_, _ = w.Write(content) // the client may be gone
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client may be gone
}
