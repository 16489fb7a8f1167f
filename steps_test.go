package berth

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// interrupted begins a step aside, with a daemon of its own and a clean-up, and then
// one in front of it that goes on after SIGINT, as go test does. The process that the
// step waits for says that it is there: a signal just before would find bash about
// to start it.
const interrupted = `
set -uo pipefail
reports=$1
. tools/steps
beside() {
	bash -c '
		trap "kill \$daemon; wait \$daemon; echo done >$1/cleaned" EXIT
		sleep 1000 & daemon=$!
		bash -c "echo \$0 >\$1; exec sleep 1000" $daemon $1/daemon' beside "$reports"
}
aside beside beside
until [ -s "$reports/daemon" ]; do sleep 0.01; done
step front bash -c 'trap "exit 1" INT TERM; echo >$1/ready; sleep 1000 & wait' front "$reports"
echo >"$reports/further"
`

// TestStepsEndWithTheirScript: a test run that is interrupted leaves no daemon.
func TestStepsEndWithTheirScript(t *testing.T) {
	for name, signal := range map[string]func(group int) error{
		"Ctrl-C": func(group int) error { return unix.Kill(-group, unix.SIGINT) },
		"ended":  func(group int) error { return unix.Kill(group, unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			there := func(name string) bool {
				info, err := os.Stat(at(name))
				return err == nil && info.Size() > 0
			}
			cmd := exec.Command("bash", "-c", interrupted, "steps", dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() {
				_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
				// The step aside has a group of its own, wherever the test failed.
				if raw, err := os.ReadFile(at("daemon")); err == nil {
					if pid, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil {
						if group, err := unix.Getpgid(pid); err == nil && group != unix.Getpgrp() {
							_ = unix.Kill(-group, unix.SIGKILL)
						}
					}
				}
			})
			for end := time.Now().Add(30 * time.Second); !there("ready"); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the steps do not begin")
				}
			}
			raw, err := os.ReadFile(at("daemon"))
			if err != nil {
				t.Fatal(err)
			}
			daemon, err := strconv.Atoi(strings.TrimSpace(string(raw)))
			if err != nil {
				t.Fatal(err)
			}
			if err := signal(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if err == nil {
					t.Error("it ends with success")
				}
			case <-time.After(30 * time.Second):
				t.Fatal("it does not end")
			}
			if !there("cleaned") || unix.Kill(daemon, 0) == nil {
				t.Error("the step that ran aside goes on without its script")
			}
			if there("further") {
				t.Error("the script goes on with its next step")
			}
		})
	}
}
