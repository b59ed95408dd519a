package engine

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	jobs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	cpu     *prometheus.CounterVec
	started prometheus.Counter
	died    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_engine_jobs_total", Help: "Jobs the engine ended, by kind and how they ended.",
		}, []string{"kind", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "reedbed_engine_job_seconds", Help: "Wall time of jobs, waiting for a worker included.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"kind"}),
		cpu: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_engine_cpu_seconds_total", Help: "CPU time of jobs that ended with an answer.",
		}, []string{"kind"}),
		started: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reedbed_engine_workers_started_total", Help: "Worker processes started.",
		}),
		died: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reedbed_engine_workers_died_total", Help: "Worker processes that ended under a job.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.jobs, m.seconds, m.cpu, m.started, m.died} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) ended(kind string, began time.Time, err error) {
	m.jobs.WithLabelValues(kind, outcome(err)).Inc()
	m.seconds.WithLabelValues(kind).Observe(time.Since(began).Seconds())
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	if _, ok := errors.AsType[*SQLError](err); ok || errors.Is(err, ErrNotSelect) {
		return "bad_sql"
	}
	switch {
	case errors.Is(err, ErrLimit):
		return "limit"
	case errors.Is(err, ErrDeadline):
		return "deadline"
	case errors.Is(err, ErrWorkerDied):
		return "died"
	}
	return "failed"
}
