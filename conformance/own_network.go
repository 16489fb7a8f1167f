package conformance

import (
	"net/http"

	"github.com/seed-50ced230/berth/conformance/document"
)

// networkCases set what no example sets: a container's own place in a network,
// and addresses of a network that are not given out.
func networkCases(doc *document.Document, operation *document.Operation) []*Case {
	add := func(name, requirement, source string, run func(*Run)) []*Case {
		return []*Case{newCase(Case{
			Name: name, Document: doc, Operation: operation, Requirement: requirement, Source: source,
			Labels: []string{"needs:network"}, run: run,
		}, "own")}
	}
	switch {
	case operation.ID == "NetworkConnect" && doc.Resolve(operation.BodySchema()).Properties["EndpointConfig"] != nil:
		return add("endpoint", "A container gets the address, the aliases and the links that it asks for.", "field EndpointConfig", runEndpoint)
	case operation.ID == "NetworkCreate":
		return add("auxiliary-addresses", "Addresses that are set aside are shown and not given to containers.", "field IPAM", runAuxiliary)
	}
	return nil
}

// subnet is one of the suite's own, for networks whose addresses are chosen.
const subnet = "10.251.78"

func runEndpoint(r *Run) {
	name := r.fresh()
	network := r.createNetwork(map[string]any{
		"Name": name, "Driver": "bridge", "IPAM": map[string]any{"Config": []any{map[string]any{"Subnet": subnet + ".0/24"}}},
	})
	r.startPatient(r.create(map[string]any{"HostConfig": map[string]any{"NetworkMode": name}}))
	other := r.values["container-name"]
	r.startPatient(r.create(nil))
	r.asking(http.StatusOK, http.MethodPost, "/networks/"+network+"/connect", nil, map[string]any{
		"Container": r.values["container"],
		"EndpointConfig": map[string]any{
			"IPAMConfig": map[string]any{"IPv4Address": subnet + ".77"}, "Aliases": []string{"tide"}, "Links": []string{other + ":moon"},
		},
	})
	endpoint := r.inspected("NetworkSettings", "Networks", name)
	r.equal("effect", "/IPAddress", at(endpoint, "IPAddress"), subnet+".77")
	r.equal("effect", "/IPAMConfig/IPv4Address", at(endpoint, "IPAMConfig", "IPv4Address"), subnet+".77")
	r.equal("effect", "/Links", at(endpoint, "Links"), []string{other + ":moon"})
	if aliases, _ := at(endpoint, "Aliases").([]any); len(aliases) == 0 || text(aliases[0]) != `"tide"` {
		r.finding("effect", "/Aliases", "is %s, expected tide first", text(aliases))
	}
	r.output("ping", "-c", "1", "-w", "5", "moon") // fails if the link has no name
}

func runAuxiliary(r *Run) {
	name := r.fresh()
	response := r.asking(http.StatusCreated, http.MethodPost, "/networks/create", nil, map[string]any{
		"Name": name, "Driver": "bridge", "IPAM": map[string]any{"Config": []any{map[string]any{
			"Subnet": subnet + ".0/24", "Gateway": subnet + ".1", "AuxiliaryAddresses": map[string]string{"router": subnet + ".2"},
		}}},
	})
	id, _ := r.object(response, "the answer to network create")["Id"].(string)
	r.removeNetwork(id)
	network := r.object(r.must(r.call(http.MethodGet, "/networks/"+id, nil, nil), "inspecting the network", http.StatusOK), "the network")
	configs, _ := at(network, "IPAM", "Config").([]any)
	if len(configs) != 1 {
		r.fatal("effect", "the network has the ranges %s", text(configs))
	}
	r.equal("effect", "/IPAM/Config/0/AuxiliaryAddresses/router", at(configs[0], "AuxiliaryAddresses", "router"), subnet+".2")
	r.startPatient(r.create(map[string]any{"HostConfig": map[string]any{"NetworkMode": name}}))
	r.equal("effect", "/IPAddress", r.inspected("NetworkSettings", "Networks", name, "IPAddress"), subnet+".3")
}
