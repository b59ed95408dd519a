// Package load takes events out of the journal into the raw and quarantine
// datasets, each exactly once, and keeps their files few.
//
// One cycle reads the journal from the catalog's cursor up to what is durable,
// decodes it, drops what was loaded before, writes one sorted Parquet segment
// for each partition touched and one sidecar of the new ids, makes them
// durable, and commits all of it with the moved cursor in one catalog
// transaction. Until that transaction a crash leaves files nobody refers to;
// after it the cycle is done. What is loaded depends on the journal alone, so
// a replay into an empty catalog gives the same rows. Retry takes what did not
// decode through the same steps again when it may decode.
//
// The package never talks to clients, never runs SQL, and never removes an
// object: garbage collection, which knows who still reads it, does.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/load/sidecar"
	"github.com/reedbed/reedbed/store"
)

// Journal is the durable log the loader reads.
type Journal interface {
	// Durable is the position after the last record that is on stable storage.
	Durable() journal.Position
	// Wait returns when something after the position is durable.
	Wait(ctx context.Context, after journal.Position) error
	// Read yields the durable records from a position on.
	Read(ctx context.Context, from journal.Position) iter.Seq2[journal.Entry, error]
	// Release allows everything before the position to be removed.
	Release(journal.Position)
}

// Catalog keeps what is on record of loads, sidecars and segments.
type Catalog interface { //nolint:interfacebloat // loads, compactions and retries change one record, whose cursor they compare
	LoadCursor(ctx context.Context) (dataset.Cursor, error)
	// CommitLoad is atomic and durable, and fails with dataset.ErrCursorMoved
	// if the cursor is not where the commit began.
	CommitLoad(ctx context.Context, c dataset.LoadCommit) error
	Sidecars(ctx context.Context) ([]dataset.Sidecar, error)
	ReplaceSidecars(ctx context.Context, old []int64, with dataset.NewSidecar) error
	CompactionCandidates(ctx context.Context, after int64, minSegments, limit int) (found []dataset.CompactionCandidate, last int64, err error)
	// CommitCompaction fails with dataset.ErrSegmentGone, changing nothing, if
	// a replaced segment is no longer live.
	CommitCompaction(ctx context.Context, c dataset.Compaction) error

	// QuarantineSegments lists live segments of quarantine beyond an id, the
	// oldest first, without those last tried under identity.
	QuarantineSegments(ctx context.Context, identity []byte, after int64, limit int) ([]dataset.Segment, error)
	MarkTried(ctx context.Context, segments []int64, identity []byte) error
	// CommitRetry is atomic and durable. It fails, changing nothing, with
	// dataset.ErrCursorMoved or dataset.ErrSegmentGone. stays is the segment of
	// what stays, 0 for none.
	CommitRetry(ctx context.Context, r dataset.Retry) (stays int64, err error)
}

// Store keeps immutable objects.
type Store interface {
	// Temp makes an empty file in the store's folder, to be adopted.
	Temp() (*os.File, error)
	// Adopt makes the file durable under the name of its content.
	Adopt(path, ext string) (store.Object, error)
	// Path is where an object lies.
	Path(id string) string
}

// Compactor rewrites Parquet files of one partition into one, sorted by the
// columns given; rows come out as they went in. The caller owns the file.
type Compactor interface {
	Compact(ctx context.Context, files, orderBy []string) (path string, rows, bytes int64, err error)
}

// Options are what a Loader needs. Journal, Catalog and Store are required.
type Options struct {
	Journal Journal
	Catalog Catalog
	Store   Store

	// Policy says which clock values of a source are believed; nil is the
	// default policy for all. It must give the same answer at every replay.
	Policy func(source string) event.Policy
	// Limits are those of the front door: what it accepted must decode here.
	Limits protocol.Limits
	// Cycle is the least time from one load to the next while the loader keeps
	// up; 0 is one second.
	Cycle time.Duration
	// MaxBytes is the most journal payload one cycle takes, 0 is 16 MiB; with
	// more, loading is hardly cheaper. The loader's memory is three times that
	// and some, and does not grow with what was loaded before.
	MaxBytes int64
	// Compactor merges small segments; nil leaves them as they are.
	Compactor Compactor
	// OrderBy gives the columns a dataset's files are sorted by; nil knows only
	// the built-in datasets.
	OrderBy func(dataset string) []string
	// OnCommit is called after each committed cycle or retry, on the goroutine
	// that committed it; it must return soon.
	OnCommit func(dataset.LoadCommit)

	Log      *slog.Logger
	Registry prometheus.Registerer // nil keeps no metrics
}

