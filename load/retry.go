package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/dataset"
)

// Again says which events of quarantine to try again. The zero value is all that
// were not tried yet with the decoder and the limits of today.
type Again struct {
	Source string // of this source; "" for any
	Code   string // refused for this reason; "" for any
	All    bool   // also those tried before

	patient bool // a backlog of loading goes first
}

// Tried is what came of trying: Events = Loaded + Repeats + Stay.
type Tried struct {
	Events  int64 `json:"events"`
	Loaded  int64 `json:"loaded"`  // decode and are rows of raw
	Repeats int64 `json:"repeats"` // decode, and raw had them: sent again meanwhile
	Stay    int64 `json:"stay"`    // do not decode
}

func (t *Tried) add(o Tried) {
	t.Events, t.Loaded, t.Repeats, t.Stay = t.Events+o.Events, t.Loaded+o.Loaded, t.Repeats+o.Repeats, t.Stay+o.Stay
}

const (
	// retryBytes is how many bytes of events that decode now one step takes; with
	// more in a segment, the rest is for the next step.
	retryBytes = 4 << 20
	// retryPage is how many segments are listed at once.
	retryPage = 100
	// groupBytes of rows end a row group of what stays: bodies may be large.
	groupBytes = 16 << 20
)

// Heal tries again what was never tried with the decoder and the limits of today,
// after everything that was durable at the start is loaded. It returns when that
// is done, or ctx ends; what fails is tried again.
func (l *Loader) Heal(ctx context.Context) error {
	for l.Stats().CaughtUp.IsZero() && ctx.Err() == nil {
		pause(ctx, compactPause)
	}
	for ctx.Err() == nil {
		done, err := l.Retry(ctx, Again{patient: true})
		if done.Loaded+done.Repeats > 0 {
			l.options.Log.Info("events of quarantine decode now", "events", done.Loaded+done.Repeats, "loaded", done.Loaded, "repeats", done.Repeats)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			l.options.Log.Error("trying quarantine again failed; it stays as it is until the next try", "error", err)
			pause(ctx, compactWait)
		}
	}
	return nil
}

// Retry decodes quarantine again with the decoder and the limits of today. What
// decodes becomes events like any other, de-duplicated against all history, and
// leaves quarantine; what does not stays, with the reason of today.
//
// It goes segment by segment. Each step writes the segment's rows that stay and
// the new rows of raw, makes them durable, and commits both with the new ids in
// one catalog transaction. A crash or an error before it leaves objects nobody
// refers to, and the segment as it was; after it the step is done. Whatever was
// interrupted, Retry goes on from what is on record. Its memory does not grow with
// what is in quarantine, and loading waits for it no longer than for a small load.
func (l *Loader) Retry(ctx context.Context, ask Again) (Tried, error) {
	r := newRetry(l, ask, l.options.Limits)
	var except []byte
	if !ask.All {
		except = r.identity
	}
	err := r.pass(ctx, except, r.segment)
	return r.done, err
}

// Preview counts what Retry would find with these limits; nothing is changed.
// Loaded counts all that decode: which of them raw has is not looked up.
func (l *Loader) Preview(ctx context.Context, ask Again, limits protocol.Limits) (Tried, error) {
	r := newRetry(l, ask, limits)
	var except []byte
	if !ask.All {
		except = r.identity
	}
	err := r.pass(ctx, except, func(_ context.Context, s dataset.Segment) error {
		found, err := r.find(s)
		r.done.add(Tried{Events: found.decode + found.stay, Loaded: found.decode, Stay: found.stay})
		return err
	})
	return r.done, err
}

// retry is one pass over quarantine. It has memory of its own, so that loading
// goes on beside it.
type retry struct {
	loader   *Loader
	ask      Again
	identity []byte // of the decoder
	done     Tried

	batch   batch
	verdict verdicts
	writer  segments
	stay    *table[refused]

	made  map[int64]bool // segments this pass wrote, all of which it tried
	tried []int64        // segments in which nothing is new
}

func newRetry(l *Loader, ask Again, limits protocol.Limits) *retry {
	return &retry{
		loader: l, ask: ask, identity: limits.Identity(), made: map[int64]bool{},
		batch: newBatch(l.options.Policy, limits), writer: newSegments(l.options.Store), stay: quarantineTable(),
	}
}

