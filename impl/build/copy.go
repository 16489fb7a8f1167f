package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

// copyRequest is a COPY or an ADD.
type copyRequest struct {
	name    string
	sources []string
	to      string
	// from names a stage or an image; empty for the context.
	from         string
	chown, chmod string
	// add is ADD: addresses are fetched and archives of the context unpacked.
	add bool
}

// source is one file or directory that is copied.
type source struct {
	in *tree
	// path is its place, without links.
	path string
	info fs.FileInfo
	// name is what a file is called in a directory.
	name string
	// sum says what it is and what is in it.
	sum string
	// unpack says that it is an archive, of which ADD copies the content.
	unpack bool
}

// copyFiles takes a COPY or ADD step.
func (s *session) copyFiles(ctx context.Context, g *stage, st *step, q copyRequest) error {
	from, err := s.sourceTree(ctx, q.from)
	if err != nil {
		return st.fail(err)
	}
	if from != s.files && from != nil {
		defer from.Close()
	}
	var list []source
	for _, word := range q.sources {
		more, err := s.findSources(ctx, from, q, word)
		defer func() {
			for _, src := range more {
				if src.in != from {
					src.in.Close()
				}
			}
		}()
		if err != nil {
			return st.fail(err)
		}
		list = append(list, more...)
	}
	if len(list) == 0 {
		return st.fail(fault.Invalid("%s failed: No source files were specified", q.name))
	}
	if len(list) > 1 && !strings.HasSuffix(q.to, "/") {
		return st.fail(fault.Invalid("When using %s with more than one source file, the destination must be a directory and end with a /", q.name))
	}
	mode, err := parseMode(q.chmod)
	if err != nil {
		return st.fail(err)
	}
	probe := g.nop(q.name + " " + q.flags() + sumOf(list) + " in " + q.to + " ")
	if hit, err := s.cached(ctx, g, probe); hit || err != nil {
		return err
	}
	shared := s.sharing(list)
	return s.inLayer(ctx, g, probe, false, shared, func(t *tree) error {
		who, err := findOwner(t, q.chown)
		if err != nil {
			return st.fail(err)
		}
		c := &copier{ctx: ctx, to: t, owner: who, mode: mode, limits: s.limits, sharing: shared}
		for _, src := range list {
			if err := c.place(src, destination(g.config.WorkingDir, q.to)); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return st.fail(fmt.Errorf("%s failed: %w", q.name, err))
			}
		}
		return nil
	})
}

// flags are those of the instruction that change what is copied.
func (q *copyRequest) flags() string {
	text := ""
	if q.chown != "" {
		text += "--chown=" + q.chown
	}
	if q.chmod != "" {
		text += "--chmod=" + q.chmod
	}
	return text
}

// sumOf is the sum of one source, or one over all of several.
func sumOf(list []source) string {
	if len(list) == 1 {
		return list[0].sum
	}
	var sums []string
	for _, src := range list {
		sums = append(sums, src.sum)
	}
	sum := sha256.Sum256([]byte(strings.Join(sums, ",")))
	return "multi:" + hex.EncodeToString(sum[:])
}

// destination makes the place absolute and keeps the slash at its end.
func destination(workdir, to string) string {
	dest := to
	if !path.IsAbs(to) {
		dest = path.Join("/", workdir, to)
	}
	dest = path.Clean(dest)
	if strings.HasSuffix(to, "/") && dest != "/" {
		dest += "/"
	}
	return dest
}

// sourceTree opens what is copied from: the context, or the files of a stage or
// an image.
func (s *session) sourceTree(ctx context.Context, from string) (*tree, error) {
	if from == "" {
		return s.files, nil
	}
	earlier, err := s.sourceStage(from)
	if err != nil {
		return nil, err
	}
	var below digest.Digest
	if earlier != nil {
		if err := s.need(ctx, earlier); err != nil {
			return nil, err
		}
		below = earlier.image
	} else {
		img, release, err := s.baseImage(ctx, from, false)
		if err != nil {
			return nil, err
		}
		defer release() // the layer below keeps its files
		below = img.ID
	}
	id := s.NewID()
	if _, err := s.Images.NewWritable(ctx, id, below); err != nil {
		return nil, err
	}
	t, err := s.layerTree(id, false)
	if err != nil {
		return nil, errors.Join(err, s.Images.RemoveWritable(id))
	}
	t.release = func() error { return s.Images.RemoveWritable(id) }
	return t, nil
}

// findSources finds what one word of the instruction names.
func (s *session) findSources(ctx context.Context, from *tree, q copyRequest, word string) ([]source, error) {
	if isAddress(word) {
		if !q.add {
			return nil, fault.Invalid("Source can't be a URL for %s", q.name)
		}
		src, err := s.download(ctx, word, q.to)
		if err != nil {
			return nil, err
		}
		return []source{src}, nil
	}
	if from == nil {
		return nil, fault.Invalid("No context given. Impossible to use %s", q.name)
	}
	at := path.Clean(strings.TrimLeft(word, "/"))
	if at == ".." || strings.HasPrefix(at, "../") {
		return nil, fault.Invalid("%s failed: Forbidden path outside the build context: %s", q.name, word)
	}
	places := []string{at}
	if hasWildcards(at) {
		var err error
		if places, err = match(from, at); err != nil {
			return nil, err
		}
	}
	var list []source
	for _, p := range places {
		src, err := s.describe(ctx, from, q, p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Invalid("%s failed: file not found in build context or excluded by .dockerignore: stat %s: file does not exist", q.name, word)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, src)
	}
	return list, nil
}

func (s *session) describe(ctx context.Context, from *tree, q copyRequest, p string) (source, error) {
	resolved, info, err := from.stat(p)
	if err != nil {
		return source{}, err
	}
	src := source{in: from, path: resolved, info: info, name: baseName(p)}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return source{}, fault.Invalid("%s failed: %s is neither a file nor a directory", q.name, p)
	}
	if q.add && info.Mode().IsRegular() {
		if src.unpack, err = isArchive(ctx, from, resolved); err != nil {
			return source{}, err
		}
	}
	src.sum, err = checksum(ctx, from, resolved, src.name, info)
	return src, err
}

// isAddress says whether ADD fetches the word.
func isAddress(word string) bool {
	lower := strings.ToLower(word)
	return strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://")
}

func hasWildcards(p string) bool {
	escaped := false
	for _, c := range p {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case strings.ContainsRune("*?[", c):
			return true
		}
	}
	return false
}

// match lists the files whose path has the form of the pattern (path.Match: no
// wildcard stands for a slash).
func match(t *tree, pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fault.Invalid("the pattern %q is malformed", pattern)
	}
	depth := strings.Count(pattern, "/")
	var found []string
	err := fs.WalkDir(t.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		if ok, _ := path.Match(pattern, p); ok {
			found = append(found, p)
		}
		if d.IsDir() && strings.Count(p, "/") >= depth {
			return fs.SkipDir
		}
		return nil
	})
	return found, err
}
