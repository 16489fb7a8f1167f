package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-swagger/go-swagger/generator"
	"github.com/spf13/viper"

	"github.com/seed-50ced230/berth/tools/document"
)

// module is the import path of the repository.
const module = "github.com/seed-50ced230/berth"

// maker runs the generators for one repository.
type maker struct {
	root string // of the repository, absolute
	gen  string // root/gen
	work string // scratch directory for marked documents
}

func newMaker(root string) (*maker, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "berth-generate-")
	if err != nil {
		return nil, err
	}
	return &maker{root: root, gen: filepath.Join(root, "gen"), work: work}, nil
}

func (g *maker) close() {
	if err := os.RemoveAll(g.work); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
	}
}

// file is one kind of file that go-swagger renders from a template of ours.
type file struct {
	template string // name of a template in tools/templates
	target   string // directory, absolute; a template itself
	name     string // a template itself
}

// layout is which files go-swagger renders: per model, per tag (a group of
// operations) and per document.
type layout struct {
	models, groups, documents []file
}

func (l layout) viper() *viper.Viper {
	v := viper.New()
	section := func(files []file) []map[string]any {
		list := []map[string]any{}
		for _, f := range files {
			list = append(list, map[string]any{
				"name": f.template, "source": "asset:" + f.template, "target": f.target, "file_name": f.name,
				"skip_format": filepath.Ext(f.name) != ".go",
			})
		}
		return list
	}
	v.Set("layout", map[string]any{
		"models":           section(l.models),
		"operation_groups": section(l.groups),
		"application":      section(l.documents),
	})
	return v
}

// render runs go-swagger on a document with templates of our own.
func (g *maker) render(doc source, target string, l layout) error {
	spec, err := g.write(doc)
	if err != nil {
		return err
	}
	opts := g.options(spec, target, generator.ForServer())
	opts.Viper = l.viper()
	opts.IncludeMain = false
	opts.ExcludeSpec = true
	if err := opts.Prepare(); err != nil {
		return fmt.Errorf("prepare go-swagger: %w", err)
	}
	// What the layout leaves empty keeps go-swagger's own files; we want none.
	opts.Sections.Operations = nil
	if len(l.models) == 0 {
		opts.Sections.Models = nil
	}
	if len(l.groups) == 0 {
		opts.Sections.OperationGroups = nil
	}
	opts.IncludeModel = len(l.models) > 0
	opts.IncludeSupport = len(l.documents) > 0
	return generator.GenerateServer("berth", nil, nil, opts)
}

// options are what all runs of go-swagger share: models and operations in
// packages of their own, properties in the documents' order, no omitempty
// unless the document says so.
func (g *maker) options(spec, target string, preset generator.Option) *generator.GenOpts {
	opts := generator.NewGenOpts(preset, generator.WithSpec(spec), generator.WithTarget(target))
	opts.TemplateDir = filepath.Join(g.root, "tools", "templates")
	opts.EnsureTarget = true
	opts.PropertiesSpecOrder = true
	opts.NoDefaultOmitEmpty = true
	opts.ValidateSpec = false
	opts.ModelPackage = "models"
	return opts
}

// write puts a marked document into the scratch directory.
func (g *maker) write(doc source) (string, error) {
	raw, err := document.JSON(doc.tree)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", doc.name, err)
	}
	path := filepath.Join(g.work, doc.pkg+".json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return "", err
	}
	return path, nil
}

// models is the layout of the models below dir.
func models(dir string) []file {
	return []file{{"berthModel", filepath.Join(dir, "models"), "{{ snakize (pascalize .Name) }}.go"}}
}

// perTag names the file of a tag's operations.
const perTag = "{{ snakize (pascalize .Name) }}.go"

// hub makes gen/hub: models, the interface, parameters and the handlers that
// versions share.
func (g *maker) hub(doc source) error {
	dir := filepath.Join(g.gen, "hub")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return g.render(doc, dir, layout{
		models: models(dir),
		groups: []file{
			{"berthParams", dir, "params_" + perTag},
			{"berthHubHandlers", filepath.Join(dir, "routes"), perTag},
		},
		documents: []file{
			{"berthApi", dir, "api.go"},
			{"berthModels", filepath.Join(dir, "models"), "package.go"},
		},
	})
}

// version makes gen/v1_NN but for the conversions themselves.
func (g *maker) version(doc source) error {
	dir := filepath.Join(g.gen, doc.pkg)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	err := g.render(doc, dir, layout{
		models: models(dir),
		groups: []file{{"berthHandlers", dir, perTag}},
		documents: []file{
			{"berthRoutes", dir, "routes.go"},
			{"berthModels", filepath.Join(dir, "models"), "package.go"},
			{"berthFromHub", filepath.Join(dir, "fromhub"), "convert.go"},
			{"berthToHub", filepath.Join(dir, "tohub"), "convert.go"},
		},
	})
	if err != nil {
		return err
	}
	return prune(dir)
}
