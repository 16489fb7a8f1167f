package image

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// broken is a registry that takes nothing.
type broken struct{ name reference.Named }

var errBroken = errors.New("broken")

func (b broken) Name() reference.Named { return b.name }

func (b broken) Has(context.Context, ocispec.Descriptor) (bool, error) { return false, nil }

func (b broken) Mount(context.Context, ocispec.Descriptor, string) (bool, error) { return false, nil }

func (b broken) PushBlob(context.Context, ocispec.Descriptor, io.Reader) error { return errBroken }

func (b broken) PushManifest(context.Context, ocispec.Descriptor, []byte, string) error {
	return errBroken
}

// TestFailedPush looks at what a push that fails leaves: what it compressed, for
// the next one, and nothing when the image is gone.
func TestFailedPush(t *testing.T) {
	s := newStore(t)
	loadBusybox(t, s, "127.0.0.1:1/a:x")
	name, err := reference.ParseNormalizedNamed("127.0.0.1:1/a")
	if err != nil {
		t.Fatal(err)
	}
	blobs := func() int {
		entries, err := os.ReadDir(filepath.Join(s.root, blobsDir))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	for range 2 {
		if _, err := s.Push(t.Context(), broken{name}, "x", nil); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		if n := blobs(); n != 1 {
			t.Errorf("%d blobs, wanted the layer's", n)
		}
	}
	if _, err := s.Remove(t.Context(), "127.0.0.1:1/a:x", RemoveOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	if n := blobs(); n != 0 {
		t.Errorf("%d blobs of a layer that is gone", n)
	}
}
