package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/store"
)

var errInjected = errors.New("injected failure")

// faults fails one step: before it happened, or after.
type faults struct {
	mu    sync.Mutex
	at    int // steps from now; below 0 is never
	after bool
	fired bool
}

func noFaults() *faults { return &faults{at: -1} }

func (f *faults) set(at int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.after, f.fired = at, after, false
}

func (f *faults) hasFired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// step runs do, or fails in its place, or runs it and then fails.
func (f *faults) step(do func() error) error {
	f.mu.Lock()
	now, after := f.at == 0, f.after
	f.at--
	f.fired = f.fired || now
	f.mu.Unlock()
	switch {
	case !now:
		return do()
	case after:
		return errors.Join(do(), errInjected)
	}
	return errInjected
}

// memJournal holds batches as a journal would.
type memJournal struct {
	entries  []journal.Entry
	damaged  map[uint64]bool
	released journal.Position
	keep     bool // payloads stay, for benchmarks
}

// append adds a record. Every other one has outlines, as a door of this version
// writes them; what is loaded must not depend on it.
func (j *memJournal) append(b *event.Batch) {
	at := j.Durable()
	b = outlined(b, len(j.entries)%2 == 0)
	refused := uint32(0)
	for _, it := range b.Items {
		if it.Refusal.Code != "" {
			refused++
		}
	}
	j.entries = append(j.entries, journal.Entry{
		Record: journal.Record{Events: uint32(len(b.Items)), Refused: refused, Payload: event.EncodeBatch(nil, b)},
		At:     at,
		Next:   journal.Position{Record: at.Record + 1, Event: at.Event + uint64(len(b.Items))},
	})
}

func outlined(b *event.Batch, with bool) *event.Batch {
	p, _ := protocol.ByName(b.Protocol)
	door := protocol.NewDecoder(p, protocol.Limits{})
	out := *b
	out.Items = slices.Clone(b.Items)
	for i := range out.Items {
		it := &out.Items[i]
		if it.Outline = nil; with && it.Refusal.Code == "" {
			it.Outline = slices.Clone(door.Split(it.Raw, "").Items[0].Outline)
		}
	}
	return &out
}

func (j *memJournal) Durable() journal.Position {
	if len(j.entries) == 0 {
		return journal.Position{}
	}
	return j.entries[len(j.entries)-1].Next
}

func (j *memJournal) Wait(ctx context.Context, after journal.Position) error {
	if j.Durable().Record > after.Record {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// Read lends each payload until the next one only, as the real journal does.
func (j *memJournal) Read(_ context.Context, from journal.Position) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		var lent []byte
		for _, e := range j.entries[from.Record:] {
			if j.damaged[e.At.Record] {
				if !yield(journal.Entry{}, &journal.CorruptionError{From: e.At, To: e.Next}) {
					return
				}
				continue
			}
			if !j.keep {
				for i := range lent {
					lent[i] = 0xdb
				}
				lent = slices.Clone(e.Payload)
				e.Payload = lent
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (j *memJournal) Release(p journal.Position) { j.released = p }

// memCatalog keeps its promises by a mutex and nothing else.
type memCatalog struct {
	faults       *faults
	beforeCommit func() // a chance for somebody else to commit first

	mu       sync.Mutex
	cursor   dataset.Cursor
	totals   dataset.LoadCommit
	segments []dataset.Segment
	sidecars []dataset.Sidecar
	tried    map[int64]string // identity by segment
	lastID   int64
}

func (c *memCatalog) LoadCursor(context.Context) (cursor dataset.Cursor, err error) {
	err = c.faults.step(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		cursor = c.cursor
		return nil
	})
	return cursor, err
}

func (c *memCatalog) CommitLoad(_ context.Context, l dataset.LoadCommit) error {
	if f := c.beforeCommit; f != nil {
		c.beforeCommit = nil
		f()
	}
	return c.faults.step(func() error { return c.commitLoad(l) })
}

func (c *memCatalog) commitLoad(l dataset.LoadCommit) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cursor.Record != l.From.Record || c.cursor.Event != l.From.Event || c.cursor.Retries != l.From.Retries {
		return dataset.ErrCursorMoved
	}
	if sum := l.Loaded + l.Quarantined + l.Repeats + l.Lost; uint64(sum) != l.To.Event-l.From.Event {
		return fmt.Errorf("arithmetic: %+v", l)
	}
	c.cursor = l.To
	c.totals.Loaded += l.Loaded
	c.totals.Quarantined += l.Quarantined
	c.totals.Repeats += l.Repeats
	c.totals.Lost += l.Lost
	for _, s := range l.Segments {
		c.lastID++
		c.segments = append(c.segments, dataset.Segment{ID: c.lastID, NewSegment: s})
	}
	if l.Sidecar != nil {
		c.addSidecar(*l.Sidecar)
	}
	return nil
}

func (c *memCatalog) addSidecar(s dataset.NewSidecar) {
	c.lastID++
	c.sidecars = append(c.sidecars, dataset.Sidecar{ID: c.lastID, Object: s.Object, Bytes: s.Bytes, Entries: s.Entries})
}

func (c *memCatalog) Sidecars(context.Context) (out []dataset.Sidecar, err error) {
	err = c.faults.step(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		out = slices.Clone(c.sidecars)
		return nil
	})
	return out, err
}

func (c *memCatalog) ReplaceSidecars(_ context.Context, old []int64, with dataset.NewSidecar) error {
	return c.faults.step(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		keep := slices.DeleteFunc(slices.Clone(c.sidecars), func(s dataset.Sidecar) bool { return slices.Contains(old, s.ID) })
		if len(keep) != len(c.sidecars)-len(old) {
			return dataset.ErrSegmentGone
		}
		c.sidecars = keep
		c.addSidecar(with)
		return nil
	})
}

