package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"golang.org/x/mod/module"
)

// part is something that a program holds and that is not berth's.
type part struct {
	component cdx.Component
	// place gives the directory or the file of its licence.
	place func(root string) (string, error)
}

// legal are the names of files with licences.
var legal = regexp.MustCompile(`(?i)^(licen[cs]es?|copying|notice|patents|copyright)([.-].*)?$`)

// licence finds out which licences a part has, and adds their texts.
func (p *part) licence(root string, texts *bytes.Buffer) error {
	place, err := p.place(root)
	if err != nil {
		return err
	}
	files := []string{place}
	if info, err := os.Stat(place); err != nil {
		return err
	} else if info.IsDir() {
		entries, err := os.ReadDir(place)
		if err != nil {
			return err
		}
		files = nil
		for _, e := range entries {
			if !e.IsDir() && legal.MatchString(e.Name()) && !strings.HasSuffix(e.Name(), ".go") {
				files = append(files, filepath.Join(place, e.Name()))
			}
		}
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(texts, "==== %s %s: %s\n\n%s\n", p.component.Name, p.component.Version, filepath.Base(file), bytes.TrimSpace(text))
		names = append(names, recognise(text)...) // none in a notice
	}
	texts.WriteByte('\n')
	if p.component.Licenses != nil {
		return nil
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return fmt.Errorf("no known licence in %s: %v", place, files)
	}
	var licences cdx.Licenses
	for _, name := range names {
		licences = append(licences, cdx.LicenseChoice{License: &cdx.License{ID: name}})
	}
	p.component.Licenses = &licences
	return nil
}

// moduleDir is the place of a Go module: the standard library's, or that in the
// module cache.
func moduleDir(c cdx.Component) (string, error) {
	if c.Name == "std" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		return filepath.Join(strings.TrimSpace(string(out)), "LICENSE"), err
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return "", err
	}
	path, err := module.EscapePath(c.Name)
	if err != nil {
		return "", err
	}
	version, err := module.EscapeVersion(c.Version)
	return filepath.Join(strings.TrimSpace(string(cache)), path+"@"+version), err
}

// linked are the parts that are no Go modules: C libraries, and the viewer that
// the daemon embeds.
func linked(root, program string) ([]*part, error) {
	parts, err := libraries(root, program)
	if err != nil || filepath.Base(program) != "berthd" {
		return parts, err
	}
	readme, err := os.ReadFile(filepath.Join(root, "impl/docs/viewer/README.md"))
	if err != nil {
		return nil, err
	}
	m := regexp.MustCompile(`\(https://github.com/Redocly/redoc\) (\d+\.\d+\.\d+) \(MIT`).FindSubmatch(readme)
	if m == nil {
		return nil, errors.New("impl/docs/viewer/README.md does not say which Redoc it is")
	}
	ref := "pkg:npm/redoc@" + string(m[1])
	return append(parts, &part{
		component: cdx.Component{BOMRef: ref, PackageURL: ref, Type: cdx.ComponentTypeLibrary, Name: "redoc", Version: string(m[1]),
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: "MIT"}}}},
		place: func(root string) (string, error) {
			return filepath.Join(root, "impl/docs/viewer/redoc.standalone.js.LICENSE.txt"), nil
		},
	}), nil
}
