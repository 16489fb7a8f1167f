package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/document"
)

// fieldCases set every property of a body that inspect shows again, one case for
// each.
func fieldCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	for _, field := range fields(doc, operation) {
		value, ok := sample(field)
		if !ok {
			continue
		}
		cases = append(cases, newCase(Case{
			Name: "field-" + field.String(), Document: doc, Operation: operation,
			Requirement: fmt.Sprintf("What a request sets as %s is what inspect shows.", field),
			Source:      field.schema.Description,
			run:         func(r *Run) { runField(r, field, value) },
		}, "field"))
	}
	return cases
}

// field is a property of the body of a request that makes or changes something.
type field struct {
	operation string
	// within is the property that the field is inside of, or empty.
	within, name string
	schema       *document.Schema
}

func (f field) String() string {
	if f.within == "" {
		return f.name
	}
	return f.within + "." + f.name
}

// fields lists the properties of an operation's body that this version also has
// in what inspect answers.
func fields(doc *document.Document, operation *document.Operation) []field {
	shown := map[string]string{
		"ContainerCreate": "ContainerConfig", "ContainerStart": "HostConfig", "ContainerUpdate": "HostConfig", "VolumeCreate": "Volume", "NetworkCreate": "Network",
	}[operation.ID]
	body := operation.BodySchema()
	if shown == "" || body == nil {
		return nil
	}
	var list []field
	add := func(within string, properties map[string]*document.Schema, shownIn string) {
		inspect := doc.Definitions[shownIn]
		if inspect == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if inspect.Properties[name] != nil {
				list = append(list, field{operation.ID, within, name, properties[name]})
			}
		}
	}
	resolved := doc.Resolve(body)
	add("", resolved.Properties, shown)
	if host := resolved.Properties["HostConfig"]; host != nil {
		add("HostConfig", doc.Resolve(host).Properties, "HostConfig")
	}
	return list
}

// sample is a value for a field that is not its default. ok is false for fields
// that withoutSample gives a reason for.
func sample(f field) (value any, ok bool) {
	switch {
	case withoutSample(f) != "":
		return nil, false
	case f.operation == "VolumeCreate":
		value = volumeSample(f.name)
	case f.operation == "NetworkCreate":
		value = networkSample(f.name)
	case f.operation == "ContainerCreate" && f.within == "":
		value = configSample(f.name)
	default:
		value = hostSample(f.name)
	}
	return value, value != nil
}

// withoutSample says why a field has no case of its own, "" if it should have one.
func withoutSample(f field) string {
	switch f.String() {
	case "Image", "Name":
		return "every case that makes something sets it"
	case "Driver":
		if f.operation == "NetworkCreate" {
			return "every case that makes something sets it"
		}
	case "CheckDuplicate":
		return "asks for a check and is no property of the result; the case name-taken uses it"
	case "Memory", "MemorySwap", "CpuShares", "Cpuset", "Dns", "VolumesFrom", "SecurityOpt", "PortSpecs", "Mounts", "PublishService":
		if f.operation == "ContainerCreate" {
			return "a leftover of older versions in the container's settings; HostConfig has it, or nothing reads it"
		}
		if f.name == "VolumesFrom" {
			return "names another container; the documented create sets it and the case create reads it back"
		}
	case "OnBuild":
		return "belongs to images; a container has none"
	case "HostConfig.LxcConf", "LxcConf":
		return "settings of a driver that engines no longer have"
	case "HostConfig.Links", "HostConfig.VolumesFrom", "Links":
		return "the documented create sets them and the case create reads them back"
	case "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps":
		return "a start needs a block device; create takes any"
	case "HostConfig.BlkioWeightDevice", "BlkioWeightDevice":
		return "needs a block device"
	case "DriverOpts":
		return "no answer shows it"
	}
	return ""
}

