package grant

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/build"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// world is an engine with a container, a network and a volume of team a (mine)
// and of team b (others). It remembers what reaches it.
type world struct {
	hub.Unimplemented
	created *hub.ContainerCreateParams
	listed  *hub.ContainerListParams
	network *hub.NetworkCreateParams
	fetch   error
}

// ids of the containers begin alike.
const mineID, othersID = "aa11", "aa22"

func team(name string) map[string]string {
	return map[string]string{"team": map[bool]string{true: "a", false: "b"}[name == "mine"]}
}

func (w *world) ContainerInspect(_ context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	for name, id := range map[string]string{"mine": mineID, "others": othersID} {
		if p.Name == id || strings.TrimPrefix(p.Name, "/") == name || p.Name != "" && p.Name != "aa" && strings.HasPrefix(id, p.Name) && len(p.Name) > 2 {
			return &models.ContainerInspect{ID: id, Config: &models.ContainerConfig{Labels: team(name)}}, nil
		}
	}
	if strings.HasPrefix(mineID, p.Name) && p.Name != "" {
		return nil, fault.Invalid("Multiple IDs found with provided prefix: %s", p.Name)
	}
	return nil, fault.NotFound("No such container: %s", p.Name)
}

func (w *world) ContainerList(_ context.Context, p *hub.ContainerListParams) ([]models.ContainerSummary, error) {
	w.listed = p
	return []models.ContainerSummary{
		{ID: mineID, Names: []string{"/mine", "/others/link", "/mine/own"}, Labels: team("mine"), State: "paused"},
		{ID: othersID, Names: []string{"/others"}, Labels: team("others"), State: "running"},
	}, nil
}

func (w *world) ContainerCreate(_ context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	if p.Name == "others" {
		return nil, fault.Conflict("already in use by container %s", othersID)
	}
	w.created = p
	return &models.ContainerCreateResponse{ID: "new"}, nil
}

func (w *world) ContainerStart(context.Context, *hub.ContainerStartParams) error { return nil }

func (w *world) NetworkInspect(_ context.Context, p *hub.NetworkInspectParams) (*models.Network, error) {
	switch p.ID {
	case "minenet", "host:net":
		return &models.Network{ID: "id-" + p.ID, Labels: team("mine")}, nil
	case "othersnet", "bridge", "host":
		return &models.Network{ID: "id-" + p.ID}, nil
	}
	return nil, fault.NotFound("network %s not found", p.ID)
}

func (w *world) NetworkCreate(_ context.Context, p *hub.NetworkCreateParams) (*models.NetworkCreateResponse, error) {
	w.network = p
	return &models.NetworkCreateResponse{}, nil
}

func (w *world) SystemInfo(context.Context, *hub.SystemInfoParams) (*models.Info, error) {
	return &models.Info{Containers: 2, ContainersRunning: 1, ContainersPaused: 1}, nil
}

func (w *world) ImageBuild(ctx context.Context, _ *hub.ImageBuildParams, _ stream.Output) error {
	w.fetch = build.Permitted(ctx, "http://127.0.0.1/")
	return nil
}

func (w *world) ImageCreate(context.Context, *hub.ImageCreateParams, stream.Output) error { return nil }

func limitedTo(t *testing.T, labels ...string) (hub.API, *world) {
	t.Helper()
	g, err := New("s", []string{"Containers"}, labels)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	return g.Limit(w), w
}

