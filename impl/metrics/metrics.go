// Package metrics counts what a daemon does, in the form that Prometheus reads
// (text exposition format 0.0.4).
//
// Labels hold only what has few values: operations of the documents, versions
// of the API, statuses, actions of events. Nothing that a client can choose
// freely becomes a label without a bound; see clients.go.
package metrics

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Request is an answered request.
type Request struct {
	// Operation is the operationId of the documents; empty if there is none for
	// the path.
	Operation string
	// Version is the API version of the path, for example "1.21"; empty if the
	// path had none or the operation is unknown.
	Version string
	// UserAgent is the header as the client sent it.
	UserAgent string
	Status    int
	// Duration is the time from the request's head to the answer's end, which
	// for streams is as long as the client stayed.
	Duration time.Duration
}

// Holdings are what a daemon has at a moment.
type Holdings struct {
	// Containers by state ("running", "paused", "exited", …).
	Containers map[string]int
	// Images, Layers, Networks and Volumes are numbers of objects.
	Images, Layers, Networks, Volumes int
	// LayerBytes is the sum of the sizes of the files in all layers; BlobBytes
	// that of the compressed layers that are kept for a push.
	LayerBytes, BlobBytes int64
	// EventReaders is how many clients follow the events.
	EventReaders int
}

// Metrics are a daemon's counters. Its methods may be called from any
// goroutine.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	starts   prometheus.Histogram
	clients  *prometheus.CounterVec
	events   *prometheus.CounterVec
	known    knownClients
}

// New makes the counters. holdings is asked at each scrape and has to answer
// from memory.
func New(version, commit string, holdings func() Holdings) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_requests_total",
			Help: "Requests answered, by operation of the documents, API version of the path (none: no version in it) and status.",
		}, []string{"operation", "version", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "berth_request_duration_seconds",
			Help:    "Time from a request's head to the end of its answer. Streams last as long as their client stays.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
		}, []string{"operation"}),
		starts: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "berth_container_start_seconds",
			Help:    "Time that successful starts of containers took, as their clients saw it.",
			Buckets: prometheus.ExponentialBuckets(0.005, 1.8, 12),
		}),
		clients: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_client_requests_total",
			Help: "Requests by the client's program (first product of its User-Agent) and the API version that it asked for.",
		}, []string{"client", "version"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_events_total",
			Help: "Events by type and action; image and pull are the pulls.",
		}, []string{"type", "action"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "berth_build_info", Help: "Always 1; the labels tell which program this is.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.requests, m.seconds, m.starts, m.clients, m.events, build, newHoldingsCollector(holdings),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Observe counts a request.
func (m *Metrics) Observe(r Request) {
	operation := orNone(r.Operation)
	version := orNone(r.Version)
	m.requests.WithLabelValues(operation, version, strconv.Itoa(r.Status)).Inc()
	m.seconds.WithLabelValues(operation).Observe(r.Duration.Seconds())
	m.clients.WithLabelValues(m.known.name(r.UserAgent), version).Inc()
	if r.Operation == "ContainerStart" && r.Status == http.StatusNoContent {
		m.starts.Observe(r.Duration.Seconds())
	}
}

// Event counts an event. Of an action with an object ("exec_start: sh -c …")
// only the verb is counted.
func (m *Metrics) Event(kind, action string) {
	verb, _, _ := strings.Cut(action, ":")
	m.events.WithLabelValues(kind, verb).Inc()
}

// Handler serves the counters.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
