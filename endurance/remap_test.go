package endurance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCVE202121284: the root user of remapped containers is an ordinary user of
// the host. As such it must not be able to change, or even reach, what the daemon
// keeps, not even what belongs to its containers.
func TestCVE202121284(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "berth-end-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the test's own directory hides nothing
		t.Fatal(err)
	}
	e := start(t, options{dir: dir, flags: []string{"--userns-remap", "default"}})
	id := e.sleeper("", map[string]any{"Binds": []string{"kept:/volume"}})
	if o := e.run(id, "sh", "-c", "echo x >/volume/file && chmod -R 777 /volume && echo y >/file && chmod 4777 /file"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	pid := e.inspect(id).State.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if len(fields) != 3 || fields[1] == "0" {
		t.Fatalf("containers are not remapped: %q", text)
	}
	uid := fields[1]
	as := func(command ...string) string {
		t.Helper()
		// Statuses tell of directories that cannot be read, which is what is wanted.
		out, _ := exec.Command("setpriv", append([]string{"--reuid=" + uid, "--regid=" + uid, "--clear-groups"}, command...)...).Output()
		return string(out)
	}
	if got := strings.TrimSpace(as("id", "-u")); got != uid {
		t.Fatalf("the trial is not made as %s: %q", uid, got)
	}
	mine := filepath.Join(e.dir, "mine")
	if err := os.Mkdir(mine, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(mine, 0o777); err != nil {
		t.Fatal(err)
	}
	const writable = "find %s ! -type l -writable 2>/dev/null"
	if got := strings.TrimSpace(as("sh", "-c", fmt.Sprintf(writable, mine))); got != mine {
		t.Fatalf("the trial does not find what can be written: %q", got)
	}
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	if got := as("sh", "-c", fmt.Sprintf(writable, e.dir)); got != "" {
		t.Errorf("user %s of the host can write:\n%s", uid, got)
	}
	// Nor can it reach a program with root's rights that the container made.
	if got := as("sh", "-c", "find "+e.dir+" -type f 2>/dev/null | grep -E '/(file|images.db|containers.db)$'"); got != "" {
		t.Errorf("user %s of the host reaches:\n%s", uid, got)
	}
	e.remove(id)
}
