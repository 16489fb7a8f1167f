package conformance

import (
	"net/http"
	"net/url"
	"time"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// networkID finds one of the daemon's networks by its name.
func (r *Run) networkID(name string) string {
	response := r.must(r.call(http.MethodGet, "/networks", nil, nil), "listing networks", http.StatusOK)
	for _, item := range r.list(response, "the list of networks") {
		if at(item, "Name") == name {
			id, _ := at(item, "Id").(string)
			return id
		}
	}
	r.block("the daemon has no network %q", name)
	return ""
}

// createNetwork makes a user network.
func (r *Run) createNetwork(body map[string]any) string {
	response := r.must(r.call(http.MethodPost, "/networks/create", nil, body), "creating a network", http.StatusCreated)
	id, _ := r.object(response, "the answer to network create")["Id"].(string)
	r.removeNetwork(id)
	return id
}

func (r *Run) removeNetwork(id string) {
	r.later(func() { r.call(http.MethodDelete, "/networks/"+id, nil, nil) })
}

// networkCreated has the range of which the documented connect asks an address.
func (r *Run) networkCreated() {
	name := r.fresh()
	settings := map[string]any{"Name": name, "Driver": "bridge", "CheckDuplicate": true}
	if r.Operation.ID == "NetworkConnect" && r.Example != nil && r.atLeast("1.22") {
		settings["IPAM"] = map[string]any{"Driver": "default", "Config": []any{
			map[string]any{"Subnet": "172.24.56.0/24", "Gateway": "172.24.56.1"},
			map[string]any{"Subnet": "2001:db8::/64", "Gateway": "2001:db8::1"},
		}}
		if r.atLeast("1.23") {
			settings["EnableIPv6"] = true
		} else {
			settings["Options"] = map[string]any{"com.docker.network.enable_ipv6": "true"}
		}
	}
	r.values["network"] = r.createNetwork(settings)
	r.values["name"] = name
}

// networkIsolated has the name and the range of IPv4 addresses that the documented
// create asks for. The container is not started, so its IPv6 address needs none.
func (r *Run) networkIsolated() {
	if r.call(http.MethodGet, "/networks/isolated_nw", nil, nil).Status == http.StatusOK {
		r.block("the daemon has a network named isolated_nw, which the documented example needs")
	}
	r.createNetwork(map[string]any{
		"Name": "isolated_nw", "Driver": "bridge",
		"IPAM": map[string]any{"Driver": "default", "Config": []any{map[string]any{"Subnet": "172.20.30.0/24"}}},
	})
}

func (r *Run) volumeCreated() {
	name := r.fresh()
	body := map[string]any{"Name": name}
	if r.atLeast("1.23") {
		body["Labels"] = documentedLabels()
	}
	r.must(r.call(http.MethodPost, "/volumes/create", nil, body), "creating a volume", http.StatusCreated)
	r.removeVolume(name)
	r.values["volume"] = name
}

func documentedLabels() map[string]any {
	return map[string]any{"com.example.some-label": "some-value", "com.example.some-other-label": "some-other-value"}
}

// removeVolume removes a volume when the case is over. Before 1.21 no operation
// does; a request without a version asks the newest one.
func (r *Run) removeVolume(name string) {
	r.later(func() {
		r.send(wire.Request{Method: http.MethodDelete, Target: "/volumes/" + name, Header: http.Header{}})
	})
}

// eventsPast is a container's whole life, and the second in which it began.
func (r *Run) eventsPast() {
	r.values["image"] = r.baseImage()
	r.values["since"] = unixTime(time.Now())
	id := r.create(nil)
	r.startPatient(id)
	response := r.call(http.MethodPost, "/containers/"+id+"/stop", url.Values{"t": {"5"}}, nil)
	r.must(response, "stopping a container", http.StatusNoContent)
	r.must(r.call(http.MethodDelete, "/containers/"+id, nil, nil), "removing a container", http.StatusNoContent)
	if r.atLeast("1.21") {
		r.values["network"] = r.networkID("bridge")
	}
}
