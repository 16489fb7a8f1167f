package berth

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// require is a line of go.mod; its comment is "reason" or "indirect; reason".
var require = regexp.MustCompile(`^(?:require )?\t?(\S+) v\S+(?: // (.*))?$`)

// TestEachDependencyHasAReason demands that every module which berth's own
// code imports has its reason in a comment on its line in go.mod.
func TestEachDependencyHasAReason(t *testing.T) {
	raw, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, line := range strings.Split(string(raw), "\n") {
		if m := require.FindStringSubmatch(line); m != nil {
			reason := strings.TrimPrefix(m[2], "indirect")
			reasons[m[1]] = strings.TrimLeft(reason, "; ")
		}
	}
	direct := directModules(t)
	if len(direct) == 0 {
		t.Fatal("no direct dependencies found")
	}
	for m := range direct {
		if reasons[m] == "" {
			t.Errorf("%s is imported without a reason in go.mod", m)
		}
	}
	for m, reason := range reasons {
		if reason != "" && !direct[m] {
			t.Errorf("%s has a reason in go.mod and nothing imports it", m)
		}
	}
}

// directModules returns the modules of the packages that berth's packages and
// tests import themselves.
func directModules(t *testing.T) map[string]bool {
	t.Helper()
	imports := golist(t, `{{range .Imports}}{{println .}}{{end}}{{range .TestImports}}{{println .}}{{end}}{{range .XTestImports}}{{println .}}{{end}}`, "./...")
	var external []string
	seen := map[string]bool{}
	for _, path := range imports {
		first, _, _ := strings.Cut(path, "/")
		if strings.Contains(first, ".") && !strings.HasPrefix(path+"/", module) && !seen[path] {
			seen[path] = true
			external = append(external, path)
		}
	}
	modules := map[string]bool{}
	for _, m := range golist(t, `{{with .Module}}{{.Path}}{{end}}`, external...) {
		modules[m] = true
	}
	return modules
}

func golist(t *testing.T, format string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", "-f", format}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	return strings.Fields(string(out))
}