// pass calls step for each live segment, the oldest first, but for those tried
// under the identity except. What comes meanwhile is met, too: a segment that
// replaces others has a later id than they have.
func (r *retry) pass(ctx context.Context, except []byte, step func(context.Context, dataset.Segment) error) error {
	catalog := r.loader.options.Catalog
	for after := int64(0); ; {
		page, err := catalog.QuarantineSegments(ctx, except, after, retryPage)
		if err != nil {
			return fmt.Errorf("list segments of quarantine: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, s := range page {
			if err := ctx.Err(); err != nil {
				return err
			}
			after = s.ID
			if r.made[s.ID] {
				continue
			}
			if r.ask.patient {
				r.loader.giveWay(ctx)
			}
			err := step(ctx, s)
			// Somebody replaced the segment, and its file may be gone as well: what
			// it held is in a later one.
			if errors.Is(err, dataset.ErrSegmentGone) || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("try segment %d of %s@%s again: %w", s.ID, s.Dataset, s.Partition, err)
			}
		}
		if len(r.tried) > 0 {
			if err := catalog.MarkTried(ctx, r.tried, r.identity); err != nil {
				return fmt.Errorf("record what was tried: %w", err)
			}
			r.tried = r.tried[:0]
		}
	}
}

// segment tries one segment, or as much of it as a step takes.
func (r *retry) segment(ctx context.Context, s dataset.Segment) error {
	found, err := r.find(s)
	if err != nil {
		return err
	}
	if len(found.rows) == 0 && !found.changed {
		r.done.add(Tried{Events: found.stay, Stay: found.stay})
		if !found.passed {
			r.tried = append(r.tried, s.ID)
		}
		return nil
	}
	commit := dataset.Retry{Replaced: s}
	if commit.With, err = r.rewrite(s, found); err != nil {
		return err
	}
	if found.all() && !found.passed {
		commit.Identity = r.identity
	}
	if err := r.readmit(found); err != nil {
		return err
	}
	stays, err := r.commit(ctx, &commit)
	if err != nil {
		return err
	}
	done := Tried{Events: commit.Loaded + commit.Repeats, Loaded: commit.Loaded, Repeats: commit.Repeats}
	if found.all() { // else the rest is met again
		done.Stay, done.Events = found.stay, done.Events+found.stay
		r.made[stays] = true
	}
	r.done.add(done)
	return nil
}

// found is what a segment holds by the decoder of today.
type found struct {
	rows    []refused      // that decode, as many as a step takes
	taken   map[int64]bool // their places in the file
	decode  int64          // how many decode
	stay    int64          // how many do not
	changed bool           // of which some are refused for another reason than on record
	passed  bool           // some rows were not asked for
}

// all reports that rows are all that decode.
func (f *found) all() bool { return int64(len(f.rows)) == f.decode }

// find reads a segment and judges the rows that are asked for.
func (r *retry) find(s dataset.Segment) (found, error) {
	out := found{taken: map[int64]bool{}}
	at, bytes := int64(-1), 0
	err := reread(r.loader.options.Store.Path(s.Object), func(q *refused) error {
		at++
		if !r.asked(q) {
			out.passed = true
			return nil
		}
		why, err := r.batch.judge(q)
		switch {
		case err != nil:
			return err
		case why.Code != "":
			out.stay++
			out.changed = out.changed || why.Code != q.code || why.Reason != q.reason
			return nil
		}
		if out.decode++; bytes < retryBytes {
			out.rows, out.taken[at] = append(out.rows, q.clone()), true
			bytes += len(q.body) + len(q.shared)
		}
		return nil
	})
	return out, err
}

func (r *retry) asked(q *refused) bool {
	return (r.ask.Source == "" || r.ask.Source == q.source) && (r.ask.Code == "" || r.ask.Code == q.code)
}

func (q *refused) clone() refused {
	c := *q
	for _, s := range []*string{&c.id, &c.source, &c.protocol, &c.code, &c.reason, &c.ip, &c.agent} {
		*s = strings.Clone(*s)
	}
	c.body, c.shared = slices.Clone(q.body), slices.Clone(q.shared)
	return c
}

