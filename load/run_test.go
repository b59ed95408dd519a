package load

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tickingJournal becomes durable a record at a time.
type tickingJournal struct {
	all     *memJournal
	mu      sync.Mutex
	visible int
	changed chan struct{}
}

func (j *tickingJournal) Durable() journal.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.visible == 0 {
		return journal.Position{}
	}
	return j.all.entries[j.visible-1].Next
}

func (j *tickingJournal) show(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.visible = n
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *tickingJournal) Wait(ctx context.Context, after journal.Position) error {
	for {
		j.mu.Lock()
		changed := j.changed
		j.mu.Unlock()
		if j.Durable().Record > after.Record {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (j *tickingJournal) Read(ctx context.Context, from journal.Position) iter.Seq2[journal.Entry, error] {
	end := j.Durable()
	return func(yield func(journal.Entry, error) bool) {
		for e, err := range j.all.Read(ctx, from) {
			if e.At.Record >= end.Record || !yield(e, err) {
				return
			}
		}
	}
}

func (j *tickingJournal) Release(journal.Position) {}

// Run loads what is there at once, then at most once a cycle, and survives a
// failure.
func TestRunKeepsItsCadence(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := &tickingJournal{all: fixedJournal(), changed: make(chan struct{})}
		w := newWorld(t, dir, j.all)
		var commits []time.Duration
		begun := time.Now()
		l := New(Options{
			Journal: j, Catalog: w.catalog, Store: w.store,
			OnCommit: func(dataset.LoadCommit) { commits = append(commits, time.Since(begun)) },
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := l.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Second)
		j.show(1)
		synctest.Wait()
		j.show(2)
		time.Sleep(5 * time.Second)
		w.faults.set(0, false) // the next cycle fails
		j.show(3)
		time.Sleep(5 * time.Second)
		stop()
		running.Wait()
		_ = l.Close()
		want := []time.Duration{10 * time.Second, 11 * time.Second, 17 * time.Second}
		if len(commits) != 3 || commits[0] != want[0] || commits[1] != want[1] || commits[2] != want[2] {
			t.Errorf("commits after %v, want %v", commits, want)
		}
		s := l.Stats()
		if s.Backlog != 0 || s.Cursor.Event != j.all.Durable().Event || s.Failure != "" {
			t.Errorf("stats: %+v", s)
		}
		if got := s.Loaded + s.Quarantined + s.Repeats; uint64(got) != s.Cursor.Event {
			t.Errorf("the figures do not add up: %+v", s)
		}
	})
}

// A record of another version stops loading; nothing is skipped.
func TestUnreadableRecordStopsLoading(t *testing.T) {
	w := newWorld(t, t.TempDir(), fixedJournal())
	w.journal.entries[1].Payload[0] = 200
	if err := w.loader.Drain(t.Context()); err == nil {
		t.Fatal("a record of an unknown version was passed over")
	}
	if w.catalog.cursor.Record > 1 {
		t.Fatalf("the cursor is at %d", w.catalog.cursor.Record)
	}
	_ = w.loader.Close()
}

// A catalog that is ahead of its journal is refused.
func TestForeignJournalIsRefused(t *testing.T) {
	w := newWorld(t, t.TempDir(), fixedJournal())
	w.catalog.cursor = dataset.Cursor{Record: 99, Event: 999}
	if err := w.loader.Drain(t.Context()); err == nil || errors.Is(err, errInjected) {
		t.Fatalf("got %v", err)
	}
	_ = w.loader.Close()
}
