// Package image stores images and the writable layers of containers.
//
// An image is a JSON configuration (its sha256 is the image's id) on a chain
// of layers. A layer lives on disk as a directory in overlayfs's own form,
// beside the recipe that gives its tar back byte for byte (package layer); the
// chain id (the digest over all diff ids up to it, image-spec config.md) names
// it. Images, names and layers are records in one bbolt file.
//
// A write goes in this order: files, syncfs, one bbolt transaction. A
// directory that no record names is what a crash left behind, and Open sweeps
// it. Nothing is visible before its transaction.
//
// A writable layer is a folder with a symbolic link that names its image: no
// transaction, because there are many of them and they are short-lived. It
// appears and disappears by one rename.
//
// All methods of Store may be called from several goroutines. Reads (Get,
// List, History, Writable) are served from memory and wait for no write.
package image

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/database"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// Options tune a store; the zero value is good.
type Options struct {
	// MaxLayerBytes is the most file bytes one layer may unpack to (sparse
	// holes count as written bytes). 0 means DefaultMaxLayerBytes.
	MaxLayerBytes int64
	// MaxLayerEntries is the most entries one layer may have. 0 means
	// DefaultMaxLayerEntries.
	MaxLayerEntries int64
	// MaxBlobCache bounds the bytes of compressed layers that are kept, so that
	// an image that was pulled is pushed as it was. 0 means DefaultMaxBlobCache,
	// less than 0 keeps none.
	MaxBlobCache int64
	// ReadOnly opens a store that is there for Check, and changes nothing on disk:
	// neither does it sweep.
	ReadOnly bool
	// ImageOf gives the image of a container; empty for one that is not known. It is
	// asked about writable layers whose link to the image was lost with the power: what
	// a container has had synced is kept on some file systems (btrfs) without what
	// lies beside it. A layer whose container it does not know is one that was removed.
	// nil: which containers there are is not known.
	ImageOf func(containerID string) digest.Digest
	// Logger receives what no caller can be told (sweeping, damaged layers).
	// nil means slog.Default().
	Logger *slog.Logger
}

// Limits of a layer when Options does not say otherwise.
const (
	DefaultMaxLayerBytes   = 100 << 30
	DefaultMaxLayerEntries = 10_000_000
	DefaultMaxBlobCache    = 20 << 30
)

// Names below the root.
const (
	dbFile    = "images.db"
	layersDir = "layers"
	rwDir     = "rw"
	initDir   = "init"
	trashDir  = "trash"
	blobsDir  = "blobs"
)

// Store is an image store on one directory.
type Store struct {
	root      string
	limits    layer.Limits
	cache     int64 // bytes of compressed layers to keep
	log       *slog.Logger
	db        *bbolt.DB
	trash     *trash
	downloads downloads

	// writing serializes transactions: who holds it may read the maps without
	// mu and change them with it.
	writing sync.Mutex

	// mu guards the maps below; it is held for memory operations only.
	mu      sync.RWMutex
	images  map[digest.Digest]*Image
	tags    map[string]digest.Digest // canonical name:tag
	digests map[string]digest.Digest // canonical name@digest
	layers  map[digest.Digest]*layerEntry
	rw      map[string]*rwEntry
	blobs   map[digest.Digest][]blobRecord // by diff id
	inits   map[initKey]string
	initOf  map[digest.Digest]initKey
	holds   holds

	// unread is what Open could not read. While there is any, no layer is swept:
	// what lacks a record may be what the record named. writing guards it.
	unread []Finding
	// condition is that of the database at Open.
	condition database.Condition
	readOnly  bool
	imageOf   func(string) digest.Digest // nil for none
}

// layerEntry is a layer in memory. refs counts images and layers on top of it,
// writable layers and operations in progress.
type layerEntry struct {
	chain digest.Digest
	layerRecord
	refs    int
	damaged error
}

