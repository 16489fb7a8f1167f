// Package database looks after bbolt files: whether one is whole, and what can
// be read out of one that is not. bbolt itself trusts its pages: a damaged one
// makes it read outside of its mapping, which ends the process. So this package
// reads the file's form itself and trusts nothing in it.
package database

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-50ced230/berth/impl/atomicfile"
)

// ErrDamaged is in the errors of Check when the file is not what bbolt wrote.
var ErrDamaged = errors.New("the database is damaged")

// maxReported bounds the damages that Check tells: one page may cause thousands.
const maxReported = 10

// Check reads the whole file at path, without changing it: both heads, every page,
// the order of all keys, and the list of free pages. It fails with ErrDamaged or
// what the file system said. Nobody may write to the file meanwhile.
//
// A file that is not there, or is empty, is whole, since it is made when it is
// opened: but not while one of the folders in which the things lie that its records
// name holds any. Then the records are lost.
//
// With one head of two the file can be read, as of the last transaction or of the
// one before: which one cannot be told, nor whether that one was acknowledged.
//
// Records have no checksums: whether one makes sense is for its owner to say.
func Check(path string, named ...string) error {
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return checkNothing(path, named)
	}
	f, err := readFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var found []error
	if f.headless != nil {
		found = append(found, fmt.Errorf("%s: %w", path, f.headless))
	}
	f.buckets(func(string, []byte, []byte) {}, func(bucket string, err error) {
		found = append(found, fmt.Errorf("%s: bucket %q: %w", path, bucket, err))
	})
	if len(found) == 0 { // the list belongs to the transaction of the newer head
		if err := f.checkFree(); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return errors.Join(found[:min(len(found), maxReported)]...)
}

// checkNothing says whether a file that holds nothing ever held anything.
func checkNothing(path string, named []string) error {
	for _, dir := range named {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is empty or missing, and whether it should be cannot be told: %w", path, err)
		}
		for _, e := range entries {
			if e.Name()[0] != '.' { // such are unfinished
				return fmt.Errorf("%w: %s is empty or missing, but there is %s", ErrDamaged, path, filepath.Join(dir, e.Name()))
			}
		}
	}
	return nil
}

// Salvaged says what Salvage did.
type Salvaged struct {
	// Aside is where the damaged file lies now; an empty one if it was not there.
	Aside string
	// Kept is the number of records that the new file has.
	Kept int
	// Lost is what could not be read.
	Lost []error
}

// Salvage puts a new file in the place of the damaged one at path, with all the
// records that can still be read, and keeps the damaged one beside it.
func Salvage(path string) (*Salvaged, error) {
	s := &Salvaged{}
	records := map[string]map[string][]byte{}
	f, err := readFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !missing {
			return nil, err
		}
		s.Lost = append(s.Lost, err)
	} else {
		if f.headless != nil {
			s.Lost = append(s.Lost, f.headless)
		}
		f.buckets(func(bucket string, k, v []byte) {
			if records[bucket] == nil {
				records[bucket] = map[string][]byte{}
			}
			if len(k) > 0 && len(k) <= bbolt.MaxKeySize {
				records[bucket][string(k)] = slices.Clone(v)
			}
		}, func(bucket string, err error) {
			s.Lost = append(s.Lost, fmt.Errorf("bucket %q: %w", bucket, err))
		})
	}
	for _, r := range records {
		s.Kept += len(r)
	}
	if missing {
		// The empty file is what tells later starts that something is lost.
		empty, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		if err := empty.Close(); err != nil {
			return nil, err
		}
	}
	fresh, err := write(path, records)
	if err != nil {
		return nil, err
	}
	if s.Aside, err = aside(path); err != nil {
		return nil, err
	}
	return s, atomicfile.Rename(fresh, path)
}

// asideInfix is between the name of a file and the time at which it was put aside.
const asideInfix = ".damaged-"

// aside gives the file a second name, which keeps it.
func aside(path string) (string, error) {
	name := path + asideInfix + time.Now().UTC().Format("20060102T150405Z")
	for i := 0; ; i++ {
		to := name
		if i > 0 {
			to = fmt.Sprintf("%s-%d", name, i)
		}
		if err := os.Link(path, to); !errors.Is(err, fs.ErrExist) {
			return to, err
		}
	}
}

// write makes a file with records beside the one at path, on the disk when it returns.
func write(path string, records map[string]map[string][]byte) (fresh string, err error) {
	fresh = path + atomicfile.Unfinished
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	db, err := bbolt.Open(fresh, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return "", fmt.Errorf("write %s: %w", fresh, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for name, list := range records {
			if name == "" {
				continue
			}
			b, err := tx.CreateBucketIfNotExists([]byte(name))
			if err != nil {
				return err
			}
			for k, v := range list {
				if err := b.Put([]byte(k), v); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return "", fmt.Errorf("write %s: %w", fresh, err)
	}
	return fresh, nil
}
