package conformance

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/seed-50ced230/berth/conformance/wire"
)

func runKillSignal(r *Run) {
	for _, signal := range []string{"USR1", "SIGUSR1", "10"} {
		r.startPatient(r.create(map[string]any{"Cmd": shell("trap 'exit 5' USR1; sleep 3600 & echo ready; while :; do wait; done")}))
		r.asking(http.StatusNoContent, http.MethodPost, r.containerPath("/kill"), query("signal", signal), nil)
		r.equal("effect", "signal="+signal, r.wait(r.values["container"]), 5)
	}
}

func runVolumesDangling(r *Run) {
	r.volumeCreated()
	unused := r.values["volume"]
	r.volumeCreated()
	used := r.values["volume"]
	r.create(map[string]any{"HostConfig": map[string]any{"Binds": []string{used + ":/data"}}})
	list := r.object(r.asking(http.StatusOK, http.MethodGet, "/volumes", query("filters", `{"dangling":["true"]}`), nil), "the list of volumes")
	var names []any
	volumes, _ := list["Volumes"].([]any)
	for _, volume := range volumes {
		names = append(names, at(volume, "Name"))
	}
	if !slices.Contains(names, any(unused)) || slices.Contains(names, any(used)) {
		r.finding("value", "/Volumes", "is %s, expected %s and not %s", text(names), unused, used)
	}
}

func runEventsOfContainer(r *Run) {
	since := unixTime(time.Now())
	mine := r.create(nil)
	r.create(nil)
	stream := r.streaming(r.request(http.MethodGet, "/events", url.Values{
		"since": {since}, "until": {unixTime(time.Now().Add(time.Second))}, "filters": {`{"container":["` + mine + `"]}`},
	}, nil), http.StatusOK)
	lines, err := wire.DecodeLines(stream)
	if err != nil {
		r.fatal("stream", "%v", err)
	}
	if len(lines) == 0 {
		r.finding("stream", "", "has no event of the container")
	}
	for _, line := range lines {
		if at(line, "id") != mine {
			r.finding("stream", "", "has an event of another object: %s", text(line))
		}
	}
}

func runBuildShm(r *Run) {
	output, _ := r.built("FROM "+r.baseImage()+"\nRUN cat /proc/mounts\n", url.Values{"shmsize": {"33554432"}, "nocache": {"1"}})
	if !bytes.Contains(output, []byte("size=32768k")) {
		r.finding("effect", "/dev/shm", "is not of 32 MB: %s", excerpt(output))
	}
}
