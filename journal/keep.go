package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
)

// prepared is a blank segment for the writer, or why there is none.
type prepared struct {
	segment *segment
	err     error
}

const (
	reserveName = "reserve"
	retryFull   = 200 * time.Millisecond
	// keptForReuse is how many released segments wait to be used again; what
	// is released beyond that is removed.
	keptForReuse = 2
	// headroom is left to others when a segment is made.
	headroom = 1 << 20
)

// keeper is the state of the goroutine that has the next segment ready before
// the writer needs it, and gives back what was released.
type keeper struct {
	*Journal
	blanks   []*segment
	reserve  bool // the reserve file is there
	unsynced bool // the last removal is not yet durable
}

// keep is the keeper goroutine.
func (k *keeper) keep() {
	for {
		p := k.prepare()
		if p.err == nil && !k.reserve {
			k.makeReserve()
		}
		if !k.hand(p) {
			return
		}
	}
}

// hand gives p to the writer. While there is no space, it goes back after a
// while to try again. It returns false when the journal closes.
func (k *keeper) hand(p prepared) bool {
	var retry <-chan time.Time
	if p.err != nil {
		retry = time.After(retryFull)
	}
	for {
		var offer chan prepared
		if p.segment != nil || p.err != nil {
			offer = k.ready
		}
		select {
		case offer <- p:
			if p.err == nil {
				return true
			}
		case <-retry:
			return true
		case <-k.kick:
			k.reclaim()
		case <-k.nextExpiry():
			k.reclaim()
		case <-k.quit:
			if p.segment != nil {
				k.blanks = append(k.blanks, p.segment)
			}
			if err := closeAll(k.blanks); err != nil {
				k.log.Warn("closing blank journal segments", "error", err)
			}
			return false
		}
	}
}

// prepare finds or makes a blank segment: one left from before, a released
// one, or a new file.
func (k *keeper) prepare() prepared {
	if n := len(k.blanks); n > 0 {
		seg := k.blanks[n-1]
		k.blanks = k.blanks[:n-1]
		return prepared{segment: seg}
	}
	for {
		seg := k.takeExpired(0)
		if seg == nil {
			break
		}
		if seg.size == k.opt.SegmentBytes && k.wipe(seg) {
			return prepared{segment: seg}
		}
		if !k.remove(seg) {
			break
		}
	}
	seg, err := k.create()
	if err != nil && disk.IsFull(err) {
		k.freeReserve()
		err = fmt.Errorf("%w (%w)", ErrFull, err)
	}
	k.mu.Lock()
	k.load.Full = err != nil
	k.mu.Unlock()
	return prepared{seg, err}
}

// wipe takes the header off a released segment, durably, so that a crash while
// the next header is written cannot leave a mixture.
func (k *keeper) wipe(seg *segment) bool {
	_, err := seg.file.WriteAt(make([]byte, dataStart), 0)
	if err == nil {
		err = seg.file.Sync()
	}
	if err != nil {
		k.log.Error("cannot reuse a journal segment", "segment", seg.name, "error", err)
	}
	return err == nil
}

// create makes a new segment file unless that would take the last space.
func (k *keeper) create() (*segment, error) {
	need := k.opt.SegmentBytes + headroom
	if !k.reserve {
		need += k.opt.Reserve
	}
	if err := k.space(need); err != nil {
		return nil, err
	}
	k.mu.Lock()
	name := segmentName(k.nextSlot)
	k.nextSlot++
	k.mu.Unlock()
	return openBlank(k.fs, name, k.opt.SegmentBytes, k.pause)
}

// pause leaves the disk to others for twice as long as it was just used,
// unless the writer is already waiting for the segment.
func (k *keeper) pause(took time.Duration) error {
	if k.starving.Load() {
		return nil
	}
	select {
	case <-time.After(min(2*took, 20*time.Millisecond)):
		return nil
	case <-k.quit:
		return ErrClosed
	}
}

