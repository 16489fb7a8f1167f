package conformance

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// former is how something was before a change, where no case that both versions
// have shows it.
type former struct {
	// change is its id, "v1.19-02", operation what it is shown with.
	change, operation string
	requirement       string
	run               func(*Run)
	labels            []string
}

// formers lists them.
func formers() []former {
	return []former{
		{"v1.19-02", "ContainerStats", "stream is no parameter yet: samples keep coming.", func(r *Run) {
			r.equal("effect", "stream=0", observeStatsStream(r)("0"), "more")
		}, []string{"stream", "needs:cgroup"}},
		{"v1.19-03", "ContainerLogs", "since is no parameter yet: everything is shown.", runFormerSince, []string{"stream"}},
		{"v1.19-06", "ImageBuild", "cpuperiod and cpuquota are no parameters yet, and what they are does not matter.", func(r *Run) {
			r.built("FROM "+r.baseImage()+"\nENV A=b\n", url.Values{"cpuperiod": {"x"}, "cpuquota": {"y"}})
		}, []string{"stream"}},
		{"v1.20-01", "ContainerCopy", "Paths of a container have no operation of their own yet.", runFormerPath("/containers/{container}/archive?path=/root"), nil},
		{"v1.20-02", "ContainerCopy", "Nothing can be put into a container yet.", runFormerPut, nil},
		{"v1.21-01", "SystemVersion", "Volumes have no operations yet.", runFormerPath("/volumes"), nil},
		{"v1.21-02", "SystemVersion", "A volume cannot be made by itself yet.", runFormerVolume, nil},
		{"v1.21-03", "SystemVersion", "A volume cannot be looked at by itself yet.", runFormerPath("/volumes/tardis"), nil},
		{"v1.21-04", "SystemVersion", "A volume cannot be removed by itself yet.", runFormerVolumeDelete, nil},
		{"v1.21-07", "ContainerStop", "StopSignal is no field yet: SIGTERM is what stops.", runFormerStopSignal, nil},
		{"v1.21-10", "ImageBuild", "buildargs is no parameter yet: a variable keeps the value of the build file.", runFormerArguments, []string{"stream"}},
		{"v1.21-12", "SystemEvents", "Labels choose no events yet.", runFormerEvents, []string{"stream"}},
		{"v1.21-15", "ExecStart", "A command in a container that was stopped is refused, but with another status than 409.", runFormerExec, nil},
		{"v1.21-16", "ContainerInspect", "size is no parameter yet, and there are no sizes.", func(r *Run) {
			r.equal("effect", "/SizeRw", observeInspectSize(r)("1"), false)
		}, nil},
		{"v1.22-01", "ContainerInspect", "A container's limits cannot be changed yet.", runFormerUpdate, nil},
		{"v1.22-05", "NetworkInspect", "A network's containers have no names yet.", runFormerNetworkNames, []string{"needs:network"}},
		{"v1.22-08", "ContainerCreate", "Kernel memory may be bounded to less than 4 MB.", runFormerKernelMemory, []string{"needs:cgroup"}},
		{"v1.22-09", "ImageCreate", "A pull goes on without its client.", runFormerPull, []string{"stream", "needs:registry"}},
		{"v1.22-09", "ImagePush", "A push goes on without its client.", runFormerPush, []string{"stream", "needs:registry"}},
		{"v1.22-10", "ContainerCreate", "Rates of block devices are no fields yet, and what they are does not matter.", formerHostFields(
			"BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"), nil},
		{"v1.22-11", "NetworkList", "A part of a name does not choose a network yet.", runFormerNetworkFilter, []string{"needs:network"}},
		{"v1.22-12", "ContainerCreate", "NetworkingConfig is no field yet, and what it is does not matter.", formerFields("NetworkingConfig"), nil},
		{"v1.22-16", "NetworkDisconnect", "Force is no field yet, and what it is does not matter.", runFormerForce, []string{"needs:network"}},
		{"v1.22-19", "NetworkInspect", "Address management has no options yet.", runFormerIPAMOptions, []string{"needs:network"}},
		{"v1.23-05", "ContainerUpdate", "RestartPolicy is no field of update yet: the policy stays.", runFormerPolicy, []string{"needs:cgroup"}},
		{"v1.23-06", "NetworkCreate", "EnableIPv6 is no field yet, and what it is does not matter.", runFormerIPv6, []string{"needs:network"}},
		{"v1.23-09", "ContainerCreate", "PidsLimit is no field yet, and what it is does not matter.", formerHostFields("PidsLimit"), nil},
		{"v1.23-12", "ContainerCreate", "A volume cannot be mounted without its content yet.", runFormerNoCopy, nil},
		{"v1.23-14", "ContainerCreate", "The host name is Hostname.Domainname where both are given.", func(r *Run) {
			r.equal("effect", "host name", r.hostname(), "lighthouse.harbour.example")
		}, nil},
	}
}