// CompactionCandidates thinks two segments enough.
func (c *memCatalog) CompactionCandidates(_ context.Context, _ int64, _, limit int) (out []dataset.CompactionCandidate, _ int64, err error) {
	err = c.faults.step(func() error {
		for _, k := range c.byPartition() {
			if len(k.Segments) >= 2 && len(out) < limit {
				out = append(out, k)
			}
		}
		return nil
	})
	return out, 0, err
}

func (c *memCatalog) byPartition() []dataset.CompactionCandidate {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []dataset.CompactionCandidate
	for _, s := range c.segments {
		i := slices.IndexFunc(out, func(k dataset.CompactionCandidate) bool {
			return k.Dataset == s.Dataset && k.Partition == s.Partition
		})
		if i < 0 {
			i = len(out)
			out = append(out, dataset.CompactionCandidate{Dataset: s.Dataset, Partition: s.Partition})
		}
		out[i].Segments = append(out[i].Segments, s)
	}
	return out
}

func (c *memCatalog) CommitCompaction(_ context.Context, k dataset.Compaction) error {
	return c.faults.step(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		keep := slices.DeleteFunc(slices.Clone(c.segments), func(s dataset.Segment) bool { return slices.Contains(k.Replaced, s.ID) })
		if len(keep) != len(c.segments)-len(k.Replaced) {
			return dataset.ErrSegmentGone
		}
		c.lastID++
		c.segments = append(keep, dataset.Segment{ID: c.lastID, NewSegment: k.Segment})
		return nil
	})
}

func (c *memCatalog) QuarantineSegments(_ context.Context, identity []byte, after int64, limit int) (out []dataset.Segment, err error) {
	err = c.faults.step(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range c.segments { // ids ascend
			tried := identity != nil && c.tried[s.ID] == string(identity)
			if s.Dataset == dataset.Quarantine && s.ID > after && !tried && len(out) < limit {
				out = append(out, s)
			}
		}
		return nil
	})
	return out, err
}

func (c *memCatalog) MarkTried(_ context.Context, segments []int64, identity []byte) error {
	return c.faults.step(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range segments {
			c.mark(id, string(identity))
		}
		return nil
	})
}

func (c *memCatalog) mark(segment int64, identity string) {
	if c.tried == nil {
		c.tried = map[int64]string{}
	}
	c.tried[segment] = identity
}

func (c *memCatalog) CommitRetry(_ context.Context, r dataset.Retry) (stays int64, err error) {
	if f := c.beforeCommit; f != nil {
		c.beforeCommit = nil
		f()
	}
	err = c.faults.step(func() error {
		stays, err = c.commitRetry(r)
		return err
	})
	return stays, err
}

func (c *memCatalog) commitRetry(r dataset.Retry) (stays int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cursor.Record != r.At.Record || c.cursor.Event != r.At.Event || c.cursor.Retries != r.At.Retries {
		return 0, dataset.ErrCursorMoved
	}
	keep := slices.DeleteFunc(slices.Clone(c.segments), func(s dataset.Segment) bool { return s.ID == r.Replaced.ID })
	if len(keep) == len(c.segments) {
		return 0, dataset.ErrSegmentGone
	}
	c.segments = keep
	c.cursor.Retries++
	c.totals.Loaded += r.Loaded
	c.totals.Repeats += r.Repeats
	c.totals.Quarantined -= r.Loaded + r.Repeats
	if r.With != nil {
		c.lastID++
		stays = c.lastID
		c.segments = append(c.segments, dataset.Segment{ID: stays, NewSegment: *r.With})
		if identity := string(r.Identity); identity != "" {
			c.mark(stays, identity)
		}
	}
	for _, s := range r.Added {
		c.lastID++
		c.segments = append(c.segments, dataset.Segment{ID: c.lastID, NewSegment: s})
	}
	if r.Sidecar != nil {
		c.addSidecar(*r.Sidecar)
	}
	return stays, nil
}

// memStore is a folder without the syncs. Each of its steps may fail.
type memStore struct {
	faults *faults
	dir    string
	next   *int
	sync   bool // sync as the real store does
}

func (s memStore) Temp() (f *os.File, err error) {
	err = s.faults.step(func() error {
		f, err = os.CreateTemp(s.dir, "tmp-*")
		return err
	})
	return f, err
}

func (s memStore) Adopt(path, ext string) (o store.Object, err error) {
	err = s.faults.step(func() error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if s.sync {
			if err := syncPath(path); err != nil {
				return err
			}
		}
		*s.next++
		o = store.Object{ID: fmt.Sprintf("%d.%s", *s.next, ext), Bytes: info.Size()}
		return os.Rename(path, s.Path(o.ID))
	})
	return o, err
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (s memStore) Path(id string) string { return filepath.Join(s.dir, id) }

// plainCompactor copies rows from file to file.
type plainCompactor struct{ dir string }

func (c plainCompactor) Compact(_ context.Context, files, _ []string) (path string, rows, bytes int64, err error) {
	out, err := os.CreateTemp(c.dir, "compact-*")
	if err != nil {
		return "", 0, 0, err
	}
	defer out.Close()
	var w *parquet.GenericWriter[any]
	for _, name := range files {
		n, err := func() (int64, error) {
			in, err := os.Open(name)
			if err != nil {
				return 0, err
			}
			defer in.Close()
			r := parquet.NewReader(in)
			if w == nil {
				w = parquet.NewGenericWriter[any](out, r.Schema(), parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}))
			}
			n, err := parquet.CopyRows(w, r)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}()
		if err != nil {
			return "", 0, 0, err
		}
		rows += n
	}
	return out.Name(), rows, 0, w.Close()
}
