// Package journal is a durable, ordered log of opaque records on one disk.
//
// It knows bytes, positions and segments. It must never know what a record
// means: the two counts a record carries belong to whoever wrote it.
//
// An Append returns only when its record is on stable storage. Records are
// read up to a watermark that is durable and stays readable after any crash.
// docs/format/journal.md has the byte tables and the crash argument.
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
)

// Position is a place between two records: the number of the next record and
// the number of events before it.
type Position struct{ Record, Event uint64 }

// Record is what is appended and read. The counts are the writer's: Events is
// how many events the payload holds, Refused how many of them the writer
// judged undecodable.
type Record struct {
	Events  uint32
	Refused uint32
	Payload []byte
}

// Entry is a record with its place: At before it, Next after it.
type Entry struct {
	Record
	At, Next Position
}

// What Append may return. Only ErrFailed and ErrClosed are for good.
var (
	ErrOverloaded = errors.New("journal: the disk does not keep up with what is appended; try again later")
	ErrFull       = errors.New("journal: no disk space for another segment; free some, appends then succeed without a restart")
	ErrFailed     = errors.New("journal: the disk refused to confirm a write, so what it holds is unknown; restart to recover")
	ErrTooLarge   = errors.New("journal: record larger than the limit")
	ErrClosed     = errors.New("journal: closed")
)

// ErrPosition says that a Read began at a position this journal never had:
// the reader's cursor belongs to another journal, or records were lost.
var ErrPosition = errors.New("journal: no such position")

// Options tune a journal. Zero fields take the value in brackets.
type Options struct {
	SegmentBytes int64         // size of a segment file [64 MiB]
	MaxRecord    int           // largest payload in bytes [16 MiB]
	QueueBytes   int64         // most bytes that wait for the disk [64 MiB]
	QueueRecords int           // most records that wait for the disk [65536]
	MaxWait      time.Duration // longest expected wait before appends are refused [500 ms]
	Reserve      int64         // bytes set aside for the rest of the system on a full disk [64 MiB]; negative: none
	Grace        time.Duration // how long a released segment is kept [10 min]; negative: not at all
	Log          *slog.Logger  // what needs no answer but should be seen [discarded]
}

func (o Options) withDefaults() (Options, error) {
	o.SegmentBytes = orDefault(o.SegmentBytes, 64<<20)
	o.MaxRecord = orDefault(o.MaxRecord, 16<<20)
	o.QueueBytes = orDefault(o.QueueBytes, 64<<20)
	o.QueueRecords = orDefault(o.QueueRecords, 1<<16)
	o.MaxWait = orDefault(o.MaxWait, 500*time.Millisecond)
	o.Reserve = max(0, orDefault(o.Reserve, 64<<20))
	o.Grace = max(0, orDefault(o.Grace, 10*time.Minute))
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxRecord < 1 || int64(recordBytes(o.MaxRecord)) > o.batchLimit() {
		return o, fmt.Errorf("journal: segments of %d bytes cannot hold records of %d bytes; raise SegmentBytes or lower MaxRecord",
			o.SegmentBytes, o.MaxRecord)
	}
	return o, nil
}

// batchLimit is what one segment can hold besides its header and a mark.
func (o Options) batchLimit() int64 { return o.SegmentBytes - dataStart - recordHead }

func orDefault[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	fs       disk.FS
	opt      Options
	log      *slog.Logger
	lock     io.Closer
	recovery Recovery

	ready  chan prepared // keeper -> writer: the next blank segment
	kick   chan struct{} // to the keeper: something was released or let go
	quit   chan struct{} // closed when the writer has ended
	failed chan struct{} // closed when a sync failed
	ended  sync.WaitGroup

	starving atomic.Bool // the writer waits for a segment

	w writer // owned by the writer goroutine

	mu sync.Mutex // guards everything below; never held during I/O
	// What waits for the writer.
	wake     sync.Cond
	queue    []*batch
	spare    [][]byte // buffers of finished batches
	inflight bool
	confirm  bool  // a reader wants the last batch confirmed
	unmarked int   // how often that was tried in vain
	markErr  error // why
	closing  bool
	closed   bool  // and the last mark was tried
	failure  error // why nothing more is accepted, for good
	// What is on disk.
	durable   Position   // watermark: everything before it was synced
	confirmed Position   // everything before it has something durable after it
	segments  []*segment // oldest first; the last is the tail
	nextSlot  int        // number of the next new segment file
	changed   chan struct{}
	// Figures.
	load       Load
	commitTime time.Duration // smoothed duration of a commit
	commitFrom time.Time     // start of the commit in flight
}

// batch is what one write and one sync make durable. Its records are encoded
// when they are queued; numbers and checksums follow when it is written.
type batch struct {
	buf     []byte
	records int
	events  uint64
	first   Position // set by the writer
	err     error    // set by the writer
	done    chan struct{}
}

// batchBytes bounds a batch, unless one record is larger.
const batchBytes = 4 << 20

// Append adds a record and returns its position once it is on stable storage.
// The payload is copied before Append returns. When ctx ends first, the record
// may or may not become durable.
func (j *Journal) Append(ctx context.Context, r Record) (Position, error) {
	if len(r.Payload) > j.opt.MaxRecord {
		return Position{}, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(r.Payload), j.opt.MaxRecord)
	}
	if err := ctx.Err(); err != nil {
		return Position{}, err
	}
	b, at, err := j.enqueue(r)
	if err != nil {
		return Position{}, err
	}
	if ctx.Done() == nil {
		<-b.done
	} else {
		select {
		case <-b.done:
		case <-ctx.Done():
			return Position{}, context.Cause(ctx)
		}
	}
	if b.err != nil {
		return Position{}, b.err
	}
	return Position{b.first.Record + at.Record, b.first.Event + at.Event}, nil
}