func configSample(name string) any {
	return map[string]any{
		"Hostname": "lighthouse", "Domainname": "harbour.example", "User": "65534:65534",
		"AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true, "OpenStdin": true, "StdinOnce": true,
		"Env": []string{"COLOUR=blue", "EMPTY="}, "Cmd": []string{"echo", "two words"}, "Entrypoint": []string{"/bin/echo", "-n"},
		"Labels":  map[string]any{"com.example.tide": "high", "empty": ""},
		"Volumes": map[string]any{"/cargo": map[string]any{}}, "WorkingDir": "/root", "NetworkDisabled": true,
		"MacAddress": "02:42:ac:11:00:63", "ExposedPorts": map[string]any{"80/tcp": map[string]any{}, "53/udp": map[string]any{}},
		"StopSignal": "SIGUSR1", "VolumeDriver": "local",
	}[name]
}

func hostSample(name string) any {
	device := []any{map[string]any{"Path": "/dev/null", "Rate": 1048576}}
	return map[string]any{
		"Binds": []string{"/tmp:/host:ro"}, "Memory": 64 << 20, "MemorySwap": 128 << 20, "MemoryReservation": 32 << 20,
		"CpuShares": 512, "CpusetCpus": "0", "CpusetMems": "0", "CpuPeriod": 50000, "CpuQuota": 25000,
		"PidMode": "host", "IpcMode": "host", "UTSMode": "host", "NetworkMode": "none",
		"PortBindings":    map[string]any{"80/tcp": []any{map[string]any{"HostIp": "127.0.0.1", "HostPort": "11023"}}},
		"PublishAllPorts": true, "Privileged": true, "ReadonlyRootfs": true, "OomKillDisable": true, "OomScoreAdj": 300, "PidsLimit": 64,
		"Dns": []string{"192.0.2.53"}, "DnsSearch": []string{"harbour.example"}, "DnsOptions": []string{"ndots:2"},
		"ExtraHosts": []string{"buoy:192.0.2.7"}, "CapAdd": []string{"NET_ADMIN"}, "CapDrop": []string{"MKNOD"}, "GroupAdd": []string{"4321"},
		"RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": 3},
		"Devices":       []any{map[string]any{"PathOnHost": "/dev/null", "PathInContainer": "/dev/void", "CgroupPermissions": "rw"}},
		"Ulimits":       []any{map[string]any{"Name": "nofile", "Soft": 512, "Hard": 1024}},
		"SecurityOpt":   []string{"label:disable"}, "CgroupParent": "/harbour", "ShmSize": 32 << 20,
		"LogConfig":          map[string]any{"Type": "json-file", "Config": map[string]any{"max-size": "1m"}},
		"BlkioDeviceReadBps": device, "BlkioDeviceWriteBps": device, "BlkioDeviceReadIOps": device, "BlkioDeviceWriteIOps": device,
		"Tmpfs": map[string]any{"/run": "rw,size=65536k"}, "UsernsMode": "host", "VolumeDriver": "local", "ContainerIDFile": "/tmp/cid",
		"KernelMemory": 48 << 20, "BlkioWeight": 300, "MemorySwappiness": 40,
	}[name]
}

func volumeSample(name string) any {
	switch name {
	case "Labels":
		return documentedLabels()
	case "Driver":
		return "local"
	}
	return nil
}

func networkSample(name string) any {
	return map[string]any{
		"IPAM":     map[string]any{"Driver": "default", "Config": []any{map[string]any{"Subnet": "172.24.57.0/24", "Gateway": "172.24.57.254"}}},
		"Options":  map[string]any{"com.docker.network.driver.mtu": "1400"},
		"Internal": true, "Labels": documentedLabels(), "EnableIPv6": true,
	}[name]
}

// droppable are limits that a kernel may lack; an engine then says in a warning
// that it drops them.
func droppable(name string) bool {
	return slices.Contains([]string{"KernelMemory", "BlkioWeight", "MemorySwappiness"}, name)
}

func runField(r *Run, f field, value any) {
	var shown any
	switch f.operation {
	case "ContainerCreate":
		shown = r.createdWith(f, value)
	case "ContainerStart":
		shown = r.startedWith(f, value)
	case "ContainerUpdate":
		shown = r.updatedWith(f, value)
	case "VolumeCreate":
		shown = r.volumeWith(f, value)
	case "NetworkCreate":
		shown = r.networkWith(f, value)
	default:
		r.broken("no reading back for %s", f.operation)
	}
	if !holds(shown, value) && !(droppable(f.name) && len(r.warnings) > 0) {
		r.finding("effect", "/"+strings.ReplaceAll(f.String(), ".", "/"), "is %s, expected %s", text(shown), text(value))
	}
}

