package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// imageEffect is effect for everything but containers.
func imageEffect(operation string) verification {
	after := func(f func(*Run, any)) verification { return verification{after: f} }
	switch operation {
	case "ImageList":
		return after((*Run).imagesShown)
	case "ImageInspect":
		return after(func(r *Run, value any) {
			r.equal("value", "/Comment", at(value, "Comment"), "made by a fixture")
			r.equal("value", "/Os", at(value, "Os"), "linux")
		})
	case "ImageHistory":
		return after((*Run).historyShows)
	case "ImageTag":
		return after(func(r *Run, _ any) {
			r.equal("effect", "/Id", at(r.inspectImage("myrepo:v42"), "Id"), r.values["image-id"])
		})
	case "ImageDelete":
		return after((*Run).imageDeleted)
	case "ImageSearch":
		return after((*Run).searchFound)
	case "SystemAuth":
		return after(func(r *Run, value any) { r.equal("value", "/Status", at(value, "Status"), "Login Succeeded") })
	case "SystemVersion":
		return after(func(r *Run, value any) { r.equal("value", "/Os", at(value, "Os"), "linux") })
	case "ImageCommit":
		return after((*Run).committed)
	case "ImageLoad":
		return after(func(r *Run, _ any) { r.loaded() })
	case "ContainerExec":
		return after((*Run).execCreatedAsAsked)
	case "VolumeList":
		return after((*Run).volumesShown)
	case "VolumeCreate", "VolumeInspect":
		return after((*Run).volumeShows)
	case "VolumeDelete":
		return after(func(r *Run, _ any) { r.gone("/volumes/" + r.values["volume"]) })
	case "NetworkList":
		return after((*Run).networksShown)
	case "NetworkCreate":
		return after((*Run).networkAsAsked)
	case "NetworkDelete":
		return after(func(r *Run, _ any) { r.gone("/networks/" + r.values["network"]) })
	case "NetworkConnect":
		return after((*Run).connected)
	case "NetworkDisconnect":
		return after((*Run).disconnected)
	}
	return verification{}
}

func (r *Run) imagesShown(value any) {
	items, _ := value.([]any)
	name := r.values["image"] + ":latest"
	i := slices.IndexFunc(items, func(item any) bool {
		return strings.Contains(text(at(item, "RepoTags")), `"`+name+`"`)
	})
	if i < 0 {
		r.finding("value", "", "no image of %d has the name %s", len(items), name)
		return
	}
	if r.Example.Name == "list-digests" {
		r.equal("value", "/RepoDigests", at(items[i], "RepoDigests"), []string{r.values["image"] + "@" + r.values["digest"]})
	}
	if id := r.values["id"]; id != "" {
		r.equal("value", "/Id", at(items[i], "Id"), id)
		r.equal("value", "/ParentId", at(items[i], "ParentId"), r.values["parent"])
	}
}

func (r *Run) historyShows(value any) {
	items, _ := value.([]any)
	if len(items) != 1 {
		r.finding("value", "", "has %d items, expected one", len(items))
		return
	}
	r.equal("value", "/0/Id", at(items[0], "Id"), r.values["image-id"])
	r.equal("value", "/0/Tags", at(items[0], "Tags"), []string{r.values["image"] + ":latest"})
	r.equal("value", "/0/CreatedBy", at(items[0], "CreatedBy"), "conformance suite")
	r.equal("value", "/0/Comment", at(items[0], "Comment"), "synthesised")
}

// imageDeleted wants the name untagged first, then the image and its own layer
// deleted, and the parent kept.
func (r *Run) imageDeleted(value any) {
	r.gone("/images/" + r.values["image"] + "/json")
	r.gone("/images/" + r.values["id"] + "/json")
	items, _ := value.([]any)
	if len(items) < 2 {
		r.finding("value", "", "is %s, expected an Untagged and a Deleted", text(value))
		return
	}
	r.equal("value", "/0/Untagged", at(items[0], "Untagged"), r.values["image"]+":latest")
	if !slices.ContainsFunc(items, func(item any) bool { return at(item, "Deleted") == r.values["id"] }) {
		r.finding("value", "", "is %s, expected %s among the deleted", text(value), r.values["id"])
	}
}

