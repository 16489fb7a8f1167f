package image

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-50ced230/berth/impl/image/testimage"
)

// FuzzLoad: whatever an archive holds, loading it ends, and the store it was
// loaded into has no file beside its own.
func FuzzLoad(f *testing.F) {
	f.Add(archiveOf(f, three("three:latest")))
	var legacy bytes.Buffer
	if err := testimage.WriteLegacy(&legacy, three("three:latest")); err != nil {
		f.Fatal(err)
	}
	f.Add(legacy.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		outer := t.TempDir()
		s, err := Open(filepath.Join(outer, "store"), Options{MaxLayerBytes: 1 << 24, MaxLayerEntries: 1000})
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := s.Load(context.Background(), bytes.NewReader(b), nil)
		if err != nil && s.Count() > 0 {
			t.Errorf("%d images after an error: %v", s.Count(), err)
		}
		for _, l := range loaded {
			if err := s.Save(context.Background(), &bytes.Buffer{}, []string{l.ID.String()}); err != nil {
				t.Errorf("loaded, but cannot be saved: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(outer); err != nil || len(entries) != 1 {
			t.Errorf("beside the store: %v %v", entries, err)
		}
	})
}

// FuzzName: parsing a name ends, and what it accepts parses again to the same.
func FuzzName(f *testing.F) {
	for _, s := range []string{"busybox", "a/b:c", "localhost:5000/a@sha256:0", "UPPER", "a:b:c", "::", "docker.io/library/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tagged, err := parseTagged(s, "")
		if err != nil {
			return
		}
		again, err := parseTagged(familiar(tagged.String()), "")
		if err != nil || again.String() != tagged.String() {
			t.Errorf("%q: %v then %v %v", s, tagged, again, err)
		}
		if _, err := ParseTag(s, ""); err != nil {
			t.Error(err)
		}
	})
}
