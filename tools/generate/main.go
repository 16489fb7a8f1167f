// Command generate makes everything below gen/ from the documents that
// tools/render has prepared in build/spec: the hub's models and interface, the
// models, route tables and converters of every version, and a client.
//
// It deletes what it made before, so gen/ holds output only, and its output
// depends on nothing but the documents, the templates and the pinned tools.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
)

func main() {
	root := flag.String("root", "..", "`directory` of the repository")
	spec := flag.String("spec", "../build/spec", "`directory` of the prepared documents")
	verbose := flag.Bool("v", false, "show what the generators say")
	flag.Parse()
	if !*verbose {
		log.SetOutput(io.Discard)
	}
	if err := run(*root, *spec); err != nil {
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
	newest := docs.versions[len(docs.versions)-1]
	if err := g.client(newest); err != nil {
		return fmt.Errorf("client of version %s: %w", newest.name, err)
	}
	return nil
}
