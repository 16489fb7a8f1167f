package clienttest

import (
	"bufio"
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDockerode runs the tests of testdata/dockerode at each version.
func TestDockerode(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, nodeProgram, filepath.Join("testdata", "dockerode", "test.mjs"))
			cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "DOCKER_SOCKET=" + strings.TrimPrefix(engine, "unix://"), "DOCKER_API_VERSION=" + version}
			out, err := cmd.CombinedOutput()
			passed := 0
			for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
				if strings.HasPrefix(s.Text(), "ok ") {
					passed++
				}
			}
			if err != nil || passed == 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
