package main

import (
	"sync"

	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/spec"
)

// documents are the contract as the daemon publishes it. The form in YAML takes
// a tenth of a second of processor time to make, so it is made once, and not
// before somebody asks.
func documents() map[string]api.Document {
	return map[string]api.Document{
		"/swagger.json": {MediaType: "application/json", Read: func(version string) ([]byte, bool, error) {
			document, ok := spec.Document(version)
			return document, ok, nil
		}},
		"/swagger.yaml": {MediaType: "application/yaml", Read: once(spec.Versions(), spec.YAML)}, // RFC 9512
	}
}

// once reads the document of each version at most once.
func once(versions []string, read func(version string) ([]byte, bool, error)) func(version string) ([]byte, bool, error) {
	type result struct {
		document []byte
		ok       bool
		err      error
	}
	results := map[string]func() result{}
	for _, version := range versions {
		results[version] = sync.OnceValue(func() (r result) {
			r.document, r.ok, r.err = read(version)
			return r
		})
	}
	return func(version string) ([]byte, bool, error) {
		get, ok := results[version]
		if !ok {
			return nil, false, nil
		}
		r := get()
		return r.document, r.ok, r.err
	}
}
