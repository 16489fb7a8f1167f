package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	for api, want := range map[string][]string{
		"1.23": {"1.23"}, "1.18-1.20": {"1.18", "1.19", "1.20"}, "1.18,1.23": {"1.18", "1.23"}, "1.9-1.18": {"1.18"},
	} {
		if got, err := (options{api: api}).versions(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", api, got, err)
		}
	}
	for _, api := range []string{"", "1.24", "1.20-1.19", "new"} {
		if got, err := (options{api: api}).versions(); err == nil {
			t.Errorf("%q: no error but %v", api, got)
		}
	}
}

func TestListNeedsNoDaemon(t *testing.T) {
	var out bytes.Buffer
	if status := run([]string{"--list", "--json", "--api", "1.20", "--label-filter", "example"}, &out, io.Discard); status != 0 {
		t.Fatalf("status %d", status)
	}
	var items []listed
	if err := json.Unmarshal(out.Bytes(), &items); err != nil || len(items) != 48 {
		t.Errorf("%d examples of version 1.20, %v; expected 48", len(items), err)
	}
}

func TestWrongUseIsStatus2(t *testing.T) {
	for name, arguments := range map[string][]string{
		"a flag that does not exist": {"--nope"}, "an argument": {"x"}, "a version": {"--list", "--api", "2.0"},
		"an expression": {"--list", "--focus", "("}, "a filter": {"--list", "--label-filter", "a &&"},
		"a host": {"--host", "ssh://x"}, "a timeout": {"--timeout", "0s"}, "no case": {"--focus", "nothing-has-this-name"},
		"alone and a list": {"--alone", "--list"},
		"busybox":          {"--busybox", "/bin/ls", "--host", "unix:///none"}, "reds": {"--expected-reds", "/none", "--host", "unix:///none"},
	} {
		var complaint bytes.Buffer
		if status := run(arguments, io.Discard, &complaint); status != 2 || !strings.Contains(complaint.String(), "berth-conformance:") {
			t.Errorf("%s: status %d, %q", name, status, complaint.String())
		}
	}
}

func TestManual(t *testing.T) {
	var page, help bytes.Buffer
	if status := run([]string{"manual"}, &page, io.Discard); status != 0 || !strings.HasPrefix(page.String(), ".") || !strings.Contains(page.String(), `expected\-reds`) {
		t.Errorf("status %d:\n%s", status, page.String())
	}
	if status := run([]string{"manual", "html"}, io.Discard, &help); status != 2 || !strings.Contains(help.String(), "man, markdown, bash, zsh, fish") {
		t.Errorf("status %d: %s", status, help.String())
	}
}
