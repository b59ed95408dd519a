package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/reedbed/reedbed/internal/disk"
)

// CorruptionError says which records cannot be read. What follows them can:
// a Read goes on after it.
type CorruptionError struct {
	From, To   Position // the missing records and events
	Segment    string   // file that should hold them; "" if it is gone
	Offset     int64    // of the bad bytes in it
	Length     int64
	Quarantine string // file with a copy of the bad bytes, "" if none could be made
	Reason     string
}

func (e *CorruptionError) Error() string {
	s := fmt.Sprintf("journal: records %d to %d (%d events) are missing: %s",
		e.From.Record, e.To.Record-1, e.To.Event-e.From.Event, e.Reason)
	if e.Segment != "" {
		s += fmt.Sprintf(" (%d bytes at offset %d of %s)", e.Length, e.Offset, e.Segment)
	}
	if e.Quarantine != "" {
		s += "; the bytes are kept in " + e.Quarantine
	}
	return s
}

// Read yields the records from a position up to the watermark as it is when
// the iteration starts. A payload is valid until the next iteration. A
// *CorruptionError reports records that cannot be read, and the iteration goes
// on after them; any other error ends it, after all that could be read.
//
// Nothing is yielded that a crash could take back or number anew: if the last
// batch has nothing durable after it yet, Read first has a mark written, or
// waits for the batch that is under way.
func (j *Journal) Read(ctx context.Context, from Position) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var err error
		upTo, unsettled := j.settle(ctx)
		if unsettled == nil && from.Record > upTo.Record {
			err = fmt.Errorf("%w: record %d, the journal ends at %d", ErrPosition, from.Record, upTo.Record)
		}
		r := reader{j: j, ctx: ctx, at: from, upTo: upTo, yield: yield}
		for err == nil && r.at.Record < upTo.Record {
			var more bool
			if more, err = r.segment(); !more && err == nil {
				return
			}
		}
		if err == nil {
			err = unsettled
		}
		if err != nil {
			yield(Entry{}, err)
		}
	}
}

