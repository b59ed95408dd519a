package journal

import (
	"fmt"
	"runtime"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
)

// writer is the state of the goroutine that alone writes records.
type writer struct {
	tail       *segment // where batches go; nil when a new one must be begun
	off        int64    // where the next batch goes
	at         Position // of the next record
	generation uint64   // the last one given to a segment
	unused     *segment // a segment whose beginning failed; tried again first
}

// write is the writer goroutine: it takes what has queued up while the last
// batch was synced and makes it durable at once. Yielding first lets those
// whom the last batch has just woken queue again: at 8 to 64 appenders that
// doubles the records per sync, and costs nothing when nobody else can run.
func (j *Journal) write() {
	for {
		runtime.Gosched()
		b, more := j.next()
		if !more {
			return
		}
		if b == nil {
			j.finishMark(j.commitMark())
			continue
		}
		j.finish(b, j.commit(b))
	}
}

// next waits for work: a batch, or nil for a mark.
func (j *Journal) next() (*batch, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		switch {
		case j.failure != nil:
			return nil, false
		case len(j.queue) > 0:
			b := j.queue[0]
			j.queue = append(j.queue[:0], j.queue[1:]...)
			j.inflight, j.commitFrom = true, time.Now()
			return b, true
		case j.confirm && j.confirmed != j.durable:
			return nil, true
		case j.closing && (j.closed || j.confirmed == j.durable):
			return nil, false
		case j.closing:
			j.closed = true // one attempt
			return nil, true
		}
		j.wake.Wait()
	}
}

// commit makes a batch durable. A failed write leaves the batch out: the
// segment it went to is not written again, the next batch begins a new one,
// whose base says where the old one ends. A failed sync is for good: what the
// disk holds is unknown and asking again would not tell.
func (j *Journal) commit(b *batch) error {
	w := &j.w
	if err := j.place(int64(len(b.buf))); err != nil {
		return err
	}
	b.first = w.at
	next := w.tail.seal.stamp(b.buf, w.at)
	if _, err := w.tail.file.WriteAt(b.buf, w.off); err != nil {
		return j.writeFailed(err)
	}
	if err := w.tail.file.Sync(); err != nil {
		return j.fail(err)
	}
	w.off += int64(len(b.buf))
	w.at = next
	return nil
}

// commitMark makes a mark durable, or begins a segment, which says the same.
func (j *Journal) commitMark() error {
	w := &j.w
	if w.tail == nil {
		if err := j.begin(); err != nil {
			return err
		}
	}
	mark := w.tail.seal.mark(w.at)
	if _, err := w.tail.file.WriteAt(mark, w.off); err != nil {
		return j.writeFailed(err)
	}
	if err := w.tail.file.Sync(); err != nil {
		return j.fail(err)
	}
	w.off += int64(len(mark))
	return nil
}

// place sees to it that size bytes, and a mark after them, fit in the tail.
func (j *Journal) place(size int64) error {
	if w := &j.w; w.tail != nil && w.off+size+recordHead <= w.tail.size {
		return nil
	}
	return j.begin()
}

// begin makes the next blank segment the tail. Its header becomes durable with
// the first batch in it, in one sync; until then a crash leaves either a blank
// file or an empty segment. A generation is never given twice, so a header
// that was written but reported as failed stands for an empty stretch; the old
// tail takes no more records from then on, since that header may end it.
func (j *Journal) begin() error {
	w := &j.w
	if w.unused == nil {
		j.starving.Store(true)
		p := <-j.ready
		j.starving.Store(false)
		if p.err != nil {
			return p.err
		}
		w.unused = p.segment
	}
	w.tail = nil
	w.generation++
	seg := w.unused
	seg.use(newHeader(w.generation, w.at))
	if _, err := seg.file.WriteAt(seg.copies(), 0); err != nil {
		return j.writeFailed(err)
	}
	w.tail, w.off, w.unused = seg, dataStart, nil
	return nil
}

// writeFailed gives up the tail and reports why a batch was not written.
func (j *Journal) writeFailed(err error) error {
	w := &j.w
	if w.tail != nil && w.off == dataStart {
		w.unused = w.tail // nothing was synced into it
	}
	w.tail = nil
	if disk.IsFull(err) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return fmt.Errorf("journal: writing failed, nothing was stored: %w", err)
}

// fail stops the journal for good.
func (j *Journal) fail(err error) error {
	failure := fmt.Errorf("%w (%w)", ErrFailed, err)
	j.mu.Lock()
	queue := j.queue
	j.queue, j.failure = nil, failure
	j.announce()
	j.mu.Unlock()
	close(j.failed)
	for _, b := range queue {
		b.err = failure
		close(b.done)
	}
	return failure
}

// finish moves the watermark, then tells everyone whose record was in b.
func (j *Journal) finish(b *batch, err error) {
	b.err = err
	now := time.Now()
	j.mu.Lock()
	j.inflight = false
	j.load.QueuedBytes -= int64(len(b.buf))
	j.load.QueuedRecords -= b.records
	j.measure(now.Sub(j.commitFrom))
	if err == nil {
		j.published(now)
		j.confirmed = b.first
	}
	if len(j.spare) < 2 && cap(b.buf) <= 2*batchBytes {
		j.spare = append(j.spare, b.buf)
	}
	b.buf = nil
	j.mu.Unlock()
	close(b.done)
}

// finishMark tells readers how their wish for a mark went.
func (j *Journal) finishMark(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.confirm = false
	if err == nil {
		j.published(time.Now())
		j.confirmed = j.durable
		return
	}
	j.unmarked, j.markErr = j.unmarked+1, err
	j.announce()
}

// published moves the watermark to what the writer has synced. Holds mu.
func (j *Journal) published(now time.Time) {
	w := &j.w
	if last := j.segments[len(j.segments)-1]; last != w.tail {
		last.end = w.tail.base
		j.segments = append(j.segments, w.tail)
	}
	w.tail.remember(j.durable, w.tail.synced)
	w.tail.synced = w.off
	j.durable = w.at
	j.load.Fsyncs++
	j.load.LastDurable = now
	j.announce()
}

// measure smooths the duration of commits. Holds mu.
func (j *Journal) measure(d time.Duration) {
	if j.commitTime == 0 {
		j.commitTime = d
	}
	j.commitTime += (d - j.commitTime) / 8
}
