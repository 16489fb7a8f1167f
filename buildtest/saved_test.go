package buildtest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// saved is an image as docker save wrote it, in a form that can be compared.
type saved struct {
	config  map[string]any
	history []any
	// layers are listings, from the lowest: path to what is there.
	layers []map[string]string
	// root is what the layers give, one above the other.
	root map[string]string
}

// save fetches an image and reads it. Files that changed after began have no
// time to compare.
func (e *engine) save(t *testing.T, name string, began time.Time) *saved {
	t.Helper()
	body := e.do(t, http.MethodGet, "/images/"+name+"/get", nil)
	defer body.Close()
	s, err := readSaved(body, began)
	if err != nil {
		t.Fatalf("%s: save %s: %v", e.name, name, err)
	}
	return s
}

func readSaved(r io.Reader, began time.Time) (*saved, error) {
	files := map[string][]byte{}
	layers := map[string]map[string]string{}
	links := map[string]string{}
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch {
		case h.Typeflag == tar.TypeSymlink:
			links[h.Name] = path.Join(path.Dir(h.Name), h.Linkname)
		case path.Base(h.Name) == "layer.tar":
			if layers[h.Name], err = listing(t, began); err != nil {
				return nil, fmt.Errorf("%s: %w", h.Name, err)
			}
		case strings.HasSuffix(h.Name, ".json"):
			if files[h.Name], err = io.ReadAll(t); err != nil {
				return nil, err
			}
		}
	}
	var manifest []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		return nil, fmt.Errorf("manifest.json: %s (%w)", files["manifest.json"], err)
	}
	s := &saved{root: map[string]string{}}
	if err := json.Unmarshal(files[manifest[0].Config], &s.config); err != nil {
		return nil, err
	}
	for _, name := range manifest[0].Layers {
		if to, ok := links[name]; ok {
			name = to
		}
		l, ok := layers[name]
		if !ok {
			return nil, fmt.Errorf("there is no %s", name)
		}
		s.layers = append(s.layers, l)
		s.apply(l)
	}
	s.history, _ = s.config["history"].([]any)
	delete(s.config, "rootfs")
	delete(s.config, "history")
	scrub(s.config)
	scrub(s.history)
	return s, nil
}

// apply puts a layer on the root (image-spec, layer.md, "Whiteouts").
func (s *saved) apply(l map[string]string) {
	remove := func(at string, self bool) {
		for p := range s.root {
			if self && p == at || strings.HasPrefix(p, at+"/") {
				delete(s.root, p)
			}
		}
	}
	for p := range l {
		dir, base := path.Split(p)
		if base == ".wh..wh..opq" {
			remove(path.Clean(dir), false)
		} else if gone, ok := strings.CutPrefix(base, ".wh."); ok {
			remove(path.Join(dir, gone), true)
		}
	}
	for p, what := range l {
		if strings.HasPrefix(path.Base(p), ".wh.") {
			continue
		}
		if !strings.HasPrefix(what, "dir ") {
			remove(p, true)
		}
		s.root[p] = what
	}
}

// listing describes the entries of a layer's tar.
func listing(r io.Reader, began time.Time) (map[string]string, error) {
	var raw bytes.Buffer // the end of a layer is read too, so that the outer tar goes on
	found := map[string]string{}
	t := tar.NewReader(io.TeeReader(r, &raw))
	sums, xattrs := map[string]string{}, map[string]string{}
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		raw.Reset()
		name := path.Clean(h.Name)
		what := fmt.Sprintf("%o %d:%d", h.Mode&0o7777, h.Uid, h.Gid) // some write the kind, too
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse:
			sum := sha256.New()
			if _, err := io.Copy(sum, t); err != nil {
				return nil, err
			}
			sums[name] = fmt.Sprintf("file %s %d bytes %s", what, h.Size, hex.EncodeToString(sum.Sum(nil))[:16])
			what = sums[name]
		case tar.TypeLink:
			// Which of a file's names comes first is not told by anybody.
			what = sums[path.Clean(h.Linkname)]
			sums[name] = what
		case tar.TypeDir:
			what = "dir " + what
		case tar.TypeSymlink:
			what = fmt.Sprintf("link %d:%d to %s", h.Uid, h.Gid, h.Linkname)
		default:
			what = fmt.Sprintf("kind %c %s %d,%d", h.Typeflag, what, h.Devmajor, h.Devminor)
		}
		if strings.HasPrefix(path.Base(name), ".wh.") {
			what = "deletes" // the attributes of a marker are nobody's
		}
		if h.ModTime.Before(began) && !strings.HasPrefix(path.Base(name), ".wh.") {
			what += " at " + h.ModTime.Truncate(time.Second).UTC().Format(time.RFC3339)
		}
		attributes := ""
		for _, k := range slices.Sorted(maps.Keys(h.PAXRecords)) {
			if strings.HasPrefix(k, "SCHILY.xattr.") {
				attributes += fmt.Sprintf(" %s=%x", k, h.PAXRecords[k])
			}
		}
		// Another name of a file has its attributes, whether they are written again or not.
		if h.Typeflag == tar.TypeLink {
			attributes = xattrs[path.Clean(h.Linkname)]
		}
		xattrs[name] = attributes
		what += attributes
		found[name] = what
	}
	return found, nil
}

// ids and times are what may differ: they are taken away.
var (
	sums  = regexp.MustCompile(`(file|dir|multi):[0-9a-f]{64}\b`)
	hexes = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
)

// scrub takes ids and times out of a configuration, and what engines of other
// versions write in other words: which engine it was, and empty values.
func scrub(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range []string{"created", "container", "docker_version", "Hostname", "Image", "container_config"} {
			delete(v, k)
		}
		for k, x := range v {
			// What is said of a volume or a port is its key; the value is always empty.
			if set, ok := x.(map[string]any); ok && len(set) > 0 && (k == "Volumes" || k == "ExposedPorts") {
				continue
			}
			if x = scrub(x); empty(x) {
				delete(v, k)
			} else {
				v[k] = x
			}
		}
	case []any:
		for i := range v {
			v[i] = scrub(v[i])
		}
	case string:
		return hexes.ReplaceAllString(sums.ReplaceAllString(v, "$1:SUM"), "sha256:ID")
	}
	return v
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
