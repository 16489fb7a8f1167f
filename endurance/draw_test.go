package endurance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

// drawer draws requests from the documents: mostly valid ones about objects that
// there are, the rest invalid in one place or more.
type drawer struct {
	*rand.Rand
	contract *contract
	// live are the names and ids of what there is: container, image, network, volume, exec.
	live map[string][]string
	// image is an archive to load, host a directory for binds.
	image []byte
	host  string
	count int
}

// request is a drawn one.
type request struct {
	*operation
	url  string
	kind string // Content-Type
	body []byte
}

func (r request) String() string {
	return fmt.Sprintf("%s %s %s %.1500q", r.method, r.url, r.kind, r.body)
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// odds is true p times of 100.
func (d *drawer) odds(p int) bool { return d.IntN(100) < p }

// odd is a text that hardly anything takes.
func (d *drawer) odd() string {
	return pick(d.Rand, "", "x", "..", "../../../etc", "/", "-", "a\x00b", "a\nb", "é\u202e", "%s%n", "{}", "null", "sha256:", "sha256:"+strings.Repeat("0", 64),
		strings.Repeat("x", 300), strings.Repeat("a/", 200), "\xff\xfe", "0", "-1", "99999999999999999999", "1e3", "true", "nope", "host", "container:", "container:nope", "a:b:c:d", "=", "a=b")
}

func (d *drawer) fresh(kind string) string {
	d.count++
	return fmt.Sprintf("%s%d-%d", kind, d.Uint32()%1000, d.count)
}

// one is a live object of a kind.
func (d *drawer) one(kind string) string {
	if len(d.live[kind]) == 0 || d.odds(4) {
		return d.odd()
	}
	name := pick(d.Rand, d.live[kind]...)
	if len(name) == 64 && d.odds(20) {
		name = name[:12]
	}
	return name
}

// draw draws a request of one operation.
func (d *drawer) draw(o *operation) request {
	r := request{operation: o}
	path, query := o.path, url.Values{}
	for _, p := range o.Parameters {
		switch p.In {
		case "path":
			path = strings.Replace(path, "{"+p.Name+"}", strings.ReplaceAll(url.PathEscape(d.pathOf(o)), "%2F", "/"), 1)
		case "query":
			chance := 25
			if p.Required {
				chance = 96
			}
			if d.odds(chance) {
				query.Add(p.Name, d.query(o, p))
			}
		case "body":
			r.kind, r.body = d.body(o, p)
		}
	}
	r.url = "/v" + o.version + path
	if len(query) > 0 {
		r.url += "?" + query.Encode()
	}
	return r
}

func (d *drawer) pathOf(o *operation) string {
	for prefix, kind := range map[string]string{"/containers/": "container", "/images/": "image", "/networks/": "network", "/volumes/": "volume", "/exec/": "exec"} {
		if strings.HasPrefix(o.path, prefix) {
			return d.one(kind)
		}
	}
	return d.odd()
}

// query draws a value of a query parameter. Nothing that is drawn here may make a
// request take long by its own meaning.
func (d *drawer) query(o *operation, p parameter) string {
	if d.odds(6) && p.Name != "t" && p.Name != "remote" && p.Name != "fromSrc" {
		return d.odd()
	}
	switch p.Name {
	case "name":
		if o.ID == "ContainerCreate" || o.ID == "ContainerRename" {
			return pick(d.Rand, d.fresh("c"), d.fresh("c"), d.fresh("c"), d.one("container"))
		}
	case "container", "before":
		return d.one("container")
	case "names":
		return d.one("image")
	case "signal":
		return pick(d.Rand, "KILL", "SIGTERM", "9", "USR1", "0", "65", "WINCH", "nope")
	case "t":
		if p.Type == "integer" {
			return pick(d.Rand, "0", "1", "x")
		}
		return pick(d.Rand, d.fresh("built"), "A:B", "a:b:c")
	case "path":
		return pick(d.Rand, "/etc", "/", "/tmp", "/nope", "/proc", "../..", "etc/.", "/etc/passwd/")
	case "filters":
		return pick(d.Rand, `{}`, `{"label":["a"]}`, `{"status":["exited"]}`, `{"dangling":["true"]}`, `{"name":["c"]}`, `{"type":["custom"]}`, `{"nope":["x"]}`, `{"label":"a"}`, `[]`, `{"exited":["x"]}`, `{"label":{"a":true}}`)
	case "since":
		if o.ID == "ContainerList" {
			return d.one("container")
		}
		return pick(d.Rand, "0", "1", "1700000000.5", "x")
	case "until":
		return pick(d.Rand, "1", "1700000000", "x")
	case "fromImage":
		return pick(d.Rand, "127.0.0.1:1/a", "127.0.0.1:1/a:b", "A", "busybox@sha256:x")
	case "fromSrc":
		return pick(d.Rand, "-", "http://127.0.0.1:1/x", "nope")
	case "remote":
		return pick(d.Rand, "", "http://127.0.0.1:1/x", "git://127.0.0.1:1/x", "nope")
	case "repo":
		return pick(d.Rand, d.fresh("made"), "127.0.0.1:1/a", "A")
	case "tag":
		return pick(d.Rand, "x", "latest", "é", "")
	case "term":
		return "127.0.0.1:1/a"
	case "ps_args":
		return pick(d.Rand, "-ef", "aux", "-o pid", "nope")
	case "changes":
		return pick(d.Rand, "ENV a=b", "CMD x", "RUN x", "EXPOSE x", "LABEL")
	case "tail", "limit":
		return pick(d.Rand, "0", "1", "-1", "all", "5")
	case "dockerfile":
		return pick(d.Rand, "Dockerfile", "nope", "../x")
	case "detachKeys":
		return pick(d.Rand, "ctrl-a", "a,b", "ctrl-", "")
	case "buildargs", "labels":
		return pick(d.Rand, `{"a":"b"}`, `[]`, `{"a":null}`)
	case "ulimits":
		return pick(d.Rand, `[{"Name":"nofile","Soft":1024,"Hard":1024}]`, `[{}]`, `{}`)
	case "cgroupparent":
		return ""
	}
	switch p.Type {
	case "boolean":
		return pick(d.Rand, "1", "0", "true", "false")
	case "integer":
		return pick(d.Rand, "0", "1", "-1", "1024", "67108864", "9223372036854775807")
	}
	return d.odd()
}

// body draws a body: an archive, or JSON of the parameter's schema.
func (d *drawer) body(o *operation, p parameter) (kind string, body []byte) {
	if p.Schema.Format == "binary" {
		kind = "application/x-tar"
		read := func(r raw) []byte { b, _ := io.ReadAll(r); return b }
		switch {
		case d.odds(10):
			return kind, nil
		case d.odds(10):
			return kind, []byte(d.odd())
		case o.ID == "ImageBuild":
			return kind, read(pack(map[string]string{"Dockerfile": pick(d.Rand, "FROM busybox\nENV a=b\n", "FROM busybox\nRUN true\n", "FROM busybox\nRUN exit 3\n", "FROM nope-"+d.odd()+"\n", "RUN x\n", "FROM scratch\nCOPY a /\n", d.odd()), "a": "x"}))
		case o.ID == "ImageLoad":
			return kind, d.image
		}
		return kind, read(pack(map[string]string{"file": "x"}))
	}
	text, err := json.Marshal(d.value(d.contract.resolve(p.Schema), p.Name, 0))
	if err != nil {
		panic(err) // maps, lists, texts and numbers can be encoded
	}
	if d.odds(3) {
		text = pick(d.Rand, nil, []byte("null"), []byte("[]"), []byte("{"), text[:len(text)/2], bytes.Repeat([]byte("["), 20000))
	}
	kind = "application/json"
	if d.odds(3) {
		kind = pick(d.Rand, "", "text/plain", "application/x-www-form-urlencoded", "x")
	}
	return kind, text
}

// value draws a value of a schema; name is the property's. What would reach the
// machine outside the test's own directories is not drawn.
func (d *drawer) value(s *schema, name string, depth int) any {
	switch {
	case d.odds(1):
		return pick[any](d.Rand, nil, 1, -1.5, "x", true, []any{}, map[string]any{}, 1e30)
	case len(s.Enum) > 0 && d.odds(90):
		return pick(d.Rand, s.Enum...)
	}
	if special, ok := d.special(name); ok {
		return special
	}
	switch s.Type {
	case "boolean":
		return d.odds(40)
	case "integer", "number":
		return pick[any](d.Rand, 0, 0, 1, -1, 2, 100, 8<<20, 64<<20, int64(1)<<62)
	case "string":
		return pick(d.Rand, "", "x", "a=b", d.odd())
	case "array":
		list := []any{}
		for range d.IntN(3) {
			if s.Items != nil {
				list = append(list, d.value(d.contract.resolve(s.Items), name, depth+1))
			}
		}
		return list
	}
	object := map[string]any{}
	for _, property := range slices.Sorted(maps.Keys(s.Properties)) {
		chance := 12
		switch {
		case slices.Contains(s.Required, property), property == "Image", property == "Cmd", property == "HostConfig" && depth == 0:
			chance = 95
		case depth > 4:
			chance = 0
		}
		if d.odds(chance) {
			object[property] = d.value(d.contract.resolve(s.Properties[property]), property, depth+1)
		}
	}
	var more schema
	if len(s.Additional) > 0 && json.Unmarshal(s.Additional, &more) == nil {
		for range d.IntN(2) {
			object[pick(d.Rand, "a", "80/tcp", "/x", d.odd())] = d.value(d.contract.resolve(&more), "", depth+1)
		}
	}
	return object
}

// special draws values of properties that mean something.
func (d *drawer) special(name string) (any, bool) {
	if d.odds(3) && !slices.Contains([]string{"Binds", "CgroupParent", "Devices", "LogConfig", "Cmd", "Entrypoint", "Privileged", "Driver", "serveraddress", "Volumes"}, name) {
		return nil, false
	}
	switch name {
	case "Image":
		return pick(d.Rand, "busybox", "busybox", "busybox", "busybox", d.one("image")), true
	case "Cmd", "Entrypoint":
		if name == "Entrypoint" && d.odds(80) {
			return nil, true
		}
		return pick[any](d.Rand, sleep, sleep, []string{"true"}, []string{"sh", "-c", "echo a; echo b >&2; exit 3"}, []string{"nope"}, []string{"cat"}, []string{}, "true", nil), true
	case "Binds":
		return pick(d.Rand, []string{d.fresh("v") + ":/v"}, []string{d.host + ":/h"}, []string{"/nope"}, []string{"a:b:c:d"}, []string{d.one("volume") + ":/v:ro"}, nil), true
	case "Devices", "CgroupParent", "ContainerIDFile", "LxcConf":
		return nil, true
	case "LogConfig":
		return map[string]any{"Type": pick(d.Rand, "json-file", "none", "", "nope"), "Config": pick(d.Rand, map[string]string{}, map[string]string{"max-size": "1k"}, map[string]string{"max-size": "x"})}, true
	case "NetworkMode":
		return pick(d.Rand, "", "bridge", "none", "host", "default", d.one("network"), "container:"+d.one("container")), true
	case "PidMode", "IpcMode", "UTSMode":
		return pick(d.Rand, "", "", "host", "container:"+d.one("container"), "x"), true
	case "Privileged":
		return d.odds(5), true
	case "RestartPolicy":
		return map[string]any{"Name": pick(d.Rand, "", "no", "always", "on-failure", "unless-stopped", "x"), "MaximumRetryCount": pick(d.Rand, 0, 0, 1, -1)}, true
	case "Memory", "MemorySwap", "MemoryReservation", "ShmSize":
		return pick[any](d.Rand, 0, 0, 64<<20, 128<<20, -1, 1), true
	case "PidsLimit":
		return pick(d.Rand, 0, -1, 100), true
	case "Links", "VolumesFrom":
		return []string{d.one("container")}, true
	case "Container":
		return d.one("container"), true
	case "EndpointsConfig":
		return map[string]any{d.one("network"): map[string]any{}}, true
	case "Name":
		return pick(d.Rand, d.fresh("n"), d.fresh("n"), "", d.odd()), true
	case "Driver":
		return pick(d.Rand, "", "", "local", "bridge", "nope"), true
	case "DriverOpts", "Options":
		return pick(d.Rand, nil, map[string]string{}, map[string]string{"x": "y"}), true
	case "IPAM":
		return pick(d.Rand, map[string]any{}, map[string]any{"Config": []any{map[string]any{"Subnet": fmt.Sprintf("10.%d.%d.0/24", 220+d.IntN(10), d.IntN(256))}}},
			map[string]any{"Config": []any{map[string]any{"Subnet": d.odd(), "Gateway": d.odd()}}}, map[string]any{"Driver": "nope"}), true
	case "Resource":
		return pick(d.Rand, "/etc", "/nope", ""), true
	case "serveraddress":
		return "127.0.0.1:1", true
	case "Tmpfs":
		return pick(d.Rand, nil, map[string]string{"/t": "size=1m"}, map[string]string{"t": "x"}), true
	case "HostPort":
		return pick(d.Rand, "", "0", "65536", "x", "30000-30002"), true
	case "Tty":
		return d.odds(20), true
	case "SecurityOpt":
		return pick(d.Rand, nil, []string{"no-new-privileges"}, []string{"x"}), true
	}
	return nil, false
}
