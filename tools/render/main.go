// Command render makes the documents of all versions from the first version's
// YAML and the overlays of the later ones.
//
// It reads DIR/v1.18.yaml, DIR/overlays/v1.19.yaml … and DIR/shapeless.yaml
// and writes DIR/v1.NN.json and DIR/changes.json, which are published, and
// into the build directory what the code generators read: hub.json (the union
// of all versions), v1.NN.json with x-go-type on every definition that is the
// union's, equal.json and operations.json.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/seed-50ced230/berth/tools/contract"
	"github.com/seed-50ced230/berth/tools/hub"
)

func main() {
	spec := flag.String("spec", "spec", "`directory` of the contract's sources and of the published documents")
	build := flag.String("build", "build/spec", "`directory` for the documents that the code generators read")
	var models hub.Package
	flag.StringVar(&models.Path, "hub-package", "github.com/seed-50ced230/berth/gen/hub/models", "import `path` of the union's models")
	flag.StringVar(&models.Alias, "hub-alias", "hub", "import `alias` of the union's models")
	flag.Parse()
	if err := run(*spec, *build, models); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(spec, build string, models hub.Package) error {
	c, err := contract.Load(spec)
	if err != nil {
		return err
	}
	if err := publish(spec, c); err != nil {
		return err
	}
	return prepare(build, c, models)
}
