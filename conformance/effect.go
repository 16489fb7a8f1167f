package conformance

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// verification reads back what an operation did. before runs when the
// preconditions are there, after when the answer was compared; value is the
// answer's body.
type verification struct {
	before func(r *Run)
	after  func(r *Run, value any)
}

// effect returns the verification of an operation; the zero value if the answer
// itself is everything.
func effect(operation string) verification {
	after := func(f func(*Run, any)) verification { return verification{after: f} }
	switch operation {
	case "ContainerList":
		return after((*Run).listShows)
	case "ContainerCreate":
		return after((*Run).createdAsAsked)
	case "ContainerInspect":
		return after((*Run).inspectShows)
	case "ContainerTop":
		return after((*Run).topShows)
	case "ContainerChanges":
		return after((*Run).changesShow)
	case "ContainerStart":
		return after((*Run).runs)
	case "ContainerStop":
		return after(func(r *Run, _ any) { r.ended(7) })
	case "ContainerKill":
		return after(func(r *Run, _ any) { r.ended(137) })
	case "ContainerRestart":
		return verification{before: (*Run).rememberStart, after: (*Run).restarted}
	case "ContainerRename":
		return after(func(r *Run, _ any) { r.equal("effect", "/Name", r.inspected("Name"), "/new_name") })
	case "ContainerPause":
		return after(func(r *Run, _ any) { r.equal("effect", "/State/Paused", r.inspected("State", "Paused"), true) })
	case "ContainerUnpause":
		return after(func(r *Run, _ any) {
			r.equal("effect", "/State/Paused", r.inspected("State", "Paused"), false)
			r.runs(nil)
		})
	case "ContainerWait":
		return after(func(r *Run, value any) { r.equal("value", "/StatusCode", at(value, "StatusCode"), 9) })
	case "ContainerDelete":
		return after(func(r *Run, _ any) { r.gone("/containers/" + r.values["container"] + "/json") })
	case "ContainerResize":
		return after((*Run).resized)
	case "PutContainerArchive":
		return after((*Run).archivePut)
	case "ContainerUpdate":
		return after((*Run).updated)
	case "ExecInspect":
		return after((*Run).execShows)
	case "ExecResize":
		return after((*Run).execResized)
	}
	return imageEffect(operation)
}

// inspected reads one property of the container back.
func (r *Run) inspected(names ...string) any {
	return at(r.inspect(r.values["container"]), names...)
}

func (r *Run) runs(any) {
	r.equal("effect", "/State/Running", r.inspected("State", "Running"), true)
}

// ended wants a container that is not running any more, with that exit code.
func (r *Run) ended(code int) {
	state := r.inspected("State")
	r.equal("effect", "/State/Running", at(state, "Running"), false)
	r.equal("effect", "/State/ExitCode", at(state, "ExitCode"), code)
}

// gone wants status 404.
func (r *Run) gone(path string) {
	if response := r.call(http.MethodGet, path, nil, nil); response.Status != http.StatusNotFound {
		r.finding("effect", "", "GET %s has status %d afterwards, expected 404", path, response.Status)
	}
}

func (r *Run) rememberStart() {
	r.values["started-at"] = fmt.Sprint(r.inspected("State", "StartedAt"))
}

func (r *Run) restarted(any) {
	r.runs(nil)
	if startedAt := fmt.Sprint(r.inspected("State", "StartedAt")); startedAt == r.values["started-at"] {
		r.finding("effect", "/State/StartedAt", "is %s as before the restart", startedAt)
	}
}

// listShows wants the exited container, which is older than the one that the
// query's `before` names, and not that one.
func (r *Run) listShows(value any) {
	items, _ := value.([]any)
	var exited any
	for _, item := range items {
		switch at(item, "Id") {
		case r.values["container"]:
			r.finding("value", "", "the list shows the container that the query's before names")
		case r.values["exited"]:
			exited = item
		}
	}
	if exited == nil {
		r.finding("value", "", "the list of %d does not show container %s", len(items), r.values["exited"])
		return
	}
	r.equal("value", "/Command", at(exited, "Command"), "/bin/sh -c 'exit 9'")
	r.equal("value", "/Image", at(exited, "Image"), r.baseImage())
	if status, _ := at(exited, "Status").(string); !strings.HasPrefix(status, "Exited (9)") {
		r.finding("value", "/Status", "is %q, expected it to begin with Exited (9)", status)
	}
	for _, name := range []string{"SizeRw", "SizeRootFs"} {
		if at(exited, name) == nil && name == "SizeRootFs" {
			r.finding("value", "/"+name, "is missing although size=1")
		}
	}
}

