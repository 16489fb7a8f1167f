package powertest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed-50ced230/berth/impl/database"
	"github.com/seed-50ced230/berth/testbed/disk"
)

var bucket = []byte("bucket")

// history is what a database held after each transaction.
type history struct {
	states []map[string]string
	// asked and answered are the moments of the transaction that led to each.
	asked, answered []int
}

// transact does drawn changes in one transaction.
func (h *history) transact(db *bbolt.DB, random *rand.Rand, now func() int) error {
	next := maps.Clone(h.states[len(h.states)-1])
	asked := now()
	err := db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		for range 1 + random.IntN(5) {
			key := fmt.Sprintf("key %d", random.IntN(60))
			if random.IntN(3) == 0 {
				delete(next, key)
				if err := b.Delete([]byte(key)); err != nil {
					return err
				}
				continue
			}
			// Some are as small as a tag, some larger than a page.
			next[key] = fmt.Sprintf("%d %s", random.Uint64(), strings.Repeat("v", random.IntN([]int{50, 900, 9000}[random.IntN(3)])))
			if err := b.Put([]byte(key), []byte(next[key])); err != nil {
				return err
			}
		}
		return nil
	})
	h.states, h.asked, h.answered = append(h.states, next), append(h.asked, asked), append(h.answered, now())
	return err
}

// check says whether what a database holds after power went at a moment is what it may hold.
func (h *history) check(at int, holds map[string]string) error {
	done := 0
	for i, answered := range h.answered {
		if answered <= at {
			done = i
		}
	}
	if maps.Equal(holds, h.states[done]) || done+1 < len(h.states) && h.asked[done+1] < at && maps.Equal(holds, h.states[done+1]) {
		return nil
	}
	for i, state := range h.states {
		if maps.Equal(holds, state) {
			return fmt.Errorf("it is as after transaction %d, and %d was acknowledged", i, done)
		}
	}
	return fmt.Errorf("it is as after no transaction; %d was acknowledged", done)
}

// readDatabase reads a database as it is opened after a loss of power.
func readDatabase(path string) (holds map[string]string, err error) {
	if err := database.Check(path); err != nil {
		return nil, err
	}
	db, condition, err := database.Open(path, nil, bucket)
	if err != nil {
		return nil, err
	}
	if condition.Salvaged != nil {
		return nil, errors.Join(fmt.Errorf("it was salvaged: %w", condition.Damage), db.Close())
	}
	holds = map[string]string{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error { holds[string(k)] = string(v); return nil })
	})
	return holds, errors.Join(err, db.Close())
}

// TestDatabase cuts power at every request that a database's file gets. Its making is
// no matter of the file alone: TestStore and TestPowerLoss have that.
func TestDatabase(t *testing.T) {
	random := draws(t)
	s := disks(t)
	made := filepath.Join(t.TempDir(), "db")
	db, _, err := database.Open(made, nil, bucket)
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Make(disk.Made{Name: "db", Path: made, Recorded: true}); err != nil {
		t.Fatal(err)
	}
	now := func() int {
		n, err := s.Taken("db")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if db, _, err = database.Open(s.Path("db"), nil, bucket); err != nil {
		t.Fatal(err)
	}
	h := &history{states: []map[string]string{{}}, asked: []int{0}, answered: []int{0}}
	for range 40 * setting(t, "POWER_ROUNDS", 1) {
		if err := h.transact(db, random, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	n, cuts := now(), 0
	for at := range n + 1 {
		for _, mode := range []disk.Mode{disk.Everything, disk.Nothing, disk.Torn, disk.Some, disk.Some} {
			cuts++
			c := disk.Cut{At: at, Mode: mode, Seed: random.Uint64()}
			left := fmt.Sprintf("left-%d", cuts)
			if err := s.Lose(disk.Loss{From: "db", To: left, Cut: c}); err != nil {
				t.Fatal(err)
			}
			holds, err := readDatabase(s.Path(left))
			if err == nil {
				err = h.check(at, holds)
			}
			if err != nil {
				t.Errorf("after %d of %d requests, with %v: %v", at, n, mode, err)
			}
			if err := s.Drop(left); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d requests", n)
	}
	t.Logf("%d transactions, %d requests, %d cuts", len(h.states)-1, n, cuts)
}
