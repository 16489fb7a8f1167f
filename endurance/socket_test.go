package endurance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// through gives a client of another socket of the engine's daemon.
func (e *engine) through(t *testing.T, path string) client {
	t.Helper()
	c := newClient(path)
	t.Cleanup(c.hc.CloseIdleConnections)
	return c
}

// want fails the test unless the answer has the status.
func want(t *testing.T, c client, status int, method, path string, body any) answer {
	t.Helper()
	a, err := c.send(context.Background(), method, path, body)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	} else if a.status != status {
		t.Errorf("%s %s %v: %v, wanted %d", method, path, body, a, status)
	}
	return a
}

// sockets starts an engine with two sockets that are limited to one label each,
// everything else allowed, and one that may only look.
func sockets(t *testing.T) (e *engine, a, b, looks client) {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name+".sock") }
	all := ",allow=Containers+Images+Networks+Volumes+Misc"
	e = start(t, options{flags: []string{
		"--socket", "unix://" + path("a") + all + ",label=team=a",
		"--socket", "unix://" + path("b") + all + ",label=team=b",
		"--socket", "unix://" + path("looks") + ",allow=ContainerList+ContainerInspect+SystemPing",
	}})
	return e, e.through(t, path("a")), e.through(t, path("b")), e.through(t, path("looks"))
}

