package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/layer"
)

// Buckets of the database. Values are JSON, but for configs, which hold the
// configurations byte for byte, and tags and digests, which hold image ids.
var (
	bucketConfigs = []byte("configs") // image id → raw configuration
	bucketImages  = []byte("images")  // image id → imageRecord
	bucketTags    = []byte("tags")    // docker.io/library/name:tag → image id
	bucketDigests = []byte("digests") // docker.io/library/name@sha256:… → image id
	bucketLayers  = []byte("layers")  // chain id → layerRecord
	bucketBlobs   = []byte("blobs")   // diff id → []blobRecord
	bucketDocs    = []byte("docs")    // image id → manifest
)

// imageRecord is what the store knows about an image beside its configuration.
type imageRecord struct {
	Parent digest.Digest `json:"parent,omitempty"`
	Built  bool          `json:"built,omitempty"` // Image.Built
	Loaded time.Time     `json:"loaded"`
}

// layerRecord describes a layer. Several may share a directory when their
// tars are equal and nothing in the directory depends on what lies below.
type layerRecord struct {
	Dir    string        `json:"dir"`
	Parent digest.Digest `json:"parent,omitempty"` // chain id of the layer below
	DiffID digest.Digest `json:"diff_id"`
	// TarSize is the length of the tar, Size the sum of its files' sizes.
	TarSize int64 `json:"tar_size"`
	Size    int64 `json:"size"`
	// Shared says that the directory may serve other chains too.
	Shared bool `json:"shared,omitempty"`
}

var buckets = [][]byte{bucketConfigs, bucketImages, bucketTags, bucketDigests, bucketLayers, bucketBlobs, bucketDocs}

// cannotRead notes a record that makes no sense: one broken image must not keep
// the store from opening.
func (s *Store) cannotRead(bucket, key []byte, err error) {
	s.log.Error("image store: unreadable record", "bucket", string(bucket), "key", string(key), "error", err)
	s.unread = append(s.unread, Finding{Kind: Record, Name: string(bucket) + " " + string(key), Err: err, bucket: bucket, key: slices.Clone(key)})
}

// forEach reads a bucket; one that is not there (in a store that is only read) is empty.
func forEach(tx *bbolt.Tx, bucket []byte, fn func(k, v []byte) error) error {
	if b := tx.Bucket(bucket); b != nil {
		return b.ForEach(fn)
	}
	return nil
}

// checkLayerRecord says whether a record makes sense under its key.
func checkLayerRecord(l *layerEntry) error {
	if l.Dir == "" || l.Dir != filepath.Base(l.Dir) || l.Dir[0] == '.' {
		return fmt.Errorf("%q is no folder's name", l.Dir)
	}
	if err := l.DiffID.Validate(); err != nil {
		return fmt.Errorf("diff id %q: %w", l.DiffID, err)
	}
	chain := l.DiffID
	if l.Parent != "" {
		chain = digest.FromString(l.Parent.String() + " " + l.DiffID.String())
	}
	if chain != l.chain {
		return fmt.Errorf("it describes layer %s", chain)
	}
	return nil
}

