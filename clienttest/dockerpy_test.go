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

// TestDockerPy runs testdata/dockerpy.py at each version.
func TestDockerPy(t *testing.T) {
	t.Parallel()
	for _, version := range pythonVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, pythonProgram, "-B", filepath.Join("testdata", "dockerpy.py"))
			cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + t.TempDir(), "DOCKER_HOST=" + engine, "DOCKER_API_VERSION=" + version}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), " ... ok\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