func (r *Run) searchFound(value any) {
	items, _ := value.([]any)
	if len(items) != 1 {
		r.finding("value", "", "has %d items, the registry answered one", len(items))
		return
	}
	r.equal("value", "/0/star_count", at(items[0], "star_count"), 7)
	r.equal("value", "/0/is_automated", at(items[0], "is_automated"), true)
	r.equal("value", "/0/description", at(items[0], "description"), "found by the suite's registry")
}

func (r *Run) committed(any) {
	img := r.inspectImage("myrepo")
	r.equal("effect", "/Id", at(img, "Id"), r.values["image"])
	r.equal("effect", "/Comment", at(img, "Comment"), "message")
	r.equal("effect", "/Config/Cmd", at(img, "Config", "Cmd"), []string{"date"})
	r.equal("effect", "/Config/ExposedPorts", at(img, "Config", "ExposedPorts"), at(r.Example.Request.Body, "ExposedPorts"))
	labels := at(img, "Config", "Labels")
	if asked, ok := at(r.Example.Request.Body, "Labels").(map[string]any); ok {
		for name, label := range asked {
			r.equal("effect", "/Config/Labels/"+name, at(labels, name), label)
		}
	}
}

func (r *Run) execCreatedAsAsked(any) {
	response := r.must(r.call(http.MethodGet, "/exec/"+r.values["exec"]+"/json", nil, nil), "inspecting the exec", http.StatusOK)
	exec := r.object(response, "the exec")
	r.equal("effect", "/ID", exec["ID"], r.values["exec"])
	r.equal("effect", "/Running", exec["Running"], false)
	r.equal("effect", "/ProcessConfig/entrypoint", at(exec, "ProcessConfig", "entrypoint"), "sh")
	r.equal("effect", "/ProcessConfig/tty", at(exec, "ProcessConfig", "tty"), true)
	for _, name := range []string{"User", "Privileged"} {
		if want := at(r.Example.Request.Body, name); want != nil {
			r.equal("effect", "/ProcessConfig/"+strings.ToLower(name), at(exec, "ProcessConfig", strings.ToLower(name)), want)
		}
	}
}

func (r *Run) volumesShown(value any) {
	items, _ := at(value, "Volumes").([]any)
	for _, item := range items {
		if at(item, "Name") == r.values["volume"] {
			r.equal("value", "/Driver", at(item, "Driver"), "local")
			return
		}
	}
	r.finding("value", "/Volumes", "no volume of %d is %s", len(items), r.values["volume"])
}

func (r *Run) volumeShows(value any) {
	r.equal("value", "/Driver", at(value, "Driver"), "local")
	if labels := at(r.Example.Response.Body, "Labels"); labels != nil {
		r.equal("value", "/Labels", at(value, "Labels"), labels)
	}
}

// networksShown wants the network of the fixture, if there is one, and the
// engine's own unless the query asks for others.
func (r *Run) networksShown(value any) {
	items, _ := value.([]any)
	drivers := map[string]any{}
	for _, item := range items {
		drivers[fmt.Sprint(at(item, "Name"))] = at(item, "Driver")
	}
	if r.Example.Name == "list-custom" {
		r.equal("value", "/Driver", drivers[r.values["name"]], "bridge")
		for _, name := range []string{"bridge", "host", "none"} {
			if drivers[name] != nil {
				r.finding("value", "", "shows network %s, which is not a user's", name)
			}
		}
		return
	}
	for name, driver := range map[string]string{"bridge": "bridge", "host": "host", "none": "null"} {
		r.equal("value", "/"+name+"/Driver", drivers[name], driver)
	}
}

