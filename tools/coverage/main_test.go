package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files are the smallest module that has what the tool looks at.
var files = map[string]string{
	"go.mod": "module github.com/seed-50ced230/berth\n\ngo 1.26\n",
	"impl/fault/fault.go": `package fault

import "errors"

func Unimplemented(s string) error { return errors.New(s) }
`,
	"gen/hub/api.go": `package hub

import "github.com/seed-50ced230/berth/impl/fault"

type API interface {
	There() error
	Partly() error
	Missing() error
}

type Unimplemented struct{}

func (Unimplemented) There() error   { return fault.Unimplemented("There") }
func (Unimplemented) Partly() error  { return fault.Unimplemented("Partly") }
func (Unimplemented) Missing() error { return fault.Unimplemented("Missing") }
`,
	"impl/engine/engine.go": `package engine

import (
	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/fault"
)

type Engine struct{ hub.Unimplemented }

func (e *Engine) There() error  { return nil }
func (e *Engine) Partly() error { return e.below() }
func (e *Engine) below() error  { return fault.Unimplemented("some of it") }
`,
	"spec/v1.18.json": `{"paths": {
	"/a": {"get": {"operationId": "There"}, "post": {"operationId": "Partly"}},
	"/b": {"get": {"operationId": "Missing"}}}}`,
}

func TestCoverage(t *testing.T) {
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	missing, err := run(root, &out)
	if err != nil {
		t.Fatal(err)
	}
	if missing != 1 {
		t.Errorf("%d missing", missing)
	}
	for _, want := range []string{
		"1.18               3         1         1         1\n",
		"Missing (501):\n  Missing                   1.18\n",
		"  Partly                    impl/engine/engine.go:12\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
