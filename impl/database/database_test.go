package database

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

const records = 400

// fill makes a database of two buckets with some records each.
func fill(t testing.TB, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // several transactions: there are free pages
		err = db.Update(func(tx *bbolt.Tx) error {
			for _, name := range []string{"a", "b"} {
				b, err := tx.CreateBucketIfNotExists([]byte(name))
				if err != nil {
					return err
				}
				for i := range records {
					if err := b.Put(fmt.Appendf(nil, "key%04d", i), fmt.Appendf(nil, "%0100d", i)); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCheckWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := Check(path); err != nil {
		t.Errorf("no file: %v", err)
	}
	fill(t, path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Errorf("whole file: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the check changed the file: %v", err)
	}
}

// Whatever page is damaged, Check and Salvage end, Salvage's file is whole, and
// what it holds is what was written.
func TestDamage(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	whole := filepath.Join(t.TempDir(), "whole.db")
	fill(t, whole)
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	noise := make([]byte, page)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	zeros := make([]byte, page)
	found := 0
	harm := map[string]func(b []byte, at int) []byte{
		"noise": func(b []byte, at int) []byte { copy(b[at:], noise); return b },
		"zeros": func(b []byte, at int) []byte { copy(b[at:], zeros); return b },
		"cut":   func(b []byte, at int) []byte { return b[:at] },
		"byte":  func(b []byte, at int) []byte { b[at+random.IntN(page)] ^= 0x41; return b },
		"flags": func(b []byte, at int) []byte { b[at+8] ^= 0xff; return b },
	}
	for name, harm := range harm {
		for at := 0; at < len(content); at += page {
			if name == "cut" && at < 2*page {
				continue // not even the two head pages: see TestNothingLeft
			}
			path := filepath.Join(t.TempDir(), "x.db")
			if err := os.WriteFile(path, harm(append([]byte(nil), content...), at), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Check(path)
			if err == nil {
				continue // a page that nobody needs, or a value: that is for its owner to see
			}
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%s of page %d: %v", name, at/page, err)
				continue
			}
			found++
			s, err := Salvage(path)
			if err != nil {
				t.Errorf("%s of page %d: %v", name, at/page, err)
				continue
			}
			if err := Check(path); err != nil {
				t.Errorf("%s of page %d, salvaged: %v", name, at/page, err)
			}
			if s.Kept < 2*records && len(s.Lost) == 0 {
				t.Errorf("%s of page %d: kept %d, but nothing lost", name, at/page, s.Kept)
			}
			if _, err := os.Lstat(s.Aside); err != nil {
				t.Error(err)
			}
		}
	}
	if found < len(content)/page {
		t.Errorf("only %d damages were found", found)
	}
}

func TestNothingLeft(t *testing.T) {
	for _, content := range []string{"x", "not a database, and long enough for a head of one" + string(make([]byte, 1<<16))} {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(path); !errors.Is(err, ErrDamaged) {
			t.Errorf("%.10q: %v", content, err)
		}
		s, err := Salvage(path)
		if err != nil || s.Kept != 0 || len(s.Lost) == 0 {
			t.Errorf("%.10q: %+v %v", content, s, err)
		}
		if aside, err := os.ReadFile(s.Aside); err != nil || string(aside) != content {
			t.Errorf("%.10q is not kept: %v", content, err)
		}
	}
}

// FuzzCheck: whatever a file holds, Check and Salvage end, and what Salvage
// leaves is whole.
func FuzzCheck(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed.db")
	fill(f, path)
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, uint32(0), uint64(0))
	f.Add(seed, uint32(4096*3+10), ^uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, at uint32, flip uint64) {
		if len(b) >= 8 {
			i := int(at) % (len(b) - 7)
			order.PutUint64(b[i:], order.Uint64(b[i:])^flip)
		}
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if Check(path) == nil {
			return
		}
		if _, err := Salvage(path); err != nil {
			t.Fatal(err)
		}
		if err := Check(path); err != nil {
			t.Error(err)
		}
	})
}
