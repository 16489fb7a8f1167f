package image

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Remove takes away the name ref and, when it was the last one, the image, its
// layers and its untagged parents, by Docker's rules. users lists the
// containers of an image; it is called with the store locked against writes
// and must not call back into one. On error the records of what was already
// removed come with it.
func (s *Store) Remove(ctx context.Context, ref string, o RemoveOptions, users func(digest.Digest) []User) ([]Removed, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	img, err := s.Get(ref)
	if err != nil {
		return nil, err
	}
	r := &removal{s: s, users: users, over: make(chan struct{})}
	defer r.end()
	if err := r.run(img.ID, ref, o); err != nil {
		return r.records, err
	}
	return r.records, nil
}

type removal struct {
	s       *Store
	users   func(digest.Digest) []User
	records []Removed
	over    chan struct{} // closed at its end
}

func (r *removal) run(id digest.Digest, ref string, o RemoveOptions) error {
	names := r.s.namesOf(id)
	if isIDOf(id, ref) && !r.isName(ref) {
		// By id: the image goes if its names are all of one repository.
		if oneName(names) {
			if err := r.conflict(id, true, !o.Force, false); err != nil {
				return err
			}
			if err := r.untag(id, names...); err != nil {
				return err
			}
		}
		return r.delete(id, o.Force, !o.NoPrune, false)
	}
	named, err := parseName(ref)
	if err != nil {
		return err
	}
	if !o.Force && oneName(names) {
		if u := r.user(id, false); u != nil {
			return fault.Conflict("conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s",
				ref, short(u.ID), short(id.String()))
		}
		if r.s.isHeld(id) {
			return fault.Conflict("conflict: unable to remove repository reference %q (must force) - a build is using its referenced image %s", ref, short(id.String()))
		}
	}
	key := r.keyOf(named, id)
	gone := []string{key}
	if !strings.Contains(key, "@") && !hasTagOf(without(names, key), repoOf(key)) {
		// The last tag of a repository takes the repository's digests along.
		for _, n := range names {
			if strings.Contains(n, "@") && repoOf(n) == repoOf(key) {
				gone = append(gone, n)
			}
		}
	}
	if err := r.untag(id, gone...); err != nil {
		return err
	}
	if len(r.s.namesOf(id)) > 0 {
		return nil
	}
	return r.delete(id, o.Force, !o.NoPrune, true)
}

// isName says whether ref is the name of an image, which wins over an id prefix.
func (r *removal) isName(ref string) bool {
	if isIDForm(ref) {
		return false
	}
	named, err := parseName(ref)
	if err != nil {
		return false
	}
	_, ok := r.s.byNameLocked(named)
	return ok
}

// keyOf is the canonical name that ref stands for; "repo:idprefix" stands for
// a tag of that repository.
func (r *removal) keyOf(named reference.Named, id digest.Digest) string {
	if c, ok := named.(reference.Canonical); ok {
		return canonicalKey(c)
	}
	key := reference.TagNameOnly(named).String()
	if r.s.tags[key] == id {
		return key
	}
	for _, n := range r.s.namesOf(id) {
		if !strings.Contains(n, "@") && repoOf(n) == named.Name() {
			return n
		}
	}
	return key
}

// namesOf returns the canonical names of an image, tags first, each sorted.
func (s *Store) namesOf(id digest.Digest) []string {
	var tags, digests []string
	for n, i := range s.tags {
		if i == id {
			tags = append(tags, n)
		}
	}
	for n, i := range s.digests {
		if i == id {
			digests = append(digests, n)
		}
	}
	sort.Strings(tags)
	sort.Strings(digests)
	return append(tags, digests...)
}

func repoOf(canonical string) string {
	repo, _ := splitName(canonical)
	return repo
}

func without(names []string, gone string) []string {
	var out []string
	for _, n := range names {
		if n != gone {
			out = append(out, n)
		}
	}
	return out
}

func hasTagOf(names []string, repo string) bool {
	for _, n := range names {
		if !strings.Contains(n, "@") && repoOf(n) == repo {
			return true
		}
	}
	return false
}

// oneName says whether the names amount to a single one: at most one tag, and
// any digests are of its repository.
func oneName(names []string) bool {
	if len(names) <= 1 {
		return true
	}
	tags, repos := 0, map[string]bool{}
	for _, n := range names {
		if !strings.Contains(n, "@") {
			tags++
		}
		repos[repoOf(n)] = true
	}
	return tags <= 1 && len(repos) == 1
}

// user returns a container of the image: a running one, or any.
func (r *removal) user(id digest.Digest, running bool) *User {
	if r.users == nil {
		return nil
	}
	for _, u := range r.users(id) {
		if !running || u.Running {
			return &u
		}
	}
	return nil
}

