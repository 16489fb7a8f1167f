package database

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/atomicfile"
)

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("the database is in use by another process")

// Condition tells what Open found.
type Condition struct {
	// Salvaged is what was done about a damaged file; nil if it was whole. Damage
	// is what was wrong with it.
	Salvaged *Salvaged
	Damage   error
	// Aside is where a damaged file lies, of this or an earlier time; empty if
	// there is none. Some of what it held is unknown to the present file, so
	// nothing that this one does not name may be taken for a remainder, until
	// somebody removes the one that lies aside.
	Aside string
	// ReadOnly says that the disk takes no writes: every Update fails.
	ReadOnly bool
}

// lockWait is how long another process may take to let go of the file.
const lockWait = 500 * time.Millisecond

// Open opens the file at path, or makes it, with the given buckets, whatever
// its state: what can be read out of a damaged one goes into a new one, and a
// file on a read-only disk is opened for reading. The things that its records name
// lie in the folders named: see Check.
func Open(path string, named []string, buckets ...[]byte) (_ *bbolt.DB, c Condition, err error) {
	options := &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType}
	if c.Damage = Check(path, named...); c.Damage != nil {
		if !errors.Is(c.Damage, ErrDamaged) {
			return nil, c, c.Damage
		}
		if c.Salvaged, err = Salvage(path); err != nil {
			return nil, c, fmt.Errorf("%w; it could not be salvaged: %w", c.Damage, err)
		}
	}
	if c.Aside, err = Aside(path); err != nil {
		return nil, c, err
	}
	if c.Salvaged != nil {
		c.Aside = c.Salvaged.Aside
	}
	if err := create(path, buckets); err != nil && !errors.Is(err, unix.EROFS) {
		return nil, c, fmt.Errorf("make %s: %w", path, err)
	}
	db, err := bbolt.Open(path, 0o600, options)
	if errors.Is(err, unix.EROFS) {
		c.ReadOnly, options.ReadOnly = true, true
		db, err = bbolt.Open(path, 0o600, options)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, c, fmt.Errorf("open %s: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, c, fmt.Errorf("open %s: %w", path, err)
	}
	if !c.ReadOnly {
		err = complete(db, buckets)
	}
	if err != nil {
		return nil, c, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return db, c, nil
}

// create makes the file if it is not there or empty. It comes to its place when it is
// whole and on the disk: what bbolt had begun when power was lost would be damaged.
func create(path string, buckets [][]byte) error {
	if st, err := os.Stat(path); err == nil && st.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	records := map[string]map[string][]byte{}
	for _, name := range buckets {
		records[string(name)] = nil
	}
	fresh, err := write(path, records)
	if err != nil {
		return err
	}
	return atomicfile.Rename(fresh, path)
}

// Aside is the newest damaged file beside the one at path, or empty.
func Aside(path string) (string, error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir) // sorted, as the times in the names are
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for damaged databases: %w", err)
	}
	for _, e := range slices.Backward(entries) {
		if strings.HasPrefix(e.Name(), base+asideInfix) {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", nil
}

// complete makes the buckets that are missing. On a full disk a file that has
// them needs no write.
func complete(db *bbolt.DB, buckets [][]byte) error {
	missing := false
	err := db.View(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			missing = missing || tx.Bucket(name) == nil
		}
		return nil
	})
	if err != nil || !missing {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}
