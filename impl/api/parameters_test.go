package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/stream"
	"github.com/seed-50ced230/berth/impl/wire"
)

func TestBools(t *testing.T) {
	var got bool
	var stats bool
	d := serve(t, &engine{
		list: func(_ context.Context, p *hub.ContainerListParams) ([]models.ContainerSummary, error) {
			got = p.All
			return nil, nil
		},
		stats: func(_ context.Context, p *hub.ContainerStatsParams, _ stream.Output) error {
			stats = p.Stream
			return nil
		},
	}, api.Options{})
	for query, want := range map[string]bool{
		"": false, "?all": false, "?all=": false, "?all=0": false, "?all=no": false, "?all=NO": false, "?all=false": false,
		"?all=False": false, "?all=none": false, "?all=+none+": false,
		"?all=1": true, "?all=true": true, "?all=True": true, "?all=yes": true, "?all=2": true, "?all=x": true, "?all=-1": true, "?all=off": true,
		"?all=0&all=1": false, "?All=1": false,
	} {
		got = !want
		d.do(t, "GET", "/containers/json"+query, "", "")
		if got != want {
			t.Errorf("%q is %t", query, got)
		}
	}
	for path, want := range map[string]bool{
		"/containers/x/stats": true, "/containers/x/stats?stream=0": false, "/containers/x/stats?stream=1": true,
		"/v1.18/containers/x/stats?stream=0": true, // 1.18 has no such parameter and streams
		"/v1.19/containers/x/stats?stream=0": false,
	} {
		stats = !want
		d.do(t, "GET", path, "", "")
		if stats != want {
			t.Errorf("%s: stream is %t", path, stats)
		}
	}
}

func TestNumbersAndStrings(t *testing.T) {
	var got *hub.ContainerListParams
	var logs *hub.ContainerLogsParams
	var kill string
	d := serve(t, &engine{
		list: func(_ context.Context, p *hub.ContainerListParams) ([]models.ContainerSummary, error) {
			got = p
			return []models.ContainerSummary{}, nil
		},
		logs: func(_ context.Context, p *hub.ContainerLogsParams, _ stream.Output) error {
			logs = p
			return nil
		},
		kill: func(_ context.Context, p *hub.ContainerKillParams) error {
			kill = p.Signal
			return nil
		},
	}, api.Options{})
	n := func(i int64) *int64 { return &i }
	for query, want := range map[string]*int64{"": nil, "?limit=": nil, "?limit=0": n(0), "?limit=-1": n(-1), "?limit=007": n(7)} {
		d.do(t, "GET", "/containers/json"+query, "", "")
		if !reflect.DeepEqual(got.Limit, want) {
			t.Errorf("%q: %v", query, got.Limit)
		}
	}
	for query, want := range map[string]string{
		"?limit=x":                    `Bad parameter limit: strconv.Atoi: parsing "x": invalid syntax`,
		"?limit=1.5":                  "invalid syntax",
		"?limit=99999999999999999999": "value out of range",
		"?limit=%zz":                  "the query cannot be decoded",
		"?limit=1;all=1":              "the query cannot be decoded",
	} {
		response, text := d.do(t, "GET", "/containers/json"+query, "", "")
		if response.StatusCode != 400 || !strings.Contains(text, want) {
			t.Errorf("%q: %d %q", query, response.StatusCode, text)
		}
	}
	filters := `{"status":["exited"],"label":["a=b"]}`
	d.do(t, "GET", "/containers/json?filters=%7B%22status%22%3A%5B%22exited%22%5D%2C%22label%22%3A%5B%22a%3Db%22%5D%7D&nonsense=1", "", "")
	if got.Filters != filters {
		t.Errorf("filters %q", got.Filters)
	}
	d.do(t, "GET", "/containers/x/logs?stdout=1&tail=", "", "")
	if logs.Tail != "all" || logs.Since != "0" || !logs.Stdout || logs.Stderr {
		t.Errorf("logs: %+v", logs)
	}
	d.do(t, "GET", "/v1.18/containers/x/logs?stdout=1&since=5", "", "")
	if logs.Since != "0" {
		t.Errorf("1.18 has no since, but the engine was given %q", logs.Since)
	}
	for query, want := range map[string]string{"": "SIGKILL", "?signal=": "SIGKILL", "?signal=15": "15", "?signal=HUP": "HUP"} {
		d.do(t, "POST", "/containers/x/kill"+query, "", "")
		if kill != want {
			t.Errorf("kill%s: signal %q, wanted %q", query, kill, want)
		}
	}
}

