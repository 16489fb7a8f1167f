package engine

import (
	"bufio"
	"fmt"
	"os"
	osexec "os/exec"
	"regexp"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/image/registry"
)

// The figures of /info are compared with other sources of the same machine.
func TestInfoIsTrue(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://user:secret@proxy:3128")
	t.Setenv("https_proxy", "user:secret@proxy:3129")
	t.Setenv("no_proxy", "localhost,10.0.0.0/8")
	e := newEngine(t)
	var err error
	if e.Registry, err = registry.New(registry.Options{
		Insecure: []string{"registry.test:5000", "10.20.0.0/16"}, Mirrors: []string{"https://mirror.test"},
	}); err != nil {
		t.Fatal(err)
	}
	importImage(t, e, "a", "v1", `CMD ["true"]`)
	for _, name := range []string{"one", "two"} {
		if _, err := e.ContainerCreate(t.Context(), &hub.ContainerCreateParams{Name: name, Body: &models.ContainerCreateRequest{
			ContainerConfig: models.ContainerConfig{Image: "a:v1"},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := e.SystemInfo(t.Context(), &hub.SystemInfoParams{})
	if err != nil {
		t.Fatal(err)
	}
	uname := func(flag string) string {
		out, err := osexec.Command("uname", flag).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	for _, c := range []struct{ name, got, want string }{
		{"counts", fmt.Sprint(m.Containers, m.ContainersRunning, m.ContainersPaused, m.ContainersStopped, m.Images), "2 0 0 2 1"},
		{"kernel", m.KernelVersion, uname("-r")},
		{"architecture", m.Architecture, uname("-m")},
		{"name", m.Name, uname("-n")},
		{"memory", fmt.Sprint(m.MemTotal), fmt.Sprint(memTotal(t))},
		{"labels", fmt.Sprint(m.Labels), "[place=test]"},
		{"http proxy", m.HTTPProxy, "http://proxy:3128"},
		{"https proxy", m.HTTPSProxy, "proxy:3129"},
		{"no proxy", m.NoProxy, "localhost,10.0.0.0/8"},
		{"root", m.DockerRootDir, e.DataRoot},
		{"networks", fmt.Sprint(m.Plugins.Network), "[bridge host null]"},
		{"volumes", fmt.Sprint(m.Plugins.Volume), "[local]"},
		{"processors", fmt.Sprint(m.NCPU), fmt.Sprint(goruntime.NumCPU())},
		{"version", m.ServerVersion, "0.0.1"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
	if !regexp.MustCompile(`^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$`).MatchString(m.ID) {
		t.Errorf("id %q", m.ID)
	}
	if m.NFd < 3 || m.NGoroutines < 1 || m.SystemTime == "" || len(m.DriverStatus) == 0 || m.OperatingSystem == "" {
		t.Errorf("%+v", m)
	}
	r := m.RegistryConfig
	if fmt.Sprint(r.InsecureRegistryCIDRs) != "[127.0.0.0/8 ::1/128 10.20.0.0/16]" || fmt.Sprint(r.Mirrors) != "[https://mirror.test]" ||
		!r.IndexConfigs["docker.io"].Secure || r.IndexConfigs["registry.test:5000"].Secure || r.IndexConfigs["registry.test:5000"].Name == "" {
		t.Errorf("registries: %+v", r)
	}
	if m.SystemStatus != nil || m.Plugins.Authorization != nil || r.IndexConfigs["registry.test:5000"].Mirrors != nil {
		t.Error("what does not exist is null")
	}
}

func memTotal(t *testing.T) int64 {
	t.Helper()
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var kib int64
	if _, err := fmt.Fscanf(bufio.NewReader(f), "MemTotal: %d kB", &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func TestVersionAndPing(t *testing.T) {
	e := newEngine(t)
	v, err := e.SystemVersion(t.Context(), &hub.SystemVersionParams{})
	if err != nil {
		t.Fatal(err)
	}
	if v.APIVersion != "1.23" || v.Version != "0.0.1" || v.GitCommit != "abc1234" || v.GoVersion != goruntime.Version() || v.KernelVersion == "" {
		t.Errorf("%+v", v)
	}
	if text, err := e.SystemPing(t.Context(), &hub.SystemPingParams{}); text != "OK" || err != nil {
		t.Error(text, err)
	}
}

func TestVolumes(t *testing.T) {
	e := newEngine(t)
	create := func(name string) *models.Volume {
		t.Helper()
		v, err := e.VolumeCreate(t.Context(), &hub.VolumeCreateParams{Body: &models.VolumeCreateRequest{Name: name, Labels: map[string]string{"a": "b"}}})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := create("data")
	if v.Driver != "local" || !strings.HasPrefix(v.Mountpoint, e.DataRoot) || v.Labels["a"] != "b" {
		t.Errorf("%+v", v)
	}
	create("data")
	if err := e.Volumes.Acquire("data", "c1"); err != nil {
		t.Fatal(err)
	}
	create("idle")
	list := func(filters string) string {
		t.Helper()
		m, err := e.VolumeList(t.Context(), &hub.VolumeListParams{Filters: filters})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range m.Volumes {
			got = append(got, v.Name)
		}
		return strings.Join(got, " ")
	}
	for filters, want := range map[string]string{
		"":                         "data idle",
		`{"dangling":["true"]}`:    "idle",
		`{"dangling":["false"]}`:   "data",
		`{"name":["dat"]}`:         "data",
		`{"driver":["elsewhere"]}`: "",
	} {
		if got := list(filters); got != want {
			t.Errorf("%s: %s, want %s", filters, got, want)
		}
	}
	if err := e.VolumeDelete(t.Context(), &hub.VolumeDeleteParams{Name: "data"}); !errdefs.IsConflict(err) {
		t.Errorf("a volume in use: %v", err)
	}
	if err := e.VolumeDelete(t.Context(), &hub.VolumeDeleteParams{Name: "idle"}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.VolumeInspect(t.Context(), &hub.VolumeInspectParams{Name: "idle"}); !errdefs.IsNotFound(err) {
		t.Errorf("a removed volume: %v", err)
	}
	var got []string
	for _, ev := range happened(t, e, `{"type":["volume"]}`) {
		got = append(got, ev.Action+" "+ev.Actor.ID+" "+ev.Actor.Attributes["driver"])
	}
	if want := "create data local,create idle local,destroy idle local"; strings.Join(got, ",") != want {
		t.Errorf("events %v, want %s", got, want)
	}
}

func TestPredefinedNetworks(t *testing.T) {
	e := newEngine(t)
	list := func(filters string) string {
		t.Helper()
		all, err := e.NetworkList(t.Context(), &hub.NetworkListParams{Filters: filters})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range all {
			got = append(got, n.Name+"/"+n.Driver)
		}
		return strings.Join(got, " ")
	}
	for filters, want := range map[string]string{
		"":                     "bridge/bridge host/host none/null",
		`{"type":["custom"]}`:  "",
		`{"type":["builtin"]}`: "bridge/bridge host/host none/null",
		`{"name":["o"]}`:       "host/host none/null",
	} {
		if got := list(filters); got != want {
			t.Errorf("%s: %q, want %q", filters, got, want)
		}
	}
	for _, bad := range []string{`{"type":["odd"]}`, `{"driver":["bridge"]}`} {
		if _, err := e.NetworkList(t.Context(), &hub.NetworkListParams{Filters: bad}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	n, err := e.NetworkInspect(t.Context(), &hub.NetworkInspectParams{ID: "bridge"})
	if err != nil {
		t.Fatal(err)
	}
	if len(n.IPAM.Config) != 1 || n.IPAM.Config[0].Subnet == "" || n.Containers == nil || n.Options["com.docker.network.bridge.name"] != "bertheng0" {
		t.Errorf("%+v", n)
	}
	if err := e.NetworkDelete(t.Context(), &hub.NetworkDeleteParams{ID: n.ID[:12]}); !errdefs.IsPermissionDenied(err) {
		t.Errorf("removal of a predefined network: %v", err)
	}
	if _, err := e.NetworkInspect(t.Context(), &hub.NetworkInspectParams{ID: "nope"}); !errdefs.IsNotFound(err) {
		t.Errorf("a network that is not there: %v", err)
	}
}

func TestUserDefinedNetworks(t *testing.T) {
	e := newEngine(t)
	create := func(b models.NetworkCreateRequest) (*models.Network, error) {
		t.Helper()
		made, err := e.NetworkCreate(t.Context(), &hub.NetworkCreateParams{Body: &b})
		if err != nil {
			return nil, err
		}
		return e.NetworkInspect(t.Context(), &hub.NetworkInspectParams{ID: made.ID})
	}
	n, err := create(models.NetworkCreateRequest{
		Name: "isolated", Labels: map[string]string{"a": "b"}, Internal: true,
		IPAM: models.IPAM{Config: []models.IPAMConfig{{
			Subnet: "172.28.5.0/24", IPRange: "172.28.5.0/25", Gateway: "172.28.5.126",
			AuxiliaryAddresses: map[string]string{"router": "172.28.5.9"},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := models.IPAMConfig{Subnet: "172.28.5.0/24", IPRange: "172.28.5.0/25", Gateway: "172.28.5.126"}
	got := n.IPAM.Config[0]
	if got.Subnet != want.Subnet || got.IPRange != want.IPRange || got.Gateway != want.Gateway || got.AuxiliaryAddresses["router"] != "172.28.5.9" ||
		n.Labels["a"] != "b" || !n.Internal || n.Driver != "bridge" || n.Scope != "local" {
		t.Errorf("%+v", n)
	}
	chosen, err := create(models.NetworkCreateRequest{Name: "chosen"})
	if err != nil {
		t.Fatal(err)
	}
	if c := chosen.IPAM.Config; len(c) != 1 || c[0].Subnet == "" || !strings.Contains(c[0].Gateway, "/") {
		t.Errorf("%+v", c)
	}
	for _, c := range []struct {
		name string
		b    models.NetworkCreateRequest
		is   func(error) bool
	}{
		{"the name is taken", models.NetworkCreateRequest{Name: "isolated", CheckDuplicate: true}, errdefs.IsConflict},
		{"no name", models.NetworkCreateRequest{}, errdefs.IsInvalidArgument},
		{"predefined", models.NetworkCreateRequest{Name: "host"}, errdefs.IsPermissionDenied},
		{"unknown driver", models.NetworkCreateRequest{Name: "x", Driver: "nope"}, errdefs.IsNotFound},
		{"bad subnet", models.NetworkCreateRequest{Name: "x", IPAM: models.IPAM{Config: []models.IPAMConfig{{Subnet: "10.0.0.0"}}}}, errdefs.IsInvalidArgument},
		{"bad gateway", models.NetworkCreateRequest{Name: "x", IPAM: models.IPAM{Config: []models.IPAMConfig{{Subnet: "10.77.0.0/24", Gateway: "a"}}}}, errdefs.IsInvalidArgument},
		{"overlap", models.NetworkCreateRequest{Name: "x", IPAM: models.IPAM{Config: []models.IPAMConfig{{Subnet: "172.28.0.0/16"}}}}, errdefs.IsConflict},
	} {
		if _, err := create(c.b); !c.is(err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, id := range []string{"isolated", chosen.ID} {
		if err := e.NetworkDelete(t.Context(), &hub.NetworkDeleteParams{ID: id}); err != nil {
			t.Error(err)
		}
	}
	if err := e.NetworkDelete(t.Context(), &hub.NetworkDeleteParams{ID: "isolated"}); !errdefs.IsNotFound(err) {
		t.Errorf("removed twice: %v", err)
	}
	if got := actions(happened(t, e, `{"type":["network"]}`)); got != "network create isolated\nnetwork create chosen\nnetwork destroy isolated\nnetwork destroy chosen\n" {
		t.Errorf("events:\n%s", got)
	}
}

// Today's docker command names the network mode in the networking
// configuration, the default one by that word.
func TestDefaultNetworkByItsMode(t *testing.T) {
	e := newEngine(t)
	importImage(t, e, "a", "v1", `CMD ["true"]`)
	made, err := e.ContainerCreate(t.Context(), &hub.ContainerCreateParams{Body: &models.ContainerCreateRequest{
		ContainerConfig:  models.ContainerConfig{Image: "a:v1"},
		HostConfig:       &models.HostConfig{NetworkMode: "default"},
		NetworkingConfig: &models.NetworkingConfig{EndpointsConfig: map[string]models.EndpointSettings{"default": {}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.containers.Get(made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if places := c.Record().Places; len(places) != 1 || places[0].Network != "bridge" {
		t.Errorf("%+v", places)
	}
}
