// Command sbom says what the programs of the package are made of: a bill of
// materials (CycloneDX 1.6, JSON) and the texts of all licences.
//
//	go run ./sbom -root ../.. -version 0.1.0 -bom sbom.cdx.json -licences licences.txt ../../bin/berthd …
//
// Both are the same for the same programs: they hold no time, no host and no
// serial number.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/rs/zerolog"
)

func main() {
	root := flag.String("root", ".", "the repository")
	version := flag.String("version", "", "version of the programs")
	bomFile := flag.String("bom", "sbom.cdx.json", "where the bill of materials goes")
	licencesFile := flag.String("licences", "licences.txt", "where the texts go")
	flag.Parse()
	if err := run(*root, *version, *bomFile, *licencesFile, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(root, version, bomFile, licencesFile string, programs []string) error {
	if len(programs) == 0 {
		return errors.New("name the programs")
	}
	parts := map[string]*part{}
	var applications []cdx.Component
	var dependencies []cdx.Dependency
	for _, program := range programs {
		application, own, err := read(program, version)
		if err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		more, err := linked(root, program)
		if err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		var refs []string
		for _, p := range append(own, more...) {
			parts[p.component.BOMRef] = p
			refs = append(refs, p.component.BOMRef)
		}
		slices.Sort(refs)
		applications = append(applications, application)
		dependencies = append(dependencies, cdx.Dependency{Ref: application.BOMRef, Dependencies: &refs})
	}
	all := slices.SortedFunc(maps.Values(parts), func(a, b *part) int { return cmp.Compare(a.component.BOMRef, b.component.BOMRef) })
	var texts bytes.Buffer
	components := applications
	for _, p := range all {
		if err := p.licence(root, &texts); err != nil {
			return fmt.Errorf("%s: %w", p.component.BOMRef, err)
		}
		components = append(components, p.component)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: "berth", Type: cdx.ComponentTypeApplication, Name: "berth", Version: version,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
	}}
	bom.Components, bom.Dependencies = &components, &dependencies
	var text bytes.Buffer
	if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(bomFile, text.Bytes(), 0o644), os.WriteFile(licencesFile, texts.Bytes(), 0o644))
}

// read takes from a program what its Go modules are.
func read(program, version string) (application cdx.Component, parts []*part, err error) {
	generator, err := bin.NewGenerator(program, bin.WithIncludeStdlib(true), bin.WithVersionOverride(version), bin.WithLogger(zerolog.Nop()))
	if err != nil {
		return application, nil, err
	}
	bom, err := generator.Generate()
	if err != nil {
		return application, nil, err
	}
	name := filepath.Base(program)
	application = *bom.Metadata.Component
	application.BOMRef, application.Name = name, name
	application.Licenses = &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}}
	var properties []cdx.Property
	for _, p := range *bom.Metadata.Properties {
		// The hash tells which file is meant; one is enough.
		if !strings.Contains(p.Name, ":hash:") || strings.HasSuffix(p.Name, ":SHA-256") {
			properties = append(properties, p)
		}
	}
	application.Properties = &properties
	for _, c := range *bom.Components {
		if strings.HasPrefix(c.Name, ".") {
			continue // a folder of this repository
		}
		parts = append(parts, &part{component: c, place: func(string) (string, error) { return moduleDir(c) }})
	}
	return application, parts, nil
}