func TestFormBodies(t *testing.T) {
	var stop *hub.ContainerStopParams
	var pull *hub.ImageCreateParams
	d := serve(t, &engine{
		stop: func(_ context.Context, p *hub.ContainerStopParams) error {
			stop = p
			return nil
		},
		pull: func(_ context.Context, p *hub.ImageCreateParams, out stream.Output) error {
			pull = p
			return nil
		},
	}, api.Options{})
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		query, contentType, body string
		want                     int64
	}{
		{"?t=3", "", "", 3},
		{"", form, "t=4", 4},
		{"?t=3", form + "; charset=utf-8", "t=5", 5},
		{"?t=3", form, "x=1", 3},
		{"?t=3", "text/plain", "t=6", 3},
	} {
		response, text := d.do(t, "POST", "/containers/x/stop"+test.query, test.contentType, test.body)
		if response.StatusCode != 204 || stop.T == nil || *stop.T != test.want {
			t.Errorf("%+v: %d %q %+v", test, response.StatusCode, text, stop)
		}
	}
	response, text := d.do(t, "POST", "/containers/x/stop", form, "t=%zz")
	if response.StatusCode != 400 || !strings.Contains(text, "the form body cannot be decoded") {
		t.Errorf("undecodable form: %d %q", response.StatusCode, text)
	}
	response, text = d.do(t, "POST", "/containers/x/stop", form, "t=1&x="+strings.Repeat("y", 5<<20))
	if response.StatusCode != 400 || !strings.Contains(text, "larger than 4194304 bytes") {
		t.Errorf("large form: %d %q", response.StatusCode, text)
	}
	d.do(t, "POST", "/v1.20/images/create", form, "fromImage=x/y&tag=z")
	if pull.FromImage != "x/y" || pull.Tag != "z" {
		t.Errorf("pull by form: %+v", pull)
	}
	if response, text = d.do(t, "POST", "/commit", form, "container=c&repo=r"); response.StatusCode != 501 {
		t.Errorf("commit by form: %d %q", response.StatusCode, text)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://d/images/create?fromImage=a/b&tag=c", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Registry-Auth", "e30=")
	d.send(t, r)
	if pull.FromImage != "a/b" || pull.Tag != "c" || pull.XRegistryAuth != "e30=" {
		t.Errorf("pull: %+v", pull)
	}
}