// settle returns the watermark once something durable follows it. If that
// cannot be had, it returns how far this is so, and why not further.
func (j *Journal) settle(ctx context.Context) (Position, error) {
	j.mu.Lock()
	upTo, before := j.durable, j.unmarked
	if j.confirmed.Record < upTo.Record {
		j.confirm = true
		j.wake.Signal()
	}
	j.mu.Unlock()
	err := j.until(ctx, func() bool {
		return j.confirmed.Record >= upTo.Record || j.unmarked != before
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.confirmed.Record >= upTo.Record {
		return upTo, nil
	}
	return j.confirmed, cmp.Or(err, j.markErr)
}

// reader is one Read under way. at is where it is.
type reader struct {
	j        *Journal
	ctx      context.Context //nolint:containedctx // lives as long as one call of Read
	at, upTo Position
	yield    func(Entry, error) bool
	begun    bool
	buf      []byte
}

// segment reads what the segment at r.at holds. more is false when the
// consumer had enough.
func (r *reader) segment() (more bool, err error) {
	seg, start, sc, end := r.enter()
	defer r.j.leave(seg)
	if r.at.Record < seg.base.Record {
		gone := &CorruptionError{From: r.at, To: seg.base, Reason: "the journal no longer holds them"}
		r.at, r.begun = seg.base, true
		if !r.yield(Entry{}, gone) {
			return false, nil
		}
	}
	sc.buf = r.buf[:0] // what is in it is of the segment before
	defer func() { r.buf = sc.buf }()
	err = sc.walk(start.off, start.at, end, func(it item, g *gap) error {
		if err := r.ctx.Err(); err != nil {
			return context.Cause(r.ctx)
		}
		if g != nil {
			return r.gap(seg, *g)
		}
		return r.item(seg, it)
	})
	if err == errEnough { //nolint:errorlint // never wrapped
		return false, nil
	}
	return true, err
}

// enter pins the segment that holds r.at, or the next one there is, and says
// from where to scan it and up to which position.
func (r *reader) enter() (*segment, indexEntry, *scanner, Position) {
	j := r.j
	j.mu.Lock()
	defer j.mu.Unlock()
	i := 0
	for i < len(j.segments)-1 && j.segments[i].end.Record <= r.at.Record {
		i++
	}
	seg := j.segments[i]
	seg.refs++
	end := r.upTo
	if i < len(j.segments)-1 && seg.end.Record < end.Record {
		end = seg.end
	}
	return seg, seg.before(r.at.Record), &scanner{r: seg.file, seal: seg.seal, end: seg.synced}, end
}

func (j *Journal) leave(seg *segment) {
	j.mu.Lock()
	seg.refs--
	waited := seg.refs == 0 && !seg.released.IsZero()
	j.mu.Unlock()
	if waited {
		j.kickKeeper()
	}
}

func (r *reader) item(seg *segment, it item) error {
	if it.mark || it.At.Record < r.at.Record {
		return nil
	}
	if !r.begun && it.At != r.at {
		return fmt.Errorf("%w: %d events before record %d, the journal has %d", ErrPosition, r.at.Event, r.at.Record, it.At.Event)
	}
	if it.At.Record%64 == 0 {
		r.j.remember(seg, it.At, it.off)
	}
	r.at, r.begun = it.Next, true
	if !r.yield(it.Entry, nil) {
		return errEnough
	}
	return nil
}

func (r *reader) gap(seg *segment, g gap) error {
	if g.to.Record <= r.at.Record {
		return nil // only a mark is gone, or what the reader did not ask for
	}
	corrupt := r.j.corruption(seg, g)
	if corrupt.From.Record < r.at.Record {
		corrupt.From = r.at
	}
	r.at, r.begun = g.to, true
	if !r.yield(Entry{}, corrupt) {
		return errEnough
	}
	return nil
}

func (j *Journal) remember(seg *segment, at Position, off int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	seg.remember(at, off)
}

// corruption describes a gap and keeps a copy of its bytes.
func (j *Journal) corruption(seg *segment, g gap) *CorruptionError {
	e := &CorruptionError{
		From: g.from, To: g.to, Segment: seg.name, Offset: g.off, Length: g.until - g.off,
		Reason: "the bytes do not match their checksum, and valid records follow",
	}
	if g.last {
		e.Reason = "nothing valid follows in the segment, and the next one begins later"
	}
	name, err := quarantine(j.fs, seg, g.off, g.until)
	if err != nil {
		j.log.Error("cannot keep a copy of damaged journal bytes", "segment", seg.name, "offset", g.off, "error", err)
		return e
	}
	e.Quarantine = name
	return e
}

// quarantine copies a range of a segment to a file of its own, durably. The
// copy gets its name when it is whole, so one that is there is not made again.
func quarantine(fsys disk.FS, seg *segment, off, until int64) (string, error) {
	name := fmt.Sprintf("quarantine-%d-%d-%d.bin", seg.generation, off, until-off)
	if f, err := fsys.OpenFile(name, os.O_RDONLY, 0); err == nil {
		return name, f.Close()
	}
	part := name + ".part"
	f, err := fsys.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return "", err
	}
	if err := errors.Join(copyRange(f, seg.file, off, until), f.Close()); err != nil {
		return "", err
	}
	return name, errors.Join(fsys.Rename(part, name), fsys.SyncDir("."))
}

func copyRange(to, from disk.File, off, until int64) error {
	buf := make([]byte, min(until-off, 1<<20))
	for at := off; at < until; at += int64(len(buf)) {
		chunk := buf[:min(int64(len(buf)), until-at)]
		if _, err := from.ReadAt(chunk, at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := to.WriteAt(chunk, at-off); err != nil {
			return err
		}
	}
	return to.Sync()
}
