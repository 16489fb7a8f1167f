package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// recordedWorld is what was there when an exchange was recorded, made anew with
// names of this run: containers running, withtty, exited9 and created, one that
// is fresh, an exec, image busybox, volume tardis and network isolated_nw.
type recordedWorld struct {
	// names maps recorded words to this run's: names, and {running} and the like
	// to ids.
	names map[string]string
}

// own is this run's word for a recorded one.
func (w *recordedWorld) own(word string) string {
	if own, ok := w.names[word]; ok {
		return own
	}
	return word
}

// ownAll replaces the words in a JSON value.
func (w *recordedWorld) ownAll(value any) any {
	switch value := value.(type) {
	case string:
		return w.own(value)
	case []any:
		list := make([]any, len(value))
		for i, item := range value {
			list[i] = w.ownAll(item)
		}
		return list
	case map[string]any:
		object := map[string]any{}
		for key, item := range value {
			object[key] = w.ownAll(item)
		}
		return object
	default:
		return value
	}
}

// needs are the parts of the world that a recording names, and those that it
// needs without naming them.
func (recorded recording) needs(part string) bool {
	further := map[string][]string{
		"list": {"running", "withtty", "exited9", "created"}, "list-filters": {"exited9"}, "list-paused": {"running", "withtty"},
		"images": {"busybox"}, "images-digests": {"busybox"}, "images-filter": {"busybox"},
		"volumes": {"tardis"}, "networks": {"isolated_nw", "running"}, "networks-filter": {"isolated_nw", "running"},
		"network": {"running"}, "network-remove-used": {"running"}, "volume-used": {"running"}, "events": {"running"},
		"commit-image": {"committed"}, "remove-committed": {"committed"}, "untag": {"tagged"}, "tag-again": {"busybox", "tagged"},
		"volume-remove": {"vNN"}, "remove-used": {"busybox"},
	}
	if slices.Contains(further[recorded.Name], part) {
		return true
	}
	for _, word := range strings.FieldsFunc(recorded.Path+" "+recorded.Text+" "+text(recorded.Body), func(c rune) bool {
		return strings.ContainsRune(`/?&=" {}[]:*,.`, c)
	}) {
		if word == part {
			return true
		}
	}
	return false
}

// recordedWorld builds what a recording needs.
func (r *Run) recordedWorld(recorded recording) *recordedWorld {
	w := &recordedWorld{names: map[string]string{"busybox": r.baseImage(), "{now}": unixTime(time.Now())}}
	if recorded.needs("tardis") || recorded.needs("running") && r.atLeast("1.21") {
		if r.atLeast("1.21") {
			name := r.fresh()
			r.must(r.call(http.MethodPost, "/volumes/create", nil, map[string]any{"Name": name}), "creating a volume", http.StatusCreated)
			r.removeVolume(name)
			w.names["tardis"] = name
		}
	}
	if r.atLeast("1.21") && recorded.needs("isolated_nw") {
		r.recordedNetwork(w)
	}
	if recorded.needs("busybox") && strings.Contains(recorded.Path, "/images") {
		r.imageLoaded()
		w.names["busybox"] = r.values["image"]
	}
	for _, part := range []struct {
		name  string
		build func(*Run, *recordedWorld)
	}{
		{"running", (*Run).recordedRunning}, {"withtty", (*Run).recordedTTY},
		{"exited9", (*Run).recordedExited},
		{"created", func(r *Run, _ *recordedWorld) {
			r.create(map[string]any{"Cmd": []string{"true"}, "Volumes": map[string]any{"/volumes/data": map[string]any{}}})
		}},
		{"fresh", (*Run).recordedFresh},
	} {
		if recorded.needs(part.name) {
			part.build(r, w)
			w.names[part.name], w.names["{"+part.name+"}"] = r.values["container-name"], r.values["container"]
		}
	}
	r.recordedState(recorded, w)
	return w
}

// recordedRunning is the container running: limits, a port, a volume and a
// place in both networks.
func (r *Run) recordedRunning(w *recordedWorld) {
	settings := map[string]any{
		"Memory": 64 << 20, "RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": 2},
		"PortBindings": map[string]any{"80/tcp": []any{map[string]any{"HostPort": ""}}},
	}
	settings["Binds"] = []string{"/tmp:/data:ro"} // no volume has a name yet
	if volume := w.names["tardis"]; volume != "" {
		settings["Binds"] = []string{volume + ":/data"}
	}
	id := r.create(map[string]any{
		"Env": []string{"FOO=bar"}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}}, "HostConfig": settings,
		"Cmd": shell("echo ready; while true; do echo out; echo err >&2; sleep 1; done"), "AttachStdout": false, "AttachStderr": false,
	})
	if network := w.names["isolated_nw"]; network != "" {
		r.must(r.call(http.MethodPost, "/networks/"+network+"/connect", nil, map[string]any{"Container": id}), "connecting a container", http.StatusOK)
	}
	r.startPatient(id)
}

// recordedTTY is the container withtty, whose shell has shown its prompt.
func (r *Run) recordedTTY(*recordedWorld) {
	r.containerRunningTTY()
	r.waitFor("the prompt of a shell", func() bool {
		return len(r.call(http.MethodGet, "/containers/"+r.values["container"]+"/logs", url.Values{"stdout": {"1"}}, nil).Body) > 0
	})
}

func (r *Run) recordedExited(*recordedWorld) {
	id := r.create(map[string]any{"Cmd": shell("exit 9")})
	r.start(id)
	r.wait(id)
}

