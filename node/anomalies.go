package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/alert"
	"github.com/reedbed/reedbed/anomaly"
	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset"
)

const (
	// observeEvery is the pause until an hour may have closed, historyEvery that
	// between two hours of the past, which wait for everything else, observeAgain that
	// after a failure.
	observeEvery = 30 * time.Second
	historyEvery = 2 * time.Second
	observeAgain = 5 * time.Minute
)

// hours looks at the hours of the events as they close. One goroutine owns it.
type hours struct {
	node     *Node
	observer *converge.Observer
	told     string // the last failure, "" once a step did not fail
	open     *prometheus.GaugeVec
	series   *prometheus.GaugeVec
}

func (n *Node) newHours() *hours {
	h := &hours{
		node:     n,
		observer: &converge.Observer{Catalog: n.catalog, Engine: n.pool, Store: n.store, Allowance: builtinAllowance},
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reedbed_anomalies", Help: "What is unusual of the events at the moment: one for each cause. No source: of all.",
		}, []string{"source", "kind"}),
		series: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reedbed_watched_series", Help: "Series of the last hour that were compared with earlier hours, and those there was no room for.",
		}, []string{"watched"}),
	}
	n.registry.MustRegister(h.open, h.series)
	return h
}

// watchHours judges hours of events as they close, until ctx ends. A step that
// fails is repeated: nothing else depends on it.
func (n *Node) watchHours(ctx context.Context) error {
	h := n.newHours()
	if err := h.count(ctx); err != nil {
		n.log.Warn("what is unusual cannot be counted", "err", err)
	}
	for pause := observeEvery; ; {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		some, err := h.step(ctx)
		switch {
		case err == nil:
			h.told = ""
		case ctx.Err() == nil && err.Error() != h.told:
			h.told = err.Error()
			n.log.Error("the last hours of events cannot be compared with earlier ones; it is tried again", "err", err)
		}
		switch {
		case err != nil:
			pause = observeAgain
		case some:
			pause = historyEvery
		default:
			pause = observeEvery
		}
	}
}

// step looks at one hour, if there is one to look at.
func (h *hours) step(ctx context.Context) (some bool, err error) {
	mark, err := h.node.watermark(ctx)
	if err != nil {
		return false, err
	}
	hour, some, err := h.observer.Step(ctx, mark, len(h.node.converger.Running()) == 0)
	if err != nil || !hour.Judged {
		return some, err
	}
	for _, start := range hour.Damaged {
		h.node.log.Error("what is on record of an hour of events is damaged; later hours are compared without it", "hour", dataset.PartitionAt(dataset.Hour, start))
	}
	for _, a := range hour.Changed {
		switch {
		case !a.Until.IsZero():
			h.node.log.Info("events are as usual again", "what", a.Title(), "why", a.Detail())
		case a.Since.Equal(hour.Start):
			h.node.log.Warn("events are unusual", "what", a.Title(), "why", a.Detail())
		}
	}
	h.series.WithLabelValues("yes").Set(float64(len(hour.Series)))
	h.series.WithLabelValues("no").Set(float64(hour.Unwatched.Sources + hour.Unwatched.Events + hour.Unwatched.Versions + hour.Unwatched.Fields))
	return some, h.count(ctx)
}

// count sets the gauges of what is unusual now.
func (h *hours) count(ctx context.Context) error {
	lasting, err := h.node.anomalies(ctx, time.Now())
	if err != nil {
		return err
	}
	h.open.Reset()
	for _, a := range lasting {
		if a.Until.IsZero() {
			h.open.WithLabelValues(a.Source, string(a.Kind)).Inc()
		}
	}
	return nil
}

// recentEnd is for how long the end of an anomaly is of interest: a node that was
// stopped tells of it when it runs again.
const recentEnd = 48 * time.Hour

// anomalies are those that last, and those that ended not long ago and did not begin
// again.
func (n *Node) anomalies(ctx context.Context, at time.Time) (out []anomaly.Anomaly, err error) {
	all, err := n.catalog.Anomalies(ctx, at.Add(-recentEnd))
	lasts := map[string]bool{}
	for _, a := range all {
		lasts[a.Key()] = lasts[a.Key()] || a.Until.IsZero()
	}
	for _, a := range all {
		if a.Until.IsZero() || !lasts[a.Key()] {
			out = append(out, a)
		}
	}
	return out, err
}

func ofAnomaly(a anomaly.Anomaly, sources []config.Source, at time.Time) alert.Alert {
	out := alert.Alert{
		Key: "anomaly/" + a.Key(), Severity: alert.Warning, Title: a.Title(), Detail: a.Detail(), Since: a.Since,
		Count: int64(a.Last.Sub(a.Since)/time.Hour) + 1,
		First: string(dataset.PartitionAt(dataset.Hour, a.Since)), Last: string(dataset.PartitionAt(dataset.Hour, a.Last)),
	}
	if !a.Until.IsZero() {
		out.Resolved = at
	}
	for _, s := range sources {
		if s.Name == a.Source {
			out.Owner = s.Owner
		}
	}
	return out
}

// stuckAfter is how long events may wait while nothing is loaded.
const stuckAfter = 5 * time.Minute

// loading notices that the loader stands still.
type loading struct {
	loaded uint64
	since  time.Time // when so much was loaded first, or nothing waited
}

// stuck is what is wrong if durable events wait and none was loaded for long.
func (l *loading) stuck(durable, loaded uint64, at time.Time) (a alert.Alert, ok bool) {
	if durable <= loaded || loaded != l.loaded || l.since.IsZero() {
		l.loaded, l.since = loaded, at
	}
	return alert.Alert{
		Key: "load", Severity: alert.Error, Title: "events that were taken in are not loaded", Since: l.since,
		Detail: "they wait in the journal and are not lost; the log says why they are not loaded", Count: int64(durable) - int64(loaded),
	}, at.Sub(l.since) >= stuckAfter
}
