package main

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-50ced230/berth/spec"
)

func TestDocumentsAreMadeOnce(t *testing.T) {
	var made atomic.Int64
	read := once([]string{"1.18", "1.23"}, func(version string) ([]byte, bool, error) {
		made.Add(1)
		return []byte("document of " + version), true, nil
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for _, version := range []string{"1.18", "1.23"} {
				if text, ok, err := read(version); string(text) != "document of "+version || !ok || err != nil {
					t.Errorf("%q %v %v", text, ok, err)
				}
			}
		})
	}
	all.Wait()
	if _, ok, _ := read("1.24"); ok || made.Load() != 2 {
		t.Errorf("there is 1.24: %v; %d documents were made for two versions", ok, made.Load())
	}
}

func TestDocuments(t *testing.T) {
	read := documents()["/swagger.yaml"].Read
	for _, version := range spec.Versions() {
		want, _, err := spec.YAML(version)
		if err != nil {
			t.Fatal(err)
		}
		if text, ok, err := read(version); !bytes.Equal(text, want) || !ok || err != nil {
			t.Errorf("%s: %d bytes, wanted %d (%v, %v)", version, len(text), len(want), ok, err)
		}
	}
}
