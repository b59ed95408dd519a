package load

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/dataset"
)

// metrics are the loader's figures for Prometheus.
type metrics struct {
	events    *prometheus.CounterVec
	conflicts prometheus.Counter
	again     *prometheus.CounterVec
	seconds   prometheus.Histogram
	merged    prometheus.Counter
	rewritten prometheus.Counter
}

func newMetrics(r prometheus.Registerer, stats func() Stats) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string, f func(Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return f(stats()) })
	}
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_load_events_total",
			Help: "Journal events consumed, by what became of them; lost ones were in damaged journal ranges.",
		}, []string{"outcome"}),
		conflicts: counter("reedbed_load_id_conflicts_total", "Rows loaded whose id was there with another payload."),
		again: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_load_retried_events_total",
			Help: "Events of quarantine that decoded when they were tried again, by what became of them.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "reedbed_load_cycle_seconds", Help: "Time of one committed load cycle.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		merged:    counter("reedbed_load_segments_merged_total", "Segments that compaction replaced."),
		rewritten: counter("reedbed_load_compacted_bytes_total", "Bytes that compaction wrote."),
	}
	if r != nil {
		r.MustRegister(m.events, m.conflicts, m.again, m.seconds, m.merged, m.rewritten,
			gauge("reedbed_load_backlog_events", "Durable events not yet loaded.", func(s Stats) float64 { return float64(s.Backlog) }),
			gauge("reedbed_load_watermark_age_seconds", "Time since everything durable was last found loaded.", func(s Stats) float64 {
				if s.CaughtUp.IsZero() {
					return 0
				}
				return time.Since(s.CaughtUp).Seconds()
			}))
	}
	return m
}

func (m *metrics) cycle(c dataset.LoadCommit, conflicts int64, took time.Duration) {
	for outcome, n := range map[string]int64{"loaded": c.Loaded, "quarantined": c.Quarantined, "repeat": c.Repeats, "lost": c.Lost} {
		m.events.WithLabelValues(outcome).Add(float64(n))
	}
	m.conflicts.Add(float64(conflicts))
	m.seconds.Observe(took.Seconds())
}

func (m *metrics) retried(c dataset.Retry, conflicts int64) {
	m.again.WithLabelValues("loaded").Add(float64(c.Loaded))
	m.again.WithLabelValues("repeat").Add(float64(c.Repeats))
	m.conflicts.Add(float64(conflicts))
}

func (m *metrics) compacted(segments int, s dataset.NewSegment) {
	m.merged.Add(float64(segments))
	m.rewritten.Add(float64(s.Bytes))
}
