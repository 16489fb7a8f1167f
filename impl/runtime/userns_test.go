package runtime_test

import (
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A container whose root is an ordinary user of the host.
func TestUserNamespace(t *testing.T) {
	w := newWorld(t)
	// Others have their profile's short form by now.
	eventually(t, "the profile is compiled", func() bool {
		task, err := w.rt.Start(testContext(t), w.spec("true"))
		must(t, err)
		defer remove(t, task)
		return w.isShort(task.ID())
	})
	spec := w.spec("sh", "-c", "id -u; cat /proc/self/uid_map; echo again > /dev/stdout; touch /tmp/mine")
	spec.OCI.Linux.Namespaces = append(spec.OCI.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapping := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
	spec.OCI.Linux.UIDMappings, spec.OCI.Linux.GIDMappings = mapping, mapping
	// The root directory must be reachable and writable for it.
	for dir := spec.Rootfs.Target; dir != os.TempDir(); dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	must(t, os.Chown(filepath.Join(w.lower, "tmp"), 200000, 200000))
	task := w.start(spec)
	if exit := wait(t, task); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
	if got := output(readLog(t, spec.Log.Path), "stdout"); got != "0\n         0     200000      65536\nagain\n" {
		t.Errorf("output = %q, %q", got, output(readLog(t, spec.Log.Path), "stderr"))
	}
}
