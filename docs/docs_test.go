// Package docs holds the guides to what they say: links lead somewhere, flags and
// targets exist, and the page of the flags is what the flags are. The commands that
// the guides mark as tried are run by clienttest.
package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/manual"
)

// pages are all pages of Markdown that people read, by their paths from here.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "..", ":!../gen").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for name := range strings.FieldsSeq(string(out)) {
		if !strings.HasSuffix(name, ".md") || strings.Contains(name, "/testdata/") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	if len(all) < 15 {
		t.Fatalf("only %d pages", len(all))
	}
	return all
}

func TestFlagsPage(t *testing.T) {
	var want bytes.Buffer
	if err := manual.Write(&want, config.Manual(), "markdown"); err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("flags.md")
	if err != nil || !bytes.Equal(have, want.Bytes()) {
		t.Errorf("flags.md is not what the flags are: bin/berthd manual markdown > docs/flags.md (%v)", err)
	}
}

// link is a link or an image of Markdown.
var link = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)

func TestLinks(t *testing.T) {
	all := pages(t)
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(withoutCode(text), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue // another host is asked by nobody here
			}
			to := name
			if target != "" {
				to = filepath.Join(filepath.Dir(name), target)
				if _, err := os.Stat(to); err != nil {
					t.Errorf("%s: %s leads nowhere", name, m[1])
					continue
				}
			}
			if anchor != "" && !slices.Contains(anchors(all[to]), anchor) {
				t.Errorf("%s: %s has no heading #%s", name, to, anchor)
			}
		}
	}
	for name := range all {
		if base := filepath.Base(name); filepath.Dir(name) == "." && base != "README.md" && !strings.Contains(all["README.md"], "("+base+")") {
			t.Errorf("README.md does not name %s", base)
		}
	}
}

// withoutCode is a page without what stands in code, where brackets mean something
// else.
func withoutCode(text string) string {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	text = regexp.MustCompile("(?m)^    .*$").ReplaceAllString(text, "")
	return regexp.MustCompile("`[^`]*`").ReplaceAllString(text, "code")
}

func anchors(text string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		words := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		list = append(list, strings.ReplaceAll(words, " ", "-"))
	}
	return list
}

// TestCommands: each flag of berthd and each target of make that a page names
// exists.
func TestCommands(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range append([]manual.Command{config.Manual().Main}, config.Manual().Commands...) {
		if c.Flags == nil {
			continue
		}
		for _, f := range regexp.MustCompile(`--[a-z0-9-]+`).FindAllString(c.Flags.FlagUsages(), -1) {
			known[f] = true
		}
	}
	known["--help"] = true
	line := regexp.MustCompile("(?:^|[\\s(`])berthd((?: [^\\n`|]*)?)")
	flag := regexp.MustCompile(`(?:^|\s)(--[a-z0-9-]+)`)
	target := regexp.MustCompile("(?m)(?:`|^    (?:sudo )?)make ([a-z0-9-]+)")
	found := 0
	for name, text := range pages(t) {
		text = strings.ReplaceAll(text, "\\\n", " ")
		for _, m := range line.FindAllStringSubmatch(text, -1) {
			for _, f := range flag.FindAllStringSubmatch(m[1], -1) {
				found++
				if !known[f[1]] {
					t.Errorf("%s: berthd has no flag %s", name, f[1])
				}
			}
		}
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			found++
			if !bytes.Contains(makefile, []byte("\n"+m[1]+":")) && !bytes.Contains(makefile, []byte(" "+m[1]+" ")) {
				t.Errorf("%s: there is no target %s", name, m[1])
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d flags and targets were looked at", found)
	}
}

// TestPicture: the picture is XML that any browser shows, and asks no other host.
func TestPicture(t *testing.T) {
	raw, err := os.ReadFile("architecture.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range regexp.MustCompile(`https?://[^"]+`).FindAllString(string(raw), -1) {
		if url != "http://www.w3.org/2000/svg" {
			t.Errorf("it names %s", url)
		}
	}
}
