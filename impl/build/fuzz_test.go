package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzIgnore applies any .dockerignore to a context: nothing but files of the
// context goes, and a pattern that takes for ever is none.
func FuzzIgnore(f *testing.F) {
	for _, text := range []string{"*\n!a/b\n", "# c\n/a\n**/x\n", "a/**/b/[^x]\n!**", "[\n", "\\\n", "!\n..\n../*\n", "**/*/**/*/**/*/**/*x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		outside := t.TempDir()
		dir := filepath.Join(outside, "in")
		for _, name := range []string{"a/b/c", "a/x", "d", "deep/deep/deep/deep/deep/deep/x"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(outside, "kept"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		tree, err := openTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		s := &session{files: tree, limits: DefaultLimits}
		if err := s.applyIgnoreFile(); err != nil && !errdefs.IsInvalidArgument(err) {
			t.Errorf("%v is not the client's", err)
		}
		if entries, err := os.ReadDir(outside); err != nil || len(entries) != 2 {
			t.Errorf("outside: %v %v", entries, err)
		}
	})
}

// FuzzGitAddress takes an address apart. What is for git begins with a protocol
// or a host, and has no fragment any more.
func FuzzGitAddress(f *testing.F) {
	for _, text := range []string{
		"git://h/a.git#ref:dir", "git@h:a", "ssh://-oProxyCommand=x/a", "github.com/a/b", "https://h/a.git", "http://h/a.git#:dir", "ext::sh -c x", "#", "git@#:::",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		defer effort.Bound()()
		repo, ref, dir, ok := gitAddress(text)
		if !ok {
			return
		}
		if strings.Contains(repo, "#") || strings.HasPrefix(repo, "-") || repo == "" || strings.Contains(ref, ":") {
			t.Errorf("%q: %q %q %q", text, repo, ref, dir)
		}
	})
}
