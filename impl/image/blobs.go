package image

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
)

// Compressed layers are a cache: the layer's directory and recipe give the tar,
// but not the compressed bytes that a registry knows. What was pulled or
// pushed is kept as it was, so that pushing it gives the same digests.

// blobRecord is a compressed form of a layer.
type blobRecord struct {
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`
	MediaType string        `json:"media_type"`
	// From are the repositories (canonical names) that have the blob.
	From []string `json:"from,omitempty"`
}

func (b blobRecord) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: b.Size}
}

// layerBlob is what an ingest learned about a layer.
type layerBlob struct {
	diff digest.Digest
	blobRecord
}

// manifest is the manifest under which an image was last pulled or pushed.
type manifest struct {
	MediaType string `json:"media_type"`
	Raw       []byte `json:"raw"`
}

func (s *Store) blobPath(d digest.Digest) string {
	return filepath.Join(s.root, blobsDir, d.Algorithm().String()+"-"+d.Encoded())
}

// mergeBlobs adds news to what is known. The caller holds writing.
func (s *Store) mergeBlobs(news []layerBlob) map[digest.Digest][]blobRecord {
	merged := map[digest.Digest][]blobRecord{}
	for _, n := range news {
		list, ok := merged[n.diff]
		if !ok {
			list = slices.Clone(s.blobs[n.diff])
		}
		at := slices.IndexFunc(list, func(b blobRecord) bool { return b.Digest == n.Digest })
		if at < 0 {
			list = append(list, n.blobRecord)
		} else {
			old := list[at]
			old.From = slices.Clone(old.From)
			for _, from := range n.From {
				if !slices.Contains(old.From, from) {
					old.From = append(old.From, from)
				}
			}
			list[at] = old
		}
		merged[n.diff] = list
	}
	return merged
}

// knownBlobs names the files that blobs may have.
func (s *Store) knownBlobs() map[string]bool {
	known := map[string]bool{}
	for _, list := range s.blobs {
		for _, b := range list {
			known[filepath.Base(s.blobPath(b.Digest))] = true
		}
	}
	return known
}

// dropUnknownBlobs removes those of the blobs that no layer has.
func (s *Store) dropUnknownBlobs(blobs []digest.Digest) {
	if len(blobs) == 0 {
		return
	}
	s.mu.RLock()
	known := s.knownBlobs()
	s.mu.RUnlock()
	for _, d := range blobs {
		if !known[filepath.Base(s.blobPath(d))] {
			if err := s.trash.add(s.blobPath(d)); err != nil {
				s.log.Error("image store: drop blob", "error", err)
			}
		}
	}
}

// blobFile receives a compressed layer for the cache. The next start sweeps it
// unless keep named it.
type blobFile struct {
	s *Store
	f *os.File
}

// keep gives the finished file its name.
func (b *blobFile) keep(d digest.Digest) error {
	if b.f == nil {
		return nil
	}
	name := b.f.Name()
	err := errors.Join(b.f.Close(), os.Rename(name, b.s.blobPath(d)))
	b.f = nil
	return err
}

// drop removes the file if keep was not called.
func (b *blobFile) drop() {
	if b.f == nil {
		return
	}
	name := b.f.Name()
	if err := errors.Join(b.f.Close(), os.Remove(name)); err != nil {
		b.s.log.Error("image store: drop blob", "error", err)
	}
	b.f = nil
}

// openBlob opens a cached blob; nil when it is not there, or not whole.
func (s *Store) openBlob(b blobRecord) (*os.File, error) {
	f, err := os.Open(s.blobPath(b.Digest))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Size() != b.Size {
		f.Close()
		return nil, err
	}
	return f, nil
}

// evictBlobs removes the oldest cached blobs until the cache is within bounds.
func (s *Store) evictBlobs() error {
	entries, err := os.ReadDir(filepath.Join(s.root, blobsDir))
	if err != nil {
		return err
	}
	var files []os.FileInfo
	var sum int64
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if e.Name()[0] != '.' {
			files = append(files, info)
			sum += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	for _, f := range files {
		if sum <= s.cache {
			return nil
		}
		if err := os.Remove(filepath.Join(s.root, blobsDir, f.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		sum -= f.Size()
	}
	return nil
}

// doc returns the manifest an image was last pulled or pushed under, if any.
func (s *Store) doc(id digest.Digest) (m manifest, ok bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketDocs).Get([]byte(id))
		if b == nil {
			return nil
		}
		ok = true
		return json.Unmarshal(b, &m)
	})
	if err != nil {
		return m, false, fmt.Errorf("read manifest of %s: %w", id, err)
	}
	return m, ok, nil
}
