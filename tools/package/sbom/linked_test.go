package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const repository = "../../.."

func TestTaken(t *testing.T) {
	table := `Archive member included to satisfy reference by file (symbol)

/usr/lib/gcc/x/12/../../../x/libc.a(abort.o)
                              /tmp/go-link-1/go.o (abort)
/usr/lib/gcc/x/12/libgcc_eh.a(unwind-dw2.o)
                              a.o (y)

As-needed library included to satisfy reference by file (symbol)

/usr/lib/x/libno.a(x.o)

Memory map

LOAD /usr/lib/x/crt1.o
LOAD ` + os.TempDir() + `/go-link-1/go.o
LOAD /usr/lib/x/libpthread.a
 .text          0x0000000000401000       0x10 /usr/lib/x/libother.a(z.o)
`
	want := []string{"/usr/lib/gcc/x/12/libgcc_eh.a", "/usr/lib/x/crt1.o", "/usr/lib/x/libc.a"}
	if got, err := taken([]byte(table)); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %v, wanted %v", got, err, want)
	}
	if got, err := taken([]byte("nothing")); err == nil {
		t.Errorf("%v of nothing", got)
	}
}

// TestLinked makes the bill of a shim and has the linker tell, in its other way
// (ld(1), --trace), which files it takes: each is of a package in the bill, and each
// package in the bill has one.
func TestLinked(t *testing.T) {
	command, err := buildCommand(repository, "berth-shim")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	shim := filepath.Join(dir, "berth-shim")
	command = strings.Replace(command, "-o bin/berth-shim", "-o "+shim, 1)
	command = strings.Replace(command, `"-static"`, `"-static -Wl,--trace,--trace"`, 1)
	// Go shows what the linker says only when it fails or with -v.
	command = strings.Replace(command, "-ldflags '", "-ldflags '-v ", 1)
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir = repository
	trace, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, trace)
	}
	traced := map[string]bool{}
	for line := range bytes.Lines(trace) {
		text := strings.TrimSpace(string(line))
		if archive, member, ok := strings.Cut(strings.TrimPrefix(text, "("), ".a"); ok && strings.HasPrefix(archive, "/") && strings.ContainsAny(member, "()") && !strings.ContainsRune(archive, ' ') {
			traced[filepath.Clean(archive+".a")] = true
		} else if strings.HasPrefix(text, "/usr/") && strings.HasSuffix(text, ".o") {
			traced[filepath.Clean(text)] = true
		}
	}
	var files []string
	for file := range traced {
		files = append(files, file)
	}
	if len(files) < 3 {
		t.Fatalf("the linker tells of %v in\n%s", files, trace)
	}
	packages, err := owners(files)
	if err != nil {
		t.Fatal(err)
	}
	bomFile := filepath.Join(dir, "bom.json")
	if err := run(repository, "0", bomFile, filepath.Join(dir, "licences"), []string{shim}); err != nil {
		t.Fatal(err)
	}
	text, err := os.Open(bomFile)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(text, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var listed, sources []string
	for _, c := range *bom.Components {
		if name, ok := strings.CutPrefix(c.PackageURL, "pkg:deb/debian/"); ok {
			name, _, _ = strings.Cut(name, "@")
			listed, sources = append(listed, name), append(sources, c.Name)
			if c.Licenses == nil || len(*c.Licenses) == 0 {
				t.Errorf("%s has no licence", name)
			}
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, packages) {
		t.Errorf("the bill has %v, linked were %v", listed, packages)
	}
	for _, source := range []string{"glibc", "libseccomp", "gcc-"} {
		if !slices.ContainsFunc(sources, func(s string) bool { return strings.HasPrefix(s, source) }) {
			t.Errorf("%s is not in the bill: %v", source, sources)
		}
	}
	licences, err := os.ReadFile(filepath.Join(dir, "licences"))
	if err != nil || !bytes.Contains(licences, []byte("GCC RUNTIME LIBRARY EXCEPTION")) {
		t.Errorf("the exception is not among the texts: %v", err)
	}
}

// TestStatic: a program without cgo is linked with nothing.
func TestStatic(t *testing.T) {
	program := filepath.Join(t.TempDir(), "berth-logger")
	cmd := exec.Command("go", "build", "-o", program, "./cmd/berth-logger")
	cmd.Dir, cmd.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if parts, err := libraries(repository, program); err != nil || len(parts) != 0 {
		t.Errorf("%v %v", parts, err)
	}
}
