package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-50ced230/berth/impl/database"
)

// Store writes records to a bbolt file. A Put or Delete that returned is
// durable against the loss of power.
type Store struct {
	db        *bolt.DB
	condition database.Condition
}

var bucketContainers = []byte("containers")

// ErrInUse says that another process has the store open.
var ErrInUse = errors.New("the store is in use by another process")

// OpenStore opens or makes the file at path. A damaged one is salvaged: see
// Condition. What belongs to containers lies in the folders named, by their ids:
// with any of it there, a file that is missing or empty is damaged.
func OpenStore(path string, named ...string) (*Store, error) {
	db, condition, err := database.Open(path, named, bucketContainers)
	if errors.Is(err, database.ErrInUse) {
		return nil, fmt.Errorf("open %s: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	db.MaxBatchDelay = 0
	return &Store{db, condition}, nil
}

// Condition tells in what state the file was.
func (s *Store) Condition() database.Condition { return s.condition }

// ReadStore reads the file at path as Load does, without changing it. A file that is not there holds nothing.
func ReadStore(path string, bad func(id string, err error)) ([]*Record, error) {
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return nil, nil
	}
	db, err := bolt.Open(path, 0, &bolt.Options{Timeout: 200 * time.Millisecond, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	records, err := (&Store{db: db}).Load(bad)
	return records, errors.Join(err, db.Close())
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

// Get gives one record; nil if there is none that can be read.
func (s *Store) Get(id string) (r *Record) {
	_ = s.db.View(func(tx *bolt.Tx) (err error) {
		if b := tx.Bucket(bucketContainers); b != nil {
			r, err = read(b.Get([]byte(id)))
		}
		return err
	})
	if r == nil || r.ID != id {
		return nil
	}
	return r
}

var errIncomplete = errors.New("the record is incomplete")

// read takes a record that has what every container has.
func read(text []byte) (*Record, error) {
	r := &Record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	if r.Config == nil || r.HostConfig == nil || len(r.Name) < 2 || r.Name[0] != '/' {
		return nil, errIncomplete
	}
	return r, nil
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
			r, err := read(v)
			if err == nil && r.ID != string(k) {
				err = errIncomplete
			}
			if err != nil {
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