// conflict checks what forbids removing the image. hard ones are children, running
// containers and builds; soft adds stopped containers, names adds remaining names.
func (r *removal) conflict(id digest.Digest, hard, soft, names bool) error {
	refuse := func(how, format string, args ...any) error {
		return fault.Conflict("conflict: unable to delete %s (%s) - %s", short(id.String()), how, fmt.Sprintf(format, args...))
	}
	if hard {
		if len(r.s.childrenLocked(id)) > 0 {
			return refuse("cannot be forced", "image has dependent child images")
		}
		if u := r.user(id, true); u != nil {
			return refuse("cannot be forced", "image is being used by running container %s", short(u.ID))
		}
		if !r.claim(id) {
			return refuse("cannot be forced", "image is being used by a build")
		}
	}
	if names && len(r.s.namesOf(id)) > 0 {
		return refuse("must be forced", "image is referenced in one or more repositories")
	}
	if soft {
		if u := r.user(id, false); u != nil {
			return refuse("must be forced", "image is being used by stopped container %s", short(u.ID))
		}
	}
	return nil
}

// untag removes names of an image.
func (r *removal) untag(id digest.Digest, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	ch := change{tags: map[string]digest.Digest{}, digests: map[string]digest.Digest{}}
	for _, n := range names {
		if strings.Contains(n, "@") {
			ch.digests[n] = ""
		} else {
			ch.tags[n] = ""
		}
	}
	if err := r.s.transact(ch); err != nil {
		return err
	}
	r.s.mu.Lock()
	for _, n := range names {
		delete(r.s.tags, n)
		delete(r.s.digests, n)
	}
	r.s.publishLocked(id)
	r.s.mu.Unlock()
	for _, n := range names {
		r.records = append(r.records, Removed{Untagged: familiar(n), Image: id})
	}
	return nil
}

// delete removes the image and, with prune, parents that nothing needs. quiet
// is for images nobody named: a conflict then is no error.
func (r *removal) delete(id digest.Digest, force, prune, quiet bool) error {
	for {
		img := r.s.images[id]
		if img == nil {
			return nil
		}
		if err := r.conflict(id, true, !force, !force); err != nil {
			if quiet && (len(r.s.namesOf(id)) > 0 || len(r.s.childrenLocked(id)) > 0 || r.user(id, false) != nil || r.s.isHeld(id)) {
				return nil
			}
			return err
		}
		if err := r.untag(id, r.s.namesOf(id)...); err != nil {
			return err
		}
		layers, err := r.s.dropImage(img)
		if err != nil {
			return err
		}
		r.records = append(r.records, Removed{Deleted: id.String(), Image: id})
		for _, l := range layers {
			r.records = append(r.records, Removed{Deleted: l.String()})
		}
		if !prune || img.Parent == "" {
			return nil
		}
		id, force, quiet = img.Parent, false, true
	}
}

// dropImage removes the image's record and the layers that nobody needs any
// more, topmost first. The caller holds writing.
func (s *Store) dropImage(img *Image) ([]digest.Digest, error) {
	if s.hasWritable(img.Top) {
		// Containers keep the layers, but after a loss of power only those whose
		// own layers are on the disk.
		if err := s.syncFiles(); err != nil {
			return nil, err
		}
	}
	if err := s.transact(change{drop: []digest.Digest{img.ID}}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	delete(s.images, img.ID)
	s.mu.Unlock()
	return s.releaseWriting(img.Top)
}

// hasWritable says whether a writable layer stands on the chain.
func (s *Store) hasWritable(chain digest.Digest) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, w := range s.rw {
		if w.chain == chain {
			return true
		}
	}
	return false
}

// releaseLayers drops a hold on a chain and removes what nobody needs.
func (s *Store) releaseLayers(chain digest.Digest) ([]digest.Digest, error) {
	if chain == "" {
		return nil, nil
	}
	s.mu.Lock()
	l := s.layers[chain]
	if l == nil || l.refs > 1 { // the usual case needs no transaction
		if l != nil {
			l.refs--
		}
		s.mu.Unlock()
		return nil, nil
	}
	s.mu.Unlock()
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.releaseWriting(chain)
}

func (s *Store) releaseWriting(chain digest.Digest) ([]digest.Digest, error) {
	forget := map[digest.Digest]struct{}{}
	var gone []digest.Digest
	dirs := map[string]bool{}
	s.mu.Lock()
	for chain != "" {
		l := s.layers[chain]
		if l == nil {
			break
		}
		if l.refs--; l.refs > 0 {
			break
		}
		forget[chain] = struct{}{}
		gone = append(gone, chain)
		dirs[l.Dir] = true
		delete(s.layers, chain)
		delete(s.initOf, chain)
		chain = l.Parent
	}
	blobs := map[digest.Digest][]blobRecord{}
	var files []string
	if len(gone) > 0 {
		kept := map[digest.Digest]bool{}
		for _, l := range s.layers {
			delete(dirs, l.Dir) // shared with another chain
			kept[l.DiffID] = true
		}
		for diff, list := range s.blobs {
			if !kept[diff] {
				blobs[diff] = nil
				for _, b := range list {
					files = append(files, s.blobPath(b.Digest))
				}
				delete(s.blobs, diff)
			}
		}
	}
	s.mu.Unlock()
	if len(gone) == 0 {
		return nil, nil
	}
	if err := s.transact(change{forget: forget, blobs: blobs}); err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := s.trash.add(f); err != nil {
			return gone, err
		}
	}
	for dir := range dirs {
		if err := s.trash.add(s.layerPath(dir)); err != nil {
			return gone, err
		}
	}
	return gone, nil
}
