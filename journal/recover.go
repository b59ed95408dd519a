package journal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
)

// Recovery is what Open found and did.
type Recovery struct {
	TornBytes int64              // cut off after the last valid record
	Rewritten int                // records of the last batch, written again
	Corrupt   []*CorruptionError // missing records in the last segment
	SetAside  []string           // segment files without a readable header, renamed
	Suspect   []string           // copies of bytes the last batch lost
	Took      time.Duration
}

// Open opens the journal in folder fsys, or makes one. A second process is
// refused. When Open returns, everything that can be read is durable.
func Open(fsys disk.FS, opt Options) (*Journal, error) {
	k, err := recovered(fsys, opt)
	if err != nil {
		return nil, fmt.Errorf("journal: cannot open: %w", err)
	}
	k.run(k)
	return k.Journal, nil
}

// recovered is a journal that is ready to run.
func recovered(fsys disk.FS, opt Options) (*keeper, error) {
	started := time.Now()
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	j := &Journal{
		fs: fsys, opt: opt, log: opt.Log,
		ready: make(chan prepared), kick: make(chan struct{}, 1),
		quit: make(chan struct{}), failed: make(chan struct{}),
	}
	j.wake.L = &j.mu
	if l, ok := fsys.(disk.Locker); ok {
		if j.lock, err = l.Lock("lock"); err != nil {
			return nil, err
		}
	}
	k := &keeper{Journal: j}
	if err := k.recover(); err != nil {
		return nil, errors.Join(err, closeAll(j.segments), closeAll(k.blanks), j.unlock())
	}
	j.recovery.Took = time.Since(started)
	return k, nil
}

func (j *Journal) run(k *keeper) {
	j.ended.Go(k.keep)
	j.ended.Go(func() {
		j.write()
		close(j.quit)
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.failure == nil {
			j.failure = ErrClosed
		}
		j.announce()
	})
}

// recover finds the segments, reads the last one as the disk holds it, and
// leaves the writer behind a durable mark.
func (k *keeper) recover() error {
	if err := k.survey(); err != nil {
		return err
	}
	if err := k.chill(); err != nil {
		return err
	}
	if err := k.chain(); err != nil {
		return err
	}
	var t tail
	if n := len(k.segments); n > 0 {
		var err error
		if t, err = k.examine(k.segments[n-1]); err != nil {
			return err
		}
		k.w.generation = k.segments[n-1].generation
	}
	var err error
	if t.clean() {
		err = k.resume(t)
	} else {
		err = k.rewrite(t)
	}
	if err != nil {
		return err
	}
	k.durable, k.confirmed = k.w.at, k.w.at
	return k.fs.SyncDir(".")
}