func (r *Run) networkAsAsked(any) {
	response := r.must(r.call(http.MethodGet, "/networks/"+r.values["network"], nil, nil), "inspecting the network", http.StatusOK)
	network := r.object(response, "the network")
	r.equal("effect", "/Name", network["Name"], r.values["name"])
	r.equal("effect", "/Driver", network["Driver"], "bridge")
	asked, _ := at(r.Example.Request.Body, "IPAM", "Config").([]any)
	got, _ := at(network, "IPAM", "Config").([]any)
	if len(asked) != len(got) {
		r.finding("effect", "/IPAM/Config", "is %s, expected %s", text(got), text(asked))
		return
	}
	for i := range asked {
		for _, name := range []string{"Subnet", "Gateway", "IPRange"} {
			if want := at(asked[i], name); want != nil {
				r.equal("effect", fmt.Sprintf("/IPAM/Config/%d/%s", i, name), at(got[i], name), want)
			}
		}
	}
	for _, name := range []string{"Internal", "Options", "Labels", "EnableIPv6"} {
		want := at(r.Example.Request.Body, name)
		if want == nil || !r.documents("Network", name) {
			continue
		}
		if options, ok := want.(map[string]any); ok && name == "Options" {
			want = r.fittedOptions(options)
		}
		r.equal("effect", "/"+name, network[name], want)
	}
}

// fittedOptions are the documented options of a network as fitBridge changed
// them.
func (r *Run) fittedOptions(documented map[string]any) map[string]any {
	options := maps.Clone(documented)
	options["com.docker.network.bridge.name"] = r.values["bridge-name"]
	options["com.docker.network.bridge.default_bridge"] = "false"
	return options
}

// documents says whether a definition of this version has a property.
func (r *Run) documents(definition, property string) bool {
	schema := r.Document.Definitions[definition]
	return schema != nil && schema.Properties[property] != nil
}

// endpoint is the container's place in the network, nil if it has none.
func (r *Run) endpoint() any {
	response := r.must(r.call(http.MethodGet, "/networks/"+r.values["network"], nil, nil), "inspecting the network", http.StatusOK)
	return at(r.object(response, "the network"), "Containers", r.values["container"])
}

func (r *Run) connected(any) {
	endpoint := r.endpoint()
	if endpoint == nil {
		r.finding("effect", "/Containers", "the network does not show the container")
		return
	}
	asked := at(r.Example.Request.Body, "EndpointConfig", "IPAMConfig")
	for name, key := range map[string]string{"IPv4Address": "IPv4Address", "IPv6Address": "IPv6Address"} {
		want, _ := at(asked, name).(string)
		got, _ := at(endpoint, key).(string)
		if address, _, _ := strings.Cut(got, "/"); want != "" && address != want {
			r.finding("effect", "/Containers/"+key, "is %q, expected %s", got, want)
		}
	}
}

func (r *Run) disconnected(any) {
	if endpoint := r.endpoint(); endpoint != nil {
		r.finding("effect", "/Containers", "the network still shows the container: %s", text(endpoint))
	}
}

// request is a request without a body or with a JSON body, for open.
func (r *Run) request(method, path string, query url.Values, body any) wire.Request {
	req := wire.Request{Method: method, Target: r.target(path, query), Header: http.Header{}}
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			r.broken("encode a body: %v", err)
		}
		req.Body = encoded
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

// terminalSize asks the shell in the container's terminal for its size.
func (r *Run) terminalSize() string {
	req := r.request(http.MethodPost, "/containers/"+r.values["container"]+"/attach", url.Values{
		"stream": {"1"}, "stdin": {"1"}, "stdout": {"1"},
	}, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	stream := r.open(req)
	if stream.Status != http.StatusSwitchingProtocols && stream.Status != http.StatusOK {
		r.fatal("effect", "attaching to the terminal has status %d", stream.Status)
	}
	if _, err := stream.Write([]byte("echo size: $(stty size)\n")); err != nil {
		r.fatal("effect", "write to the terminal: %v", err)
	}
	var heard []byte
	for {
		piece := make([]byte, 512)
		n, err := stream.Read(piece)
		heard = append(heard, piece[:n]...)
		for line := range bytes.Lines(heard) {
			// The terminal echoes the question, which has $( in it.
			if size, found := bytes.CutPrefix(line, []byte("size: ")); found && bytes.HasSuffix(line, []byte("\n")) {
				return string(bytes.TrimSpace(size))
			}
		}
		if err != nil {
			r.fatal("effect", "wait for the shell's answer after %q: %v", heard, err)
		}
	}
}
