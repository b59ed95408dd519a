// Package converge keeps every stage's output in step with what it is computed
// from: it finds the partitions whose trace key may have moved, computes them in
// dependency order, live work before history, and promotes the result.
//
// Small partitions of one stage go to a worker as a batch, so that it opens and
// binds what they read once. Each is committed before the next begins: a kill
// repeats at most one partition of each worker, which one engine job for all of
// them would not keep to.
//
// It knows stages, partitions and versions. It never reads an event, never
// serves a page, and never decides what a stage means.
package converge

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// Engine runs SQL for stages. Implementations are safe for concurrent use.
type Engine interface {
	// Parse gives the syntax tree of one SELECT, without running or binding it.
	Parse(ctx context.Context, sql string) (engine.Parsed, error)
	// Describe binds one SELECT against empty tables and gives its columns.
	Describe(ctx context.Context, sql string, tables []engine.Table) ([]dataset.Column, error)
	// Build computes one output; its files belong to the caller.
	Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error)
	// Survey takes the fingerprint of rows that are stored already.
	Survey(ctx context.Context, job engine.SurveyJob) (*fingerprint.Fingerprint, engine.Usage, error)
	// Report writes the rows of one SELECT to w.
	Report(ctx context.Context, job engine.QueryJob, w io.Writer) (engine.QueryResult, error)
}

// Options of a Converger. All but Registry must be set.
type Options struct {
	Catalog   *sqlite.Catalog
	Engine    Engine
	Store     *store.Store
	Semantics stage.Semantics
	// HashScheme names how the engine hashes content.
	HashScheme string
	Workers    int // stage runs at a time
	// Watermark is the received time up to which everything is loaded; it closes
	// partitions and never decides whether a row counts.
	Watermark func(context.Context) (time.Time, error)
	Limits    engine.Limits
	Log       *slog.Logger
	Registry  prometheus.Registerer
}

// Converger runs the deployed stages.
type Converger struct {
	o       Options
	metrics *metrics
	proving sync.Mutex    // held while the engine hashes a version by column
	wake    chan struct{} // one slot: something may have become due

	// What only the loop of Run knows.
	listed   []dataset.Task // due work nobody has begun
	listedAt time.Time
	looked   map[place]look       // at due work that must be computed
	bulk     bool                 // the last pass found most answers on record
	barren   map[string]time.Time // datasets whose history could not run, until when to leave them
	turn     string               // the owner whose history ran last

	unread unread // only WatchStored knows it

	sums      sums    // what versions of completeness say
	vectors   vectors // what fingerprints come to, for comparing
	prints    fingerprint.Encoder
	deploying sync.Mutex // held for one change of definitions at a time

	mu       sync.Mutex
	stages   map[string]*deployed   // replaced whole by Deploy
	stored   map[string]storedGate  // likewise
	fresh    []freshness            // likewise
	running  map[place]dataset.Task // begun, or chosen to be run by a worker next
	busy     int                    // workers that have a batch
	settling []chan struct{}        // one for each caller of Settle; closed when nothing is left to do
}

type place struct {
	dataset   string
	partition dataset.Partition
}

// deployed is a stage as it runs.
type deployed struct {
	stage    *stage.Stage
	identity []byte
	inputs   []input
	driver   string // the input a row-wise stage follows, "" for other stages
	columns  []dataset.Column
	gate     gate
	compares map[string][]dataset.Column // the columns of datasets its gate compares it with
	// gitRevision is the commit the definition is of, "" if that is not known.
	gitRevision string
}

type input struct {
	name    string
	window  dataset.Window
	columns []dataset.Column
	seen    []string // the columns the stage can see, if not all
	all     bool
}

// New returns a Converger with nothing deployed.
func New(o Options) *Converger {
	if o.Workers < 1 {
		o.Workers = 1
	}
	return &Converger{
		o: o, metrics: newMetrics(o.Registry), wake: make(chan struct{}, 1),
		stages: map[string]*deployed{}, running: map[place]dataset.Task{}, barren: map[string]time.Time{}, unread: unread{},
	}
}

