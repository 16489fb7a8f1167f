package conformance

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// fit changes what of a documented body no daemon on this machine could do. The
// report shows every change.
func (r *Run) fit(body any) any {
	object, ok := body.(map[string]any)
	if !ok {
		return body
	}
	settings := object
	if host, ok := object["HostConfig"].(map[string]any); ok {
		settings = host
	}
	for name, file := range map[string]string{
		"CpusetCpus": "/sys/devices/system/cpu/online",
		"CpusetMems": "/sys/devices/system/node/online",
	} {
		if settings[name] == "0,1" && isOnlyZero(file) {
			r.adapt("%s is \"0\" instead of \"0,1\": this machine has one", name)
			settings[name] = "0"
		}
	}
	if options, ok := object["Options"].(map[string]any); ok && r.Operation.ID == "NetworkCreate" {
		r.fitBridge(options)
	}
	return object
}

// fitBridge keeps a documented network from taking the engine's own bridge over,
// which would disappear together with the network.
func (r *Run) fitBridge(options map[string]any) {
	const name, isDefault = "com.docker.network.bridge.name", "com.docker.network.bridge.default_bridge"
	if options[name] == nil {
		return
	}
	options[name] = fmt.Sprintf("bc%s", r.suite.RunID)
	options[isDefault] = "false"
	r.adapt("the network's bridge is %s instead of docker0 and not the default one: docker0 belongs to the engine", options[name])
	r.values["bridge-name"] = fmt.Sprint(options[name])
}

// isOnlyZero says whether the kernel's list (Documentation/admin-guide/cputopology.rst)
// names only number 0. A file that is not there tells of one.
func isOnlyZero(file string) bool {
	raw, err := os.ReadFile(file)
	return err != nil || strings.TrimSpace(string(raw)) == "0"
}

// fitQuery changes queries that need the public index.
func (r *Run) fitQuery(query url.Values) {
	if r.Operation.ID == "ImageSearch" && r.values["registry"] != "" {
		term := r.values["registry"] + "/" + query.Get("term")
		r.adapt("term is %s instead of %s: the suite's own registry is searched, not the public one", term, query.Get("term"))
		query.Set("term", term)
	}
}
