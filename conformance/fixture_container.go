package conformance

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// patient is a shell that says when it is ready, waits, and ends with code 7 on
// SIGTERM. Without a trap the first process of a container ignores the signal.
const patient = `trap 'exit 7' TERM; sleep 3600 & echo ready; while :; do wait; done`

// chatty writes numbered lines to both outputs before that.
const chatty = `for i in 1 2 3 4 5 6; do echo out $i; done; for i in 1 2 3; do echo err $i >&2; done; ` + patient

func contextForEnd() context.Context { return context.Background() }

// shell is the command of a container that runs a script.
func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

// create makes a container from the base image; settings are merged over the
// defaults. It fills in container, container-short, container-name and image.
func (r *Run) create(settings map[string]any) string {
	return r.createNamed(r.fresh(), settings)
}

func (r *Run) createNamed(name string, settings map[string]any) string {
	body := map[string]any{
		"Image": r.baseImage(), "Cmd": shell(patient), "AttachStdout": true, "AttachStderr": true,
		"Labels":     map[string]string{"com.example.some-label": "some-label-value"},
		"HostConfig": map[string]any{},
	}
	for key, value := range settings {
		body[key] = value
	}
	response := r.call(http.MethodPost, "/containers/create", url.Values{"name": {name}}, body)
	r.must(response, "creating a container", http.StatusCreated)
	id, _ := r.object(response, "the answer to create")["Id"].(string)
	if id == "" {
		r.fatal("body", "the answer to create has no Id: %s", excerpt(response.Body))
	}
	r.removeContainer(id)
	r.values["container"], r.values["container-name"] = id, name
	r.values["container-short"] = id[:min(12, len(id))]
	return id
}

func (r *Run) start(id string) {
	r.must(r.call(http.MethodPost, "/containers/"+id+"/start", nil, nil), "starting a container", http.StatusNoContent)
}

// wait waits for the end of a container and returns its exit code as JSON.
func (r *Run) wait(id string) any {
	response := r.must(r.call(http.MethodPost, "/containers/"+id+"/wait", nil, nil), "waiting for a container", http.StatusOK)
	return r.object(response, "the answer to wait")["StatusCode"]
}

// inspect reads a container back.
func (r *Run) inspect(id string) map[string]any {
	response := r.must(r.call(http.MethodGet, "/containers/"+id+"/json", nil, nil), "inspecting a container", http.StatusOK)
	return r.object(response, "the container")
}

func (r *Run) containerCreated() { r.create(nil) }

// containerExited has run and ended with code 9, with a volume of its own.
func (r *Run) containerExited() {
	id := r.create(map[string]any{"Cmd": shell("exit 9"), "Volumes": map[string]any{"/volumes/data": map[string]any{}}})
	r.values["exited"] = id
	r.start(id)
	if code := text(r.wait(id)); code != "9" {
		r.fatal("effect", "a container that ran `exit 9` has exit code %s", code)
	}
}

// containerNewest is the container that the query's `before` names: it must be
// younger than those that the list shows, also in whole seconds.
func (r *Run) containerNewest() {
	time.Sleep(1100 * time.Millisecond)
	r.create(nil)
}

// containerRunning has set its trap and started its `sleep` when it returns.
func (r *Run) containerRunning() {
	r.startPatient(r.create(nil))
}

// startPatient starts a container that runs patient or chatty and waits until
// its log says that it is ready.
func (r *Run) startPatient(id string) {
	r.start(id)
	r.awaitLine(id, "stdout", "ready")
}

// awaitLine waits until the log of a container has a line.
func (r *Run) awaitLine(id, stream, line string) {
	r.waitFor("the line `"+line+"` in the container's log", func() bool {
		response := r.call(http.MethodGet, "/containers/"+id+"/logs", query(stream, "1"), nil)
		r.must(response, "reading the log", http.StatusOK)
		return containsLine(response.Body, line)
	})
}

func (r *Run) containerRunningTTY() {
	r.start(r.create(map[string]any{
		"Cmd": []string{"/bin/sh"}, "Tty": true, "OpenStdin": true, "AttachStdin": true,
	}))
}

// containerRunningStdin copies its standard input to its standard output.
func (r *Run) containerRunningStdin() {
	r.start(r.create(map[string]any{"Cmd": []string{"/bin/cat"}, "OpenStdin": true, "AttachStdin": true}))
}

