package conformance

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// credentials are a JSON value in the form of a request's header.
func (r *Run) credentials(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		r.broken("encode credentials: %v", err)
	}
	return base64.URLEncoding.EncodeToString(raw)
}

// closedRegistry starts a registry that wants a login and has an image.
func (r *Run) closedRegistry() (name string, login map[string]string) {
	login = map[string]string{"username": "hannibal", "password": r.fresh()}
	server := r.startRegistry(login["username"], login["password"])
	img, err := image.New(r.suite.Base, r.fresh())
	if err != nil {
		r.broken("%v", err)
	}
	if _, err := server.Add("busybox", "latest", img); err != nil {
		r.broken("%v", err)
	}
	name = server.Address + "/busybox"
	r.removeImage(name + ":latest")
	return name, login
}

func runPullAuth(r *Run) {
	name, login := r.closedRegistry()
	query := url.Values{"fromImage": {name}, "tag": {"latest"}}
	login["serveraddress"] = r.values["registry"]
	r.phase = request
	refused := r.call(http.MethodPost, "/images/create", query, nil)
	req := r.request(http.MethodPost, "/images/create", query, nil)
	req.Header.Set("X-Registry-Auth", r.credentials(login))
	response := r.send(req)
	r.phase = check
	if refused.Status < http.StatusBadRequest {
		r.finding("status", "", "is %d without credentials", refused.Status)
	}
	r.compareStatus(response.Status, response.Body, http.StatusOK)
	r.inspectImage(name + ":latest")
}

func runSearchAuth(r *Run) {
	r.registryStarted()
	req := r.request(http.MethodGet, "/images/search", query("term", r.values["registry"]+"/busybox"), nil)
	req.Header.Set("X-Registry-Auth", r.credentials(map[string]string{"username": "hannibal", "password": "unused"}))
	r.phase = request
	response := r.send(req)
	r.phase = check
	r.compareStatus(response.Status, response.Body, http.StatusOK)
	if len(r.list(response, "what was found")) == 0 {
		r.finding("value", "", "is empty, the registry finds one")
	}
}

func runBuildConfig(r *Run) {
	base, login := r.closedRegistry()
	archive, err := image.Tar(image.File{Name: "Dockerfile", Content: []byte("FROM " + base + "\nENV A=b\n")})
	if err != nil {
		r.broken("%v", err)
	}
	name := r.fresh()
	r.removeImage(name)
	req := wire.Request{Method: http.MethodPost, Target: r.target("/build", url.Values{"t": {name}, "pull": {"1"}}), Body: archive, Header: http.Header{
		"Content-Type":      {"application/x-tar"},
		"X-Registry-Config": {r.credentials(map[string]any{r.values["registry"]: login})},
	}}
	r.progressOf(req)
	if env := text(at(r.inspectImage(name), "Config", "Env")); !strings.Contains(env, `"A=b"`) {
		r.finding("effect", "/Config/Env", "is %s, expected A=b in it", env)
	}
}

// progressOf reads a stream of progress to its end; no line may tell of an error.
func (r *Run) progressOf(req wire.Request) {
	lines, err := wire.DecodeLines(r.streaming(req, http.StatusOK))
	if err != nil {
		r.fatal("stream", "%v", err)
	}
	for _, line := range lines {
		r.compareLine(line)
		if message := at(line, "error"); message != nil {
			r.fatal("effect", "the stream reports an error: %s", text(message))
		}
	}
}

func runBuildRemote(r *Run) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.broken("%v", err)
	}
	file := "FROM " + r.baseImage() + "\nENV FETCHED=yes\n"
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(file))
	})}
	go func() { _ = server.Serve(listener) }()
	r.later(func() { _ = server.Close() })
	name := r.fresh()
	r.removeImage(name)
	r.progressOf(r.request(http.MethodPost, "/build", url.Values{"remote": {"http://" + listener.Addr().String() + "/Dockerfile"}, "t": {name}}, nil))
	if env := text(at(r.inspectImage(name), "Config", "Env")); !strings.Contains(env, `"FETCHED=yes"`) {
		r.finding("effect", "/Config/Env", "is %s, expected FETCHED=yes in it", env)
	}
}

func runImportChanges(r *Run) {
	name := r.fresh()
	r.removeImage(name + ":v2")
	r.asking(http.StatusOK, http.MethodPost, "/images/create",
		url.Values{"fromSrc": {"-"}, "repo": {name}, "tag": {"v2"}, "changes": {"ENV TIDE=low"}}, r.suite.Base.Layer)
	if env := text(at(r.inspectImage(name+":v2"), "Config", "Env")); !strings.Contains(env, `"TIDE=low"`) {
		r.finding("effect", "/Config/Env", "is %s, expected TIDE=low in it", env)
	}
}

func runStartDetachKeys(r *Run) {
	r.containerCreated()
	r.asking(http.StatusNoContent, http.MethodPost, r.containerPath("/start"), query("detachKeys", "ctrl-x"), nil)
	r.runs(nil)
}
