package image

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/seed-50ced230/berth/impl/fault"
)

var errSoon = fault.Unimplemented("image store: not written yet")

// Store is an image store on one directory.
type Store struct{}

// Open opens the store in root and makes it when it is not there. It sweeps
// what a crash left behind. A second Open of the same root, in this process or
// another one, fails until the first is closed.
func Open(root string, o Options) (*Store, error) { return nil, errSoon }

// Close waits for running transactions and closes the store's file.
func (s *Store) Close() error { return nil }

// Get finds an image by name ("busybox", "busybox:latest", "a@sha256:…"), by
// its id with or without "sha256:", or by a unique prefix of it. A name wins
// over an id prefix. When there is none the error is of class not found with
// the text "No such image: NAME:TAG".
func (s *Store) Get(ref string) (*Image, error) { return nil, errSoon }

// Lookup is Get with the text that GET /images/(name)/json gives: the name as
// the client wrote it, without the default tag.
func (s *Store) Lookup(ref string) (*Image, error) { return nil, errSoon }

// List returns the images that f selects, newest first.
func (s *Store) List(f Filter) ([]*Image, error) { return nil, errSoon }

// History returns the steps of an image, newest first.
func (s *Store) History(ref string) ([]HistoryEntry, error) { return nil, errSoon }

// Tag names the image ref as name ("repo", "repo:tag"; tag overrides when not
// empty). A name that another image has moves. It returns the familiar name.
func (s *Store) Tag(ctx context.Context, ref, name, tag string) (string, error) { return "", errSoon }

// Remove takes away the name ref and, when it was the last one, the image, its
// layers and its untagged parents, by Docker's rules. users lists the
// containers of an image. On error the records of what was already removed
// come with it.
func (s *Store) Remove(ctx context.Context, ref string, o RemoveOptions, users func(digest.Digest) []User) ([]Removed, error) {
	return nil, errSoon
}

// Load reads a docker save archive of either format, or an OCI layout.
// r may be compressed.
func (s *Store) Load(ctx context.Context, r io.Reader, progress ProgressFunc) ([]Loaded, error) {
	return nil, errSoon
}

// Save writes the images refs as one archive that every Docker Engine loads.
// Names and ids may be mixed; a repository name without tag stands for all its tags.
func (s *Store) Save(ctx context.Context, w io.Writer, refs []string) error { return errSoon }

// Import makes an image of one layer from a tar (which may be compressed).
func (s *Store) Import(ctx context.Context, r io.Reader, o ImportOptions) (*Image, error) {
	return nil, errSoon
}

// Commit makes an image of the writable layer id on top of its image.
func (s *Store) Commit(ctx context.Context, id string, o CommitOptions) (*Image, error) {
	return nil, errSoon
}

// NewWritable makes a writable layer on the image (empty digest: on nothing).
// id is the container's id. The image's layers stay until RemoveWritable.
func (s *Store) NewWritable(ctx context.Context, id string, image digest.Digest) (*Writable, error) {
	return nil, errSoon
}

// Writable returns the writable layer of container id. It also works right
// after a crash: the directories are made again if the file system lost them.
func (s *Store) Writable(id string) (*Writable, error) { return nil, errSoon }

// Writables returns the ids of all writable layers, sorted; the engine removes
// those whose container it does not know.
func (s *Store) Writables() []string { return nil }

// RemoveWritable removes the writable layer of container id, which must not
// be mounted. Removing one that is not there is no error.
func (s *Store) RemoveWritable(id string) error { return errSoon }

// WritableSize returns the file bytes in the upper directory (SizeRw).
func (s *Store) WritableSize(ctx context.Context, id string) (int64, error) { return 0, errSoon }

// Changes lists what the container changed, sorted by path. It costs as much
// as the changes, not as the image. The tree may be mounted.
func (s *Store) Changes(ctx context.Context, id string) ([]Change, error) { return nil, errSoon }

// Export writes the container's tree (image and changes merged) as a tar. The
// tree need not be mounted; the store mounts it for itself, read-only.
func (s *Store) Export(ctx context.Context, id string, w io.Writer) error { return errSoon }