// made sends a creation and gives the id.
func made(t *testing.T, c client, path string, body any) string {
	t.Helper()
	var m struct{ ID, Name string }
	if err := want(t, c, http.StatusCreated, http.MethodPost, path, body).decode(&m); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// TestSocketsApart gives two sockets a label each and has each try what it can
// with the containers, networks, volumes and exec instances of the other, and of
// nobody.
func TestSocketsApart(t *testing.T) {
	e, a, b, looks := sockets(t)
	mine := made(t, a, "/containers/create?name=mine", map[string]any{"Image": "busybox", "Cmd": sleep})
	want(t, a, 204, http.MethodPost, "/containers/mine/start", nil)
	others := made(t, b, "/containers/create?name=others", map[string]any{"Image": "busybox", "Cmd": sleep, "Labels": map[string]string{"x": "y"}})
	want(t, b, 204, http.MethodPost, "/containers/others/start", nil)
	nobodys := e.sleeper("nobodys", nil)
	command := made(t, b, "/containers/others/exec", map[string]any{"Cmd": sleep})
	network := made(t, b, "/networks/create", map[string]any{"Name": "othernet"})
	made(t, b, "/volumes/create", map[string]any{"Name": "othervol"})
	e.must(http.MethodPost, "/volumes/create", map[string]any{"Name": "nobodysvol"}, http.StatusCreated)

	ids := func(c client, query string) (ids []string) {
		var list []struct{ ID string }
		if err := want(t, c, 200, http.MethodGet, "/containers/json?"+query, nil).decode(&list); err != nil {
			t.Fatal(err)
		}
		for _, item := range list {
			ids = append(ids, item.ID)
		}
		slices.Sort(ids)
		return ids
	}
	for _, c := range []struct {
		who   client
		query string
		ids   []string
	}{
		{a, "", []string{mine}}, {a, "all=1", []string{mine}}, {a, "limit=1", []string{mine}}, {b, "", []string{others}},
		{a, "filters=" + url.QueryEscape(`{"label":["x=y"]}`), nil}, {b, "filters=" + url.QueryEscape(`{"label":{"x=y":true}}`), []string{others}},
		{a, "filters=" + url.QueryEscape(`{"label":["team=b"]}`), nil}, {a, "filters=" + url.QueryEscape(`{"name":["others"]}`), nil},
		{looks, "", []string{mine, others, nobodys}},
	} {
		slices.Sort(c.ids)
		if got := ids(c.who, c.query); !slices.Equal(got, c.ids) {
			t.Errorf("list %s: %v, wanted %v", c.query, got, c.ids)
		}
	}
	hello := pack(map[string]string{"hello": "x"})
	for _, target := range []string{"others", others, others[:12], "nobodys"} {
		at := "/containers/" + target
		for _, try := range []struct {
			method, path string
			body         any
		}{
			{"GET", "/json", nil}, {"GET", "/top", nil}, {"GET", "/logs?stdout=1", nil}, {"GET", "/changes", nil}, {"GET", "/export", nil},
			{"GET", "/stats?stream=0", nil}, {"POST", "/resize?h=1&w=1", nil}, {"POST", "/start", nil}, {"POST", "/stop?t=0", nil},
			{"POST", "/restart?t=0", nil}, {"POST", "/kill", nil}, {"POST", "/update", map[string]any{"CpuShares": 2}},
			{"POST", "/rename?name=x", nil}, {"POST", "/pause", nil}, {"POST", "/unpause", nil}, {"POST", "/attach?stream=1&stdout=1", nil},
			{"POST", "/wait", nil}, {"POST", "/copy", map[string]any{"Resource": "/etc"}}, {"GET", "/archive?path=/etc", nil},
			{"HEAD", "/archive?path=/etc", nil}, {"PUT", "/archive?path=/etc", hello}, {"POST", "/exec", map[string]any{"Cmd": sleep}},
			{"GET", "/attach/ws?stream=1", nil}, {"DELETE", "?force=1", nil},
		} {
			want(t, a, 404, try.method, at+try.path, try.body)
		}
		want(t, a, 404, "POST", "/commit?container="+target+"&repo=stolen", nil)
		want(t, a, 404, "GET", "/containers/json?since="+target, nil)
		want(t, a, 404, "GET", "/containers/json?before="+target, nil)
		want(t, a, 404, "POST", "/networks/bridge/disconnect", map[string]any{"Container": target, "Force": true})
		want(t, a, 404, "POST", "/networks/bridge/connect", map[string]any{"Container": target})
	}
	for _, id := range []string{command} {
		want(t, a, 404, "GET", "/exec/"+id+"/json", nil)
		want(t, a, 404, "POST", "/exec/"+id+"/resize?h=1&w=1", nil)
		want(t, a, 404, "POST", "/exec/"+id+"/start", map[string]any{})
	}
	for _, name := range []string{"othernet", network, network[:12], "bridge", "host"} {
		want(t, a, 404, "GET", "/networks/"+name, nil)
		want(t, a, 404, "DELETE", "/networks/"+name, nil)
		if name != "bridge" {
			want(t, a, 404, "POST", "/networks/"+name+"/connect", map[string]any{"Container": "mine"})
		}
	}
	for _, name := range []string{"othervol", "nobodysvol"} {
		want(t, a, 404, "GET", "/volumes/"+name, nil)
		want(t, a, 404, "DELETE", "/volumes/"+name, nil)
		want(t, a, 409, "POST", "/volumes/create", map[string]any{"Name": name})
	}
	var volumes struct{ Volumes []struct{ Name string } }
	if err := want(t, a, 200, "GET", "/volumes", nil).decode(&volumes); err != nil || len(volumes.Volumes) != 0 {
		t.Errorf("volumes: %+v %v", volumes, err)
	}
	var networks []struct{ Name string }
	if err := want(t, b, 200, "GET", "/networks", nil).decode(&networks); err != nil || len(networks) != 1 || networks[0].Name != "othernet" {
		t.Errorf("networks: %+v %v", networks, err)
	}
	// Both are as they were.
	for _, name := range []string{"others", "nobodys"} {
		if s := e.inspect(name); !s.State.Running || s.State.Paused || s.RestartCount != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, path := range []string{"/containers/mine/start", "/containers/create", "/images/busybox/push"} {
		want(t, looks, 403, http.MethodPost, path, map[string]any{"Image": "busybox"})
	}
	want(t, looks, 403, "GET", "/events?until=1", nil)
	if !e.logged("verdict=refused") || !e.logged("verdict=allowed") || !e.logged(fmt.Sprintf("operation=ContainerKill object=%s uid=0", others)) {
		t.Error("the log tells of no refusal, or not of whom")
	}
}

// TestSocketStaysInside has a client of a limited socket ask for all that would
// lead from a container to the host or to what is not its own.
func TestSocketStaysInside(t *testing.T) {
	e, a, b, _ := sockets(t)
	made(t, b, "/containers/create?name=others", map[string]any{"Image": "busybox", "Cmd": sleep})
	want(t, b, 204, http.MethodPost, "/containers/others/start", nil)
	made(t, b, "/networks/create", map[string]any{"Name": "othernet"})
	made(t, b, "/volumes/create", map[string]any{"Name": "othervol"})
	hosts := []struct {
		status int
		host   string
	}{
		{403, `{"Privileged": true}`},
		{403, `{"CapAdd": ["SYS_ADMIN"]}`},
		{403, `{"CapAdd": "ALL"}`},
		{403, `{"Binds": ["/:/host"]}`},
		{403, `{"Binds": ["/run:/run:ro"]}`},
		{403, `{"Binds": ["//etc/../:/host"]}`},
		{403, `{"Binds": ["othervol:/v"]}`},
		{403, `{"VolumeDriver": "other"}`},
		{403, `{"Devices": [{"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg", "CgroupPermissions": "rwm"}]}`},
		{403, `{"PidMode": "host"}`},
		{403, `{"IpcMode": "host"}`},
		{403, `{"UTSMode": "host"}`},
		{403, `{"UsernsMode": "host"}`},
		{403, `{"NetworkMode": "host"}`},
		{403, `{"CgroupParent": "/"}`},
		{403, `{"OomScoreAdj": -1000}`},
		{403, `{"SecurityOpt": ["seccomp=unconfined"]}`},
		{403, `{"SecurityOpt": ["seccomp:unconfined"]}`},
		{403, `{"SecurityOpt": ["no-new-privileges", "apparmor=unconfined"]}`},
		{403, `{"LogConfig": {"Config": {"syslog-address": "unix:///dev/log"}}}`},
		{403, `{"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "unix:///dev/log"}}}`},
		{404, `{"NetworkMode": "othernet"}`},
		{404, `{"NetworkMode": "container:others"}`},
		{404, `{"IpcMode": "container:others"}`},
		{404, `{"PidMode": "container:others"}`},
		{404, `{"VolumesFrom": ["others"]}`},
		{404, `{"VolumesFrom": ["others:ro"]}`},
		{404, `{"Links": ["others:o"]}`},
		{404, `{"Links": ["/others:/x/o"]}`},
	}
	made(t, a, "/containers/create?name=plain", map[string]any{"Image": "busybox", "Cmd": sleep})
	for _, h := range hosts {
		want(t, a, h.status, "POST", "/containers/create", map[string]any{"Image": "busybox", "Cmd": sleep, "HostConfig": json.RawMessage(h.host)})
		want(t, a, h.status, "POST", "/containers/plain/start", json.RawMessage(h.host))
	}
	for status, body := range map[string]string{
		"403 a":       `{"Image": "busybox", "Labels": {"team": "b"}}`,
		"403 label":   `{"Image": "busybox", "Labels": {"team": ""}}`,
		"404 network": `{"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"othernet": {}}}}`,
	} {
		n := 403
		if strings.HasPrefix(status, "404") {
			n = 404
		}
		want(t, a, n, "POST", "/containers/create", json.RawMessage(body))
	}
	want(t, a, 403, "POST", "/../v1.20/containers/create", map[string]any{"Image": "busybox", "VolumeDriver": "other", "Volumes": map[string]any{"/v": map[string]any{}}})
	want(t, a, 403, "POST", "/containers/plain/exec", map[string]any{"Cmd": sleep, "Privileged": true})
	want(t, a, 403, "POST", "/volumes/create", map[string]any{"Name": "v", "DriverOpts": map[string]string{"type": "none", "o": "bind", "device": "/"}})
	want(t, a, 403, "POST", "/volumes/create", map[string]any{"Name": "v", "Driver": "other"})
	want(t, a, 403, "POST", "/volumes/create", map[string]any{"Name": "v", "Labels": map[string]string{"team": "b"}})
	want(t, a, 403, "POST", "/networks/create", map[string]any{"Name": "n", "Driver": "host"})
	want(t, a, 403, "POST", "/networks/create", map[string]any{"Name": "n", "Options": map[string]string{"com.docker.network.bridge.name": bridgeName}})
	for _, ipam := range []string{`{"Driver": "other"}`, `{"Config": [{"Subnet": "198.51.100.0/24", "Gateway": "198.51.100.1"}]}`} {
		want(t, a, 403, "POST", "/networks/create", map[string]any{"Name": "n", "IPAM": json.RawMessage(ipam)})
	}
	want(t, a, 403, "POST", "/images/create?fromSrc=http%3A%2F%2F127.0.0.1%3A1%2F", nil)
	want(t, a, 403, "POST", "/build?remote=http%3A%2F%2F127.0.0.1%3A1%2F", nil)
	added := want(t, a, 200, "POST", "/build", pack(map[string]string{"Dockerfile": "FROM busybox\nADD http://127.0.0.1:1/x /x"}))
	if !bytes.Contains(added.body, []byte("ADD of an address is not allowed")) {
		t.Errorf("ADD: %s", added.body)
	}
	want(t, a, 403, "POST", "/build?cgroupparent=/", pack(map[string]string{"Dockerfile": "FROM busybox"}))

	// A network may be called anything, and is no other mode then.
	made(t, a, "/networks/create", map[string]any{"Name": "host:net"})
	made(t, a, "/containers/create?name=named", map[string]any{"Image": "busybox", "Cmd": sleep, "HostConfig": map[string]any{"NetworkMode": "host:net"}})
	want(t, a, 204, "POST", "/containers/named/start", nil)
	var named struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	if err := want(t, a, 200, "GET", "/containers/named/json", nil).decode(&named); err != nil || named.NetworkSettings.Networks["host:net"].IPAddress == "" {
		t.Errorf("in the network host:net: %+v %v", named, err)
	}

	// What is its own may be joined, and works.
	made(t, a, "/networks/create", map[string]any{"Name": "net"})
	made(t, a, "/containers/create?name=first", map[string]any{"Image": "busybox", "Cmd": sleep,
		"HostConfig": map[string]any{"NetworkMode": "net", "Binds": []string{"data:/data"}, "SecurityOpt": []string{"no-new-privileges"}}})
	want(t, a, 204, "POST", "/containers/first/start", nil)
	made(t, a, "/containers/create?name=second", map[string]any{"Image": "busybox", "Cmd": []string{"sh", "-c", "touch /data/x; hostname"},
		"HostConfig": map[string]any{"NetworkMode": "container:first", "IpcMode": "container:first", "VolumesFrom": []string{"first"}, "Binds": []string{"data:/data"}}})
	want(t, a, 204, "POST", "/containers/second/start", nil)
	if o := e.ends("second"); o.code != 0 {
		t.Errorf("%+v", o)
	}
	var v struct{ Labels map[string]string }
	if err := want(t, a, 200, "GET", "/volumes/data", nil).decode(&v); err != nil || v.Labels["team"] != "a" {
		t.Errorf("the volume of a bind: %+v %v", v, err)
	}
	want(t, b, 404, "GET", "/volumes/data", nil)
}

// TestSocketEvents sees the events of the socket's own containers only.
func TestSocketEvents(t *testing.T) {
	e, a, b, _ := sockets(t)
	began := time.Now()
	for name, c := range map[string]client{"mine": a, "others": b} {
		made(t, c, "/networks/create", map[string]any{"Name": name})
		made(t, c, "/containers/create?name="+name, map[string]any{"Image": "busybox", "Cmd": []string{"true"}, "HostConfig": map[string]any{"NetworkMode": name}})
		want(t, c, 204, "POST", "/containers/"+name+"/start", nil)
		e.ends(name)
		want(t, c, 204, "DELETE", "/containers/"+name, nil)
	}
	e.whole(map[string]any{"Image": "busybox", "Cmd": []string{"true"}})
	events := want(t, a, 200, "GET", fmt.Sprintf("/events?since=%d&until=%d.999", began.Unix()-1, time.Now().Unix()), nil)
	seen := map[string]int{}
	for line := range bytes.Lines(events.body) {
		var m struct {
			Type, Action string
			Actor        struct{ Attributes map[string]string }
		}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		if m.Type == "image" {
			continue
		}
		seen[m.Type+" "+m.Action]++
		if m.Actor.Attributes["name"] != "mine" {
			t.Errorf("seen: %s", line)
		}
	}
	for _, kind := range []string{"container create", "container start", "container die", "container destroy", "network connect", "network disconnect"} {
		if seen[kind] != 1 {
			t.Errorf("%s: %d times in\n%s", kind, seen[kind], events.body)
		}
	}
}
