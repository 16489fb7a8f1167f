package main

import (
	"os"
	"path/filepath"

	"github.com/go-swagger/go-swagger/generator"
)

// client makes a Go client of one version with go-swagger's own templates. It
// uses the models of that version.
func (g *maker) client(doc source) error {
	dir := filepath.Join(g.gen, "client", doc.pkg)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	spec, err := g.write(doc)
	if err != nil {
		return err
	}
	opts := g.options(spec, dir, generator.ForClient())
	opts.ExistingModels = module + "/gen/" + doc.pkg + "/models"
	opts.IncludeModel = false
	return generator.GenerateClient("berth", nil, nil, opts)
}
