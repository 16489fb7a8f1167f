package clienttest

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestMetrics reads what a daemon counts while the docker command uses it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	metrics, profiles := freePort(t), freePort(t)
	d := startCold(t, "berthtest8", "10.213.29.1/24", launch{flags: []string{"--metrics-addr", metrics, "--pprof-addr", profiles}})
	if err := loadBusybox(d.Host()); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"1.19", "1.23"} {
		c := newDocker(t, d.Host(), version)
		c.run("run", "--net", "none", "busybox", "true")
	}

	text := fetch(t, "http://"+metrics+"/metrics")
	for _, want := range []string{
		`berth_requests_total\{operation="ContainerStart",status="204",version="1\.19"\} 1`,
		`berth_requests_total\{operation="ContainerStart",status="204",version="1\.23"\} 1`,
		`berth_container_start_seconds_count 2`,
		`berth_client_requests_total\{client="[^"/]+/[^"]+",version="1\.19"\} [1-9]`,
		`berth_events_total\{action="die",type="container"\} 2`,
		`berth_containers\{state="exited"\} 2`,
		`berth_images 1`,
		`berth_layer_bytes [1-9]`,
	} {
		if !regexp.MustCompile("(?m)^" + want).MatchString(text) {
			t.Errorf("no line %s", want)
		}
	}
	if text := fetch(t, "http://"+profiles+"/debug/pprof/goroutine?debug=1"); !strings.HasPrefix(text, "goroutine profile: total ") {
		t.Errorf("the profile begins with %.60q", text)
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, response.Status, err)
	}
	return string(body)
}
