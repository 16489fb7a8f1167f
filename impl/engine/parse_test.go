package engine

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/image"
)

func TestParseSignal(t *testing.T) {
	for in, want := range map[string]syscall.Signal{
		"": syscall.SIGTERM, "9": 9, "KILL": 9, "SIGKILL": 9, "sigterm": 15, "hup": 1, "RTMIN": 34, "SIGRTMIN+3": 37, "RTMAX": 64, "RTMAX-1": 63,
	} {
		if got, err := parseSignal(in, syscall.SIGTERM); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"NOPE", "0", "65", "-1", "SIG", "RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMIN+x", "9x"} {
		if got, err := parseSignal(in, 1); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %d, %v; want an invalid argument", in, got, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]time.Time{
		"": {}, "0": {}, "5": time.Unix(5, 0), "5.1": time.Unix(5, 100_000_000), "5.000000001": time.Unix(5, 1), "1456789.1234567891": time.Unix(1456789, 123456789),
	} {
		if got, err := parseTime(in); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"x", "5.x", "5.-1", "99999999999999999999", "2026-01-01"} {
		if got, err := parseTime(in); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v, %v; want an invalid argument", in, got, err)
		}
	}
}

func TestDetachKeys(t *testing.T) {
	for in, want := range map[string]string{
		"": "\x10\x11", "ctrl-a": "\x01", "a,b": "ab", "CTRL-p,x": "\x10x", "ctrl-@": "\x00", "ctrl-[,ctrl-_": "\x1b\x1f",
	} {
		if got, err := parseDetachKeys(in); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"ab", "ctrl-", "ctrl-aa", ",", "ctrl-1"} {
		if got, err := parseDetachKeys(in); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %q, %v; want an invalid argument", in, got, err)
		}
	}
}

func TestEscapeReader(t *testing.T) {
	for name, c := range map[string]struct {
		in, out  string
		detached bool
	}{
		"plain":            {"hello", "hello", false},
		"detach":           {"hi\x10\x11behind", "hi", true},
		"first key alone":  {"a\x10b", "a\x10b", false},
		"first key twice":  {"\x10\x10\x11", "\x10", true},
		"second key alone": {"\x11x", "\x11x", false},
		"held at the end":  {"x\x10", "x\x10", false},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "by bytes": iotest.OneByteReader} {
			t.Run(name+" "+how, func(t *testing.T) {
				var out bytes.Buffer
				_, err := io.Copy(&out, &escapeReader{r: wrap(strings.NewReader(c.in)), keys: defaultDetachKeys[:]})
				if out.String() != c.out || (err == errDetached) != c.detached {
					t.Fatalf("got %q, %v", out.String(), err)
				}
			})
		}
	}
}

func TestParseBind(t *testing.T) {
	for in, want := range map[string]container.Mount{
		"/a:/b":           {Source: "/a", Destination: "/b", RW: true, Propagation: "rprivate"},
		"/a/:/b/../c:ro":  {Source: "/a", Destination: "/c", Mode: "ro", Propagation: "rprivate"},
		"/a:/b:rw,z":      {Source: "/a", Destination: "/b", Mode: "rw,z", RW: true, Propagation: "rprivate"},
		"/a:/b:rshared":   {Source: "/a", Destination: "/b", Mode: "rshared", RW: true, Propagation: "rshared"},
		"name:/b":         {Name: "name", Destination: "/b", RW: true},
		"name:/b:nocopy":  {Name: "name", Destination: "/b", Mode: "nocopy", RW: true, NoCopy: true},
		"/only/a/volume":  {Destination: "/only/a/volume", RW: true, Anonymous: true},
		"name:/b:ro,Z":    {Name: "name", Destination: "/b", Mode: "ro,Z"},
		"/with space:/b ": {Source: "/with space", Destination: "/b ", RW: true, Propagation: "rprivate"},
	} {
		if got, err := parseBind(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "a", "/a:b", "/a:/", "/a:/b:c:d", "/a:/b:ro,rw", "/a:/b:nocopy", "name:/b:shared", "/a:/b:xx", "/a:/b:z,Z", "/a:/b\x00", "/a:/b:"} {
		if got, err := parseBind(in); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %+v, %v; want an invalid argument", in, got, err)
		}
	}
}