// enqueue encodes r into the last waiting batch and returns its place there.
func (j *Journal) enqueue(r Record) (*batch, Position, error) {
	size := recordBytes(len(r.Payload))
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refusal(int64(size)); err != nil {
		return nil, Position{}, err
	}
	b := j.lastBatch(size)
	at := Position{uint64(b.records), b.events}
	b.buf = appendRecord(b.buf, r)
	b.records++
	b.events += uint64(r.Events)
	j.load.QueuedBytes += int64(size)
	j.load.QueuedRecords++
	if !j.inflight {
		j.wake.Signal()
	}
	return b, at, nil
}

// refusal says why a record of this size cannot be queued now. Holds mu.
func (j *Journal) refusal(size int64) error {
	switch {
	case j.failure != nil:
		return j.failure
	case j.closing:
		return ErrClosed
	case len(j.queue) == 0:
		return nil // whatever the disk does, one batch may wait for it
	case j.load.QueuedBytes+size > j.opt.QueueBytes, j.load.QueuedRecords >= j.opt.QueueRecords:
		return fmt.Errorf("%w (%d records, %d bytes are waiting)", ErrOverloaded, j.load.QueuedRecords, j.load.QueuedBytes)
	}
	if wait := j.expectedWait(time.Now()); wait > j.opt.MaxWait {
		return fmt.Errorf("%w (expected wait %v)", ErrOverloaded, wait.Round(time.Millisecond))
	}
	return nil
}

// expectedWait is how long a record queued now waits for its sync: the commits
// before it and its own, each as long as the smoothed last ones, or as the one
// in flight if that already takes longer. Holds mu.
func (j *Journal) expectedWait(now time.Time) time.Duration {
	if !j.inflight && len(j.queue) == 0 {
		return 0
	}
	each, commits := j.commitTime, max(1, len(j.queue))
	if j.inflight {
		each = max(each, now.Sub(j.commitFrom))
		commits++
	}
	return each * time.Duration(commits)
}

// lastBatch is the waiting batch with room for size bytes. Holds mu.
func (j *Journal) lastBatch(size int) *batch {
	limit := min(batchBytes, int(j.opt.batchLimit()))
	if n := len(j.queue); n > 0 && len(j.queue[n-1].buf)+size <= limit {
		return j.queue[n-1]
	}
	b := &batch{done: make(chan struct{})}
	if n := len(j.spare); n > 0 {
		b.buf, j.spare = j.spare[n-1][:0], j.spare[:n-1]
	}
	j.queue = append(j.queue, b)
	return b
}

// Durable is the watermark: everything before it is on stable storage.
func (j *Journal) Durable() Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.durable
}

// First is the position of the oldest record still kept.
func (j *Journal) First() Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[0].base
}

// Wait returns when the watermark has passed after.
func (j *Journal) Wait(ctx context.Context, after Position) error {
	return j.until(ctx, func() bool { return j.durable.Record > after.Record })
}

// until waits for a condition on what mu guards.
func (j *Journal) until(ctx context.Context, met func() bool) error {
	for {
		j.mu.Lock()
		if met() {
			j.mu.Unlock()
			return nil
		}
		if j.failure != nil {
			j.mu.Unlock()
			return j.failure
		}
		if j.changed == nil {
			j.changed = make(chan struct{})
		}
		changed := j.changed
		j.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// announce wakes everyone in until. Holds mu.
func (j *Journal) announce() {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

// Release says that records before upTo are no longer needed. Segments wholly
// before it are recycled or removed once Options.Grace has passed; until then
// they can be read. A restart forgets releases that were not yet carried out.
func (j *Journal) Release(upTo Position) {
	now := time.Now()
	j.mu.Lock()
	for _, seg := range j.segments[:len(j.segments)-1] {
		if seg.end.Record <= upTo.Record && seg.released.IsZero() {
			seg.released = now
		}
	}
	j.mu.Unlock()
	j.kickKeeper()
}

// Recovery says what Open found.
func (j *Journal) Recovery() Recovery { return j.recovery }

// Failed is closed when a sync failed. Nothing is accepted from then on, and
// only a new process may open the journal again.
func (j *Journal) Failed() <-chan struct{} { return j.failed }

// Close waits for what is queued, confirms it and gives the folder back.
// Appends that come later get ErrClosed.
func (j *Journal) Close() error {
	j.mu.Lock()
	again := j.closing
	j.closing = true
	j.wake.Signal()
	j.mu.Unlock()
	j.ended.Wait()
	if again {
		return nil
	}
	if j.w.unused != nil {
		j.segments = append(j.segments, j.w.unused)
	}
	return errors.Join(closeAll(j.segments), j.unlock())
}

func closeAll(segments []*segment) error {
	var errs []error
	for _, seg := range segments {
		errs = append(errs, seg.file.Close())
	}
	return errors.Join(errs...)
}

func (j *Journal) unlock() error {
	if j.lock == nil {
		return nil
	}
	return j.lock.Close()
}