// space reports a full disk if fewer than need bytes are free.
func (k *keeper) space(need int64) error {
	s, ok := k.fs.(disk.Spacer)
	if !ok {
		return nil
	}
	free, err := s.Free()
	if err == nil && free < need {
		return fmt.Errorf("%d bytes are free, %d are needed: %w", free, need, syscall.ENOSPC)
	}
	return err
}

// makeReserve sets space aside. Failing is no harm now: it is tried again with
// the next segment.
func (k *keeper) makeReserve() {
	if k.opt.Reserve == 0 || k.space(k.opt.Reserve+headroom) != nil {
		return
	}
	f, err := k.fs.OpenFile(reserveName, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		k.log.Warn("cannot set aside reserve space", "error", err)
		return
	}
	if err := errors.Join(allocate(k.fs, f, k.opt.Reserve, k.pause), f.Close()); err != nil {
		k.log.Warn("cannot set aside reserve space", "error", err)
		k.freeReserve()
		return
	}
	k.reserve = true
}

// allocate takes up space; what is in it does not matter.
func allocate(fsys disk.FS, f disk.File, size int64, pause func(time.Duration) error) error {
	if a, ok := fsys.(disk.Allocator); ok {
		return a.Allocate(f, size)
	}
	return zero(f, size, pause)
}

// freeReserve gives the reserve to whoever needs to write on the full disk.
func (k *keeper) freeReserve() {
	had := k.reserve
	k.reserve = false
	if err := k.fs.Remove(reserveName); err != nil && had {
		k.log.Error("cannot release the reserve on a full disk", "error", err)
	} else if had {
		k.log.Error("disk full: appends are refused; the reserve was released for the rest of the system", "bytes", k.opt.Reserve)
	}
}

// reclaim removes expired segments beyond those kept for reuse, oldest first,
// each durably before the next: what is left is never a journal with a hole.
// After a failure the rest waits for the next release.
func (k *keeper) reclaim() {
	for {
		seg := k.takeExpired(keptForReuse)
		if seg == nil || !k.remove(seg) {
			return
		}
	}
}

// remove removes the file of a segment that was taken out of the journal. A
// segment whose file stays is put back: a restart would find it again, and a
// hole behind it if later ones had gone before it.
func (k *keeper) remove(seg *segment) bool {
	if err := k.fs.Remove(seg.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.log.Error("cannot remove a journal segment", "segment", seg.name, "error", err)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.segments = slices.Insert(k.segments, 0, seg)
		return false
	}
	k.unsynced = true
	if err := seg.file.Close(); err != nil {
		k.log.Warn("closing a removed journal segment", "segment", seg.name, "error", err)
	}
	return k.syncRemoval()
}

// syncRemoval makes the last removal durable, if it is not.
func (k *keeper) syncRemoval() bool {
	if !k.unsynced {
		return true
	}
	if err := k.fs.SyncDir("."); err != nil {
		k.log.Error("cannot make the removal of a journal segment durable", "error", err)
		return false
	}
	k.unsynced = false
	return true
}

// takeExpired takes the oldest segment out of the journal if it was released
// long enough ago, nobody reads it, at least spare others stay that are just as
// expired, and what was removed before it is gone for good.
func (k *keeper) takeExpired(spare int) *segment {
	if !k.syncRemoval() {
		return nil
	}
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, seg := range k.segments[:len(k.segments)-1] {
		if seg.released.IsZero() || now.Sub(seg.released) < k.opt.Grace || seg.refs > 0 {
			return nil
		}
		if i == spare {
			oldest := k.segments[0]
			k.segments = append(k.segments[:0], k.segments[1:]...)
			return oldest
		}
	}
	return nil
}

// nextExpiry fires when the next released segment expires.
func (k *keeper) nextExpiry() <-chan time.Time {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, seg := range k.segments[:len(k.segments)-1] {
		if seg.released.IsZero() {
			return nil
		}
		if left := k.opt.Grace - now.Sub(seg.released); left > 0 {
			return time.After(left)
		}
	}
	return nil
}

func (j *Journal) kickKeeper() {
	select {
	case j.kick <- struct{}{}:
	default:
	}
}