// readRecords fills the maps, and unread with what cannot be read.
func (s *Store) readRecords(tx *bbolt.Tx) error {
	err := forEach(tx, bucketLayers, func(k, v []byte) error {
		l := &layerEntry{chain: digest.Digest(k)}
		err := json.Unmarshal(v, &l.layerRecord)
		if err == nil {
			err = checkLayerRecord(l)
		}
		if err != nil {
			s.cannotRead(bucketLayers, k, err)
			return nil
		}
		if err := layer.Check(s.layerPath(l.Dir)); err != nil {
			s.log.Error("image store: damaged layer", "chain", string(k), "error", err)
			l.damaged = err
		}
		s.layers[l.chain] = l
		return nil
	})
	if err != nil {
		return err
	}
	for _, l := range s.layers {
		s.holdLocked(l.Parent)
	}
	err = forEach(tx, bucketImages, func(k, v []byte) error {
		var rec imageRecord
		id := digest.Digest(k)
		err := json.Unmarshal(v, &rec)
		var img *Image
		if err == nil {
			var raw []byte
			if b := tx.Bucket(bucketConfigs); b != nil {
				raw = slices.Clone(b.Get(k))
			}
			if digest.FromBytes(raw) != id {
				err = errors.New("configuration does not match the id")
			} else {
				if img, err = s.newImage(id, raw, rec.Parent); err == nil {
					img.Built = rec.Built
				}
			}
		}
		if err != nil {
			s.cannotRead(bucketImages, k, err)
			return nil
		}
		s.images[id] = img
		s.holdLocked(img.Top)
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range []struct {
		name []byte
		into map[string]digest.Digest
	}{{bucketTags, s.tags}, {bucketDigests, s.digests}} {
		err := forEach(tx, b.name, func(k, v []byte) error {
			if s.images[digest.Digest(v)] == nil {
				s.cannotRead(b.name, k, fmt.Errorf("its image %s is not there", v))
				return nil
			}
			if _, err := reference.ParseNormalizedNamed(string(k)); err != nil {
				s.cannotRead(b.name, k, err)
				return nil
			}
			b.into[string(k)] = digest.Digest(v)
			return nil
		})
		if err != nil {
			return err
		}
	}
	err = forEach(tx, bucketBlobs, func(k, v []byte) error {
		var list []blobRecord
		err := json.Unmarshal(v, &list)
		for _, b := range list {
			err = errors.Join(err, b.Digest.Validate())
		}
		if err != nil {
			s.cannotRead(bucketBlobs, k, err)
			return nil
		}
		s.blobs[digest.Digest(k)] = list
		return nil
	})
	if err != nil {
		return err
	}
	s.nameImages(s.images)
	for _, img := range s.images {
		s.sizeImage(img)
	}
	return nil
}

// change is what one transaction does to the records.
type change struct {
	layers  []*layerEntry                  // new layers, lowest first
	images  []*Image                       // new images, or ones with another parent
	tags    map[string]digest.Digest       // "" removes
	digests map[string]digest.Digest       // "" removes
	drop    []digest.Digest                // images to remove
	forget  map[digest.Digest]struct{}     // layers to remove
	blobs   map[digest.Digest][]blobRecord // by diff id; empty removes
	docs    map[digest.Digest]manifest     // by image id
}

// transact makes ch durable. The caller holds writing, has synced the files
// and updates the maps afterwards.
func (s *Store) transact(ch change) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		put := func(bucket []byte, key string, value any) error {
			b, err := json.Marshal(value)
			if err != nil {
				return err
			}
			return tx.Bucket(bucket).Put([]byte(key), b)
		}
		for _, l := range ch.layers {
			if err := put(bucketLayers, l.chain.String(), l.layerRecord); err != nil {
				return err
			}
		}
		for _, img := range ch.images {
			if err := tx.Bucket(bucketConfigs).Put([]byte(img.ID), img.Raw); err != nil {
				return err
			}
			if err := put(bucketImages, img.ID.String(), imageRecord{Parent: img.Parent, Built: img.Built, Loaded: time.Now().UTC()}); err != nil {
				return err
			}
		}
		for bucket, names := range map[*bbolt.Bucket]map[string]digest.Digest{tx.Bucket(bucketTags): ch.tags, tx.Bucket(bucketDigests): ch.digests} {
			for name, id := range names {
				var err error
				if id == "" {
					err = bucket.Delete([]byte(name))
				} else {
					err = bucket.Put([]byte(name), []byte(id))
				}
				if err != nil {
					return err
				}
			}
		}
		for _, id := range ch.drop {
			for _, b := range [][]byte{bucketImages, bucketConfigs, bucketDocs} {
				if err := tx.Bucket(b).Delete([]byte(id)); err != nil {
					return err
				}
			}
		}
		for diff, list := range ch.blobs {
			var err error
			if len(list) == 0 {
				err = tx.Bucket(bucketBlobs).Delete([]byte(diff))
			} else {
				err = put(bucketBlobs, diff.String(), list)
			}
			if err != nil {
				return err
			}
		}
		for id, m := range ch.docs {
			if err := put(bucketDocs, id.String(), m); err != nil {
				return err
			}
		}
		for chain := range ch.forget {
			if err := tx.Bucket(bucketLayers).Delete([]byte(chain)); err != nil {
				return err
			}
		}
		return nil
	})
}

// syncFiles writes everything of the store's file system to the disk.
func (s *Store) syncFiles() error {
	f, err := os.Open(s.root)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("syncfs: %w", err)
	}
	return nil
}