// accepted compares the status of the request that sets a field.
func (r *Run) accepted(method, path string, body map[string]any, status int) map[string]any {
	r.phase = request
	response := r.call(method, path, nil, body)
	r.phase = check
	r.tidy(response)
	r.compareStatus(response.Status, response.Body, status)
	answer := r.object(response, "the answer")
	r.warnings, _ = answer["Warnings"].([]any)
	return answer
}

func (r *Run) createdWith(f field, value any) any {
	body := map[string]any{"Image": r.baseImage(), "Cmd": []string{"true"}}
	settings := body
	if f.within != "" {
		settings = map[string]any{}
		body[f.within] = settings
	}
	settings[f.name] = value
	if f.name == "PortBindings" {
		body["ExposedPorts"] = map[string]any{"80/tcp": map[string]any{}}
	}
	needed(settings)
	id, _ := r.accepted(http.MethodPost, "/containers/create", body, http.StatusCreated)["Id"].(string)
	within := "Config"
	if f.within != "" {
		within = f.within
	}
	return at(r.inspect(id), within, f.name)
}

// needed adds to settings what one of them cannot be without.
func needed(settings map[string]any) {
	if settings["MemorySwap"] != nil {
		settings["Memory"] = 64 << 20 // swap includes memory
	}
}

// startedWith sets a field in the body of start, which replaces the settings that
// the container was created with.
func (r *Run) startedWith(f field, value any) any {
	r.create(map[string]any{"Cmd": []string{"sleep", "3600"}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}}})
	settings := map[string]any{f.name: value}
	needed(settings)
	r.asking(http.StatusNoContent, http.MethodPost, r.containerPath("/start"), nil, settings)
	return r.inspected("HostConfig", f.name)
}

func (r *Run) updatedWith(f field, value any) any {
	// Limits that are there already make every documented one a change: swap
	// includes memory and cannot be less.
	r.create(map[string]any{"HostConfig": map[string]any{"Memory": 96 << 20, "MemorySwap": 192 << 20}})
	body := map[string]any{f.name: value}
	r.accepted(http.MethodPost, r.containerPath("/update"), body, http.StatusOK)
	return r.inspected("HostConfig", f.name)
}

func (r *Run) volumeWith(f field, value any) any {
	r.values["volume"] = r.fresh()
	r.accepted(http.MethodPost, "/volumes/create", map[string]any{"Name": r.values["volume"], f.name: value}, http.StatusCreated)
	response := r.must(r.call(http.MethodGet, "/volumes/"+r.values["volume"], nil, nil), "inspecting the volume", http.StatusOK)
	return r.object(response, "the volume")[f.name]
}

func (r *Run) networkWith(f field, value any) any {
	body := map[string]any{"Name": r.fresh(), f.name: value}
	if f.name == "EnableIPv6" {
		body["IPAM"] = map[string]any{"Config": []any{
			map[string]any{"Subnet": "172.24.58.0/24"}, map[string]any{"Subnet": "2001:db8:58::/64"},
		}}
	}
	id, _ := r.accepted(http.MethodPost, "/networks/create", body, http.StatusCreated)["Id"].(string)
	response := r.must(r.call(http.MethodGet, "/networks/"+id, nil, nil), "inspecting the network", http.StatusOK)
	return r.object(response, "the network")[f.name]
}

// holds says whether an answer has everything of a value; it may have more
// properties, and lists more items.
func holds(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		for name, item := range want {
			ok = ok && holds(object[name], item)
		}
		return ok
	case []string:
		items := make([]any, len(want))
		for i, item := range want {
			items[i] = item
		}
		return holds(got, items)
	case []any:
		list, ok := got.([]any)
		for _, item := range want {
			ok = ok && slices.ContainsFunc(list, func(candidate any) bool { return holds(candidate, item) })
		}
		return ok
	default:
		return text(got) == text(want)
	}
}