// rewrite makes the rows of s that stay a durable object, each with the reason of
// today; nil if none does. What was read is compared with what is on record, for
// it is about to be forgotten.
func (r *retry) rewrite(s dataset.Segment, f found) (*dataset.NewSegment, error) {
	out := dataset.NewSegment{Dataset: s.Dataset, Partition: s.Partition, Rows: s.Rows - int64(len(f.rows)), MinTime: s.MinTime, MaxTime: s.MaxTime}
	if out.Rows == 0 {
		return nil, r.compare(s, func(*refused, int64) error { return nil })
	}
	object, err := adopt(r.loader.options.Store, Ext, func(w io.Writer) error {
		file, err := r.stay.file()
		if err != nil {
			return err
		}
		if err := file.Begin(w); err != nil {
			return err
		}
		rows, bytes := 0, 0
		err = r.compare(s, func(q *refused, at int64) error {
			if f.taken[at] {
				return nil
			}
			if err := r.explain(q); err != nil {
				return err
			}
			out.Hash = out.Hash.Add(r.stay.hash(q))
			if err := r.stay.writeRow(file, q); err != nil {
				return err
			}
			rows, bytes = rows+1, bytes+len(q.body)+len(q.shared)
			if rows < rowGroupRows && bytes < groupBytes {
				return nil
			}
			rows, bytes = 0, 0
			return file.EndGroup()
		})
		return errors.Join(err, file.Close())
	})
	out.Object, out.Bytes = object.ID, object.Bytes
	return &out, err
}

// compare reads s again and calls each with its rows and their places, and fails
// if they are not what is on record.
func (r *retry) compare(s dataset.Segment, each func(*refused, int64) error) error {
	var rows int64
	var hash dataset.ContentHash
	err := reread(r.loader.options.Store.Path(s.Object), func(q *refused) error {
		hash = hash.Add(r.stay.hash(q))
		rows++
		return each(q, rows-1)
	})
	if err == nil && (rows != s.Rows || hash != s.Hash) {
		err = fmt.Errorf("object %s has %d rows with content %x, on record are %d with %x: it is damaged and stays as it is", s.Object, rows, hash.Bytes(), s.Rows, s.Hash.Bytes())
	}
	return err
}

// explain gives a row that was asked for and stays the reason of today.
func (r *retry) explain(q *refused) error {
	if !r.asked(q) {
		return nil
	}
	why, err := r.batch.judge(q)
	if err == nil && why.Code != "" { // else it decodes and is for the next step
		q.code, q.reason = why.Code, why.Reason
	}
	return err
}

// readmit makes the rows found a batch, in the order in which they were received.
func (r *retry) readmit(f found) error {
	r.batch.reset()
	slices.SortStableFunc(f.rows, func(a, b refused) int { return cmp.Compare(a.received, b.received) })
	for i := range f.rows {
		if err := r.batch.readmit(&f.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// commit looks for copies and makes the step visible. No load runs meanwhile;
// should another loader have committed after all, copies are looked for again.
func (r *retry) commit(ctx context.Context, c *dataset.Retry) (stays int64, err error) {
	for {
		if stays, err = r.tryCommit(ctx, c); !errors.Is(err, dataset.ErrCursorMoved) {
			return stays, err
		}
	}
}

func (r *retry) tryCommit(ctx context.Context, c *dataset.Retry) (stays int64, err error) {
	l := r.loader
	if err := l.take(ctx); err != nil {
		return 0, err
	}
	defer l.give()
	if err := l.sync(ctx); err != nil {
		return 0, err
	}
	c.At = l.cursor
	if err := l.history.refresh(ctx); err != nil {
		return 0, err
	}
	if err := r.verdict.dedup(&r.batch, &l.history); err != nil {
		return 0, err
	}
	if c.Added, err = r.writer.write(&r.verdict, &r.batch.labels); err != nil {
		return 0, err
	}
	if c.Sidecar, err = writeSidecar(l.options.Store, r.verdict.fresh); err != nil {
		return 0, err
	}
	c.Loaded, c.Repeats, c.Sources = int64(len(r.verdict.rows)), r.verdict.repeats, slices.Sorted(maps.Keys(r.batch.sources))
	l.known = false // until the outcome is
	if stays, err = l.options.Catalog.CommitRetry(ctx, *c); err != nil {
		return 0, err
	}
	l.cursor.Retries++
	l.known = true
	l.retried(*c, r.verdict.conflicts())
	return stays, nil
}

// retried keeps the figures and tells those who wait for commits.
func (l *Loader) retried(c dataset.Retry, conflicts int64) {
	l.mu.Lock()
	l.stats.Cursor = l.cursor
	l.stats.Loaded += c.Loaded
	l.stats.Quarantined -= c.Loaded + c.Repeats
	l.stats.Repeats += c.Repeats
	l.stats.Conflicts += conflicts
	l.mu.Unlock()
	l.metrics.retried(c, conflicts)
	l.options.OnCommit(dataset.LoadCommit{From: l.cursor, To: l.cursor, Segments: c.Added, Loaded: c.Loaded, Repeats: c.Repeats, Quarantined: -c.Loaded - c.Repeats})
	l.wakeCompaction()
}