func TestJSONBodies(t *testing.T) {
	var got *models.ContainerCreateRequest
	d := serve(t, &engine{
		create: func(_ context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
			got = p.Body
			return &models.ContainerCreateResponse{ID: "0"}, nil
		},
	}, api.Options{})
	const path, mime = "/containers/create", "application/json"
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		contains                string
	}{
		{"as documented", mime, `{"Image":"a","Cmd":["date"],"Labels":{"k":"v"}}`, 201, `{"Id":"0","Warnings":null}`},
		{"with a charset", mime + "; charset=utf-8", `{"Image":"a"}`, 201, ""},
		{"without a content type", "", `{"Image":"a"}`, 201, ""},
		{"unknown properties", mime, `{"Image":"a","Nonsense":{"x":[1]},"HostConfig":{"More":1}}`, 201, ""},
		{"other case", mime, `{"image":"a","hostconfig":{"MEMORY":1}}`, 201, ""},
		{"command as text", mime, `{"Cmd":"date","Entrypoint":""}`, 201, ""},
		{"null", mime, `null`, 201, ""},
		{"white space around", mime, " \n{}\n ", 201, ""},
		{"empty", mime, "", 400, "EOF"},
		{"blank", mime, "  \n", 400, "EOF"},
		{"cut off", mime, `{"Image":`, 400, "unexpected EOF"},
		{"no JSON", mime, `Image=a`, 400, "no valid JSON"},
		{"a list", mime, `[]`, 400, "cannot unmarshal array"},
		{"wrong type", mime, `{"Memory":"x","HostConfig":{"Memory":"x"}}`, 400, "HostConfig.Memory of type int64"},
		{"wrong command", mime, `{"Cmd":{"a":1}}`, 400, "a string or a list of strings"},
		{"fraction for a number", mime, `{"HostConfig":{"Memory":1.5}}`, 400, "number 1.5"},
		{"too large a number", mime, `{"HostConfig":{"Memory":99999999999999999999}}`, 400, "99999999999999999999"},
		{"more behind", mime, `{} {}`, 400, "unexpected content after the JSON body"},
		{"garbage behind", mime, `{}x`, 400, "unexpected content after the JSON body"},
		{"deep", mime, strings.Repeat(`{"a":`, 20000), 400, "depth"},
		{"large", mime, `{"Image":"` + strings.Repeat("x", 5<<20) + `"}`, 400, "larger than 4194304 bytes"},
		{"text", "text/plain", `{}`, 400, "Content-Type specified (text/plain) must be 'application/json'"},
		{"a form", "application/x-www-form-urlencoded", `{}`, 400, "Content-Type specified (application/x-www-form-urlencoded) must be"},
		{"nonsense type", ";;", `{}`, 400, "Content-Type specified (;;) must be"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got = nil
			response, text := d.do(t, "POST", path, test.contentType, test.body)
			if response.StatusCode != test.status || !strings.Contains(text, test.contains) {
				t.Errorf("%d %.300q, wanted %d %q", response.StatusCode, text, test.status, test.contains)
			}
			if (got != nil) != (test.status == 201) {
				t.Errorf("the engine got %+v", got)
			}
		})
	}
	d.do(t, "POST", path, mime, `{"Cmd":"date","Entrypoint":"","Env":["a=b"],"HostConfig":{"CapAdd":"NET_ADMIN","Dns":["8.8.8.8"]}}`)
	if !reflect.DeepEqual(got.Cmd, wire.CommandLine{"date"}) || !reflect.DeepEqual(got.Entrypoint, wire.CommandLine{""}) ||
		!reflect.DeepEqual(got.HostConfig.CapAdd, wire.StringSlice{"NET_ADMIN"}) || got.Env[0] != "a=b" {
		t.Errorf("%+v", got)
	}
}

func TestOptionalBody(t *testing.T) {
	var got *hub.ContainerStartParams
	d := serve(t, &engine{
		start: func(_ context.Context, p *hub.ContainerStartParams) error {
			got = p
			return nil
		},
	}, api.Options{})
	for _, version := range []string{"", "/v1.18", "/v1.22"} {
		d.do(t, "POST", version+"/containers/x/start", "", "")
		if got.Body != nil || got.Name != "x" {
			t.Errorf("%s: %+v", version, got)
		}
		d.do(t, "POST", version+"/containers/x/start", "application/json", `{"Binds":["/a:/b"],"LxcConf":{"a":"b"}}`)
		if got.Body == nil || len(got.Body.Binds) != 1 {
			t.Errorf("%s: %+v", version, got.Body)
		}
		// Clients of this operation send an empty body with this type.
		response, text := d.do(t, "POST", version+"/containers/x/start", "text/plain", "")
		if response.StatusCode != 204 {
			t.Errorf("%s: %d %s", version, response.StatusCode, text)
		}
	}
}

func TestRequiredParameter(t *testing.T) {
	d := serve(t, &engine{}, api.Options{})
	response, text := d.do(t, "GET", "/containers/x/archive", "", "")
	if response.StatusCode != 400 || text != "bad parameter: 'path' cannot be empty\n" {
		t.Errorf("%d %q", response.StatusCode, text)
	}
	if response, text = d.do(t, "GET", "/containers/x/archive?path=/", "", ""); response.StatusCode != 501 {
		t.Errorf("%d %q", response.StatusCode, text)
	}
	if response, text = d.do(t, "HEAD", "/containers/x/archive?path=/", "", ""); response.StatusCode != 501 || text != "" {
		t.Errorf("%d %q", response.StatusCode, text)
	}
	if response, text = d.do(t, "HEAD", "/v1.19/containers/x/archive?path=/", "", ""); response.StatusCode != 404 {
		t.Errorf("%d %q", response.StatusCode, text)
	}
}