func TestMergeImage(t *testing.T) {
	img := &image.Config{
		User: "1", Env: []string{"A=img", "B=img"}, Cmd: image.Words{"img"}, Entrypoint: image.Words{"entry"},
		WorkingDir: "/img", Labels: map[string]string{"l": "img", "m": "img"}, StopSignal: "INT",
		ExposedPorts: map[string]struct{}{"80/tcp": {}}, Volumes: map[string]struct{}{"/v": {}},
	}
	c := &models.ContainerConfig{Env: []string{"A=own"}, Labels: map[string]string{"l": "own"}}
	mergeImage(c, img)
	got := fmt.Sprint(c.User, c.Env, c.Cmd, c.Entrypoint, c.WorkingDir, c.Labels, c.StopSignal, len(c.ExposedPorts), len(c.Volumes))
	if want := "1[A=own B=img][img][entry]/imgmap[l:own m:img]INT1 1"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s", got)
	}
	own := &models.ContainerConfig{Entrypoint: []string{"own"}}
	mergeImage(own, img)
	if len(own.Cmd) != 0 || own.Entrypoint[0] != "own" {
		t.Errorf("an own entrypoint keeps the image's command: %v %v", own.Entrypoint, own.Cmd)
	}
	cmd := &models.ContainerConfig{Cmd: []string{"own"}}
	mergeImage(cmd, img)
	if cmd.Cmd[0] != "own" || cmd.Entrypoint[0] != "entry" {
		t.Errorf("an own command: %v %v", cmd.Entrypoint, cmd.Cmd)
	}
}

