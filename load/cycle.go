package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/journal"
)

// cycle loads up to MaxBytes of what is durable. more says that it stopped at
// that bound, or that the cursor it started from was out of date. On any error
// nothing is visible; the objects written so far are orphans.
func (l *Loader) cycle(ctx context.Context) (more bool, err error) {
	begun := time.Now()
	if err := l.sync(ctx); err != nil {
		return false, err
	}
	commit := dataset.LoadCommit{From: l.cursor, To: l.cursor}
	if commit.Lost, more, err = l.read(ctx, &commit.To); err != nil {
		return false, err
	}
	if commit.To.Record == commit.From.Record {
		l.caughtUp(begun)
		return false, nil
	}
	if err := l.history.refresh(ctx); err != nil {
		return false, err
	}
	if err := l.verdict.dedup(&l.batch, &l.history); err != nil {
		return false, err
	}
	if err := l.write(&commit); err != nil {
		return false, err
	}
	if err := l.commit(ctx, commit); err != nil {
		return false, err
	}
	l.committed(commit, begun, more)
	return more, nil
}

// sync makes l.cursor what the catalog has. Whoever last committed knows it
// without asking; after a failure, a refused commit or one whose outcome is
// unknown the catalog is asked.
func (l *Loader) sync(ctx context.Context) error {
	if l.known {
		return nil
	}
	cursor, err := l.options.Catalog.LoadCursor(ctx)
	if err != nil {
		return fmt.Errorf("read the load cursor: %w", err)
	}
	if durable := l.options.Journal.Durable(); cursor.Record > durable.Record {
		return fmt.Errorf("the catalog has loaded %d journal records, the journal holds only %d: they do not belong together; restore the journal this catalog was loaded from", cursor.Record, durable.Record)
	}
	l.cursor, l.known = cursor, true
	l.mu.Lock()
	l.stats.Cursor = cursor
	l.mu.Unlock()
	l.options.Journal.Release(position(cursor))
	return nil
}

// read decodes records into l.batch and moves to behind them. lost counts the
// events of ranges that the journal found damaged; more says that the batch is
// full.
func (l *Loader) read(ctx context.Context, to *dataset.Cursor) (lost int64, more bool, err error) {
	l.batch.reset()
	var bytes int64
	for entry, err := range l.options.Journal.Read(ctx, position(*to)) {
		if damage, ok := errors.AsType[*journal.CorruptionError](err); ok {
			l.options.Log.Error("a range of the journal is damaged; its events are lost and counted as lost", "error", damage)
			lost += int64(damage.To.Event - to.Event)
			to.Record, to.Event = damage.To.Record, damage.To.Event
			continue
		}
		if err != nil {
			return 0, false, fmt.Errorf("read the journal: %w", err)
		}
		if entry.At != position(*to) {
			return 0, false, fmt.Errorf("the journal goes on at record %d (event %d) after record %d (event %d) without saying why", entry.At.Record, entry.At.Event, to.Record, to.Event)
		}
		if err := l.batch.add(entry.Payload, entry.Events); err != nil {
			return 0, false, fmt.Errorf("journal record %d: %w; it is kept, and loading waits for a program that can read it", entry.At.Record, err)
		}
		to.Record, to.Event = entry.Next.Record, entry.Next.Event
		if bytes += int64(len(entry.Payload)); bytes >= l.options.MaxBytes {
			more = true
			break
		}
	}
	if l.batch.received.To.After(to.ReceivedTo) {
		to.ReceivedTo = l.batch.received.To
	}
	return lost, more, nil
}

// write makes the segments and the sidecar of the cycle durable.
func (l *Loader) write(c *dataset.LoadCommit) error {
	var err error
	if c.Segments, err = l.writer.write(&l.verdict, &l.batch.labels); err != nil {
		return err
	}
	if c.Sidecar, err = writeSidecar(l.options.Store, l.verdict.fresh); err != nil {
		return err
	}
	c.Loaded = int64(len(l.verdict.rows))
	c.Quarantined = int64(len(l.verdict.refused))
	c.Repeats = l.verdict.repeats
	c.Received, c.Sources = l.batch.received, slices.Sorted(maps.Keys(l.batch.sources))
	return nil
}

// commit makes the cycle visible. After an error its outcome is unknown, so
// the cursor must be read again before anything else is loaded: if the commit
// did happen, the next cycle starts behind it.
func (l *Loader) commit(ctx context.Context, c dataset.LoadCommit) error {
	l.known = false
	if err := l.options.Catalog.CommitLoad(ctx, c); err != nil {
		return fmt.Errorf("commit journal records %d to %d: %w", c.From.Record, c.To.Record, err)
	}
	l.cursor, l.known = c.To, true
	return nil
}

func (l *Loader) committed(c dataset.LoadCommit, begun time.Time, more bool) {
	conflicts := l.verdict.conflicts()
	l.mu.Lock()
	l.stats.Cursor = c.To
	l.stats.Loaded += c.Loaded
	l.stats.Quarantined += c.Quarantined
	l.stats.Repeats += c.Repeats
	l.stats.Lost += c.Lost
	l.stats.Conflicts += conflicts
	if !more {
		l.stats.CaughtUp = begun
	}
	l.mu.Unlock()
	l.metrics.cycle(c, conflicts, time.Since(begun))
	l.options.Journal.Release(position(c.To))
	l.options.OnCommit(c)
	l.wakeCompaction()
}

func (l *Loader) caughtUp(at time.Time) {
	l.mu.Lock()
	l.stats.CaughtUp = at
	l.mu.Unlock()
}