// formerCases are those of the version before the change.
func formerCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	for _, f := range formers() {
		brought := ChangeRow{ID: f.change}.Version()
		if f.operation != operation.ID || doc.Version != versionBefore(brought) {
			continue
		}
		cases = append(cases, newCase(Case{
			Name: "before-" + f.change, Document: doc, Operation: operation, Requirement: f.requirement,
			Source: "change " + f.change + ", seen from before", Labels: f.labels, run: f.run,
		}, "own"))
	}
	return cases
}

// versionBefore is 1.22 for 1.23.
func versionBefore(version string) string {
	parts := numbers(version)
	return fmt.Sprintf("%d.%d", parts[0], parts[1]-1)
}

// runFormerPath wants a path that this version does not have.
func runFormerPath(path string) func(*Run) {
	return func(r *Run) {
		r.containerCreated()
		r.gone(strings.ReplaceAll(path, "{container}", r.values["container"]))
	}
}

func (r *Run) refusedPath(method, path string, body any) {
	if status := r.call(method, path, nil, body).Status; status != http.StatusNotFound {
		r.finding("status", "", "%s %s has status %d, expected 404", method, path, status)
	}
}

func runFormerPut(r *Run) {
	r.containerCreated()
	r.refusedPath(http.MethodPut, r.containerPath("/archive")+"?path=/root", r.madeUpBody())
}

func runFormerVolume(r *Run) {
	r.refusedPath(http.MethodPost, "/volumes/create", map[string]any{"Name": r.fresh()})
}

func runFormerVolumeDelete(r *Run) { r.refusedPath(http.MethodDelete, "/volumes/"+r.fresh(), nil) }

func runFormerUpdate(r *Run) {
	r.containerCreated()
	r.refusedPath(http.MethodPost, r.containerPath("/update"), map[string]any{"CpuShares": 512})
	r.equal("effect", "/HostConfig/CpuShares", r.inspected("HostConfig", "CpuShares"), 0)
}

func runFormerSince(r *Run) {
	r.containerSpoke()
	output := r.outputs("ContainerLogs", url.Values{"stdout": {"1"}, "since": {unixTime(time.Now().Add(time.Hour))}}, nil)
	r.equal("effect", "since", string(output), "on stdout\n")
}

func runFormerStopSignal(r *Run) {
	r.startPatient(r.create(map[string]any{"StopSignal": "SIGUSR1"}))
	r.asking(http.StatusNoContent, http.MethodPost, r.containerPath("/stop"), query("t", "10"), nil)
	r.ended(7)
	r.equal("effect", "/Config/StopSignal", r.inspected("Config", "StopSignal"), nil)
}

func runFormerArguments(r *Run) {
	_, name := r.built("FROM "+r.baseImage()+"\nARG WHO=nobody\nLABEL who=$WHO\n", url.Values{"buildargs": {`{"WHO":"the suite"}`}})
	r.equal("effect", "/Config/Labels/who", at(r.inspectImage(name), "Config", "Labels", "who"), "nobody")
}

func runFormerEvents(r *Run) {
	since, label := unixTime(time.Now()), r.fresh()
	r.create(map[string]any{"Labels": map[string]string{"berth.case": label}})
	other := r.create(map[string]any{"Labels": map[string]string{"berth.case": "another"}})
	response := r.asking(http.StatusOK, http.MethodGet, "/events", url.Values{
		"since": {since}, "until": {unixTime(time.Now().Add(time.Second))}, "filters": {`{"label":["berth.case=` + label + `"]}`},
	}, nil)
	if !bytes.Contains(response.Body, []byte(other)) {
		r.finding("stream", "", "leaves out the event of a container with another label")
	}
}

func runFormerExec(r *Run) {
	r.containerRunning()
	r.execCreated()
	r.kill()
	response := r.asked(http.MethodPost, "/exec/"+r.values["exec"]+"/start", nil, map[string]any{"Detach": false, "Tty": false})
	if response.Status < http.StatusBadRequest || response.Status == http.StatusConflict {
		r.finding("status", "", "is %d, expected a refusal that is not 409", response.Status)
	}
}

func runFormerNetworkNames(r *Run) {
	r.networkCreated()
	r.containerInNetwork()
	response := r.asking(http.StatusOK, http.MethodGet, "/networks/"+r.values["network"], nil, nil)
	containers, _ := r.object(response, "the network")["Containers"].(map[string]any)
	place, ok := containers[r.values["container"]].(map[string]any)
	if _, named := place["Name"]; !ok || named {
		r.finding("body", "/Containers", "is %s, expected the container without a Name", text(containers))
	}
}

