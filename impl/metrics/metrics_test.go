package metrics_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/metrics"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	server := httptest.NewServer(m.Handler(slog.Default()))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	return string(text)
}

func TestMetrics(t *testing.T) {
	m := metrics.New("1.2", "abc", func() metrics.Holdings {
		return metrics.Holdings{Containers: map[string]int{"running": 2, "exited": 5}, Images: 3, LayerBytes: 1 << 40, EventReaders: 1}
	})
	m.Observe(metrics.Request{Operation: "ContainerStart", Version: "1.21", UserAgent: "docker-py/5.0.3", Status: 204, Duration: 30 * time.Millisecond})
	m.Observe(metrics.Request{Operation: "ContainerStart", Version: "1.21", UserAgent: "docker-py/5.0.3", Status: 404, Duration: time.Second})
	m.Observe(metrics.Request{UserAgent: "Docker-Client/20.10.24 (linux)", Status: 404})
	m.Event("image", "pull")
	m.Event("container", "exec_start: sh -c secret")
	text := scrape(t, m)
	for _, want := range []string{
		`berth_requests_total{operation="ContainerStart",status="204",version="1.21"} 1`,
		`berth_requests_total{operation="none",status="404",version="none"} 1`,
		`berth_request_duration_seconds_count{operation="ContainerStart"} 2`,
		`berth_container_start_seconds_count 1`, // the one that succeeded
		`berth_client_requests_total{client="docker-py/5.0.3",version="1.21"} 2`,
		`berth_client_requests_total{client="Docker-Client/20.10.24",version="none"} 1`,
		`berth_events_total{action="pull",type="image"} 1`,
		`berth_events_total{action="exec_start",type="container"} 1`,
		`berth_containers{state="running"} 2`, `berth_containers{state="exited"} 5`,
		`berth_images 3`, `berth_layer_bytes 1.099511627776e+12`, `berth_event_readers 1`,
		`berth_build_info{commit="abc",version="1.2"} 1`,
		`process_open_fds `, `go_goroutines `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "secret") {
		t.Error("a command became a label")
	}
}

// What a client makes up neither fills the memory nor breaks the format.
func TestClientsAreBounded(t *testing.T) {
	m := metrics.New("", "", func() metrics.Holdings { return metrics.Holdings{} })
	for i := range 1000 {
		m.Observe(metrics.Request{UserAgent: fmt.Sprintf("x%d/1", i)})
	}
	for _, odd := range []string{"", " ", "\"}\n berth_fake 1", strings.Repeat("a", 1<<20), "\xff\xfe", "(only a comment)"} {
		m.Observe(metrics.Request{UserAgent: odd})
	}
	text := scrape(t, m)
	if n := strings.Count(text, "berth_client_requests_total{"); n != 102 { // 100, other, unknown
		t.Errorf("%d clients", n)
	}
	for _, want := range []string{`client="other",version="none"} 9`, `client="unknown",version="none"}`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 400 || strings.HasPrefix(strings.TrimSpace(line), "berth_fake") {
			t.Errorf("line %.80q", line)
		}
	}
}