// Open opens the store in root and makes it when it is not there. It sweeps
// what a crash left behind. A second Open of the same root, in this process or
// another one, fails until the first is closed.
func Open(root string, o Options) (*Store, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	s := &Store{
		root:    root,
		cache:   o.MaxBlobCache,
		blobs:   map[digest.Digest][]blobRecord{},
		limits:  layer.Limits{Bytes: o.MaxLayerBytes, Entries: o.MaxLayerEntries},
		log:     o.Logger,
		images:  map[digest.Digest]*Image{},
		tags:    map[string]digest.Digest{},
		digests: map[string]digest.Digest{},
		layers:  map[digest.Digest]*layerEntry{},
		rw:      map[string]*rwEntry{},
		inits:   map[initKey]string{},
		initOf:  map[digest.Digest]initKey{},
		holds:   newHolds(),

		readOnly: o.ReadOnly,
		imageOf:  o.ImageOf,
	}
	if s.limits.Bytes == 0 {
		s.limits.Bytes = DefaultMaxLayerBytes
	}
	if s.limits.Entries == 0 {
		s.limits.Entries = DefaultMaxLayerEntries
	}
	if s.cache == 0 {
		s.cache = DefaultMaxBlobCache
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if err := s.open(); err != nil {
		if s.db != nil {
			s.db.Close()
		}
		return nil, fmt.Errorf("open image store: %w", err)
	}
	return s, nil
}

func (s *Store) open() error {
	file := filepath.Join(s.root, dbFile)
	if s.readOnly {
		if err := database.Check(file, namedDirs(s.root)...); err != nil {
			return fmt.Errorf("%w: run \"berthd check --repair\"", err)
		}
		return s.openReadOnly(file)
	}
	// 0700: layers hold set-user-id programs and device nodes.
	for _, dir := range []string{"", layersDir, rwDir, initDir, trashDir, blobsDir} {
		if err := os.MkdirAll(filepath.Join(s.root, dir), 0o700); err != nil {
			return err
		}
	}
	if err := os.Chmod(s.root, 0o700); err != nil && !errors.Is(err, unix.EROFS) {
		return err
	}
	layer.Spread(filepath.Join(s.root, layersDir))
	var err error
	if s.db, s.condition, err = database.Open(file, namedDirs(s.root), buckets...); err != nil {
		if errors.Is(err, database.ErrInUse) {
			return fault.Unavailable("image store %s is in use by another process", s.root)
		}
		return err
	}
	s.tellCondition()
	if err := s.db.View(s.readRecords); err != nil {
		return err
	}
	if err := s.readWritables(); err != nil {
		return err
	}
	s.trash = newTrash(filepath.Join(s.root, trashDir), s.log)
	return s.sweep()
}

// namedDirs are the folders of what the database names and cannot be had again from it.
func namedDirs(root string) []string {
	return []string{filepath.Join(root, layersDir), filepath.Join(root, rwDir)}
}

// tellCondition logs what is wrong with the database.
func (s *Store) tellCondition() {
	c := s.condition
	if c.Damage != nil {
		s.log.Error("image store: the database is damaged and kept aside; images are served whose records could be read",
			"path", c.Aside, "error", c.Damage, "kept", c.Salvaged.Kept, "lost", errors.Join(c.Salvaged.Lost...))
	}
	if c.Aside != "" {
		s.log.Warn("image store: what no record names is kept as long as the damaged database lies there", "path", c.Aside)
	}
	if c.ReadOnly {
		s.log.Error("image store: the disk is read-only; images are served, and nothing can be changed", "path", s.root)
	}
}

func (s *Store) openReadOnly(file string) (err error) {
	s.db, err = bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	if errors.Is(err, berrors.ErrTimeout) {
		return fault.Unavailable("image store %s is in use by another process", s.root)
	}
	if err != nil {
		return err
	}
	if err := s.db.View(s.readRecords); err != nil {
		return err
	}
	return s.readWritables()
}

// sweep removes what no record names: the remains of a crash.
func (s *Store) sweep() error {
	if s.condition.Aside != "" || s.condition.ReadOnly {
		return nil
	}
	if len(s.unread) > 0 {
		s.log.Warn("image store: parts of it cannot be read, so nothing is swept; run \"berthd check --repair\"", "count", len(s.unread))
		return nil
	}
	if img := s.lackingLayer(); img != nil {
		s.log.Warn("image store: an image lacks a layer, so nothing is swept: what is left may serve to make it again; run \"berthd check --repair\", or pull or load the image",
			"image", img.ID)
		return nil
	}
	for chain, l := range s.layers {
		if l.refs == 0 { // its image went, but the record stayed
			l.refs = 1
			if _, err := s.releaseWriting(chain); err != nil {
				return err
			}
		}
	}
	left, err := s.leftovers()
	if err != nil {
		return err
	}
	for _, path := range left {
		s.log.Info("image store: sweep", "path", path)
		if err := s.trash.add(filepath.Join(s.root, path)); err != nil {
			return err
		}
	}
	return nil
}

// lackingLayer is an image of which a layer has no record, nil if there is none.
func (s *Store) lackingLayer() *Image {
	for _, img := range s.images {
		for _, chain := range chainIDs(img.RootFS.DiffIDs) {
			if s.layers[chain] == nil {
				return img
			}
		}
	}
	return nil
}

// leftovers are the paths below the root that no record names.
func (s *Store) leftovers() ([]string, error) {
	var left []string
	known := map[string]bool{}
	for _, l := range s.layers {
		known[l.Dir] = true
	}
	blobs := s.knownBlobs()
	for _, sub := range []string{layersDir, rwDir, initDir, blobsDir} {
		entries, err := os.ReadDir(filepath.Join(s.root, sub))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			// Init layers are never removed: running containers have them mounted.
			if sub == layersDir && known[e.Name()] || sub == rwDir && s.rw[e.Name()] != nil || sub == blobsDir && blobs[e.Name()] ||
				sub == initDir && !strings.HasPrefix(e.Name(), ".") {
				continue
			}
			left = append(left, filepath.Join(sub, e.Name()))
		}
	}
	return left, nil
}

