package engine

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/image"
)

// buildContext is a context of a Dockerfile and a file.
func buildContext(t *testing.T, dockerfile string) io.ReadCloser {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, body := range map[string]string{"Dockerfile": dockerfile, "f": "x"} {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = io.WriteString(w, body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return io.NopCloser(&b)
}

func TestImageBuild(t *testing.T) {
	e := newEngine(t)
	var out output
	err := e.ImageBuild(t.Context(), &hub.ImageBuildParams{
		Body: buildContext(t, "FROM scratch\nARG V\nCOPY f /\nLABEL v=$V"), Rm: true, T: []string{"a", "", "host:5000/b:c", "a:latest"},
		Buildargs: `{"V":"given","U":null}`, Labels: `{"l":"1"}`, Ulimits: `[{"Name":"nofile","Soft":10,"Hard":20}]`, Shmsize: 1 << 20, Memory: 8 << 20, Memswap: -1,
	}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	img, err := e.Images.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(img.Tags, " ") != "a:latest host:5000/b:c" || img.Config.Labels["v"] != "given" || img.Config.Labels["l"] != "1" {
		t.Errorf("tags %q, labels %q", img.Tags, img.Config.Labels)
	}
	if got := actions(happened(t, e, `{"type":["image"]}`)); got != "image tag a:latest\nimage tag host:5000/b:c\n" {
		t.Errorf("events:\n%s", got)
	}
	last, _ := out.values[len(out.values)-1].(*models.JSONMessage)
	if last == nil || last.Stream != "Successfully built "+img.ID.Encoded()[:12]+"\n" {
		t.Errorf("last message %+v", last)
	}
}

func TestQuietBuild(t *testing.T) {
	e := newEngine(t)
	var out output
	if err := e.ImageBuild(t.Context(), &hub.ImageBuildParams{Body: buildContext(t, "FROM scratch\nLABEL a=b"), Rm: true, Q: true}, &out); err != nil {
		t.Fatal(err)
	}
	if m := out.values[0].(*models.JSONMessage); len(out.values) != 1 || !strings.HasPrefix(m.Stream, "sha256:") || len(m.Stream) != 72 {
		t.Errorf("a quiet build said %s", out.String())
	}
	out = output{}
	if err := e.ImageBuild(t.Context(), &hub.ImageBuildParams{Body: buildContext(t, "FROM scratch\nCOPY nosuch /"), Rm: true, Q: true}, &out); !errdefs.IsInvalidArgument(err) {
		t.Errorf("got %v", err)
	}
	if m := out.values[0].(*models.JSONMessage); len(out.values) != 1 || m.Stream != "Step 1 : FROM scratch\n ---> \nStep 2 : COPY nosuch /\n" {
		t.Errorf("a quiet build that failed said %s", out.String())
	}
}

func TestBadBuilds(t *testing.T) {
	e := newEngine(t)
	for name, p := range map[string]hub.ImageBuildParams{
		"tag":        {T: []string{"UPPER"}},
		"digest":     {T: []string{"a@sha256:" + strings.Repeat("0", 64)}},
		"buildargs":  {Buildargs: "{"},
		"labels":     {Labels: "[]"},
		"ulimits":    {Ulimits: `[{"Name":"nosuch"}]`},
		"memory":     {Memory: 1},
		"swap":       {Memory: 8 << 20, Memswap: 4 << 20},
		"cpuperiod":  {Cpuperiod: 1},
		"cpuquota":   {Cpuquota: 1},
		"shmsize":    {Shmsize: -1},
		"dockerfile": {Dockerfile: "nosuch"},
		"climbing":   {Dockerfile: "../../../../etc/passwd"},
		"remote":     {Remote: "/etc"},
	} {
		p.Body = buildContext(t, "FROM scratch\nLABEL a=b")
		var out output
		if err := e.ImageBuild(t.Context(), &p, &out); !errdefs.IsInvalidArgument(err) || out.Started() {
			t.Errorf("%s: %v, said %q", name, err, out.String())
		}
	}
	var out output
	if err := e.ImageBuild(t.Context(), &hub.ImageBuildParams{}, &out); !errdefs.IsInvalidArgument(err) {
		t.Errorf("no context: %v", err)
	}
	if images, err := e.Images.List(image.Filter{All: true}); err != nil || len(images) > 0 {
		t.Errorf("images %v, %v", images, err)
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	e := newEngine(t)
	broken := errors.New("the connection broke")
	var out output
	err := e.ImageBuild(t.Context(), &hub.ImageBuildParams{Body: io.NopCloser(io.MultiReader(strings.NewReader("\x1f\x8b"), failing{broken}))}, &out)
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestRegistryAuth(t *testing.T) {
	encode := func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }
	config := encode(`{"https://index.docker.io/v1/":{"username":"hub"},"host:5000":{"username":"h"},"https://other":{"username":"o"}}`)
	for _, c := range []struct{ config, host, want string }{
		{config, "docker.io", `{"username":"hub"}`},
		{config, "host:5000", `{"username":"h"}`},
		{config, "other", `{"username":"o"}`},
		{config, "host", ""},
		{encode(`{"configs":{"host:5000":{"username":"h"}}}`), "host:5000", `{"username":"h"}`},
		{encode(`{"auths":{"https://host:5000":{"auth":"eDp5"}},"HttpHeaders":{"a":"b"}}`), "host:5000", `{"auth":"eDp5"}`},
		{encode(`{"configs":"no map"}`), "host:5000", ""},
		{"", "host", ""},
		{"%%", "host", ""},
		{encode("[]"), "host", ""},
	} {
		want := c.want
		if want != "" {
			want = encode(want)
		}
		if got := registryAuth(c.config, c.host); got != want {
			t.Errorf("%s in %s: %q", c.host, c.config, got)
		}
	}
}
