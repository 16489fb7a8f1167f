package metrics

import "github.com/prometheus/client_golang/prometheus"

// holdingsCollector asks for the holdings at each scrape, so that there is
// nothing to keep in step.
type holdingsCollector struct {
	holdings   func() Holdings
	containers *prometheus.Desc
	gauges     []gauge
}

// gauge is a number of the holdings.
type gauge struct {
	desc  *prometheus.Desc
	value func(Holdings) float64
}

func newHoldingsCollector(holdings func() Holdings) *holdingsCollector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("berth_"+name, help, labels, nil)
	}
	return &holdingsCollector{
		holdings:   holdings,
		containers: describe("containers", "Containers by state.", "state"),
		gauges: []gauge{
			{describe("images", "Images in the store."), func(h Holdings) float64 { return float64(h.Images) }},
			{describe("layers", "Layers in the store."), func(h Holdings) float64 { return float64(h.Layers) }},
			{describe("networks", "Networks, the predefined ones too."), func(h Holdings) float64 { return float64(h.Networks) }},
			{describe("volumes", "Volumes."), func(h Holdings) float64 { return float64(h.Volumes) }},
			{describe("layer_bytes", "Bytes in the files of all layers."), func(h Holdings) float64 { return float64(h.LayerBytes) }},
			{describe("blob_bytes", "Bytes of the compressed layers that are kept for a push."), func(h Holdings) float64 { return float64(h.BlobBytes) }},
			{describe("event_readers", "Clients that follow the events."), func(h Holdings) float64 { return float64(h.EventReaders) }},
		},
	}
}

// Describe is of prometheus.Collector.
func (c *holdingsCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.containers
	for _, g := range c.gauges {
		out <- g.desc
	}
}

// Collect is of prometheus.Collector.
func (c *holdingsCollector) Collect(out chan<- prometheus.Metric) {
	h := c.holdings()
	for state, n := range h.Containers {
		out <- prometheus.MustNewConstMetric(c.containers, prometheus.GaugeValue, float64(n), state)
	}
	for _, g := range c.gauges {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value(h))
	}
}
