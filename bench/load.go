package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/engine/worker"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/load"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/store"
)

// loading says what to load, and in what portions.
type loading struct {
	Journal  string
	Into     string // folder for catalog and store
	MaxBytes int64  // journal payload per cycle; 0 for the loader's own bound
	Profile  string // file for a CPU profile, or ""
}

// loaded is what it took.
type loaded struct {
	Rows, Repeats int64
	Bytes         int64         // of Parquet committed, before compaction
	CPU, Wall     time.Duration // workers and compaction included
	Peak          int64         // most bytes resident, of the loading process
}

// run loads all of a journal into an empty catalog on the product's own parts
// and compacts what there is to compact after every cycle, as the node does.
func (l loading) run() (loaded, error) {
	node.SaveMemory() // as `reedbed up` does
	ctx := context.Background()
	parts, err := l.open(ctx)
	if err != nil {
		return loaded{}, errors.Join(err, parts.close())
	}
	stop, err := profiled(l.Profile)
	if err != nil {
		return loaded{}, errors.Join(err, parts.close())
	}
	begun, cpu := time.Now(), ownCPU()
	done, err := parts.drain(ctx, l)
	if err := errors.Join(err, stop(), parts.close()); err != nil { // workers have ended now, and count
		return done, err
	}
	done.CPU, done.Wall, done.Peak = ownCPU()-cpu, time.Since(begun), highWater(os.Getpid())
	return done, nil
}

type loadParts struct {
	journal *journal.Journal
	catalog *sqlite.Catalog
	store   *store.Store
	pool    *engine.Pool
}

func (l loading) open(ctx context.Context) (p loadParts, err error) {
	root, err := disk.Open(l.Journal)
	if err != nil {
		return p, err
	}
	if p.journal, err = journal.Open(root, journal.Options{}); err != nil {
		return p, err
	}
	objects, err := disk.Open(filepath.Join(l.Into, "store"))
	if err != nil {
		return p, err
	}
	if p.store, err = store.Open(objects); err != nil {
		return p, err
	}
	if p.catalog, err = sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(l.Into, "catalog.db")}); err != nil {
		return p, err
	}
	for _, s := range node.Builtins() {
		if err := p.catalog.EnsureDataset(ctx, s, time.Hour); err != nil {
			return p, err
		}
	}
	p.pool, err = engine.NewPool(engine.Options{Dir: filepath.Join(l.Into, "work"), Args: []string{worker.Name}, QueryWorkers: -1})
	return p, err
}

func (p loadParts) close() error {
	var errs []error
	if p.pool != nil {
		errs = append(errs, p.pool.Close())
	}
	if p.catalog != nil {
		errs = append(errs, p.catalog.Close())
	}
	if p.journal != nil {
		errs = append(errs, p.journal.Close())
	}
	return errors.Join(errs...)
}

func (p loadParts) drain(ctx context.Context, l loading) (done loaded, err error) {
	var loader *load.Loader
	loader = load.New(load.Options{
		Journal: p.journal, Catalog: p.catalog, Store: p.store, MaxBytes: l.MaxBytes, Compactor: p,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		OnCommit: func(c dataset.LoadCommit) {
			done.Rows, done.Repeats = done.Rows+c.Loaded, done.Repeats+c.Repeats
			for _, s := range c.Segments {
				done.Bytes += s.Bytes
			}
			if failed := loader.Compact(ctx); failed != nil {
				err = errors.Join(err, failed)
			}
		},
	})
	err = errors.Join(loader.Drain(ctx), err, loader.Close())
	return done, err
}

// Compact rewrites files in a worker, as the node's compactor does.
func (p loadParts) Compact(ctx context.Context, files, orderBy []string) (path string, rows, bytes int64, err error) {
	out, _, err := p.pool.Compact(ctx, engine.CompactJob{Files: files, OrderBy: orderBy})
	return out.Path, out.Rows, out.Bytes, err
}

const (
	steadyBytes  = fillRate * 1100 // a cycle of one second at the rate of the backlog's clocks
	backlogBytes = 0               // as much as the loader takes at once
)

