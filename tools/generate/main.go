// Command generate makes everything below gen/ from the documents that
// tools/render has prepared in build/spec: the hub's models and interface, the
// models, route tables and converters of every version, and a client.
//
// It deletes what it made before, so gen/ holds output only, and its output
// depends on nothing but the documents, the templates and the pinned tools.
//
// With -clients it makes only the clients in other languages (and, with -go, one
// in Go) from published documents: files or URLs that its arguments name.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", "..", "`directory` of the repository")
	spec := flag.String("spec", "../build/spec", "`directory` of the prepared documents")
	clients := flag.String("clients", "", "make only clients of published documents, below this `directory`")
	golang := flag.Bool("go", false, "with -clients, a client in Go, too: those of the repository's documents are in gen/client")
	verbose := flag.Bool("v", false, "show what the generators say")
	flag.Parse()
	if !*verbose {
		log.SetOutput(io.Discard)
	}
	var err error
	if *clients != "" {
		err = others(*root, *clients, *golang, flag.Args())
	} else {
		err = run(*root, *spec)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run generates in the order in which the packages need each other: models,
// the interface, the conversions (which compile against the hand-written
// impl/changes), route tables.
func run(root, spec string) error {
	docs, err := load(spec)
	if err != nil {
		return err
	}
	g, err := newMaker(root)
	if err != nil {
		return err
	}
	defer g.close()
	if err := g.sweep(docs.versions); err != nil {
		return fmt.Errorf("remove what is no longer made: %w", err)
	}
	if err := g.hub(docs.hub); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	for _, v := range docs.versions {
		if err := g.version(v); err != nil {
			return fmt.Errorf("version %s: %w", v.name, err)
		}
	}
	if err := g.table(docs.versions); err != nil {
		return fmt.Errorf("table of versions: %w", err)
	}
	if err := g.convert(docs.versions); err != nil {
		return fmt.Errorf("converters: %w", err)
	}
	clients := filepath.Join(g.gen, "client")
	old, err := filepath.Glob(filepath.Join(clients, "v*"))
	if err != nil {
		return err
	}
	for _, dir := range old {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	for _, v := range docs.versions {
		if err := g.client(v, clients, module+"/gen/"+v.pkg+"/models"); err != nil {
			return fmt.Errorf("client of version %s: %w", v.name, err)
		}
	}
	return nil
}

// others makes the clients of published documents.
func others(root, dir string, golang bool, documents []string) error {
	g, err := newMaker(root)
	if err != nil {
		return err
	}
	defer g.close()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if len(documents) == 0 {
		return errors.New("-clients needs the documents: files or URLs")
	}
	for _, from := range documents {
		doc, err := g.published(from)
		if err != nil {
			return err
		}
		if err := g.others(doc, dir); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if golang {
			if err := g.client(doc, filepath.Join(dir, "go"), ""); err != nil {
				return fmt.Errorf("%s: client in Go: %w", from, err)
			}
		}
	}
	return nil
}