// createdAsAsked reads every setting of the request back.
func (r *Run) createdAsAsked(value any) {
	id, _ := at(value, "Id").(string)
	if !isHex(id, 64) {
		r.finding("value", "/Id", "is %q, expected 64 hexadecimal digits", id)
		return
	}
	container := r.inspect(id)
	r.equal("effect", "/Config/Cmd", at(container, "Config", "Cmd"), []string{"date"})
	r.equal("effect", "/Config/Image", at(container, "Config", "Image"), "ubuntu")
	r.equal("effect", "/Config/Labels", at(container, "Config", "Labels"), at(r.Example.Request.Body, "Labels"))
	r.equal("effect", "/Config/ExposedPorts", at(container, "Config", "ExposedPorts"), at(r.Example.Request.Body, "ExposedPorts"))
	env := text(at(container, "Config", "Env"))
	for _, variable := range []string{"FOO=bar", "BAZ=quux"} {
		if !strings.Contains(env, `"`+variable+`"`) {
			r.finding("effect", "/Config/Env", "is %s, expected %s in it", env, variable)
		}
	}
	settings := at(r.Example.Request.Body, "HostConfig")
	for _, name := range []string{
		"Binds", "CpuShares", "Dns", "CapAdd", "CapDrop", "VolumesFrom", "NetworkMode", "Privileged",
		"ReadonlyRootfs", "PublishAllPorts", "CpuPeriod", "CpuQuota", "GroupAdd", "OomScoreAdj", "ShmSize", "Tmpfs",
	} {
		if want := at(settings, name); want != nil {
			r.equal("effect", "/HostConfig/"+name, at(container, "HostConfig", name), want)
		}
	}
	// Engines show a link as it was asked for or with the container's own name in
	// it, /redis3:/name/redis; the document does not say which.
	resolved := "/redis3:" + fmt.Sprint(at(container, "Name")) + "/redis"
	if links := text(at(container, "HostConfig", "Links")); links != `["redis3:redis"]` && links != text([]string{resolved}) {
		r.finding("effect", "/HostConfig/Links", "is %s, expected [\"redis3:redis\"] or [%q]", links, resolved)
	}
	r.equal("effect", "/State/Running", at(container, "State", "Running"), false)
}

func (r *Run) inspectShows(value any) {
	r.equal("value", "/Id", at(value, "Id"), r.values["container"])
	r.equal("value", "/Name", at(value, "Name"), "/"+r.values["container-name"])
	r.equal("value", "/Path", at(value, "Path"), "/bin/sh")
	r.equal("value", "/Args", at(value, "Args"), []string{"-c", "exit 9"})
	r.equal("value", "/State/ExitCode", at(value, "State", "ExitCode"), 9)
	r.equal("value", "/State/Running", at(value, "State", "Running"), false)
	if r.Example.Name != "inspect-size" {
		return
	}
	for _, name := range []string{"SizeRw", "SizeRootFs"} {
		if at(value, name) == nil {
			r.finding("value", "/"+name, "is missing although size=1")
		}
	}
}

// topShows wants the titles of the example and a row per process of the script.
func (r *Run) topShows(value any) {
	r.equal("value", "/Titles", at(value, "Titles"), at(r.Example.Response.Body, "Titles"))
	titles, _ := at(value, "Titles").([]any)
	rows, _ := at(value, "Processes").([]any)
	found := false
	for i, row := range rows {
		cells, _ := row.([]any)
		if len(cells) != len(titles) {
			r.finding("value", fmt.Sprintf("/Processes/%d", i), "has %d cells for %d titles", len(cells), len(titles))
		}
		found = found || (len(cells) > 0 && strings.Contains(fmt.Sprint(cells[len(cells)-1]), "sleep 3600"))
	}
	if !found {
		r.finding("value", "/Processes", "no row shows the container's `sleep 3600`: %s", text(rows))
	}
}

// changesShow wants the file that the container made, as added (kind 1).
func (r *Run) changesShow(value any) {
	items, _ := value.([]any)
	if !slices.ContainsFunc(items, func(item any) bool {
		return at(item, "Path") == "/test" && text(at(item, "Kind")) == "1"
	}) {
		r.finding("value", "", "does not show that /test was added: %s", text(value))
	}
}

// resized asks the container's shell for the size of its terminal.
func (r *Run) resized(any) {
	r.equal("effect", "stty size", r.terminalSize(), "40 80")
}

// execResized asks for what the exec says of its terminal, until it says it.
func (r *Run) execResized(any) {
	var size string
	for range 30 {
		if size = strings.TrimSpace(r.output("cat", "/tmp/size")); size == "40 80" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.equal("effect", "stty size", size, "40 80")
}

func (r *Run) archivePut(any) {
	stream := r.open(r.request(http.MethodGet, "/containers/"+r.values["container"]+"/archive", query("path", "/vol1/conformance.txt"), nil))
	if stream.Status != http.StatusOK {
		r.fatal("effect", "reading the file back has status %d", stream.Status)
	}
	r.wantFile(r.readTar(stream), "conformance.txt", []byte("put by the suite\n"))
}

// updated reads the new settings back. Kernel memory is left out: kernels since
// 5.16 have no limit for it.
func (r *Run) updated(any) {
	settings := r.inspected("HostConfig")
	for _, name := range []string{"CpuShares", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems", "Memory", "MemorySwap", "MemoryReservation", "RestartPolicy"} {
		if want := at(r.Example.Request.Body, name); want != nil {
			r.equal("effect", "/HostConfig/"+name, at(settings, name), want)
		}
	}
}

func (r *Run) execShows(value any) {
	r.equal("value", "/ExitCode", at(value, "ExitCode"), 2)
	r.equal("value", "/Running", at(value, "Running"), false)
	r.equal("value", "/ProcessConfig/entrypoint", at(value, "ProcessConfig", "entrypoint"), "sh")
	r.equal("value", "/ProcessConfig/arguments", at(value, "ProcessConfig", "arguments"), []string{"-c", "exit 2"})
	r.equal("value", "/ProcessConfig/tty", at(value, "ProcessConfig", "tty"), true)
}

// containsLine looks for a line in a multiplexed or raw log.
func containsLine(log []byte, line string) bool {
	return bytes.Contains(log, []byte(line+"\n")) || bytes.Contains(log, []byte(line+"\r\n"))
}