func TestCheckLimits(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	for name, h := range map[string]models.HostConfig{
		"memory below 4 MB":        {Memory: 1 << 20},
		"memory negative":          {Memory: -1},
		"swap below memory":        {Memory: 8 << 20, MemorySwap: 6 << 20},
		"swap without memory":      {MemorySwap: 8 << 20},
		"reservation above memory": {Memory: 8 << 20, MemoryReservation: 9 << 20},
		"swappiness":               {MemorySwappiness: n(101)},
		"period":                   {CPUPeriod: 10},
		"quota":                    {CPUQuota: 10},
		"blkio weight":             {BlkioWeight: 5},
		"oom score":                {OomScoreAdj: -1001},
		"kernel memory below 4 MB": {KernelMemory: 1},
	} {
		if err := checkLimits(&h); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, h := range map[string]models.HostConfig{
		"nothing": {}, "least memory": {Memory: 4 << 20}, "unlimited swap": {Memory: 8 << 20, MemorySwap: -1}, "swap as memory": {Memory: 8 << 20, MemorySwap: 8 << 20},
		"swappiness unset": {MemorySwappiness: n(-1)},
	} {
		if err := checkLimits(&h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReplaceEnv(t *testing.T) {
	got := replaceEnv([]string{"A=1", "B=2", "C=3"}, []string{"B=x", "C", "D=4", "D=5", "E"})
	if want := []string{"A=1", "B=x", "D=5"}; !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestPortSpecs(t *testing.T) {
	r := &container.Record{
		Config: &models.ContainerConfig{ExposedPorts: union(nil, map[string]struct{}{"80/tcp": {}, "53/udp": {}})},
		HostConfig: &models.HostConfig{PublishAllPorts: true, PortBindings: models.PortMap{
			"80/tcp":        {{HostPort: "8080"}, {HostIP: "127.0.0.1", HostPort: "9000-9010"}},
			"7000-7001/tcp": {{HostPort: "5000-5001"}},
		}},
	}
	specs, err := portSpecs(r)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range specs {
		got = append(got, fmt.Sprint(s.HostIP, ":", s.HostPort, "-", s.HostPortEnd, ">", s.ContainerPort, "/", s.Proto))
	}
	want := []string{
		"invalid IP:5000-0>7000/tcp", "invalid IP:5001-0>7001/tcp", "invalid IP:8080-0>80/tcp", "127.0.0.1:9000-9010>80/tcp", "invalid IP:0-0>53/udp",
	}
	if strings.ReplaceAll(strings.Join(got, "|"), " ", "") != strings.ReplaceAll(strings.Join(want, "|"), " ", "") {
		t.Fatalf("got %q", got)
	}
	for _, bad := range []models.PortMap{{"x/tcp": nil}, {"80/sctpx": nil}, {"80": {{HostPort: "x"}}}, {"80": {{HostIP: "host"}}}, {"0/tcp": nil}, {"70000": nil}, {"80": {{HostPort: "70000"}}}} {
		if err := checkPortBindings(bad); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestLogLimits(t *testing.T) {
	for name, c := range map[string]struct {
		options map[string]string
		size    int64
		files   int
		bad     bool
	}{
		"bounded by default": {nil, defaultLogSize, defaultLogFiles, false},
		"one file by size":   {map[string]string{"max-size": "1m"}, 1 << 20, 1, false},
		"both":               {map[string]string{"max-size": "10k", "max-file": "3"}, 10 << 10, 3, false},
		"no limit":           {map[string]string{"max-size": "-1"}, -1, 1, false},
		"bad size":           {map[string]string{"max-size": "x"}, 0, 0, true},
		"bad count":          {map[string]string{"max-file": "0"}, 0, 0, true},
		"unknown":            {map[string]string{"nope": "1"}, 0, 0, true},
	} {
		size, files, err := logLimits(c.options)
		if c.bad != (err != nil) || !c.bad && (size != c.size || files != c.files) {
			t.Errorf("%s: %d, %d, %v", name, size, files, err)
		}
	}
}

func TestStatusText(t *testing.T) {
	now := time.Unix(1000, 0)
	for want, s := range map[string]container.State{
		"Created":                      {Status: container.Created},
		"Up 5 seconds":                 {Status: container.Running, StartedAt: now.Add(-5 * time.Second)},
		"Up 5 minutes (Paused)":        {Status: container.Paused, StartedAt: now.Add(-5 * time.Minute)},
		"Exited (137) 2 hours ago":     {Status: container.Exited, ExitCode: 137, FinishedAt: now.Add(-2 * time.Hour)},
		"Restarting (1) 3 seconds ago": {Status: container.Restarting, ExitCode: 1, FinishedAt: now.Add(-3 * time.Second)},
		"Dead":                         {Status: container.Dead},
	} {
		if got := statusText(s, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestNetworkMode: a mode is the whole word, and a network may be called
// anything else, with any beginning.
func TestNetworkMode(t *testing.T) {
	for in, want := range map[string][2]string{
		"": {"bridge", "bridge"}, "default": {"bridge", "bridge"}, "bridge": {"bridge", "bridge"}, "none": {"none", ""}, "host": {"host", ""},
		"container:abc": {"container", "abc"}, "a": {"bridge", "a"}, "host:a": {"bridge", "host:a"}, "none:a": {"bridge", "none:a"},
		"bridge:a": {"bridge", "bridge:a"}, "default:a": {"bridge", "default:a"}, "host:": {"bridge", "host:"}, "Host": {"bridge", "Host"},
	} {
		r := &container.Record{Config: &models.ContainerConfig{}, HostConfig: &models.HostConfig{NetworkMode: in}}
		if mode, name := networkMode(r); string(mode) != want[0] || name != want[1] {
			t.Errorf("%q: %s %q, wanted %v", in, mode, name, want)
		}
	}
	for _, in := range []string{"container", "container:"} {
		if err := checkConflicts(&models.ContainerConfig{}, &models.HostConfig{NetworkMode: in}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", in, err)
		}
	}
}