// containerWithLogs has written all its lines when it returns.
func (r *Run) containerWithLogs() {
	r.values["since"] = unixTime(time.Now().Add(-time.Minute))
	id := r.create(map[string]any{"Cmd": shell(chatty)})
	r.startPatient(id)
	r.awaitLine(id, "stderr", "err 3") // the streams are read apart
}

func (r *Run) containerPaused() {
	r.containerRunning()
	response := r.call(http.MethodPost, "/containers/"+r.values["container"]+"/pause", nil, nil)
	r.must(response, "pausing a container", http.StatusNoContent)
}

// runToEnd runs a script in a new container and waits for its end.
func (r *Run) runToEnd(script string) {
	id := r.create(map[string]any{"Cmd": shell(script)})
	r.start(id)
	if code := text(r.wait(id)); code != "0" {
		r.fatal("effect", "a container that ran %q has exit code %s", script, code)
	}
}

func (r *Run) containerWithChanges() { r.runToEnd("echo content >/test") }

func (r *Run) containerWithFile() { r.runToEnd("printf content >/test.txt") }

func (r *Run) containerWithVolume() {
	r.create(map[string]any{"Volumes": map[string]any{"/vol1": map[string]any{}}})
}

// containerInNetwork runs in the network that the fixture network made.
func (r *Run) containerInNetwork() {
	r.startPatient(r.create(map[string]any{"HostConfig": map[string]any{"NetworkMode": r.values["name"]}}))
}

// containerNamed is a container whose name the document prescribes.
func (r *Run) containerNamed(name string) {
	if r.call(http.MethodGet, "/containers/"+name+"/json", nil, nil).Status == http.StatusOK {
		r.block("the daemon has a container named %q, which the documented example needs", name)
	}
	settings := map[string]any{}
	if name == "parent" {
		settings["Volumes"] = map[string]any{"/from/parent": map[string]any{}}
	}
	r.createNamed(name, settings)
}

// execCreate makes a command in the container of the case.
func (r *Run) execCreate(settings map[string]any) string {
	body := map[string]any{"AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": false}
	for key, value := range settings {
		body[key] = value
	}
	response := r.call(http.MethodPost, "/containers/"+r.values["container"]+"/exec", nil, body)
	r.must(response, "creating an exec", http.StatusCreated)
	id, _ := r.object(response, "the answer to exec create")["Id"].(string)
	r.values["exec"] = id
	return id
}

// execCreated writes to both outputs, then copies its input, then says that it
// ended. Exit code 5.
func (r *Run) execCreated() {
	r.execCreate(map[string]any{"Cmd": shell("echo out; echo err >&2; cat; echo tail; exit 5")})
}

// execExited ran `sh -c "exit 2"` with a terminal.
func (r *Run) execExited() {
	id := r.execCreate(map[string]any{"Cmd": []string{"sh", "-c", "exit 2"}, "Tty": true, "User": "0"})
	r.values["exec-answered"] = id
	response := r.call(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": true, "Tty": true})
	r.must(response, "starting an exec", http.StatusOK)
	r.waitFor("the end of the exec", func() bool {
		response := r.must(r.call(http.MethodGet, "/exec/"+id+"/json", nil, nil), "inspecting the exec", http.StatusOK)
		return r.object(response, "the exec")["Running"] == false
	})
	if r.atLeast("1.22") {
		return
	}
	r.values["image"], _ = r.inspect(r.values["container"])["Image"].(string)
}

// execRunningTTY writes the size of its terminal to a file again and again.
func (r *Run) execRunningTTY() {
	id := r.execCreate(map[string]any{"Cmd": shell("while :; do stty size >/tmp/size.new; mv /tmp/size.new /tmp/size; sleep 0.1; done"), "Tty": true})
	response := r.call(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": true, "Tty": true})
	r.must(response, "starting an exec", http.StatusOK)
}

// output runs a command in the container of the case and returns what it wrote
// to its standard output.
func (r *Run) output(command ...string) string {
	container := r.values["container"]
	response := r.call(http.MethodPost, "/containers/"+container+"/exec", nil, map[string]any{"AttachStdout": true, "Cmd": command})
	r.must(response, "creating an exec", http.StatusCreated)
	id, _ := r.object(response, "the answer to exec create")["Id"].(string)
	stream := r.open(r.request(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": false, "Tty": false}))
	if stream.Status != http.StatusOK {
		r.fatal("effect", "starting an exec was answered with status %d", stream.Status)
	}
	stdout, _, err := wire.ReadFrames(stream)
	if err != nil {
		r.fatal("stream", "output of %v: %v", command, err)
	}
	return string(stdout)
}