func runFormerKernelMemory(r *Run) {
	r.tidy(r.asking(http.StatusCreated, http.MethodPost, "/containers/create", nil, map[string]any{
		"Image": r.baseImage(), "Cmd": []string{"true"}, "HostConfig": map[string]any{"KernelMemory": 1 << 20},
	}))
}

// formerFields creates a container with properties of the body that this version
// does not have, of types that no version has.
func formerFields(names ...string) func(*Run) {
	return func(r *Run) {
		body := map[string]any{"Image": r.baseImage(), "Cmd": []string{"true"}}
		for _, name := range names {
			body[name] = []any{"none"}
		}
		container := r.creating(body)
		for _, name := range names {
			if _, shown := container[name]; shown {
				r.finding("body", "/"+name, "is shown")
			}
		}
	}
}

// formerHostFields is formerFields for properties of HostConfig.
func formerHostFields(names ...string) func(*Run) {
	return func(r *Run) {
		settings := map[string]any{}
		for _, name := range names {
			settings[name] = map[string]any{"none": true}
		}
		container := r.creating(map[string]any{"Image": r.baseImage(), "Cmd": []string{"true"}, "HostConfig": settings})
		host, _ := container["HostConfig"].(map[string]any)
		for _, name := range names {
			if _, shown := host[name]; shown {
				r.finding("body", "/HostConfig/"+name, "is shown")
			}
		}
	}
}

func runFormerNetworkFilter(r *Run) {
	r.networkCreated()
	part := r.values["name"][1:]
	response := r.asking(http.StatusOK, http.MethodGet, "/networks", query("filters", `{"name":["`+part+`"]}`), nil)
	for _, item := range r.list(response, "the list of networks") {
		if at(item, "Id") == r.values["network"] {
			r.finding("value", "", "shows %s for %s", r.values["name"], part)
		}
	}
}

func runFormerForce(r *Run) {
	r.networkCreated()
	r.containerInNetwork()
	r.asking(http.StatusOK, http.MethodPost, "/networks/"+r.values["network"]+"/disconnect", nil, map[string]any{
		"Container": r.values["container"], "Force": []any{"none"},
	})
	r.disconnected(nil)
}

func runFormerIPAMOptions(r *Run) {
	id := r.createNetwork(map[string]any{"Name": r.fresh(), "IPAM": map[string]any{"Driver": "default", "Options": "none"}})
	ipam, _ := r.object(r.asking(http.StatusOK, http.MethodGet, "/networks/"+id, nil, nil), "the network")["IPAM"].(map[string]any)
	if _, shown := ipam["Options"]; shown {
		r.finding("body", "/IPAM/Options", "is shown")
	}
}

func runFormerPolicy(r *Run) {
	r.create(map[string]any{"HostConfig": map[string]any{"RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": 3}}})
	r.asking(http.StatusOK, http.MethodPost, r.containerPath("/update"), nil, map[string]any{"CpuShares": 512, "RestartPolicy": map[string]any{"Name": "always"}})
	r.equal("effect", "/HostConfig/CpuShares", r.inspected("HostConfig", "CpuShares"), 512)
	r.equal("effect", "/HostConfig/RestartPolicy/Name", r.inspected("HostConfig", "RestartPolicy", "Name"), "on-failure")
}

func runFormerIPv6(r *Run) {
	id := r.createNetwork(map[string]any{"Name": r.fresh(), "EnableIPv6": []any{"none"}})
	network := r.object(r.asking(http.StatusOK, http.MethodGet, "/networks/"+id, nil, nil), "the network")
	if _, shown := network["EnableIPv6"]; shown {
		r.finding("body", "/EnableIPv6", "is shown")
	}
}

func runFormerNoCopy(r *Run) {
	volume := r.fresh()
	response := r.asked(http.MethodPost, "/containers/create", nil, map[string]any{
		"Image": r.baseImage(), "Cmd": []string{"true"}, "HostConfig": map[string]any{"Binds": []string{volume + ":/root:nocopy"}},
	})
	if response.Status == http.StatusCreated {
		r.tidy(response)
		r.removeVolume(volume)
	}
	r.compareError(response, http.StatusBadRequest)
}

// hostname runs a container with Hostname and Domainname and returns the name
// that the kernel gives it.
func (r *Run) hostname() string {
	id := r.create(map[string]any{"Hostname": "lighthouse", "Domainname": "harbour.example", "Cmd": shell("cat /proc/sys/kernel/hostname")})
	r.start(id)
	r.wait(id)
	stdout, _, err := wire.ReadFrames(r.streaming(r.request(http.MethodGet, r.containerPath("/logs"), query("stdout", "1"), nil), http.StatusOK))
	if err != nil {
		r.fatal("stream", "%v", err)
	}
	return strings.TrimSpace(string(stdout))
}
