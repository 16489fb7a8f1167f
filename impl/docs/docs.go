// Package docs makes the documentation that people browse: a site of static
// files made of the documents in spec/ alone, with a reference for each version,
// a page for each operation over all versions, what changed, the difference of
// any two versions, and a search.
//
// The site needs no server and no network: links are relative, scripts and
// styles are its own, and the viewer (Redoc, see viewer/) is part of it.
package docs

import (
	"bytes"
	"embed"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/spec"
)

//go:embed assets viewer/redoc.standalone.js viewer/redoc.standalone.js.LICENSE.txt
var assets embed.FS

// Site is a documentation site. It is safe for concurrent use.
type Site struct {
	contract    *contract
	conformance *Conformance
	files       map[string]file
}

// file is a page or an asset, by its path relative to the site's root.
type file struct {
	content []byte
	policy  string // Content-Security-Policy
}

// Options say what a site has beside the contract.
type Options struct {
	// Conformance is shown beside each operation; nil if no suite was run.
	Conformance *Conformance
}

// New makes the site. It renders every page, which takes about a tenth of a
// second for each version.
func New(options Options) (*Site, error) {
	contract, err := readContract()
	if err != nil {
		return nil, fmt.Errorf("documentation: %w", err)
	}
	s := &Site{contract: contract, conformance: options.Conformance, files: map[string]file{}}
	for _, add := range []func() error{s.addAssets, s.addDocuments, s.addPages, s.addSearch} {
		if err := add(); err != nil {
			return nil, fmt.Errorf("documentation: %w", err)
		}
	}
	return s, nil
}

func (s *Site) addAssets() error {
	for _, dir := range []string{"assets", "viewer"} {
		entries, err := assets.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			content, err := assets.ReadFile(name)
			if err != nil {
				return err
			}
			s.files[name] = file{content: content}
		}
	}
	return nil
}

// addDocuments adds the raw documents and the viewer's copies. Those are
// scripts, because a page that was opened from a disk may not fetch files.
func (s *Site) addDocuments() error {
	for _, v := range s.contract.versions {
		dir := "v" + v.Name + "/"
		yaml, _, err := spec.YAML(v.Name)
		if err != nil {
			return err
		}
		copied, err := s.reference(v)
		if err != nil {
			return fmt.Errorf("version %s: %w", v.Name, err)
		}
		s.files[dir+"swagger.json"] = file{content: v.raw}
		s.files[dir+"swagger.yaml"] = file{content: yaml}
		s.files[dir+"reference.js"] = file{content: slices.Concat([]byte("window.reference = "), copied, []byte(";\n"))}
	}
	return nil
}

// Names are the paths of all files, sorted.
func (s *Site) Names() []string { return slices.Sorted(maps.Keys(s.files)) }

// Write puts the site below a directory, which is made if it is missing. Files
// that are there and not of the site stay.
func (s *Site) Write(dir string) error {
	for _, name := range s.Names() {
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("write the documentation: %w", err)
		}
		if err := os.WriteFile(target, s.files[name].content, 0o644); err != nil {
			return fmt.Errorf("write the documentation: %w", err)
		}
	}
	return nil
}

// ServeHTTP serves the site from its root.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the documentation can only be read", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	f, ok := s.files[name]
	if !ok {
		if _, ok = s.files[path.Join(name, "index.html")]; ok && !strings.HasSuffix(r.URL.Path, "/") {
			// Relative links count from the directory.
			http.Redirect(w, r, path.Base(r.URL.Path)+"/", http.StatusMovedPermanently)
			return
		}
		name = path.Join(name, "index.html")
		f = s.files[name]
	}
	if f.content == nil {
		http.Error(w, "no such page; the documentation starts at /", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if f.policy != "" {
		h.Set("Content-Security-Policy", f.policy)
	}
	if strings.HasSuffix(name, ".yaml") {
		h.Set("Content-Type", "application/yaml") // RFC 9512
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.content))
}
