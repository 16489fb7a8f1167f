// Package testregistry is an image registry in memory, for tests. It speaks
// the parts of the OCI distribution-spec that engines use, and can misbehave.
package testregistry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Registry is a running registry. Set the faults before it is used.
type Registry struct {
	// Host is where it listens ("127.0.0.1:port").
	Host string

	// User and Password are demanded (basic authentication) if set.
	User, Password string
	// CutAfter breaks the connection of a blob download after that many bytes,
	// Cuts times.
	CutAfter int64
	Cuts     int
	// NoRange makes it ignore Range headers, but claim to know them.
	NoRange bool
	// Lie changes a byte of every blob download.
	Lie bool
	// NoMount makes it refuse cross-repository mounts.
	NoMount bool

	server *httptest.Server

	mu        sync.Mutex
	blobs     map[string][]byte // "repo@digest"
	manifests map[string]doc    // "repo:ref"
	uploads   map[string][]byte
	requests  []string
	sent      int64 // bytes of blobs
	next      int
}

type doc struct {
	mediaType string
	body      []byte
}

// New starts a registry on a free port of 127.0.0.1; Close stops it.
func New() *Registry {
	r := &Registry{blobs: map[string][]byte{}, manifests: map[string]doc{}, uploads: map[string][]byte{}}
	r.server = httptest.NewServer(r)
	r.Host = strings.TrimPrefix(r.server.URL, "http://")
	return r
}

// Close stops the registry.
func (r *Registry) Close() { r.server.Close() }

// Digest is the digest of b.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// PutBlob stores a blob and returns its digest.
func (r *Registry) PutBlob(repo string, b []byte) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := Digest(b)
	r.blobs[repo+"@"+d] = b
	return d
}

// PutManifest stores a manifest under a tag and its digest, which it returns.
func (r *Registry) PutManifest(repo, tag, mediaType string, b []byte) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := Digest(b)
	r.manifests[repo+":"+d] = doc{mediaType, b}
	if tag != "" {
		r.manifests[repo+":"+tag] = doc{mediaType, b}
	}
	return d
}

// Manifest returns a stored manifest, nil for none.
func (r *Registry) Manifest(repo, ref string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.manifests[repo+":"+ref].body
}

// DropBlobs forgets the blobs of a repository.
func (r *Registry) DropBlobs(repo string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.blobs, func(k string, _ []byte) bool { return strings.HasPrefix(k, repo+"@") })
}

// Sent is how many bytes of blobs it has given out so far.
func (r *Registry) Sent() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent
}

// counted counts the bytes of an answer.
type counted struct {
	http.ResponseWriter
	r *Registry
}

// Unwrap lets an http.ResponseController through.
func (c counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.sent += int64(n)
	return n, err
}

// cutting breaks the connection when so many bytes have been written.
type cutting struct {
	http.ResponseWriter
	left int64
}

func (c *cutting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); c.left > 0 || err != nil {
		return n, err
	}
	_ = http.NewResponseController(c.ResponseWriter).Flush() // what was written arrives
	panic(http.ErrAbortHandler)
}

// Requests returns "METHOD path" of all requests so far, with the digest that an upload
// is said to have, and forgets them.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.requests
	r.requests = nil
	return list
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, strings.ToLower(strings.ReplaceAll(code, "_", " ")))
}

func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, strings.TrimSpace(req.Method+" "+req.URL.Path+" "+req.URL.Query().Get("digest")))
	r.mu.Unlock()
	if r.User != "" {
		if user, password, ok := req.BasicAuth(); !ok || user != r.User || password != r.Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			fail(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return
		}
	}
	path := strings.TrimPrefix(req.URL.Path, "/v2/")
	if path == "" {
		fmt.Fprint(w, "{}")
		return
	}
	for _, part := range []struct {
		mark  string
		serve func(w http.ResponseWriter, req *http.Request, repo, ref string)
	}{{"/blobs/uploads/", r.upload}, {"/blobs/", r.blob}, {"/manifests/", r.manifest}, {"/tags/", r.tags}} {
		if repo, ref, ok := strings.Cut(path, part.mark); ok {
			part.serve(w, req, repo, ref)
			return
		}
	}
	fail(w, http.StatusNotFound, "NAME_UNKNOWN")
}

func (r *Registry) tags(w http.ResponseWriter, _ *http.Request, repo, _ string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tags := []string{}
	for k := range r.manifests {
		if ref, ok := strings.CutPrefix(k, repo+":"); ok && !strings.HasPrefix(ref, "sha256:") {
			tags = append(tags, ref)
		}
	}
	slices.Sort(tags)
	if len(tags) == 0 {
		fail(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"name": repo, "tags": tags})
}

func (r *Registry) manifest(w http.ResponseWriter, req *http.Request, repo, ref string) {
	if req.Method == http.MethodPut {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			fail(w, http.StatusBadRequest, "MANIFEST_INVALID")
			return
		}
		d := r.PutManifest(repo, ref, req.Header.Get("Content-Type"), body)
		w.Header().Set("Docker-Content-Digest", d)
		w.WriteHeader(http.StatusCreated)
		return
	}
	r.mu.Lock()
	m, ok := r.manifests[repo+":"+ref]
	r.mu.Unlock()
	if !ok {
		fail(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", m.mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(m.body)))
	if req.Method == http.MethodGet {
		w.Write(m.body)
	}
}

func (r *Registry) blob(w http.ResponseWriter, req *http.Request, repo, d string) {
	r.mu.Lock()
	b, ok := r.blobs[repo+"@"+d]
	cut := req.Method == http.MethodGet && r.Cuts > 0 && int64(len(b)) > r.CutAfter
	if cut {
		r.Cuts--
	}
	r.mu.Unlock()
	if !ok {
		fail(w, http.StatusNotFound, "BLOB_UNKNOWN")
		return
	}
	if r.Lie && len(b) > 0 {
		b = slices.Clone(b)
		b[len(b)/2] ^= 1
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Accept-Ranges", "bytes")
	w = counted{w, r}
	if cut {
		w = &cutting{ResponseWriter: w, left: r.CutAfter}
	}
	if r.NoRange {
		req.Header.Del("Range")
	}
	http.ServeContent(w, req, "", time.Time{}, strings.NewReader(string(b)))
}

func (r *Registry) upload(w http.ResponseWriter, req *http.Request, repo, id string) {
	switch req.Method {
	case http.MethodPost:
		r.mu.Lock()
		defer r.mu.Unlock()
		d, from := req.URL.Query().Get("mount"), req.URL.Query().Get("from")
		if b, ok := r.blobs[from+"@"+d]; ok && !r.NoMount {
			r.blobs[repo+"@"+d] = b
			w.Header().Set("Location", "/v2/"+repo+"/blobs/"+d)
			w.WriteHeader(http.StatusCreated)
			return
		}
		r.next++
		w.Header().Set("Location", fmt.Sprintf("/v2/%s/blobs/uploads/%d", repo, r.next))
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		b, err := io.ReadAll(req.Body)
		if err != nil || Digest(b) != req.URL.Query().Get("digest") {
			fail(w, http.StatusBadRequest, "DIGEST_INVALID")
			return
		}
		r.PutBlob(repo, b)
		w.WriteHeader(http.StatusCreated)
	default:
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED")
	}
}
