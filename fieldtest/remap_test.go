package fieldtest

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// The forms of the setting, and what the daemon says when it cannot be had.
func TestUserNamespaceSetting(t *testing.T) {
	dir := filepath.Join(scratch, "setting")
	for value, want := range map[string]string{
		"nosuchuser":       `/etc/passwd has no user nosuchuser`,
		"root:nosuchgroup": `/etc/group has no group nosuchgroup`,
		"0":                `/etc/subuid has no line for root`,
		"a:b:c":            `use default, USER, USER:GROUP, UID or UID:GID`,
		":root":            `use default`,
	} {
		engine, err := startBerth(dir, "berthfield2", "10.218.0.1/24", "--userns-remap", value)
		if err == nil {
			t.Errorf("%s: the daemon runs", value)
			_ = engine.Stop(30 * time.Second)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", value, err, want)
		}
	}
	remains := daemon.Remains{Dir: dir, Bridge: "berthfield2", Cgroup: "/berthfield2"}
	if err := remains.Remove(); err != nil {
		t.Error(err)
	}
}

// unlikeMapped are the rows of the table that cannot hold where containers have
// user namespaces, and why. All others do: go test ./fieldtest -args
// -berthd-flags=--userns-remap=default.
var unlikeMapped = map[string]string{
	"HostConfig.NetworkMode/host":                         "it is refused",
	"HostConfig.PidMode/host":                             "it is refused",
	"HostConfig.Privileged":                               "it is refused",
	"HostConfig.Devices/rwm":                              "nobody makes nodes there",
	"HostConfig.Devices/r":                                "nobody makes nodes there",
	"HostConfig.Devices/of the same path, by default all": "nobody makes nodes there",
	"HostConfig.Devices/none":                             "nobody makes nodes there",
	"HostConfig.Binds/a path that the host lacks":         "the directory belongs to the host's root",
	"HostConfig.Binds/host path":                          "the directory belongs to the host's root",
	"HostConfig.Binds/a file, with a label":               "the file belongs to the host's root",
}
