package clienttest

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pythonVersions are the versions of the API that docker-py 5 speaks.
var pythonVersions = []string{"1.21", "1.22", "1.23"}

// TestDockerPy runs each test of testdata/dockerpy.py at each version.
func TestDockerPy(t *testing.T) {
	t.Parallel()
	script := filepath.Join("testdata", "dockerpy.py")
	run := func(t *testing.T, version string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, pythonProgram, append([]string{"-B", script}, args...)...)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + t.TempDir(), "DOCKER_HOST=" + engine, "DOCKER_API_VERSION=" + version}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	list, err := run(t, versions[0], "--list")
	if err != nil {
		t.Fatalf("%v\n%s", err, list)
	}
	for _, version := range pythonVersions {
		t.Run(version, func(t *testing.T) {
			for _, name := range strings.Fields(list) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					if out, err := run(t, version, name); err != nil {
						t.Errorf("%v\n%s", err, out)
					}
				})
			}
		})
	}
}
