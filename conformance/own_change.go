package conformance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// behaviour is a case of something that a version brought and that no example
// shows.
type behaviour struct {
	name string
	// since is the first version that has it.
	since       string
	requirement string
	run         func(*Run)
	labels      []string
}

// behaviours lists those of an operation.
func behaviours(operation string) []behaviour {
	switch operation {
	case "SystemVersion":
		return []behaviour{{"too-new", "1.18", "A version newer than the engine's is refused with 400 and a text that names both.", runTooNew, nil}}
	case "ContainerStats":
		return []behaviour{{"one-sample", "1.19", "With stream=0 one sample comes and the answer ends.", runOneSample, []string{"stream", "needs:cgroup"}}}
	case "ContainerLogs":
		return []behaviour{{"since", "1.19", "since leaves out what was written before that moment.", runLogsSince, []string{"stream"}}}
	case "ImageBuild":
		return []behaviour{
			{"cpu-limits", "1.19", "cpuperiod and cpuquota are taken.", runBuildLimits, []string{"stream", "needs:cgroup"}},
			{"build-arguments", "1.21", "buildargs gives ARG instructions their values.", runBuildArguments, []string{"stream"}},
		}
	case "SystemEvents":
		return []behaviour{{"label-filter", "1.21", "A filter on labels leaves out the events of other containers.", runEventsFilter, []string{"stream"}}}
	case "NetworkList":
		return []behaviour{{"filters", "1.22", "Filters on name, id and type choose networks.", runNetworkFilters, []string{"needs:network"}}}
	case "NetworkDisconnect":
		return []behaviour{{"force", "1.22", "Force disconnects a running container.", runDisconnectForce, []string{"needs:network"}}}
	case "ContainerCreate":
		return []behaviour{
			{"static-address", "1.22", "A container gets the address that it asks for in a network.", runStaticAddress, []string{"needs:network"}},
			{"kernel-memory-minimum", "1.22", "Less than 4 MB of kernel memory is refused with 400; a kernel without that limit earns a warning instead.", runKernelMemory, []string{"needs:cgroup"}},
			{"hostname-and-domain", "1.23", "The host name is Hostname alone, also when Domainname is set.", runHostname, nil},
			{"no-copy", "1.23", "A named volume with nocopy stays empty where the image has files.", runNoCopy, nil},
		}
	}
	return nil
}

func runTooNew(r *Run) {
	r.phase = request
	response := r.send(wire.Request{Method: http.MethodGet, Target: "/v9.99/version"})
	r.phase = check
	r.compareError(response, http.StatusBadRequest)
	if !strings.Contains(string(response.Body), "9.99") || !strings.Contains(string(response.Body), response.Header.Get("Api-Version")) {
		r.finding("body", "", "does not name both versions: %s", excerpt(response.Body))
	}
}

func runOneSample(r *Run) {
	r.containerRunning()
	stream := r.streaming(r.request(http.MethodGet, r.containerPath("/stats"), query("stream", "0"), nil), http.StatusOK)
	lines, err := wire.DecodeLines(stream)
	if err != nil {
		r.finding("stream", "", "%v", err)
	}
	if len(lines) != 1 {
		r.finding("stream", "", "has %d samples, expected one", len(lines))
	}
	for _, line := range lines {
		r.compareLine(line)
	}
}

func runLogsSince(r *Run) {
	r.containerWithLogs()
	later := unixTime(time.Now().Add(time.Hour))
	stream := r.streaming(r.request(http.MethodGet, r.containerPath("/logs"), url.Values{"stdout": {"1"}, "since": {later}}, nil), http.StatusOK)
	if body := r.wholeBody(stream); len(body) > 0 {
		r.finding("stream", "", "holds lines from before: %s", excerpt(body))
	}
}

// build builds a Dockerfile and returns the image.
func (r *Run) build(dockerfile string, query url.Values) map[string]any {
	archive, err := image.Tar(image.File{Name: "Dockerfile", Content: []byte("FROM " + r.baseImage() + "\n" + dockerfile)})
	if err != nil {
		r.broken("%v", err)
	}
	name := r.fresh()
	query.Set("t", name)
	r.removeImage(name)
	req := wire.Request{Method: http.MethodPost, Target: r.target("/build", query), Body: archive, Header: http.Header{"Content-Type": {"application/x-tar"}}}
	stream := r.streaming(req, http.StatusOK)
	lines, err := wire.DecodeLines(stream)
	if err != nil {
		r.fatal("stream", "%v", err)
	}
	for _, line := range lines {
		r.compareLine(line)
		if message := at(line, "error"); message != nil {
			r.fatal("effect", "the build reports an error: %s", text(message))
		}
	}
	return r.inspectImage(name)
}

func runBuildLimits(r *Run) {
	r.build("RUN true\n", url.Values{"cpuperiod": {"100000"}, "cpuquota": {"50000"}})
}

