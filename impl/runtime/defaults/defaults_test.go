package defaults

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestGrant(t *testing.T) {
	host := []string{"CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN", "CAP_NET_ADMIN"}
	for name, c := range map[string]struct {
		add, drop        []string
		privileged       bool
		granted, missing string // comma separated; missing only if given
	}{
		"default":          {granted: "CAP_CHOWN,CAP_KILL"},
		"add":              {add: []string{"sys_admin", "CAP_NET_ADMIN"}, granted: "CAP_CHOWN,CAP_KILL,CAP_NET_ADMIN,CAP_SYS_ADMIN"},
		"add what is not":  {add: []string{"SYS_RESOURCE"}, granted: "CAP_CHOWN,CAP_KILL", missing: "CAP_SYS_RESOURCE"},
		"drop":             {drop: []string{"chown"}, granted: "CAP_KILL"},
		"drop all":         {drop: []string{"ALL"}, granted: ""},
		"drop all but one": {add: []string{"KILL"}, drop: []string{"all"}, granted: "CAP_KILL"},
		"all":              {add: []string{"ALL"}, granted: strings.Join(host, ",")},
		"all but one":      {add: []string{"ALL"}, drop: []string{"KILL"}, granted: "CAP_CHOWN,CAP_NET_ADMIN,CAP_SYS_ADMIN"},
		"privileged":       {privileged: true, drop: []string{"KILL"}, granted: strings.Join(host, ",")},
	} {
		t.Run(name, func(t *testing.T) {
			granted, missing, err := Grant(host, c.add, c.drop, c.privileged)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(c.granted, ",")
			if c.granted == "" {
				want = nil
			}
			slices.Sort(granted)
			slices.Sort(want)
			if !slices.Equal(granted, want) {
				t.Errorf("granted %v", granted)
			}
			if c.missing != "" && !slices.Contains(missing, c.missing) {
				t.Errorf("missing %v", missing)
			}
		})
	}
	if _, _, err := Grant(host, []string{"NONSENSE"}, nil, false); !errors.Is(err, errdefs.ErrInvalidArgument) ||
		err.Error() != `Unknown capability to add: "NONSENSE"` {
		t.Errorf("error = %v", err)
	}
}

func TestHostCapabilities(t *testing.T) {
	caps, err := HostCapabilities()
	if err != nil || !slices.Contains(caps, "CAP_SYS_ADMIN") {
		t.Errorf("%v, %v", caps, err)
	}
}

func TestSeccompFollowsCapabilities(t *testing.T) {
	var p Profiles
	allowed := func(caps []string, name string) bool {
		s, err := p.Default(caps)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := p.Default(slices.Clone(caps)); err != nil || again != s {
			t.Errorf("not remembered: %v", err)
		}
		return slices.ContainsFunc(s.Syscalls, func(c specs.LinuxSyscall) bool {
			return c.Action == specs.ActAllow && len(c.Args) == 0 && slices.Contains(c.Names, name)
		})
	}
	usual := Capabilities()
	if allowed(usual, "mount") || !allowed(append(usual, "CAP_SYS_ADMIN"), "mount") || !allowed(usual, "read") {
		t.Error("mount must be for CAP_SYS_ADMIN")
	}
	if _, err := p.Load("{", nil); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("error = %v", err)
	}
	s, err := p.Load(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"chmod","action":"SCMP_ACT_ERRNO"}]}`, nil)
	if err != nil || len(s.Syscalls) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestPrivileged(t *testing.T) {
	s, err := Spec(Options{Privileged: true, Capabilities: Capabilities()})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths) > 0 || s.Linux.Seccomp != nil {
		t.Error("a privileged container is confined")
	}
	if !slices.ContainsFunc(s.Linux.Devices, func(d specs.LinuxDevice) bool { return d.Path == "/dev/null" && d.Major == 1 && d.Minor == 3 }) {
		t.Errorf("devices = %v", s.Linux.Devices)
	}
	for _, m := range s.Mounts {
		if m.Destination == "/sys" && slices.Contains(m.Options, "ro") {
			t.Error("/sys is read-only")
		}
	}
}

func TestDevice(t *testing.T) {
	d, rule, err := Device("/dev/zero", "/dev/nought", "r")
	if err != nil || d.Path != "/dev/nought" || d.Type != "c" || d.Major != 1 || d.Minor != 5 || *rule.Minor != 5 || rule.Access != "r" {
		t.Errorf("%+v, %+v, %v", d, rule, err)
	}
	if _, _, err := Device("/etc", "/x", "r"); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("error = %v", err)
	}
}
