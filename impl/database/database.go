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
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// ErrDamaged is in the errors of Check when the file is not what bbolt wrote.
var ErrDamaged = errors.New("the database is damaged")

// maxReported bounds the damages that Check tells: one page may cause thousands.
const maxReported = 10

// Check reads the whole file at path, without changing it: every page, the order
// of all keys, and the list of free pages. It fails with ErrDamaged or what
// the file system said. A file that is not there, or is empty, is whole: it is
// made when it is opened. Nobody may write to the file meanwhile.
//
// Records have no checksums: whether one makes sense is for its owner to say.
func Check(path string) error {
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return nil
	}
	f, err := readFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var found []error
	f.buckets(func(string, []byte, []byte) {}, func(bucket string, err error) {
		found = append(found, fmt.Errorf("%s: bucket %q: %w", path, bucket, err))
	})
	if len(found) == 0 {
		if err := f.checkFree(); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return errors.Join(found[:min(len(found), maxReported)]...)
}

// Salvaged says what Salvage did.
type Salvaged struct {
	// Aside is where the damaged file lies now.
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
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		s.Lost = append(s.Lost, err)
	} else {
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
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := write(fresh, records); err != nil {
		return nil, fmt.Errorf("write %s: %w", fresh, err)
	}
	if s.Aside, err = aside(path); err != nil {
		return nil, err
	}
	return s, os.Rename(fresh, path)
}

// aside gives the file a second name, which keeps it.
func aside(path string) (string, error) {
	name := path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
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

func write(path string, records map[string]map[string][]byte) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
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
	return errors.Join(err, db.Close())
}