// TestHostConfigs has settings judged at creation and at the start that brings them.
func TestHostConfigs(t *testing.T) {
	for text, refused := range map[string]func(error) bool{
		`{"LogConfig": {"Type": "", "Config": {"syslog-address": "unix:///run/other.sock"}}}`: errdefs.IsPermissionDenied,
		`{"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}}`:                  nil,
		`{"NetworkMode": "host"}`:                   errdefs.IsPermissionDenied,
		`{"NetworkMode": "host:"}`:                  errdefs.IsNotFound,
		`{"NetworkMode": "HOST"}`:                   errdefs.IsNotFound,
		`{"NetworkMode": "othersnet"}`:              errdefs.IsNotFound,
		`{"NetworkMode": "container:aa2"}`:          errdefs.IsNotFound,
		`{"NetworkMode": "container:"}`:             errdefs.IsNotFound,
		`{"IpcMode": "container:/others"}`:          errdefs.IsNotFound,
		`{"PidMode": "CONTAINER:mine"}`:             errdefs.IsPermissionDenied,
		`{"Links": ["mine:x", "/others"]}`:          errdefs.IsNotFound,
		`{"hostconfig": {}, "PRIVILEGED": true}`:    errdefs.IsPermissionDenied,
		`{"Privileged": false, "privileged": true}`: errdefs.IsPermissionDenied,
		`{"VolumesFrom": ["aa2:ro"]}`:               errdefs.IsNotFound,
		`{"Links": ["mine:x"], "NetworkMode": "container:mine", "VolumesFrom": ["mine"]}`: nil,
	} {
		api, w := limitedTo(t, "team=a")
		for _, at := range []string{"create", "start"} {
			h := &models.HostConfig{}
			if err := json.Unmarshal([]byte(text), h); err != nil {
				t.Fatal(err)
			}
			var err error
			if at == "create" {
				_, err = api.ContainerCreate(t.Context(), &hub.ContainerCreateParams{Body: &models.ContainerCreateRequest{HostConfig: h}})
			} else {
				err = api.ContainerStart(t.Context(), &hub.ContainerStartParams{Name: "mine", Body: h})
			}
			switch {
			case refused == nil && err != nil, refused != nil && !refused(err):
				t.Errorf("%s of %s: %v", at, text, err)
			case refused != nil && w.created != nil:
				t.Errorf("%s of %s reached the engine", at, text)
			}
		}
	}
}

