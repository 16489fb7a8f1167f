package clienttest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long one command may take before the test gives it up. It is
// no measure: it only bounds a hang.
const patience = 60 * time.Second

// docker is the docker command at one version of the API, used by one test.
type docker struct {
	t       *testing.T
	host    string
	version string
	config  string
}

// atEachVersion runs a test with the docker command once per version.
func atEachVersion(t *testing.T, test func(t *testing.T, d *docker)) {
	t.Parallel()
	for _, v := range versions {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			test(t, newDocker(t, engine, v))
		})
	}
}

func newDocker(t *testing.T, host, version string) *docker {
	return &docker{t: t, host: host, version: version, config: t.TempDir()}
}

// since says whether the version under test is at least v.
func (d *docker) since(v string) bool {
	return slices.Index(versions, d.version) >= slices.Index(versions, v)
}

// name makes a container name that no other test uses; the container is
// removed when the test ends.
func (d *docker) name(suffix string) string {
	d.t.Helper()
	name := regexp.MustCompile(`[^a-zA-Z0-9_.-]`).ReplaceAllString(d.t.Name(), "-") + "-" + suffix
	d.t.Cleanup(func() { d.try("", "rm", "-f", "-v", name) })
	return name
}

// result is what a command left.
type result struct {
	args           []string
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return "docker " + strings.Join(r.args, " ") + "\nexit code " + strconv.Itoa(r.code) + "\nstdout: " + r.stdout + "\nstderr: " + r.stderr
}

// env is the environment of the command: nothing of the user's own docker.
func (d *docker) env() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + d.config, "DOCKER_CONFIG=" + d.config,
		"DOCKER_HOST=" + d.host, "DOCKER_API_VERSION=" + d.version, "TERM=xterm"}
}

// start starts the command in the background, for tests that talk to it. The
// command is killed when the test ends.
func (d *docker) start(prepare func(*exec.Cmd), args ...string) *exec.Cmd {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	d.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, dockerProgram, args...)
	cmd.Env = d.env()
	cmd.WaitDelay = time.Second
	if prepare != nil {
		prepare(cmd)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatalf("docker %v: %v", args, err)
	}
	return cmd
}

// try runs the command to its end, whatever its exit code.
func (d *docker) try(stdin string, args ...string) result {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, dockerProgram, args...)
	cmd.Env = d.env()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	err := cmd.Run()
	r := result{args: args, stdout: stdout.String(), stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		d.t.Errorf("gave up after %v: %v", patience, r)
		r.code = -1
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		d.t.Fatalf("docker %v: %v", args, err)
	}
	return r
}

// run runs the command, which must succeed, and gives its standard output
// without the last newline.
func (d *docker) run(args ...string) string {
	d.t.Helper()
	return d.feed("", args...)
}

// feed is run with something on the standard input.
func (d *docker) feed(stdin string, args ...string) string {
	d.t.Helper()
	r := d.try(stdin, args...)
	if r.code != 0 {
		d.t.Fatalf("must succeed: %v", r)
	}
	return strings.TrimSuffix(r.stdout, "\n")
}

// fails runs the command, which must fail with the code and say text (a
// regular expression) on standard error.
func (d *docker) fails(code int, text string, args ...string) {
	d.t.Helper()
	r := d.try("", args...)
	if r.code != code || !regexp.MustCompile(text).MatchString(r.stderr) {
		d.t.Errorf("want exit code %d and an error like %q: %v", code, text, r)
	}
}

// inspect is docker inspect with a template.
func (d *docker) inspect(name, template string) string {
	d.t.Helper()
	return d.run("inspect", "--format", template, name)
}

// equal reports a difference.
func (d *docker) equal(what, got, want string) {
	d.t.Helper()
	if got != want {
		d.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// matches reports an output that the pattern does not match.
func (d *docker) matches(what, got, pattern string) {
	d.t.Helper()
	if !regexp.MustCompile(pattern).MatchString(got) {
		d.t.Errorf("%s: got %q, want a match of %q", what, got, pattern)
	}
}

// lacks reports an output that the pattern matches.
func (d *docker) lacks(what, got, pattern string) {
	d.t.Helper()
	if regexp.MustCompile(pattern).MatchString(got) {
		d.t.Errorf("%s: got %q, which must not match %q", what, got, pattern)
	}
}

// eventually waits until the condition holds, within patience.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("waited %v in vain: %s", patience, what)
}

// file writes a file into the test's directory and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
