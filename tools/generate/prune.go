package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
)

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