// Wake tells the loop that something may have become due.
func (c *Converger) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Running counts the stage runs under way by dataset.
func (c *Converger) Running() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int64{}
	for p := range c.running {
		out[p.dataset]++
	}
	return out
}

// Runs reports whether a run on the partition is under way.
func (c *Converger) Runs(name string, p dataset.Partition) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, runs := c.running[place{name, p}]
	return runs
}

// Stages lists the names of the deployed stages.
func (c *Converger) Stages() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for name := range c.stages {
		out = append(out, name)
	}
	return out
}

// Run schedules until ctx ends, then waits for the runs under way. What the
// catalog cannot answer now, as on a full disk, is asked again: events must
// still be taken in.
func (c *Converger) Run(ctx context.Context) error {
	var runs sync.WaitGroup
	defer runs.Wait()
	for ctx.Err() == nil {
		started, err := c.schedule(ctx, &runs)
		if err != nil && ctx.Err() == nil {
			c.o.Log.Error("convergence waits for the catalog", "err", err)
			c.pause(ctx, time.Second)
			continue
		}
		if !started {
			c.rest(ctx)
		}
	}
	return nil
}

// rest waits until something may be due: a wake-up, the earliest postponed
// entry, or a second, after which partitions may have closed.
func (c *Converger) rest(ctx context.Context) {
	wait := time.Second
	if at, ok, err := c.o.Catalog.NextDue(ctx); err == nil && ok {
		wait = min(wait, max(time.Until(at), 10*time.Millisecond))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.wake:
	case <-timer.C:
	}
}

// schedule answers what is known and starts what can start, and reports whether
// there was anything of either.
func (c *Converger) schedule(ctx context.Context, runs *sync.WaitGroup) (bool, error) {
	mark, err := c.o.Watermark(ctx)
	if err != nil {
		return false, err
	}
	due, answered, err := c.next(ctx, mark)
	if err != nil {
		return false, err
	}
	chosen := c.choose(due)
	for _, b := range chosen {
		runs.Go(func() { c.work(ctx, b) })
	}
	if len(chosen) == 0 && answered == 0 {
		return false, c.noteIdle(ctx, mark)
	}
	return true, nil
}

// blocked reports whether a running task is about to change an input of k.
func (c *Converger) blocked(k dataset.Task) bool {
	for running := range c.running {
		if c.reads(k, running) {
			return true
		}
	}
	return false
}

func (c *Converger) reads(k dataset.Task, p place) bool {
	s := c.stages[k.Dataset]
	for _, in := range s.inputs {
		if in.name != p.dataset && in.name != p.dataset+"_rejected" {
			continue
		}
		if in.window.Kind != dataset.Span || k.Partition == dataset.Whole || p.partition == dataset.Whole {
			return true
		}
		if in.window.Reads(k.Partition).Overlaps(p.partition.Interval()) {
			return true
		}
	}
	return false
}

// perform runs one task and leaves its outcome in the catalog.
func (c *Converger) perform(ctx context.Context, t todo) {
	k := t.Task
	defer c.finished(k)
	start := time.Now()
	outcome, err := c.run(ctx, t)
	c.metrics.observe(k.Dataset, outcome, err, time.Since(start))
	if err != nil && ctx.Err() == nil {
		c.o.Log.Warn("stage run failed", "dataset", k.Dataset, "partition", string(k.Partition), "attempt", k.Attempts+1, "err", err)
	}
}

func (c *Converger) finished(k dataset.Task) {
	c.mu.Lock()
	delete(c.running, place{k.Dataset, k.Partition})
	c.mu.Unlock()
	c.Wake()
}

// Key returns the key columns of a deployed stage, nil if it has none.
func (c *Converger) Key(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.stages[name]; s != nil {
		return s.stage.Header.Key
	}
	return nil
}
