// Package tools tests the scripts here.
package tools

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFuzzBeside runs tools/fuzz, as tools/test does, on a module with a target that
// fails and one that does not: the results are counted, and the input is printed.
func TestFuzzBeside(t *testing.T) {
	dir := t.TempDir()
	script, err := os.ReadFile("fuzz")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("tools/fuzz", script, 0o755)
	write("go.mod", []byte("module fuzzed\n\ngo 1.26\n"), 0o644)
	write("one/a_test.go", []byte(`package one

import "testing"

func FuzzFine(f *testing.F) {
	f.Fuzz(func(t *testing.T, _ string) {})
}

func FuzzWrong(f *testing.F) {
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) {
		if s != "x" {
			t.Error("not x")
		}
	})
}

func FuzzLarge(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) {
		if n > 1 {
			_ = append([]byte(nil), make([]byte, 6<<30)...)
		}
	})
}
`), 0o644)
	cmd := exec.Command(filepath.Join(dir, "tools/fuzz"), "--beside", "5s", "report.xml")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("it ends with success")
	}
	for _, want := range []string{"./one FuzzFine execs: ", "=== ./one FuzzWrong FAILED", "not x", "--- ./one/testdata/fuzz/FuzzWrong/", "go test fuzz v1\nstring(", "=== ./one FuzzLarge FAILED", "terminated unexpectedly", "3 targets, 2 failed"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	var report struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.xml"))
	if err == nil {
		err = xml.Unmarshal(text, &report)
	}
	if err != nil || report.Tests != 3 || report.Failures != 2 {
		t.Errorf("%+v %v: %s", report, err, text)
	}
}