// Stats is the loader's state for status pages.
type Stats struct {
	Cursor  dataset.Cursor // what is committed
	Backlog uint64         // durable events not yet loaded
	// CaughtUp is the last time everything then durable was found loaded; an
	// event acknowledged before it is in its dataset.
	CaughtUp                                      time.Time
	Loaded, Quarantined, Repeats, Lost, Conflicts int64  // since the start
	Failure                                       string // why the last cycle failed; "" when it did not
}

// Loader moves the journal into datasets. Run and Drain may be called from
// different goroutines; cycles exclude each other.
type Loader struct {
	options Options
	metrics *metrics
	busy    chan struct{} // holds one token while no cycle runs
	kick    chan struct{} // wakes compaction after a commit
	// compacted is the newest segment that Compact has looked at.
	compacted atomic.Int64

	// Owned by whoever took the token from busy.
	cursor  dataset.Cursor
	known   bool // cursor is what the catalog has
	batch   batch
	verdict verdicts
	history history
	writer  segments

	mu    sync.Mutex // guards stats
	stats Stats
}

// New makes a loader; nothing runs until Run or Drain.
func New(o Options) *Loader {
	o.Cycle = cmp.Or(o.Cycle, time.Second)
	o.MaxBytes = cmp.Or(o.MaxBytes, 16<<20)
	if o.Policy == nil {
		o.Policy = func(string) event.Policy { return event.Policy{} }
	}
	if o.OrderBy == nil {
		o.OrderBy = BuiltinOrder
	}
	if o.OnCommit == nil {
		o.OnCommit = func(dataset.LoadCommit) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Loader{options: o, busy: make(chan struct{}, 1), kick: make(chan struct{}, 1)}
	l.metrics = newMetrics(o.Registry, l.Stats)
	l.batch = newBatch(o.Policy, o.Limits)
	l.history = history{catalog: o.Catalog, store: o.Store, open: map[int64]*sidecar.File{}}
	l.writer = newSegments(o.Store)
	l.busy <- struct{}{}
	return l
}

// Run loads and compacts until ctx ends, then returns nil. A cycle that fails
// is tried again: nothing it did is visible.
func (l *Loader) Run(ctx context.Context) error {
	var background sync.WaitGroup
	background.Go(func() { l.compact(ctx) })
	defer background.Wait()
	for failures := 0; ; {
		begun := time.Now()
		more, err := l.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failures++
			l.options.Log.Error("loading failed; nothing of this cycle is visible, it will be tried again", "error", err, "failures", failures)
			pause(ctx, min(l.options.Cycle<<min(failures, 6), time.Minute))
		case more:
			failures = 0
		default:
			failures = 0
			pause(ctx, l.options.Cycle-time.Since(begun))
			l.await(ctx)
		}
	}
}

// await returns when the journal has something to load, or cannot say.
func (l *Loader) await(ctx context.Context) {
	at := l.Stats().Cursor
	if err := l.options.Journal.Wait(ctx, position(at)); err != nil && ctx.Err() == nil {
		l.options.Log.Error("waiting for the journal failed", "error", err)
		pause(ctx, l.options.Cycle)
	}
}

// Drain loads all that is durable now.
func (l *Loader) Drain(ctx context.Context) error {
	goal := l.options.Journal.Durable()
	for {
		more, err := l.step(ctx)
		if err != nil {
			return err
		}
		if !more && l.Stats().Cursor.Record >= goal.Record {
			return nil
		}
	}
}

// Close gives back what the loader keeps open. It must not run any more.
func (l *Loader) Close() error {
	<-l.busy
	l.history.close()
	l.batch.reset()
	l.batch.kept.release(0)
	return nil
}

// Stats returns the loader's state.
func (l *Loader) Stats() Stats {
	l.mu.Lock()
	s := l.stats
	l.mu.Unlock()
	if end := l.options.Journal.Durable().Event; end > s.Cursor.Event {
		s.Backlog = end - s.Cursor.Event
	}
	return s
}

// step runs one cycle, alone. more says that the journal has more to load.
func (l *Loader) step(ctx context.Context) (more bool, err error) {
	if err := l.take(ctx); err != nil {
		return false, err
	}
	defer l.give()
	more, err = l.cycle(ctx)
	if errors.Is(err, dataset.ErrCursorMoved) {
		more, err = true, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Failure = ""
	if err != nil {
		l.known = false
		l.stats.Failure = err.Error()
		return false, fmt.Errorf("load the journal from record %d: %w", l.cursor.Record, err)
	}
	return more, nil
}

// take waits until nothing is being loaded, and keeps it so until give.
func (l *Loader) take(ctx context.Context) error {
	select {
	case <-l.busy:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Loader) give() { l.busy <- struct{}{} }

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func position(c dataset.Cursor) journal.Position {
	return journal.Position{Record: c.Record, Event: c.Event}
}