// TestVersionsOfModels sees each version's own shape of one engine's answer.
func TestVersionsOfModels(t *testing.T) {
	var created *models.ContainerCreateRequest
	d := serve(t, &engine{
		inspect: func(context.Context, *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
			return &models.ContainerInspect{
				ID: "x", Config: &models.ContainerConfig{Hostname: "h"}, HostConfig: &models.HostConfig{Memory: 5, VolumeDriver: "d"},
				Mounts: []models.MountPoint{{Source: "/s", Destination: "/d", RW: true}},
			}, nil
		},
		create: func(_ context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
			created = p.Body
			return &models.ContainerCreateResponse{}, nil
		},
	}, api.Options{})
	inspect := func(version string) map[string]any {
		_, text := d.do(t, "GET", version+"/containers/x/json", "", "")
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("%s: %v in %s", version, err, text)
		}
		return m
	}
	for _, version := range []string{"/v1.18", "/v1.19"} {
		m := inspect(version)
		if _, has := m["Mounts"]; has || m["Volumes"].(map[string]any)["/d"] != "/s" || m["VolumesRW"].(map[string]any)["/d"] != true ||
			m["ExecDriver"] != "native-0.2" || m["Config"].(map[string]any)["Memory"] != 5.0 || m["Config"].(map[string]any)["VolumeDriver"] != "d" {
			t.Errorf("%s: %v", version, m)
		}
	}
	for _, version := range []string{"/v1.20", "/v1.21", "/v1.22", "/v1.23"} {
		m := inspect(version)
		if _, has := m["Volumes"]; has || len(m["Mounts"].([]any)) != 1 {
			t.Errorf("%s: %v", version, m)
		}
		_, driver := m["ExecDriver"]
		if driver != (version <= "/v1.21") {
			t.Errorf("%s: ExecDriver: %t", version, driver)
		}
	}
	for version, want := range map[string]string{"/v1.18": "a.b|", "/v1.22": "a.b|", "/v1.23": "a|b"} {
		d.do(t, "POST", version+"/containers/create", "application/json", `{"Hostname":"a","Domainname":"b"}`)
		if got := created.Hostname + "|" + created.Domainname; got != want {
			t.Errorf("%s: %q, wanted %q", version, got, want)
		}
	}
	const old = `{"Memory":7,"MemorySwap":9,"Cpuset":"0","VolumeDriver":"v","HostConfig":{"Memory":0,"CpuShares":1,"KernelMemory":1}}`
	d.do(t, "POST", "/v1.18/containers/create", "application/json", old)
	h := created.HostConfig
	if h.Memory != 7 || h.MemorySwap != 9 || h.CpusetCpus != "0" || h.VolumeDriver != "v" || h.CPUShares != 2 || created.Memory != 0 {
		t.Errorf("1.18: %+v %+v", created.ContainerConfig, h)
	}
	d.do(t, "POST", "/v1.20/containers/create", "application/json", old)
	if h = created.HostConfig; h.Memory != 0 || h.VolumeDriver != "v" || h.CPUShares != 1 {
		t.Errorf("1.20: %+v", h)
	}
	d.do(t, "POST", "/v1.21/containers/create", "application/json", old)
	if h = created.HostConfig; h.VolumeDriver != "" || h.KernelMemory != 4<<20 {
		t.Errorf("1.21: %+v", h)
	}
	d.do(t, "POST", "/v1.22/containers/create", "application/json", old)
	if h = created.HostConfig; h.KernelMemory != 1 {
		t.Errorf("1.22: %+v", h)
	}
	for version, want := range map[string]string{"/v1.21": "Tue Dec  1 07:09:13 UTC 2015", "/v1.22": "2015-12-01T07:09:13.444803460+00:00"} {
		if _, text := d.do(t, "GET", version+"/version", "", ""); !strings.Contains(text, want) {
			t.Errorf("%s: %s", version, text)
		}
	}
}
