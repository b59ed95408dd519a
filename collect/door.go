// Package collect is the front door: it takes requests of every protocol,
// knows sources, their keys, origins and limits, turns bodies into batches of
// events and answers only when the journal has made them durable.
//
// Of a protocol it knows where it is served, where its key is, what of it is
// not in a body and how its clients are answered; how its events read is known
// to collect/protocol. The journal is only something that appends. It must
// never know datasets, SQL, how the journal stores its records, or what is
// done with events later; and it never answers 2xx before Append returned.
package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
)

// Journal is what the door needs of the journal. Append returns without an
// error only once the record is on stable storage. It is called by many
// goroutines, and keeps nothing of the payload when it has returned.
type Journal interface {
	Append(ctx context.Context, r journal.Record) (journal.Position, error)
}

// Options is what a Door is made of. Journal and Log are required.
type Options struct {
	Journal Journal
	Sources []Source
	Limits  Limits
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Log            *slog.Logger
	Registry       prometheus.Registerer // nil: count, but show nobody
	Now            func() time.Time      // nil: time.Now
}

// Door is the front door. All its methods may be called by many goroutines.
type Door struct {
	// Set by New, never changed.
	journal Journal
	limits  Limits
	trusted []netip.Prefix
	log     *slog.Logger
	now     func() time.Time
	routes  map[string]route
	// matchers are the protocols some of whose paths hold more than a name.
	matchers []*protocolEntry
	visitors visitors
	metrics  *metrics
	gate     *gate
	imports  *usage // what Accept holds of the gate; guarded by gate.mu

	swap    sync.Mutex // held while sources are replaced
	sources atomic.Pointer[sources]
	trouble atomic.Pointer[trouble]
	leaving atomic.Bool // others are to be asked from now on
	pool    sync.Pool   // of *exchange
}

// New makes a door that serves at once. It starts no goroutine.
func New(o Options) (*Door, error) {
	if o.Journal == nil || o.Log == nil {
		return nil, errors.New("collect: Options.Journal and Options.Log are required")
	}
	l := o.Limits.withDefaults()
	routes, matchers, labels := newRoutes()
	d := &Door{
		journal: o.Journal, limits: l, trusted: o.TrustedProxies, log: o.Log, now: o.Now,
		routes: routes, matchers: matchers, metrics: newMetrics(labels), gate: newGate(l), imports: new(usage),
		pool: sync.Pool{New: func() any { return new(exchange) }},
	}
	if d.now == nil {
		d.now = time.Now
	}
	if o.Registry != nil {
		if err := d.metrics.register(o.Registry, d.gate); err != nil {
			return nil, fmt.Errorf("collect: registering metrics: %w", err)
		}
	}
	d.gate.configure(d.imports, Source{}, d.now())
	return d, d.SetSources(o.Sources)
}

// SetSources replaces all sources at once. Requests under way finish with the
// sources they began with. When any source is wrong nothing changes, and the
// error names every problem.
func (d *Door) SetSources(list []Source) error {
	d.swap.Lock()
	defer d.swap.Unlock()
	s, err := d.newSources(list, d.sources.Load())
	if err != nil {
		return fmt.Errorf("collect: sources: %w", err)
	}
	s.configure(d.gate, d.now())
	d.sources.Store(s)
	return nil
}

// Handler serves what it Takes; anything else is 404.
func (d *Door) Handler() http.Handler { return http.HandlerFunc(d.serve) }

// Takes reports whether a request is for the front door, for whoever serves
// other things beside it.
func (d *Door) Takes(r *http.Request) bool {
	_, ok := d.route(r.URL.Path)
	return ok
}

// Paths are the paths events are sent to, but for those that clients choose.
func (d *Door) Paths() []string {
	var paths []string
	for path, to := range d.routes {
		if to.boot == nil {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// Leave makes Ready say that the server is stopping, and goes on taking events
// for a while, or until ctx ends: as long as load balancers need to notice. Each
// answer closes its connection, so that the next request comes elsewhere.
func (d *Door) Leave(ctx context.Context, while time.Duration) {
	d.leaving.Store(true)
	wait := time.NewTimer(while)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// Drain stops admitting requests and waits until those under way are answered,
// or until ctx ends. Nothing is lost either way: what was not acknowledged is
// sent again.
func (d *Door) Drain(ctx context.Context) error {
	d.leaving.Store(true)
	select {
	case <-d.gate.drain():
		return nil
	case <-ctx.Done():
		n, _ := d.gate.inFlight()
		return fmt.Errorf("collect: %d requests still under way: %w", n, context.Cause(ctx))
	}
}

// Ready returns why events are not taken just now, or nil. After a full disk it
// is ready again in a while even if nothing was tried: a server that is sent
// nothing while it is not ready would otherwise never find out.
func (d *Door) Ready() error {
	if d.leaving.Load() {
		return errors.New("collect: the server is stopping")
	}
	if t := d.trouble.Load(); t != nil && t.lasting && (t.forever || d.now().Before(t.until.Add(unreadyFor))) {
		return fmt.Errorf("collect: events are refused: %w", t.cause)
	}
	return nil
}

// Accept appends a batch that did not come by HTTP, as import does, and
// returns once it is durable. It sets the batch's source, and its received
// time if it has none. journal.ErrOverloaded means: try again shortly.
func (d *Door) Accept(ctx context.Context, sourceName string, b *event.Batch) error {
	src := d.sources.Load().byName[sourceName]
	if src == nil {
		return fmt.Errorf("collect: no source is named %q; sources are listed in reedbed.yaml", sourceName)
	}
	now := d.now()
	ticket, why := d.gate.admit(d.imports, 0, now)
	switch why {
	case admitted:
	case shedDraining:
		return errors.New("collect: the server is stopping")
	default:
		return fmt.Errorf("collect: import from source %q: %w", sourceName, journal.ErrOverloaded)
	}
	defer ticket.release()
	if b.ReceivedAt.IsZero() {
		b.ReceivedAt = received(now)
	}
	b.Source = sourceName
	return d.acceptBatch(ctx, src, b, now)
}

func (d *Door) acceptBatch(ctx context.Context, src *source, b *event.Batch, start time.Time) error {
	c := src.counters[len(src.counters)-1] // the import label is the last
	refused := refusals(b.Items)
	record := encode(nil, b, refused)
	if err := d.append(ctx, record); err != nil {
		c.requests[outcomeUnavailable].Inc()
		return fmt.Errorf("collect: import from source %q: %w", src.Name, err)
	}
	d.metrics.acknowledged(c, len(b.Items)-refused, refused)
	c.requests[outcomeOK].Inc()
	c.plainBytes.Add(float64(len(record.Payload)))
	c.took(d.now().Sub(start))
	return nil
}
