package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// BenchmarkStart takes turns: create, start, wait and remove a container that
// runs "busybox true" here, and the same specification (on a plain directory
// instead of an overlay) with "runc run" and "crun run". The medians are
// reported in milliseconds.
func BenchmarkStart(b *testing.B) {
	w := newWorld(b)
	for name, args := range map[string][]string{"true": {"/bin/true"}} {
		b.Run(name, func(b *testing.B) {
			contestants := []contestant{{"berth", func() error { return w.startToRemove(args) }}}
			for _, other := range []string{"runc", "crun"} {
				path, err := exec.LookPath(other)
				if err != nil {
					b.Logf("without %s: %v", other, err)
					continue
				}
				c := w.foreign(path, args)
				if err := c.run(); err != nil { // crun refuses some cgroup setups
					b.Logf("without %s: %v", other, err)
					continue
				}
				contestants = append(contestants, c)
			}
			takeTurns(b, contestants)
		})
	}
}

// BenchmarkExec is the same for a further process "busybox true".
func BenchmarkExec(b *testing.B) {
	w := newWorld(b)
	task := w.start(w.spec("sleep", "1000"))
	n := 0
	contestants := []contestant{{"berth", func() error {
		n++
		e, err := task.Exec(context.Background(), execSpec(fmt.Sprint("e", n), "/bin/true"))
		if err != nil {
			return err
		}
		if _, err := e.Wait(context.Background()); err != nil {
			return err
		}
		return e.Delete(context.Background())
	}}}
	for _, other := range []string{"runc", "crun"} {
		path, err := exec.LookPath(other)
		if err != nil {
			b.Logf("without %s: %v", other, err)
			continue
		}
		id := fmt.Sprintf("%s-%d", other, os.Getpid())
		bundle := w.bundle(other, []string{"sleep", "1000"})
		if err := quiet(path, "run", "--detach", "--bundle", bundle, id); err != nil {
			b.Logf("without %s: %v", other, err)
			continue
		}
		b.Cleanup(func() { _ = quiet(path, "delete", "--force", id) })
		contestants = append(contestants, contestant{other, func() error { return quiet(path, "exec", id, "/bin/true") }})
	}
	takeTurns(b, contestants)
}

type contestant struct {
	name string
	run  func() error
}

func takeTurns(b *testing.B, contestants []contestant) {
	b.Helper()
	times := make([][]time.Duration, len(contestants))
	for b.Loop() {
		for i, c := range contestants {
			time.Sleep(50 * time.Millisecond) // what the last one left to be done aside
			begin := time.Now()
			must(b, c.run())
			times[i] = append(times[i], time.Since(begin))
		}
	}
	for i, c := range contestants {
		b.ReportMetric(median(times[i]), c.name+"-ms")
	}
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}

func (w *world) startToRemove(args []string) error {
	task, err := w.rt.Start(context.Background(), w.spec(args...))
	if err != nil {
		return err
	}
	if _, err := task.Wait(context.Background()); err != nil {
		return err
	}
	return task.Delete(context.Background())
}

// bundle writes the same specification for another runtime.
func (w *world) bundle(name string, args []string) string {
	spec := w.spec(args...)
	dir := filepath.Join(w.dir, "bundle-"+name+fmt.Sprint(w.n.Add(1)))
	must(w.tb, os.MkdirAll(dir, 0o755))
	spec.OCI.Root = &specs.Root{Path: w.lower}
	spec.OCI.Version = "1.0.2"
	text, err := json.Marshal(spec.OCI)
	must(w.tb, err)
	must(w.tb, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644))
	return dir
}

func (w *world) foreign(path string, args []string) contestant {
	name := filepath.Base(path)
	bundle := w.bundle(name, args)
	return contestant{name, func() error {
		return quiet(path, "run", "--bundle", bundle, fmt.Sprintf("bench-%d-%d", os.Getpid(), w.n.Add(1)))
	}}
}

// quiet runs a command; its output goes to a file, because a container that
// stays would keep a pipe open.
func quiet(name string, args ...string) error {
	out, err := os.CreateTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s %s: %w: %s", name, args[0], err, text)
	}
	return nil
}

// BenchmarkMemory reports the proportional memory (PSS) of the monitor of one
// running container among 20, in KiB.
func BenchmarkMemory(b *testing.B) {
	w := newWorld(b)
	const n = 20
	var pids []int
	for range n {
		spec := w.spec("sleep", "1000")
		pids = append(pids, w.start(spec).MonitorPid())
	}
	total := 0
	for b.Loop() {
		total = 0
		for _, pid := range pids {
			eventually(b, "the shim becomes the monitor", func() bool {
				command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				return err == nil && strings.Contains(string(command), "monitor")
			})
			total += pssKiB(b, pid)
		}
	}
	b.ReportMetric(float64(total)/n, "KiB/container")
}
