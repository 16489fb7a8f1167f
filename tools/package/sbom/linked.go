package main

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// licences of what C programs are linked with, by Debian's source package.
var licences = map[string]cdx.LicenseChoice{
	"libseccomp": {License: &cdx.License{ID: "LGPL-2.1-only"}},
	"glibc":      {License: &cdx.License{ID: "LGPL-2.1-or-later"}},
	// The parts that programs are linked with have the exception (copyright, "GCC RUNTIME LIBRARY EXCEPTION").
	"gcc": {Expression: "GPL-3.0-or-later WITH GCC-exception-3.1"},
}

// libraries are the C libraries in a program: the Debian packages of all archives
// and objects that the linker took from outside of the build. A program without cgo
// has none.
func libraries(root, program string) ([]*part, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	for _, s := range info.Settings {
		if s.Key == "CGO_ENABLED" && s.Value == "0" {
			return nil, nil
		}
	}
	table, err := relink(root, filepath.Base(program))
	if err != nil {
		return nil, fmt.Errorf("what was linked cannot be told: %w", err)
	}
	files, err := taken(table)
	if err != nil {
		return nil, err
	}
	packages, err := owners(files)
	if err != nil {
		return nil, err
	}
	var parts []*part
	for _, name := range packages {
		p, err := debian(name)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// relink links a program once more, with the command that "make build" has for
// it, and gives the linker's map (ld(1), -Map).
func relink(root, name string) ([]byte, error) {
	command, err := buildCommand(root, name)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sbom")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	table := filepath.Join(dir, "map")
	for old, with := range map[string]string{
		"-o bin/" + name:        "-o " + filepath.Join(dir, name),
		`-extldflags "-static"`: `-extldflags "-static -Wl,-Map=` + table + `"`,
	} {
		if strings.Count(command, old) != 1 {
			return nil, fmt.Errorf("the command that builds it has not one %q: %s", old, command)
		}
		command = strings.Replace(command, old, with, 1)
	}
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return os.ReadFile(table)
}

// buildCommand is the line of "make build" that makes a program.
func buildCommand(root, name string) (string, error) {
	cmd := exec.Command("make", "--no-print-directory", "-n", "build")
	cmd.Dir = root
	// What a make that calls this one has to say to its own children.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "MAKEFLAGS=") || strings.HasPrefix(kv, "MFLAGS=") || strings.HasPrefix(kv, "MAKELEVEL=")
	})
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("make -n build: %w: %s", err, stderr.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, " -o bin/"+name+" ") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("make build makes no bin/%s", name)
}

// taken reads a linker's map: the archives of which members were taken, and the
// objects that were loaded whole, but not those of the build itself.
func taken(table []byte) ([]string, error) {
	files := map[string]bool{}
	members := false
	s := bufio.NewScanner(bytes.NewReader(table))
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		line := s.Text()
		switch {
		case strings.HasPrefix(line, "Archive member included"):
			members = true
			continue
		case members && line != "" && !strings.HasPrefix(line, "/") && !strings.HasPrefix(line, " "):
			members = false // the next section
		}
		if members && strings.HasPrefix(line, "/") {
			if archive, _, ok := strings.Cut(line, ".a("); ok {
				files[filepath.Clean(archive+".a")] = true
			}
		}
		if object, ok := strings.CutPrefix(line, "LOAD "); ok && strings.HasSuffix(object, ".o") && !strings.HasPrefix(object, os.TempDir()+"/") {
			files[filepath.Clean(object)] = true
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("the linker's map names no file")
	}
	return slices.Sorted(maps.Keys(files)), nil
}

// owners are the Debian packages of files, each once.
func owners(files []string) ([]string, error) {
	found := map[string]bool{}
	for _, file := range files {
		// A path may have come through /lib, which is /usr/lib.
		real, err := filepath.EvalSymlinks(file)
		if err != nil {
			return nil, err
		}
		out, err := exec.Command("dpkg-query", "-S", real).Output()
		if err != nil {
			out, err = exec.Command("dpkg-query", "-S", strings.TrimPrefix(real, "/usr")).Output()
		}
		name, _, ok := strings.Cut(string(out), ":")
		if err != nil || !ok {
			return nil, fmt.Errorf("%s was linked and is of no Debian package: %w", file, err)
		}
		found[name] = true
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// debian is an installed package of Debian's.
func debian(name string) (*part, error) {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${source:Package} ${Version}", name).Output()
	if err != nil {
		return nil, err
	}
	source, version, _ := strings.Cut(string(out), " ")
	kind := source
	if strings.HasPrefix(source, "gcc-") { // its version is part of the name
		kind = "gcc"
	}
	licence, ok := licences[kind]
	if !ok {
		return nil, fmt.Errorf("%s of %s was linked: say what its licence is", name, source)
	}
	ref := "pkg:deb/debian/" + name + "@" + version
	return &part{
		component: cdx.Component{
			BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: source, Version: version, PackageURL: ref + "?arch=" + runtime.GOARCH,
			Licenses: &cdx.Licenses{licence},
		},
		place: func(string) (string, error) { return "/usr/share/doc/" + name + "/copyright", nil },
	}, nil
}
