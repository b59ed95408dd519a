package collect

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is how a request was answered, as metrics count it.
type outcome uint8

const (
	outcomeOK           outcome = iota
	outcomeEmpty                // nothing in it, nothing stored
	outcomeBadRequest           // the body never arrived whole
	outcomeUnauthorized         // no known key
	outcomeForbidden            // a known key from an origin it does not list
	outcomeTooLarge
	outcomeShed        // told to come back: a limit was reached
	outcomeUnavailable // told to come back: the journal does not take events
	outcomes
)

var outcomeNames = [outcomes]string{
	"ok", "empty", "bad_request", "unauthorized", "forbidden", "too_large", "shed", "unavailable",
}

// metrics declares everything the front door counts. Labels are bounded:
// sources and protocols come from configuration and code, never from requests.
type metrics struct {
	requests *prometheus.CounterVec
	events   *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	shed     *prometheus.CounterVec
	ack      *prometheus.HistogramVec

	protocols []string // every value of that label

	mu      sync.Mutex // guards sources
	sources map[string][]*counters

	accepted, quarantined, refused atomic.Uint64
}

func newMetrics(protocols []string) *metrics {
	return &metrics{
		protocols: protocols,
		sources:   make(map[string][]*counters),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_collect_requests_total",
			Help: "Requests answered, by how they were answered. An empty source means that no key was known.",
		}, []string{"source", "protocol", "answer"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_collect_events_total",
			Help: "Events acknowledged after they were durable, by the door's verdict.",
		}, []string{"source", "protocol", "verdict"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_collect_bytes_total",
			Help: "Body bytes of acknowledged requests: as received (wire) and expanded (plain).",
		}, []string{"source", "protocol", "form"}),
		shed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_collect_shed_total",
			Help: "Requests told to come back later, by the limit they met.",
		}, []string{"source", "reason"}),
		ack: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "reedbed_collect_ack_seconds",
			Help:    "Time from a request's header to its events being durable.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
		}, []string{"protocol"}),
	}
}

func (m *metrics) register(r prometheus.Registerer, g *gate) error {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.requests, m.events, m.bytes, m.shed, m.ack,
		gauge("reedbed_collect_in_flight_requests", "Requests being read or waiting for the journal.",
			func() float64 { n, _ := g.inFlight(); return float64(n) }),
		gauge("reedbed_collect_in_flight_bytes", "Body bytes those requests hold.",
			func() float64 { _, n := g.inFlight(); return float64(n) }),
	} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

// counters are the metrics of one source and protocol, found once so that a
// request only adds to them.
type counters struct {
	requests              [outcomes]prometheus.Counter
	shed                  [sheds]prometheus.Counter
	accepted, quarantined prometheus.Counter
	wireBytes, plainBytes prometheus.Counter
	ack                   prometheus.Observer
}

// forSource returns a source's counters by protocol. They are made once per
// name: a source that goes and comes back goes on counting.
func (m *metrics) forSource(name string) []*counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.sources[name]; c != nil {
		return c
	}
	list := make([]*counters, len(m.protocols))
	for i, p := range m.protocols {
		list[i] = m.resolve(name, p)
	}
	m.sources[name] = list
	return list
}

func (m *metrics) resolve(source, protocol string) *counters {
	c := &counters{
		accepted:    m.events.WithLabelValues(source, protocol, "ok"),
		quarantined: m.events.WithLabelValues(source, protocol, "quarantined"),
		wireBytes:   m.bytes.WithLabelValues(source, protocol, "wire"),
		plainBytes:  m.bytes.WithLabelValues(source, protocol, "plain"),
		ack:         m.ack.WithLabelValues(protocol),
	}
	for o := range outcomes {
		c.requests[o] = m.requests.WithLabelValues(source, protocol, outcomeNames[o])
	}
	for s := admitted + 1; s < sheds; s++ {
		c.shed[s] = m.shed.WithLabelValues(source, shedNames[s])
	}
	return c
}

// acknowledged counts events that are durable.
func (m *metrics) acknowledged(c *counters, accepted, quarantined int) {
	m.accepted.Add(uint64(accepted))
	m.quarantined.Add(uint64(quarantined))
	c.accepted.Add(float64(accepted))
	c.quarantined.Add(float64(quarantined))
}

func (c *counters) took(d time.Duration) { c.ack.Observe(d.Seconds()) }

// Stats is what the door has done since it was made, and holds now.
type Stats struct {
	Accepted      uint64 // events acknowledged that decode
	Quarantined   uint64 // events acknowledged that do not decode
	Refused       uint64 // requests answered with anything but 2xx
	InFlight      int64  // requests being read or waiting for the journal
	InFlightBytes int64
}

// Stats returns a snapshot; its figures are not taken at one instant.
func (d *Door) Stats() Stats {
	n, b := d.gate.inFlight()
	return Stats{
		Accepted: d.metrics.accepted.Load(), Quarantined: d.metrics.quarantined.Load(),
		Refused: d.metrics.refused.Load(), InFlight: n, InFlightBytes: b,
	}
}
