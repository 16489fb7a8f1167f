package main

import (
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
)

// sweep removes from gen/ what this run will not make again, so that gen/
// holds nothing that no document asks for.
func (g *maker) sweep(versions []source) error {
	made := map[string]bool{"hub": true, "client": true, "versions.go": true}
	for _, v := range versions {
		made[v.pkg] = true
	}
	entries, err := os.ReadDir(g.gen)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if made[entry.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(g.gen, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// prune removes the files of a directory that declare nothing: those of tags
// none of whose operations differs from the hub's.
func prune(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if len(file.Decls) > 0 {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