// load measures what it costs to load, against DuckDB's COPY of the same
// events, and how much memory it takes.
func (b *bench) load() ([]row, error) {
	n := 300_000
	if b.quick {
		n = 100_000
	}
	lines := filepath.Join(b.dir, "events.ndjson")
	dir, small, err := b.backlog("backlog", filling{Lines: lines, Events: n})
	if err != nil {
		return nil, err
	}
	typed := copying{Lines: lines, Typed: true, Level: cheapest}
	var found loadFigures
	for i := range b.rounds + 1 {
		if err := found.round(b, dir, typed, small); err != nil {
			return nil, err
		}
		if i == 0 {
			found = loadFigures{} // caches were cold
		}
	}
	copies, err := b.otherCopies(typed, small.Events)
	if err != nil {
		return nil, err
	}
	plain, err := b.loadPlain(n)
	if err != nil {
		return nil, err
	}
	rows := found.rows()
	rows[0].notes = append(rows[0].notes, plain, copies,
		fmt.Sprintf("%d events, %d of them repeats; backlog loaded at %v events/s", small.Events, small.Repeats, spreadOf(found.rates)))
	memory, err := b.loadMemory()
	return append(rows, memory...), err
}

// loadFigures are what the rounds found, in CPU-seconds per million events
// where nothing else is said.
type loadFigures struct {
	duck, steady, bulk   []float64
	rates, others, flush []float64 // events a second, share of a CPU, flushes a second
	sizes                string    // of the last round
}

// round measures each contender once.
func (f *loadFigures) round(b *bench, dir string, typed copying, small filled) error {
	before, ours := readClock(b.dir), ownCPU()
	copied, err := b.copy(typed, small.Events)
	if err != nil {
		return err
	}
	first, err := b.loadOnce(dir, small, steadyBytes)
	if err != nil {
		return err
	}
	second, err := b.loadOnce(dir, small, backlogBytes)
	if err != nil {
		return err
	}
	after := readClock(b.dir)
	f.duck = append(f.duck, perMillion(copied.CPU, small.Events))
	f.steady = append(f.steady, perMillion(first.CPU, small.Events))
	f.bulk = append(f.bulk, perMillion(second.CPU, small.Events))
	f.rates = append(f.rates, float64(small.Events)/second.Wall.Seconds())
	f.others = append(f.others, after.others(before, ownCPU()-ours))
	f.flush = append(f.flush, after.flushRate(before))
	f.sizes = fmt.Sprintf("bytes of Parquet per event: COPY %.1f, short cycles %.1f, a backlog %.1f, of which 8 are the payload hash",
		perEvent(copied.Bytes, copied.Rows), perEvent(first.Bytes, first.Rows), perEvent(second.Bytes, second.Rows))
	return nil
}

func (f *loadFigures) rows() []row {
	rows := []row{
		loadRow("load, cycles of 1 s at 5,000/s", spreadOf(ratios(f.steady, f.duck))),
		loadRow("load, a backlog in full cycles", spreadOf(ratios(f.bulk, f.duck))),
	}
	for i := range rows {
		rows[i].others, rows[i].flush = spreadOf(f.others).median, spreadOf(f.flush).median
	}
	rows[0].notes = []string{
		fmt.Sprintf("CPU-s per million events: DuckDB COPY %v, load in short cycles %v, load of a backlog %v", spreadOf(f.duck), spreadOf(f.steady), spreadOf(f.bulk)),
		f.sizes,
	}
	return rows
}

func perMillion(cpu time.Duration, events int) float64 { return cpu.Seconds() / float64(events) * 1e6 }

func perEvent(bytes, events int64) float64 { return float64(bytes) / float64(events) }

