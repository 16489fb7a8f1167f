package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
)

func importImage(t *testing.T, e *Engine, repo, tag string, changes ...string) string {
	t.Helper()
	var out output
	err := e.ImageCreate(t.Context(), &hub.ImageCreateParams{
		FromSrc: "-", Repo: repo, Tag: tag, Changes: changes, Message: "a message",
		Body: io.NopCloser(bytes.NewReader(layer(t))),
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	last := out.values[len(out.values)-1].(*models.JSONMessage)
	if !strings.HasPrefix(last.Status, "sha256:") {
		t.Fatalf("the last line of an import is its id, not %q", last.Status)
	}
	return last.Status
}

func names(t *testing.T, e *Engine, p hub.ImageListParams) string {
	t.Helper()
	list, err := e.ImageList(t.Context(), &p)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range list {
		all = append(all, m.RepoTags...)
	}
	return strings.Join(all, " ")
}

func TestImportShowsEverywhere(t *testing.T) {
	e := newEngine(t)
	id := importImage(t, e, "a/b", "v1", `CMD ["true"]`, "LABEL kind=x", "ENV A=1", "EXPOSE 80", "VOLUME /data")
	list, err := e.ImageList(t.Context(), &hub.ImageListParams{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].ID != id || list[0].Size != 15 || list[0].VirtualSize != 15 || list[0].Labels["kind"] != "x" {
		t.Fatalf("%+v", list)
	}
	m, err := e.ImageInspect(t.Context(), &hub.ImageInspectParams{Name: "a/b:v1"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"Cmd":["true"]`, `"Env":["A=1"]`, `"ExposedPorts":{"80/tcp":{}}`, `"Volumes":{"/data":{}}`,
		`"Labels":{"kind":"x"}`, `"Entrypoint":null`, `"OnBuild":null`,
	} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if m.ID != id || m.Comment != "a message" || m.DockerVersion != "0.0.1" || len(m.RootFS.Layers) != 1 ||
		m.RepoDigests == nil || fmt.Sprint(m.RepoTags) != "[a/b:v1]" || m.ContainerConfig == nil {
		t.Errorf("%+v", m)
	}
	history, err := e.ImageHistory(t.Context(), &hub.ImageHistoryParams{Name: id})
	if err != nil {
		t.Fatal(err)
	}
	if len(history) != 1 || history[0].ID != id || history[0].Comment != "a message" || history[0].Size != 15 {
		t.Errorf("%+v", history)
	}
	if got := actions(happened(t, e, "")); got != "image tag a/b:v1\nimage import "+id+"\n" {
		t.Errorf("events:\n%s", got)
	}
}

func TestImportFromServer(t *testing.T) {
	e := newEngine(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there.tar" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(layer(t))
	}))
	t.Cleanup(server.Close)
	var out output
	p := &hub.ImageCreateParams{FromSrc: server.URL + "/there.tar", Repo: "fetched"}
	if err := e.ImageCreate(t.Context(), p, &out); err != nil {
		t.Fatal(err)
	}
	first := out.values[0].(*models.JSONMessage)
	if first.Status != "Downloading from "+server.URL+"/there.tar" {
		t.Errorf("first line: %q", first.Status)
	}
	if got := names(t, e, hub.ImageListParams{}); got != "fetched:latest" {
		t.Errorf("images: %s", got)
	}
	out = output{}
	p.FromSrc = server.URL + "/elsewhere.tar"
	if err := e.ImageCreate(t.Context(), p, &out); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a download that is not there: %v", err)
	}
}

func TestImportRefusals(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct {
		name string
		p    hub.ImageCreateParams
		is   func(error) bool
	}{
		{"nothing", hub.ImageCreateParams{}, errdefs.IsInvalidArgument},
		{"both", hub.ImageCreateParams{FromSrc: "-", FromImage: "x"}, errdefs.IsInvalidArgument},
		{"no body", hub.ImageCreateParams{FromSrc: "-"}, errdefs.IsInvalidArgument},
		{"a file", hub.ImageCreateParams{FromSrc: "file:///etc/passwd"}, errdefs.IsInvalidArgument},
		{"two tags", hub.ImageCreateParams{FromSrc: "-", Repo: "a:b", Tag: "c"}, errdefs.IsInvalidArgument},
		{"a bad name", hub.ImageCreateParams{FromSrc: "-", Repo: "A b"}, errdefs.IsInvalidArgument},
		{"no archive", hub.ImageCreateParams{FromSrc: "-", Body: io.NopCloser(strings.NewReader("no tar at all"))}, errdefs.IsInvalidArgument},
		{"a bad change", hub.ImageCreateParams{FromSrc: "-", Changes: []string{"RUN x"}, Body: io.NopCloser(bytes.NewReader(layer(t)))}, errdefs.IsInvalidArgument},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out output
			if err := e.ImageCreate(t.Context(), &c.p, &out); !c.is(err) {
				t.Fatal(err)
			}
			if out.started {
				t.Error("the answer has begun, so that the client sees no status")
			}
		})
	}
	if got := names(t, e, hub.ImageListParams{All: true}); got != "" {
		t.Errorf("images were made: %s", got)
	}
}

func TestListFilters(t *testing.T) {
	e := newEngine(t)
	first := importImage(t, e, "one", "v1", "LABEL a=1")
	importImage(t, e, "two", "v1", "LABEL a=2")
	importImage(t, e, "", "", "LABEL b=1")
	for _, c := range []struct {
		name, filters, filter, want string
	}{
		{"all", "", "", "<none>:<none> one:v1 two:v1"},
		{"dangling", `{"dangling":["true"]}`, "", "<none>:<none>"},
		{"not dangling", `{"dangling":{"0":true}}`, "", "one:v1 two:v1"},
		{"label", `{"label":["a"]}`, "", "one:v1 two:v1"},
		{"label with value", `{"label":["a=2"]}`, "", "two:v1"},
		{"two labels", `{"label":["a","b"]}`, "", ""},
		{"glob", "", "t*", "two:v1"},
		{"name with tag", "", "one:v1", "one:v1"},
		{"nothing", "", "three", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Fields(names(t, e, hub.ImageListParams{Filters: c.filters, Filter: c.filter}))
			// Images of one second are sorted by id.
			if fmt.Sprint(sorted(got)) != fmt.Sprint(strings.Fields(c.want)) {
				t.Fatalf("%v, want %s", got, c.want)
			}
		})
	}
	list, err := e.ImageList(t.Context(), &hub.ImageListParams{Filters: `{"dangling":["true"]}`})
	if err != nil || fmt.Sprint(list[0].RepoDigests) != "[<none>@<none>]" {
		t.Errorf("a dangling image: %v %v", list, err)
	}
	for _, bad := range []string{"nope", `{"dangling":["x"]}`, `{"color":["red"]}`, `{"since":["` + first + `","two"]}`} {
		if _, err := e.ImageList(t.Context(), &hub.ImageListParams{Filters: bad}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := e.ImageList(t.Context(), &hub.ImageListParams{Filters: `{"before":["nope"]}`}); !errdefs.IsNotFound(err) {
		t.Errorf("before an image that is not there: %v", err)
	}
}

func TestSaveRemoveLoad(t *testing.T) {
	e := newEngine(t)
	id := importImage(t, e, "a", "v1", "LABEL x=y")
	if err := e.ImageTag(t.Context(), &hub.ImageTagParams{Name: "a:v1", Repo: "b"}); err != nil {
		t.Fatal(err)
	}
	var archive output
	if err := e.ImageGetAll(t.Context(), &hub.ImageGetAllParams{Names: []string{"a:v1", "b"}}, &archive); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a:v1", "b"} {
		if _, err := e.ImageDelete(t.Context(), &hub.ImageDeleteParams{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, e, hub.ImageListParams{}); got != "" {
		t.Fatalf("still there: %s", got)
	}
	var out output
	body := io.NopCloser(bytes.NewReader(archive.Bytes()))
	if err := e.ImageLoad(t.Context(), &hub.ImageLoadParams{Body: body}, &out); err != nil {
		t.Fatal(err)
	}
	var said string
	progress := 0
	for _, v := range out.values {
		m := v.(*models.JSONMessage)
		said += m.Stream
		if m.Status == "Loading layer" && m.ProgressDetail.Total > 0 && strings.HasPrefix(m.Progress, "[") {
			progress++
		}
	}
	if said != "Loaded image: a:v1\nLoaded image: b:latest\n" || progress == 0 {
		t.Errorf("the load said %q with %d lines of progress", said, progress)
	}
	m, err := e.ImageInspect(t.Context(), &hub.ImageInspectParams{Name: "b"})
	if err != nil || m.ID != id || fmt.Sprint(m.RepoTags) != "[a:v1 b:latest]" {
		t.Fatalf("%+v %v", m, err)
	}
	want := "image tag a:v1\nimage import " + id + "\nimage tag b:latest\nimage untag " + id + "\nimage untag " + id + "\nimage delete " + id + "\n"
	if got := actions(happened(t, e, "")); got != want {
		t.Errorf("events:\n%swant:\n%s", got, want)
	}
	var quiet output
	body = io.NopCloser(bytes.NewReader(archive.Bytes()))
	if err := e.ImageLoad(t.Context(), &hub.ImageLoadParams{Body: body, Quiet: true}, &quiet); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(quiet.String(), "Loading") || !strings.Contains(quiet.String(), "Loaded image: a:v1") {
		t.Errorf("a quiet load says %s", quiet.String())
	}
	if err := e.ImageGet(t.Context(), &hub.ImageGetParams{Name: "nope"}, &output{}); !errdefs.IsNotFound(err) {
		t.Errorf("save of nothing: %v", err)
	}
	bad := io.NopCloser(strings.NewReader("no archive"))
	if err := e.ImageLoad(t.Context(), &hub.ImageLoadParams{Body: bad}, &output{}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("load of no archive: %v", err)
	}
}

func TestContainersKeepTheirImage(t *testing.T) {
	e := newEngine(t)
	importImage(t, e, "a", "v1", `CMD ["true"]`, "LABEL from=image")
	made, err := e.ContainerCreate(t.Context(), &hub.ContainerCreateParams{Name: "user", Body: &models.ContainerCreateRequest{
		ContainerConfig: models.ContainerConfig{Image: "a:v1", Env: []string{"B=2"}, WorkingDir: "/data"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.ImageDelete(t.Context(), &hub.ImageDeleteParams{Name: "a:v1"})
	if !errdefs.IsConflict(err) || !strings.Contains(err.Error(), "container "+made.ID[:12]+" is using its referenced image") {
		t.Fatalf("an image in use: %v", err)
	}
	committed, err := e.ImageCommit(t.Context(), &hub.ImageCommitParams{
		Container: "user", Repo: "made", Tag: "v1", Author: "me", Comment: "why", Pause: true,
		Body: &models.ContainerConfig{Env: []string{"C=3"}}, Changes: []string{"USER 7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.ImageInspect(t.Context(), &hub.ImageInspectParams{Name: "made:v1"})
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != committed.ID || m.Container != made.ID || m.Author != "me" || m.Comment != "why" ||
		fmt.Sprint(m.Config.Env) != "[C=3 B=2]" || m.Config.User != "7" || m.Config.WorkingDir != "/data" ||
		fmt.Sprint(m.Config.Cmd) != "[true]" || m.Config.Labels["from"] != "image" {
		t.Errorf("%+v %+v", m, m.Config)
	}
	if got := actions(happened(t, e, `{"event":["commit","tag"],"image":["made","a"]}`)); got != "image tag a:v1\nimage tag made:v1\ncontainer commit user\n" {
		t.Errorf("events:\n%s", got)
	}
	if err := e.ContainerDelete(t.Context(), &hub.ContainerDeleteParams{Name: "user"}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.ImageDelete(t.Context(), &hub.ImageDeleteParams{Name: "made:v1"}); err != nil {
		t.Error(err)
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// TestNameOfAnotherRegistryInBuild: a registry gets no credentials of another one's
// by a name in a Dockerfile.
func TestNameOfAnotherRegistryInBuild(t *testing.T) {
	asked := make(chan string, 10)
	l, err := net.Listen("tcp", "127.0.0.1:80") // of the tests' own namespace
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path })}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	e := newEngine(t)
	config := base64.URLEncoding.EncodeToString([]byte(`{"https://index.docker.io/v1/":{"username":"u","password":"p"}}`))
	err = e.pullForBuild(t.Context(), "docker.io/localhost/b", config, &output{})
	if !errdefs.IsInvalidArgument(err) || len(asked) > 0 {
		t.Errorf("%v, %d requests", err, len(asked))
	}
}