func runBuildArguments(r *Run) {
	img := r.build("ARG WHO\nLABEL who=$WHO\n", url.Values{"buildargs": {`{"WHO":"the suite"}`}})
	r.equal("effect", "/Config/Labels/who", at(img, "Config", "Labels", "who"), "the suite")
}

func runEventsFilter(r *Run) {
	since, label := unixTime(time.Now()), r.fresh()
	mine := r.create(map[string]any{"Labels": map[string]string{"berth.case": label}})
	r.create(map[string]any{"Labels": map[string]string{"berth.case": "another"}})
	filters, _ := json.Marshal(map[string][]string{"label": {"berth.case=" + label}}) // strings always encode
	stream := r.streaming(r.request(http.MethodGet, "/events", url.Values{
		"since": {since}, "until": {unixTime(time.Now().Add(time.Second))}, "filters": {string(filters)},
	}, nil), http.StatusOK)
	lines, err := wire.DecodeLines(stream)
	if err != nil {
		r.fatal("stream", "%v", err)
	}
	if len(lines) == 0 {
		r.finding("stream", "", "has no event of the container with the label")
	}
	for _, line := range lines {
		if at(line, "id") != mine {
			r.finding("stream", "", "has an event that the filter leaves out: %s", text(line))
		}
	}
}

func runNetworkFilters(r *Run) {
	r.networkCreated()
	r.phase = request
	for key, value := range map[string]string{"name": r.values["name"], "id": r.values["network"], "type": "custom"} {
		filters, _ := json.Marshal(map[string][]string{key: {value}}) // strings always encode
		response := r.call(http.MethodGet, "/networks", query("filters", string(filters)), nil)
		r.compareStatus(response.Status, response.Body, http.StatusOK)
		var names []string
		for _, item := range r.list(response, "the list of networks") {
			name, _ := at(item, "Name").(string)
			names = append(names, name)
		}
		if !slices.Contains(names, r.values["name"]) || slices.Contains(names, "bridge") {
			r.finding("value", "", "filter %s=%s shows %s, expected %s and not bridge", key, value, strings.Join(names, ", "), r.values["name"])
		}
	}
}

func runDisconnectForce(r *Run) {
	r.networkCreated()
	r.containerInNetwork()
	r.phase = request
	response := r.call(http.MethodPost, "/networks/"+r.values["network"]+"/disconnect", nil, map[string]any{"Container": r.values["container"], "Force": true})
	r.phase = check
	r.compareStatus(response.Status, response.Body, http.StatusOK)
	r.disconnected(nil)
}

func runStaticAddress(r *Run) {
	r.values["name"] = r.fresh()
	r.values["network"] = r.createNetwork(map[string]any{
		"Name": r.values["name"], "IPAM": map[string]any{"Config": []any{map[string]any{"Subnet": "172.24.59.0/24"}}},
	})
	const address = "172.24.59.77"
	r.phase = request
	id := r.create(map[string]any{
		"HostConfig": map[string]any{"NetworkMode": r.values["name"]},
		"NetworkingConfig": map[string]any{"EndpointsConfig": map[string]any{
			r.values["name"]: map[string]any{"IPAMConfig": map[string]any{"IPv4Address": address}},
		}},
	})
	r.start(id)
	r.phase = check
	r.equal("effect", "/NetworkSettings/Networks/IPAddress", at(r.inspect(id), "NetworkSettings", "Networks", r.values["name"], "IPAddress"), address)
}

func runKernelMemory(r *Run) {
	body := map[string]any{"Image": r.baseImage(), "Cmd": []string{"true"}, "HostConfig": map[string]any{"KernelMemory": 1 << 20}}
	r.phase = request
	response := r.call(http.MethodPost, "/containers/create", nil, body)
	r.phase = check
	if response.Status != http.StatusCreated {
		r.compareError(response, http.StatusBadRequest)
		return
	}
	r.tidy(response)
	if warnings, _ := r.object(response, "the answer")["Warnings"].([]any); len(warnings) == 0 {
		r.finding("value", "/Warnings", "1 MB of kernel memory is taken without a warning")
	}
}

func runHostname(r *Run) {
	r.equal("effect", "host name", r.hostname(), "lighthouse")
}

// runNoCopy mounts volumes over /root, which has a file in the image.
func runNoCopy(r *Run) {
	for mode, want := range map[string]string{"": "hello\n", ":nocopy": ""} {
		r.phase = request
		volume := r.fresh()
		r.removeVolume(volume)
		id := r.create(map[string]any{"Cmd": shell("ls /root"), "HostConfig": map[string]any{"Binds": []string{volume + ":/root" + mode}}})
		r.start(id)
		r.wait(id)
		r.phase = check
		stream := r.open(r.request(http.MethodGet, r.containerPath("/logs"), query("stdout", "1"), nil))
		stdout, _, err := wire.ReadFrames(stream)
		if err != nil {
			r.fatal("stream", "%v", err)
		}
		r.equal("effect", "/root of a volume with mode "+strings.TrimPrefix(mode, ":"), string(stdout), want)
	}
}