func (r *Run) recordedFresh(*recordedWorld) {
	r.create(map[string]any{
		"Cmd": []string{"date"}, "Entrypoint": "", "Labels": map[string]any{"a": "b"},
		"HostConfig": map[string]any{"CpuShares": 512, "LxcConf": []any{}, "Dns": []string{"8.8.8.8"}}, "Unknown": 1,
	})
}

func (r *Run) recordedNetwork(w *recordedWorld) {
	name := r.fresh()
	r.values["network"] = r.createNetwork(map[string]any{
		"Name": name, "Driver": "bridge", "CheckDuplicate": true,
		"IPAM": map[string]any{"Driver": "default", "Config": []any{
			map[string]any{"Subnet": "172.28.5.0/24", "IPRange": "172.28.5.0/25", "Gateway": "172.28.5.126"},
		}},
	})
	w.names["isolated_nw"] = name
}

// recordedState brings the world into the state of one moment of the recording.
func (r *Run) recordedState(recorded recording, w *recordedWorld) {
	running := w.names["{running}"]
	if slices.Contains([]string{"pause-paused", "exec-in-paused", "unpause", "list-paused"}, recorded.Name) {
		r.must(r.call(http.MethodPost, "/containers/"+running+"/pause", nil, nil), "pausing a container", http.StatusNoContent)
	}
	if recorded.Name == "wait" {
		r.call(http.MethodPost, "/containers/"+w.names["{fresh}"]+"/start", nil, nil) // fails, which is what is waited for
	}
	if recorded.needs("exec") && strings.Contains(recorded.Path, "{exec}") {
		r.recordedExec(recorded, w)
	}
	if recorded.Name == "tag" {
		w.names["my/repo"] = r.fresh() + "/repo"
	}
	if recorded.needs("tagged") {
		repository := r.fresh()
		w.names["my"], w.names["repo:vNN"] = repository, "repo:vNN"
		w.names["my/repo"] = repository + "/repo"
		r.must(r.call(http.MethodPost, "/images/"+w.names["busybox"]+"/tag", url.Values{"repo": {repository + "/repo"}, "tag": {"vNN"}}, nil), "tagging an image", http.StatusCreated)
		r.removeImage(repository + "/repo:vNN")
	}
	if recorded.needs("committed") {
		name := r.fresh()
		w.names["committed"] = name
		r.removeImage(name)
		if recorded.Name != "commit" {
			r.recordedExited(w)
			query := url.Values{"container": {r.values["container"]}, "repo": {name}, "comment": {"message"}, "author": {"me"}}
			r.must(r.call(http.MethodPost, "/commit", query, map[string]any{"Cmd": []string{"date"}}), "committing a container", http.StatusCreated)
		}
	}
	if recorded.needs("vNN") && strings.Contains(recorded.Path, "/volumes") && r.atLeast("1.21") {
		name := r.fresh()
		w.names["vNN"] = name
		r.removeVolume(name)
		if recorded.Name == "volume-remove" {
			r.must(r.call(http.MethodPost, "/volumes/create", nil, map[string]any{"Name": name}), "creating a volume", http.StatusCreated)
		}
	}
	if recorded.Name == "remove-used" {
		r.create(map[string]any{"Image": w.names["busybox"]})
	}
}

// recordedExec makes the exec that the recording is about, started and ended for
// the later ones.
func (r *Run) recordedExec(recorded recording, w *recordedWorld) {
	if running := w.names["{running}"]; running == "" {
		r.containerRunning()
	}
	response := r.call(http.MethodPost, "/containers/"+r.values["container"]+"/exec", nil, map[string]any{"Cmd": []string{"echo", "hi"}, "AttachStdout": true})
	r.must(response, "creating an exec", http.StatusCreated)
	id, _ := r.object(response, "the answer to exec create")["Id"].(string)
	w.names["{exec}"] = id
	if recorded.Name != "exec-inspect-done" && recorded.Name != "exec-start-again" {
		return
	}
	stream := r.open(r.request(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": false, "Tty": false}))
	if _, _, err := wire.ReadFrames(stream); err != nil {
		r.fatal("stream", "output of an exec: %v", err)
	}
}

// tidy removes what the recorded request itself made.
func (w *recordedWorld) tidy(r *Run, recorded recording, response *wire.Response) {
	r.tidy(response)
	if r.Operation.ID == "SystemPing" && response.Status == http.StatusCreated {
		r.tidyLater(recorded, response)
	}
	if recorded.Name == "tag" {
		r.removeImage(w.own("my/repo") + ":vNN")
	}
}

// words replaces recorded names in a text where they stand for an object: after
// a slash, in quotes, or as the argument of a message.
func (w *recordedWorld) words(recorded string) string {
	for name, own := range w.names {
		if strings.HasPrefix(name, "{") {
			recorded = strings.ReplaceAll(recorded, name, own)
			continue
		}
		for _, around := range []string{
			`"/%s"`, `"%s"`, "container %s:", "Container %s is paused", "container %s\n", "remove %s:", "name %s already", "network %s has",
		} {
			recorded = strings.ReplaceAll(recorded, fmt.Sprintf(around, name), fmt.Sprintf(around, own))
		}
	}
	return recorded
}

// tidyLater removes what a daemon makes at a version whose documents do not have
// the operation.
func (r *Run) tidyLater(recorded recording, response *wire.Response) {
	path, _, _ := strings.Cut(recorded.Path, "?")
	made := r.object(response, "what was made")
	switch path {
	case "/networks/create":
		r.later(func() {
			r.send(wire.Request{Method: http.MethodDelete, Target: fmt.Sprintf("/networks/%v", made["Id"]), Header: http.Header{}})
		})
	case "/volumes/create":
		r.removeVolume(fmt.Sprint(made["Name"]))
	}
}
