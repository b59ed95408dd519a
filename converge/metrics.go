package converge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what convergence says of itself.
type metrics struct {
	runs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_stage_runs_total",
			Help: "Stage tasks by outcome: built, appended, reused, fresh, absent, superseded or failed.",
		}, []string{"dataset", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "reedbed_stage_run_seconds",
			Help:    "Wall time of one stage task, from its pointer vector to its promotion.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}, []string{"dataset"}),
	}
	if r != nil {
		r.MustRegister(m.runs, m.seconds)
	}
	return m
}

func (m *metrics) observe(name, outcome string, err error, took time.Duration) {
	if err != nil {
		outcome = "failed"
	}
	m.runs.WithLabelValues(name, outcome).Inc()
	m.seconds.WithLabelValues(name).Observe(took.Seconds())
}