// TestEngineGetsIDs: what was judged by name is used by id, so that a rename, or
// a name that is gone and then the beginning of an id, leads nowhere else.
func TestEngineGetsIDs(t *testing.T) {
	api, w := limitedTo(t, "team=a")
	h := &models.HostConfig{Links: []string{"/mine:/x/alias", "mine"}, IpcMode: "container:mine", VolumesFrom: []string{"mine:ro"}}
	n := &models.NetworkingConfig{EndpointsConfig: map[string]models.EndpointSettings{"minenet": {}, "default": {}}}
	p := &hub.ContainerCreateParams{Body: &models.ContainerCreateRequest{HostConfig: h, NetworkingConfig: n}}
	if _, err := api.ContainerCreate(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	h = w.created.Body.HostConfig
	if want := []string{mineID + ":/x/alias", mineID + ":mine"}; !slices.Equal(h.Links, want) || h.IpcMode != "container:"+mineID || h.VolumesFrom[0] != mineID+":ro" {
		t.Errorf("%+v", h)
	}
	endpoints := w.created.Body.NetworkingConfig.EndpointsConfig
	if _, ok := endpoints["id-minenet"]; !ok || len(endpoints) != 2 {
		t.Errorf("%v", endpoints)
	}
	for name, id := range map[string]string{"minenet": "id-minenet", "host:net": "id-host:net", "bridge": "bridge", "": ""} {
		p := &hub.ContainerCreateParams{Body: &models.ContainerCreateRequest{HostConfig: &models.HostConfig{NetworkMode: name, Links: []string{"mine:x"}}}}
		if _, err := api.ContainerCreate(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if got := w.created.Body.HostConfig.NetworkMode; got != id {
			t.Errorf("network %s: %s, wanted %s", name, got, id)
		}
	}
}

// TestOthersAreNotTold looks for traces of others in answers.
func TestOthersAreNotTold(t *testing.T) {
	api, w := limitedTo(t, "team=a")
	_, err := api.ContainerCreate(t.Context(), &hub.ContainerCreateParams{Name: "others", Body: &models.ContainerCreateRequest{}})
	if !errdefs.IsConflict(err) || strings.Contains(err.Error(), othersID) {
		t.Errorf("a name that is taken: %v", err)
	}
	m, err := api.SystemInfo(t.Context(), &hub.SystemInfoParams{})
	if err != nil || m.Containers != 1 || m.ContainersRunning != 0 || m.ContainersPaused != 1 || m.ContainersStopped != 0 {
		t.Errorf("info: %+v %v", m, err)
	}
	list, err := api.ContainerList(t.Context(), &hub.ContainerListParams{})
	if err != nil || len(list) != 1 || !slices.Equal(list[0].Names, []string{"/mine", "/mine/own"}) {
		t.Errorf("list: %+v %v", list, err)
	}
	// The beginning of several ids is one of mine as far as its owner sees.
	inspected, err := api.ContainerInspect(t.Context(), &hub.ContainerInspectParams{Name: "aa"})
	if err != nil || inspected.ID != mineID {
		t.Errorf("by the beginning of an id: %v %v", inspected, err)
	}
	none, _ := limitedTo(t, "team=c")
	if _, err := none.ContainerInspect(t.Context(), &hub.ContainerInspectParams{Name: "aa"}); !errdefs.IsNotFound(err) {
		t.Errorf("the beginning of others' ids: %v", err)
	}
	for _, filters := range []string{
		`{"since": ["others"]}`, `{"before": ["aa22"]}`, `{"since": {"others": true}}`, `{"before": ["mine", "others"]}`, `{"since": ["nothing"]}`,
	} {
		if _, err := api.ContainerList(t.Context(), &hub.ContainerListParams{Filters: filters}); !errdefs.IsNotFound(err) {
			t.Errorf("filters %s: %v", filters, err)
		}
	}
	for filters, want := range map[string]string{
		"":                           `{"label":["team=a"]}`,
		`{"since":["mine"]}`:         `{"label":["team=a"],"since":["` + mineID + `"]}`,
		`{"label":{"x":true}}`:       `{"label":["x","team=a"]}`,
		`{"label":["x"],"LABEL":[]}`: `{"label":["x","team=a"]}`,
		`{"label":["x"],"label":[]}`: `{"label":["team=a"]}`,
		`{"label":["team=b"]}`:       `{"label":["team=b","team=a"]}`, // both must hold
	} {
		if _, err := api.ContainerList(t.Context(), &hub.ContainerListParams{Filters: filters}); err != nil || w.listed.Filters != want {
			t.Errorf("filters %s: %s %v, wanted %s", filters, w.listed.Filters, err, want)
		}
	}
	for _, filters := range []string{"[]", `{"before":[[]]}`, `{"since":{"mine":1}}`, `{"label":["a",1]}`, `{"label":"x"}`, `{"name":7}`} {
		w.listed.Filters = "none"
		if _, err := api.ContainerList(t.Context(), &hub.ContainerListParams{Filters: filters}); !errdefs.IsInvalidArgument(err) || w.listed.Filters != "none" {
			t.Errorf("filters %s: %v, the engine got %s", filters, err, w.listed.Filters)
		}
	}
}

// TestAddressesAreTheEngines: a client chooses neither the host's routes nor
// what the engine fetches by itself.
func TestAddressesAreTheEngines(t *testing.T) {
	api, w := limitedTo(t, "team=a")
	for _, ipam := range []models.IPAM{
		{Driver: "plugin"}, {Options: map[string]string{"a": "b"}}, {Config: []models.IPAMConfig{{Subnet: "8.8.8.0/24"}}},
		{Config: []models.IPAMConfig{{}, {Gateway: "8.8.8.8"}}}, {Config: []models.IPAMConfig{{IPRange: "8.8.8.0/24"}}},
		{Config: []models.IPAMConfig{{AuxAddress: map[string]string{"a": "8.8.8.8"}}}},
	} {
		if _, err := api.NetworkCreate(t.Context(), &hub.NetworkCreateParams{Body: &models.NetworkCreateRequest{Name: "n", IPAM: ipam}}); !errdefs.IsPermissionDenied(err) || w.network != nil {
			t.Errorf("%+v: %v", ipam, err)
		}
	}
	ipam := models.IPAM{Driver: "default", Config: []models.IPAMConfig{{}}}
	if _, err := api.NetworkCreate(t.Context(), &hub.NetworkCreateParams{Body: &models.NetworkCreateRequest{Name: "n", IPAM: ipam}}); err != nil || w.network.Body.Labels["team"] != "a" {
		t.Errorf("%+v: %v", w.network, err)
	}
	for source, refused := range map[string]bool{"-": false, "": false, "http://127.0.0.1/x": true, "127.0.0.1/x": true} {
		if err := api.ImageCreate(t.Context(), &hub.ImageCreateParams{FromSrc: source}, nil); errdefs.IsPermissionDenied(err) != refused {
			t.Errorf("fromSrc=%s: %v", source, err)
		}
	}
	for remote, refused := range map[string]bool{"": false, "http://127.0.0.1/x": true, "git://127.0.0.1/x": true} {
		if err := api.ImageBuild(t.Context(), &hub.ImageBuildParams{Remote: remote}, nil); errdefs.IsPermissionDenied(err) != refused {
			t.Errorf("remote=%s: %v", remote, err)
		}
	}
	if !errdefs.IsPermissionDenied(w.fetch) {
		t.Errorf("ADD of an address: %v", w.fetch)
	}
}

// TestEverySettingIsThoughtOf fails on a setting that came into the documents and that
// nobody has decided about. Those behind # are judged, others concern the container or
// network alone.
func TestEverySettingIsThoughtOf(t *testing.T) {
	for _, c := range []struct {
		of    any
		known string
	}{
		{models.HostConfig{}, `#Binds #Links Memory MemorySwap CPUShares CpusetCpus #PidMode PortBindings PublishAllPorts #Privileged ReadonlyRootfs DNS
			DNSSearch ExtraHosts #VolumesFrom #CapAdd CapDrop RestartPolicy #NetworkMode #Devices Ulimits #SecurityOpt #LogConfig #CgroupParent
			ContainerIDFile #IpcMode CPUPeriod CPUQuota CpusetMems BlkioWeight OomKillDisable #UTSMode GroupAdd MemorySwappiness #VolumeDriver
			DNSOptions #OomScoreAdj MemoryReservation KernelMemory BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps
			BlkioWeightDevice Tmpfs ShmSize PidsLimit #UsernsMode #LxcConf`},
		{models.ContainerCreateRequest{}, "ContainerConfig #HostConfig #NetworkingConfig"},
		// VolumesFrom, SecurityOpt, Mounts and Dns are those of images; the engine does not read them here.
		{models.ContainerConfig{}, `Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Entrypoint Image #Labels
			Volumes WorkingDir NetworkDisabled MacAddress ExposedPorts OnBuild Mounts StopSignal PublishService SecurityOpt #VolumeDriver DNS VolumesFrom
			PortSpecs Memory MemorySwap CPUShares Cpuset`},
		{models.EndpointSettings{}, `EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen MacAddress IPAMConfig
			#Links Aliases NetworkID`},
		{models.NetworkCreateRequest{}, "Name CheckDuplicate #Driver #IPAM #Options Internal EnableIPv6 #Labels"},
		{models.IPAMConfig{}, "#Subnet #IPRange #Gateway #AuxAddress #AuxiliaryAddresses"},
		{models.VolumeCreateRequest{}, "Name #Driver #DriverOpts #Labels"},
		{models.ExecConfig{}, "AttachStdin AttachStdout AttachStderr Tty Cmd Detach Container User #Privileged DetachKeys"},
		{models.ContainerUpdateRequest{}, `BlkioWeight CPUShares CPUPeriod CPUQuota CpusetCpus CpusetMems Memory MemorySwap MemoryReservation KernelMemory
			RestartPolicy`},
		{hub.ImageBuildParams{}, `ContentType XRegistryConfig Buildargs #Cgroupparent Cpuperiod Cpuquota Cpusetcpus Cpusetmems Cpushares Dockerfile Forcerm
			Body Labels Memory Memswap Nocache Pull Q #Remote Rm Shmsize T Ulimits`},
		{hub.ImageCreateParams{}, "XRegistryAuth Changes FromImage #FromSrc Body Message Repo Tag"},
		{hub.ImageCommitParams{}, "Author Changes Comment Body #Container Pause Repo Tag"},
	} {
		known := strings.Fields(strings.ReplaceAll(c.known, "#", ""))
		kind := reflect.TypeOf(c.of)
		for i := range kind.NumField() {
			if name := kind.Field(i).Name; !slices.Contains(known, name) {
				t.Errorf("%s.%s: may a client of a limited socket set it?", kind, name)
			}
		}
		if len(known) != kind.NumField() {
			t.Errorf("%s has %d settings, %d are known", kind, kind.NumField(), len(known))
		}
	}
}