// survey opens every segment file and sorts it in: part of the journal, blank,
// or set aside.
func (k *keeper) survey() error {
	entries, err := k.fs.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		k.reserve = k.reserve || e.Name() == reserveName
		k.nextSlot = max(k.nextSlot, slot(e.Name())+1)
		if strings.HasSuffix(e.Name(), ".seg") && !strings.HasPrefix(e.Name(), "damaged-") {
			if err := k.openSegment(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// slot is the number in a segment's file name, set aside or not; -1 if none.
func slot(name string) int {
	n := -1
	if _, err := fmt.Sscanf(strings.TrimPrefix(name, "damaged-"), "%d.seg", &n); err != nil {
		return -1
	}
	return n
}

func (k *keeper) openSegment(name string) error {
	f, err := k.fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	seg := &segment{name: name, file: f}
	if seg.size, err = f.Size(); err != nil {
		return errors.Join(err, f.Close())
	}
	h, err := readHeader(f)
	return k.sortIn(seg, h, err)
}

// sortIn gives a segment file its place by what reading its header said.
func (k *keeper) sortIn(seg *segment, h header, err error) error {
	switch {
	case err == nil:
		seg.use(h)
		seg.synced = seg.size
		k.segments = append(k.segments, seg)
		return nil
	case errors.Is(err, errBlank) && seg.size == k.opt.SegmentBytes && len(k.blanks) < keptForReuse:
		k.blanks = append(k.blanks, seg)
		return nil
	case errors.Is(err, errBlank): // unfinished or not needed
		return errors.Join(seg.file.Close(), k.fs.Remove(seg.name))
	case errors.Is(err, errDamage):
		aside := "damaged-" + seg.name
		k.recovery.SetAside = append(k.recovery.SetAside, aside)
		k.log.Error("journal segment set aside", "file", aside, "reason", err)
		return errors.Join(seg.file.Close(), k.fs.Rename(seg.name, aside))
	}
	return errors.Join(fmt.Errorf("%s: %w", seg.name, err), seg.file.Close())
}

// chill sees to it that the last segment is read from the disk, not from
// cached pages that a failed sync left behind. A header that was only cached
// goes, and with it a segment in which nothing was ever confirmed.
func (k *keeper) chill() error {
	for len(k.segments) > 0 {
		slices.SortFunc(k.segments, byGeneration)
		last := k.segments[len(k.segments)-1]
		if err := last.file.Sync(); err != nil {
			return err
		}
		if d, ok := k.fs.(disk.CacheDropper); ok {
			if err := d.DropCache(last.file); err != nil {
				return err
			}
		}
		h, err := readHeader(last.file)
		if err == nil && h == last.header {
			return nil
		}
		k.segments = k.segments[:len(k.segments)-1]
		if err := k.sortIn(last, h, err); err != nil {
			return err
		}
	}
	return nil
}

// chain gives every segment but the last its end: where the next one begins.
func (k *keeper) chain() error {
	for i, seg := range k.segments {
		if i == 0 {
			continue
		}
		prev := k.segments[i-1]
		if prev.generation == seg.generation || prev.base.Record > seg.base.Record {
			return fmt.Errorf("%s (generation %d, from record %d) and %s (generation %d, from record %d) are not of one journal: move the one that does not belong here away",
				prev.name, prev.generation, prev.base.Record, seg.name, seg.generation, seg.base.Record)
		}
		prev.end = seg.base
	}
	return nil
}

// tail is what the last segment was found to hold.
type tail struct {
	seg     *segment
	at      Position // after the last confirmed record
	next    Position // after the last record
	batch   int64    // where the last batch starts
	records []Record // of the last batch, unless a mark follows it
	mark    int64    // offset of the mark everything ends with; 0 if none
	torn    int64    // bytes of an unfinished write
}

// clean reports whether the segment ends with a mark and nothing after it.
func (t tail) clean() bool { return t.mark > 0 && t.torn == 0 }

// examine reads the last segment to its end. Batch n+1 is written only after
// batch n was synced, so every batch but the last is confirmed by the one
// after it: what is bad in it is corruption. What is bad in the last batch, if
// no mark follows, is a write that was cut short, as far as anyone can know.
func (k *keeper) examine(seg *segment) (tail, error) {
	t := tail{seg: seg, at: seg.base, next: seg.base, batch: dataStart}
	var gaps []gap
	end := int64(dataStart)
	sc := &scanner{r: seg.file, seal: seg.seal, end: seg.size}
	err := sc.walk(dataStart, seg.base, unknown, func(it item, g *gap) error {
		if g != nil {
			gaps = append(gaps, *g)
			return nil
		}
		if it.batch != t.batch || it.mark {
			t.batch, t.records, t.mark = it.batch, nil, 0
			t.at = t.next
			if it.off == it.batch {
				t.at = it.At
			}
		}
		if it.mark {
			t.mark = it.off
		} else {
			it.Payload = slices.Clone(it.Payload)
			t.records = append(t.records, it.Record)
		}
		t.next, end = it.Next, it.end
		return nil
	})
	if err != nil {
		return t, err
	}
	t.torn = max(0, sc.tagged-end)
	return t, k.judge(&t, gaps)
}

// judge tells gaps in confirmed batches, which are corruption, from gaps in
// the last one, and keeps the bytes of both.
func (k *keeper) judge(t *tail, gaps []gap) error {
	for _, g := range gaps {
		switch {
		case g.off < t.batch && g.to.Record > g.from.Record:
			e := k.corruption(t.seg, g)
			k.recovery.Corrupt = append(k.recovery.Corrupt, e)
			k.log.Error("journal corruption", "missing_from", g.from.Record, "missing_to", g.to.Record, "segment", t.seg.name, "offset", g.off)
		case g.off >= t.batch:
			name, err := quarantine(k.fs, t.seg, g.off, g.until)
			if err != nil {
				return err
			}
			k.recovery.Suspect = append(k.recovery.Suspect, name)
			k.log.Warn("the last write to the journal was cut short; whole records in it are kept", "lost_bytes", g.until-g.off, "file", name)
		}
	}
	k.recovery.TornBytes = t.torn
	return nil
}

// resume goes on behind the mark. It is written again so that it is durable
// even if the sync that should have made it so failed.
func (k *keeper) resume(t tail) error {
	mark := t.seg.seal.mark(t.next)
	if _, err := t.seg.file.WriteAt(mark, t.mark); err != nil {
		return err
	}
	k.w.tail, k.w.off, k.w.at = t.seg, t.mark+recordHead, t.next
	t.seg.synced = k.w.off
	return t.seg.file.Sync()
}

// rewrite begins a new segment with what is left of the last batch, numbered
// on from the last confirmed record. The records are durable before the header
// is: until then a crash leaves the old segment as the last.
func (k *keeper) rewrite(t tail) error {
	var buf []byte
	for _, r := range t.records {
		buf = appendRecord(buf, r)
	}
	if t.mark > 0 {
		t.at = t.next
	}
	seg, err := k.fresh(int64(len(buf)))
	if err != nil {
		return err
	}
	k.segments = append(k.segments, seg) // closed with the others
	k.w.generation++
	seg.use(newHeader(k.w.generation, t.at))
	next := seg.seal.stamp(buf, t.at)
	if _, err := seg.file.WriteAt(buf, dataStart); err != nil {
		return err
	}
	if err := seg.file.Sync(); err != nil {
		return err
	}
	off := dataStart + int64(len(buf))
	if _, err := seg.file.WriteAt(seg.seal.mark(next), off); err != nil {
		return err
	}
	if _, err := seg.file.WriteAt(seg.copies(), 0); err != nil {
		return err
	}
	if t.seg != nil {
		t.seg.end = t.at
	}
	seg.synced = off + recordHead
	k.w.tail, k.w.off, k.w.at = seg, seg.synced, next
	k.recovery.Rewritten = len(t.records)
	return seg.file.Sync()
}

// fresh is a blank segment for recovery. On a full disk it takes the reserve,
// then makes do with a file just large enough.
func (k *keeper) fresh(data int64) (*segment, error) {
	if n := len(k.blanks); n > 0 {
		seg := k.blanks[n-1]
		k.blanks = k.blanks[:n-1]
		return seg, nil
	}
	size := k.opt.SegmentBytes
	for attempt := 0; ; attempt++ {
		name := segmentName(k.nextSlot)
		k.nextSlot++
		seg, err := openBlank(k.fs, name, size, noPause)
		switch {
		case err == nil || !disk.IsFull(err):
			return seg, err
		case attempt == 0:
			k.freeReserve()
		case attempt == 1:
			size = dataStart + data + 2*recordHead
		default:
			return nil, fmt.Errorf("%w (%w)", ErrFull, err)
		}
	}
}
