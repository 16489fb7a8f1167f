package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/seed-50ced230/berth/impl/database"
)

// Store writes records to a bbolt file. A Put or Delete that returned is
// durable against the loss of power.
type Store struct{ db *bolt.DB }

var bucketContainers = []byte("containers")

// ErrInUse says that another process has the store open.
var ErrInUse = errors.New("the store is in use by another process")

// OpenStore opens or makes the file at path.
func OpenStore(path string) (*Store, error) {
	if err := database.Check(path); err != nil {
		return nil, fmt.Errorf("%w: run \"berthd check --repair\"", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 200 * time.Millisecond, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.MaxBatchDelay = 0
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketContainers)
		return err
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Store{db}, nil
}

// ReadStore reads the file at path without changing it and reports to bad what
// Load would. A file that is not there holds nothing.
func ReadStore(path string, bad func(id string, err error)) error {
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return nil
	}
	db, err := bolt.Open(path, 0, &bolt.Options{Timeout: 200 * time.Millisecond, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	_, err = (&Store{db}).Load(bad)
	return errors.Join(err, db.Close())
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Put writes a record.
func (s *Store) Put(r *Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write container %s: %w", r.ID, err)
	}
	err = s.db.Batch(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketContainers).Put([]byte(r.ID), data)
	})
	if err != nil {
		return fmt.Errorf("write container %s: %w", r.ID, err)
	}
	return nil
}

// Delete forgets a record; an unknown id is no error.
func (s *Store) Delete(id string) error {
	err := s.db.Batch(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketContainers).Delete([]byte(id))
	})
	if err != nil {
		return fmt.Errorf("delete container %s: %w", id, err)
	}
	return nil
}

// Load gives all records. One that cannot be read is reported to bad and left
// on disk; the others are served.
func (s *Store) Load(bad func(id string, err error)) ([]*Record, error) {
	var records []*Record
	err := s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketContainers)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			r := &Record{}
			if err := json.Unmarshal(v, r); err != nil || r.ID != string(k) || r.Config == nil || r.HostConfig == nil {
				if err == nil {
					err = errors.New("the record is incomplete")
				}
				bad(string(k), err)
				return nil
			}
			records = append(records, r)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read containers: %w", err)
	}
	return records, nil
}