// loadPlain measures once what loading costs when the front door noted nothing
// and every event is read in full again.
func (b *bench) loadPlain(n int) (note string, err error) {
	dir, made, err := b.backlog("backlog-plain", filling{Events: n, Plain: true})
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	steady, err := b.loadOnce(dir, made, steadyBytes)
	if err != nil {
		return "", err
	}
	bulk, err := b.loadOnce(dir, made, backlogBytes)
	return fmt.Sprintf("from records in which the front door noted nothing, CPU-s per million events: short cycles %s, a backlog %s",
		short(perMillion(steady.CPU, made.Events)), short(perMillion(bulk.CPU, made.Events))), err
}

// otherCopies measures once what is not compared with: COPY at DuckDB's own
// level, and without being told the columns.
func (b *bench) otherCopies(c copying, events int) (note string, err error) {
	c.Level = 3
	usual, err := b.copy(c, events)
	if err != nil {
		return "", err
	}
	c.Level, c.Typed = cheapest, false
	free, err := b.copy(c, events)
	return fmt.Sprintf("other COPY: at DuckDB's usual level %.2f CPU-s per million events and %.1f bytes per event; finding the columns out by itself, properties as structs, %.2f",
		perMillion(usual.CPU, events), perEvent(usual.Bytes, usual.Rows), perMillion(free.CPU, events)), err
}

func loadRow(what string, ratio spread) row {
	return row{what: what + ": CPU of COPY", figure: ratio.String() + " x", goal: "<= 1.4 x", met: ratio.median <= 1.4}
}

// loadOnce loads a backlog from the start and checks that nothing is missing.
func (b *bench) loadOnce(dir string, f filled, maxBytes int64) (loaded, error) {
	into, err := os.MkdirTemp(b.dir, "load-")
	if err != nil {
		return loaded{}, err
	}
	defer os.RemoveAll(into)
	var done loaded
	todo := loading{Journal: filepath.Join(dir, "journal"), Into: into, MaxBytes: maxBytes}
	if b.profiles != "" {
		todo.Profile = filepath.Join(b.profiles, fmt.Sprintf("load-%d.prof", maxBytes))
	}
	err = call("load", todo, &done)
	if err == nil && (done.Rows != int64(f.Events-f.Repeats) || done.Repeats != int64(f.Repeats)) {
		err = fmt.Errorf("loaded %d rows and %d repeats of %d events with %d repeats", done.Rows, done.Repeats, f.Events, f.Repeats)
	}
	return done, err
}

// loadMemory loads backlogs of which one is ten times the other and compares
// the most that was resident. The smaller one is large enough for the garbage
// collector to have found its pace.
func (b *bench) loadMemory() ([]row, error) {
	n := 500_000
	before, ours := readClock(b.dir), ownCPU()
	small, err := b.loadPeak(n)
	if err != nil {
		return nil, err
	}
	rows := []row{{what: "load: peak resident memory", goal: "<= 400 MB"}}
	peak := small
	if !b.quick {
		if peak, err = b.loadPeak(10 * n); err != nil {
			return nil, err
		}
		growth := float64(peak.Peak) / float64(small.Peak)
		rows = append(rows, row{
			what: "load: peak for 10 times the backlog", figure: short(growth) + " x", goal: "<= 1.1 x", met: growth <= 1.1,
			notes: []string{fmt.Sprintf("%d MB for %d events, %d MB for %d; %.2f CPU-s per million of the latter",
				small.Peak>>20, n, peak.Peak>>20, 10*n, peak.CPU.Seconds()/float64(10*n)*1e6)},
		})
	}
	rows[0].figure, rows[0].met = fmt.Sprintf("%d MB", peak.Peak>>20), peak.Peak <= 400<<20
	after := readClock(b.dir)
	for i := range rows {
		rows[i].others, rows[i].flush = after.others(before, ownCPU()-ours), after.flushRate(before)
	}
	return rows, nil
}

// loadPeak loads a backlog that is made for it.
func (b *bench) loadPeak(n int) (loaded, error) {
	dir, made, err := b.backlog(fmt.Sprintf("backlog-%d", n), filling{Events: n})
	if err != nil {
		return loaded{}, err
	}
	defer os.RemoveAll(dir)
	return b.loadOnce(dir, made, backlogBytes)
}