// Close waits for running transactions and removals and closes the store's file.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.trash != nil {
		s.trash.close()
	}
	return s.db.Close()
}

// Root is the directory that everything of the store is in.
func (s *Store) Root() string { return s.root }

func (s *Store) layerPath(dir string, more ...string) string {
	return filepath.Join(append([]string{s.root, layersDir, dir}, more...)...)
}

// newLayerDir makes an empty folder for a layer that has no record yet.
func (s *Store) newLayerDir() (string, error) {
	p, err := os.MkdirTemp(filepath.Join(s.root, layersDir), "")
	if err != nil {
		return "", err
	}
	return filepath.Base(p), nil
}

// hold keeps the layer and all below it until release. The caller holds mu or writing.
func (s *Store) holdLocked(chain digest.Digest) {
	if l := s.layers[chain]; l != nil {
		l.refs++
	}
}

// hold keeps an image's layers while an operation reads them. The returned
// function ends it; the last one out removes layers that lost their image meanwhile.
func (s *Store) hold(chain digest.Digest) (release func()) {
	s.mu.Lock()
	s.holdLocked(chain)
	s.mu.Unlock()
	return func() {
		if _, err := s.releaseLayers(chain); err != nil {
			s.log.Error("image store: release layer", "chain", chain, "error", err)
		}
	}
}

// chainDirs returns the directories of a chain, topmost first, and the damage
// of the first broken layer. Two equal layers of a chain may share a directory,
// which overlayfs refuses to stack twice: the upper one covers all that the
// lower one says, so only it is kept.
func (s *Store) chainDirs(chain digest.Digest) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var dirs []string
	seen := map[string]bool{}
	for chain != "" {
		l := s.layers[chain]
		if l == nil {
			return nil, fault.Internal("layer %s is missing", chain)
		}
		if l.damaged != nil {
			return nil, fault.Internal("layer %s: %w", chain, l.damaged)
		}
		if !seen[l.Dir] {
			seen[l.Dir] = true
			dirs = append(dirs, s.layerPath(l.Dir, layer.DiffDir))
		}
		chain = l.Parent
	}
	return dirs, nil
}
