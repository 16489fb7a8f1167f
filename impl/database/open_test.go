package database

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

var things = []byte("things")

// wantFilled looks for all that filledBytes wrote.
func wantFilled(tx *bbolt.Tx) error {
	for i := range 40 {
		if got := tx.Bucket(things).Get(fmt.Appendf(nil, "key%03d", i)); !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 600)) {
			return fmt.Errorf("nothing is damaged, but record %d is %.20q", i, got)
		}
	}
	return nil
}

// filledBytes makes a file with some pages of content and gives its bytes.
func filledBytes(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, c, err := Open(path, nil, things)
	if err != nil || c.Damage != nil || c.ReadOnly {
		t.Fatal(err, c)
	}
	for i := range 40 {
		if err := db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(things).Put(fmt.Appendf(nil, "key%03d", i), bytes.Repeat([]byte{byte(i)}, 600))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Whatever the file holds, Open gives a file that works, and what was there is
// either served whole or kept aside byte for byte.
func TestOpenDamaged(t *testing.T) {
	whole := filledBytes(t)
	cases := map[string][]byte{"empty": {}, "text": []byte("this is no database\n"), "zeros": make([]byte, len(whole))}
	for _, n := range []int{1, 100, 4096, 5000, 8192, 12288, len(whole) / 2} {
		cases[fmt.Sprintf("cut after %d bytes", n)] = whole[:n]
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 20 {
		broken := bytes.Clone(whole)
		at := r.IntN(len(broken) / 4096)
		for j := range 4096 {
			broken[at*4096+j] = byte(r.Uint32())
		}
		cases[fmt.Sprintf("page %d is noise (%d)", at, i)] = broken
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			db, c, err := Open(path, nil, things)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if c.Damage != nil {
				kept, err := os.ReadFile(c.Aside)
				if err != nil || !bytes.Equal(kept, content) {
					t.Errorf("not kept as it was: %v", err)
				}
			}
			if c.Damage == nil && len(content) > 0 {
				if err := db.View(wantFilled); err != nil {
					t.Error(err)
				}
			}
			if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(things).Put([]byte("new"), []byte("value")) }); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, _, err := Open(path, nil, things)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, c, err := Open(path, nil, things); err == nil || c.Damage != nil {
		t.Fatalf("opened twice: %v %v", err, c)
	}
}

// TestOpenAfterACutCreation: of a file whose making was cut short there is nothing at
// its place, and what is beside it hinders nothing.
func TestOpenAfterACutCreation(t *testing.T) {
	whole := filledBytes(t)
	for _, n := range []int{0, 512, 4096, 4608, 8192, len(whole)} {
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path+".new", whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		db, c, err := Open(path, nil, things)
		if err != nil || c != (Condition{}) {
			t.Fatalf("cut after %d bytes: %v %+v", n, err, c)
		}
		if err := db.View(func(tx *bbolt.Tx) error {
			if k, _ := tx.Bucket(things).Cursor().First(); k != nil {
				return fmt.Errorf("it holds %q", k)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
			t.Errorf("cut after %d bytes: beside the file lies %v %v", n, entries, err)
		}
	}
}
