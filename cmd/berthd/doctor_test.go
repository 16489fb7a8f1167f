package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/doctor"
)

// TestDoctor: what it says, in both forms, and its status.
func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	parse := func(further ...string) *config.Config {
		t.Helper()
		c, err := config.Parse(append([]string{
			"doctor", "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--shim", "/bin/true",
		}, further...), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var out bytes.Buffer
	socket := "unix://" + filepath.Join(dir, "d.sock")
	if status := examine(parse("-H", socket, "--quiet"), &out); status != doctorWell || strings.Contains(out.String(), "ok ") {
		t.Errorf("status %d:\n%s", status, &out)
	}
	out.Reset()
	if status := examine(parse("-H", "tcp://127.0.0.1:1", "--json"), &out); status != doctorUnwell {
		t.Errorf("status %d:\n%s", status, &out)
	}
	var found []doctor.Finding
	if err := json.Unmarshal(out.Bytes(), &found); err != nil || doctor.Worst(found) != doctor.Problem {
		t.Errorf("%v %+v", err, found)
	}
	if status := examine(parse("-H", socket, "--bip", "nonsense"), io.Discard); status != doctorFailed {
		t.Errorf("status %d", status)
	}
}
