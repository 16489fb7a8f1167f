package database

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-50ced230/berth/testbed/effort"
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

// readBack gives the records of the file at path, by bucket and key.
func readBack(t testing.TB, path string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]string{}
	if err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				all[string(name)+"/"+string(k)] = string(v)
				return nil
			})
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all
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
	written := readBack(t, whole)
	if len(written) != 2*records {
		t.Fatalf("%d records", len(written))
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
			harmedContent := harm(append([]byte(nil), content...), at)
			if err := os.WriteFile(path, harmedContent, 0o600); err != nil {
				t.Fatal(err)
			}
			err := Check(path)
			if err == nil && at < 2*page && name != "byte" && name != "flags" {
				t.Errorf("%s of head %d is not noticed", name, at/page)
			}
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
			if at < 2*page && s.Kept != 2*records {
				t.Errorf("%s of head %d: kept %d", name, at/page, s.Kept)
			}
			kept := readBack(t, path)
			if len(kept) != s.Kept {
				t.Errorf("%s of page %d: %d records instead of %d", name, at/page, len(kept), s.Kept)
			}
			strange := 0
			for k, v := range kept {
				if written[k] != v {
					strange++
				}
			}
			// One byte can make one key or value another one, or name a bucket otherwise.
			if strange > 0 && name != "byte" {
				t.Errorf("%s of page %d: %d of %d records were never written", name, at/page, strange, len(kept))
			}
			harmed, err := os.ReadFile(s.Aside)
			if err != nil || !bytes.Equal(harmed, harmedContent) {
				t.Errorf("%s of page %d: not kept as it was: %v", name, at/page, err)
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
		defer effort.Bound()()
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

// A file that is gone or empty is damage while there are things that its records
// named, also at later starts.
func TestRecordsGone(t *testing.T) {
	for _, how := range []string{"gone", "empty"} {
		for _, content := range []string{"", "c1", ".unfinished"} {
			root := t.TempDir()
			path, things := filepath.Join(root, "x.db"), filepath.Join(root, "things")
			if err := os.MkdirAll(filepath.Join(things, content), 0o700); err != nil {
				t.Fatal(err)
			}
			if how == "empty" {
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			lost := content == "c1"
			if err := Check(path, filepath.Join(root, "none"), things); errors.Is(err, ErrDamaged) != lost || err == nil == lost {
				t.Errorf("%s, %q: %v", how, content, err)
			}
			for i := range 3 {
				db, c, err := Open(path, []string{things}, []byte("a"))
				if err != nil {
					t.Fatal(err)
				}
				if (c.Aside != "") != lost || (c.Damage != nil) != (lost && i == 0) {
					t.Errorf("%s, %q, start %d: %+v", how, content, i, c)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	path := filepath.Join(t.TempDir(), "x.db")
	if err := Check(path, "/proc/self/comm"); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("what cannot be looked at: %v", err)
	}
}

// What lies aside is found whatever the folder's name is.
func TestAsideName(t *testing.T) {
	for _, name := range []string{"plain", "a[b", "*", `back\\slash`} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "x.db")
		if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
			t.Fatal(err)
		}
		var first string
		for i := range 2 {
			db, c, err := Open(path, nil, []byte("a"))
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = c.Aside
			}
			if c.Aside == "" || c.Aside != first || (c.Salvaged != nil) != (i == 0) {
				t.Errorf("%s, start %d: %+v", name, i, c)
			}
		}
	}
}

// Keys out of order are noticed also where two pages meet, and between a branch and
// the page below.
func TestOrderAcrossPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	fill(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	leaves, noticed := 0, 0
	for at := 2 * page; at < len(content); at += page {
		count := int(order.Uint16(content[at+10:]))
		if order.Uint16(content[at+8:]) != flagLeaf || count < 3 || order.Uint32(content[at+12:]) != 0 {
			continue
		}
		for _, harm := range []struct {
			element int
			to      byte
		}{{0, 'a'}, {count - 1, 'z'}} { // less than all, more than all
			harmed := bytes.Clone(content)
			e := at + pageHead + harm.element*elementSize
			harmed[e+int(order.Uint32(harmed[e+4:]))] = harm.to
			if err := os.WriteFile(path, harmed, 0o600); err != nil {
				t.Fatal(err)
			}
			leaves++
			if errors.Is(Check(path), ErrDamaged) {
				noticed++
			}
		}
	}
	// A free page's are not looked at, and the very last key of a bucket may be any.
	t.Logf("%d of %d noticed", noticed, leaves)
	inUse := usedLeaves(t, content)
	if want := 2*inUse - 2; noticed < want {
		t.Errorf("%d noticed, of %d pages in use", noticed, inUse)
	}
}

// usedLeaves counts the leaves with keys that are in use.
func usedLeaves(t *testing.T, content []byte) (n int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.buckets(func(string, []byte, []byte) {}, func(_ string, err error) { t.Error(err) })
	for id := range f.seen {
		if id > 1 && id != f.root && order.Uint16(content[id*f.pageSize+8:]) == flagLeaf {
			n++
		}
	}
	return n
}
