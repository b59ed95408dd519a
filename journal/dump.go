package journal

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/internal/disk"
)

// What a Finding can be.
const (
	FoundSegment = "segment" // a segment that holds records, before those
	FoundRecord  = "record"
	FoundMark    = "mark"    // all before it was synced
	FoundCorrupt = "corrupt" // records that cannot be read
	FoundTorn    = "torn"    // an unfinished write at the end; a running journal may just be writing it
	FoundBlank   = "blank"   // a segment file that waits to be used
	FoundDamaged = "damaged" // a segment file without a readable header
	FoundReused  = "reused"  // the running journal reused the segment meanwhile
)

// Finding is one thing found in a journal folder.
type Finding struct {
	Kind       string
	Segment    string // file name
	Generation uint64
	Offset     int64 // in the file
	Bytes      int64
	Batch      int64 // offset where the batch of a record starts
	Entry            // of a record; At and Next of others where known
}

// Inspect yields what is in a journal folder, oldest first, without changing
// anything. Another process may have the journal open. A payload is valid
// until the next iteration.
func Inspect(fsys disk.FS) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		in := inspector{fs: fsys, yield: yield}
		err := errors.Join(in.run(), in.close())
		if err != nil && !in.enough {
			yield(Finding{}, err)
		}
	}
}

type inspector struct {
	fs       disk.FS
	yield    func(Finding, error) bool
	segments []*segment
	enough   bool
}

func (in *inspector) close() error { return closeAll(in.segments) }

func (in *inspector) run() error {
	if err := in.openAll(); err != nil {
		return err
	}
	for i, seg := range in.segments {
		end := unknown
		if i+1 < len(in.segments) {
			end = in.segments[i+1].base
		}
		if err := in.segment(seg, end); err != nil {
			return err
		}
	}
	return nil
}

// openAll opens the segments, oldest first, and reports files that are none.
func (in *inspector) openAll() error {
	entries, err := in.fs.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".seg") {
			continue
		}
		if err := in.open(e.Name()); err != nil {
			return err
		}
	}
	slices.SortFunc(in.segments, byGeneration)
	return nil
}

func (in *inspector) open(name string) error {
	f, err := in.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	found := Finding{Segment: name, Bytes: size}
	h, err := readHeader(f)
	switch {
	case err == nil:
		seg := &segment{name: name, file: f, size: size}
		seg.use(h)
		in.segments = append(in.segments, seg)
		return nil
	case errors.Is(err, errBlank):
		found.Kind = FoundBlank
	case errors.Is(err, errDamage):
		found.Kind = FoundDamaged
	default:
		return errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return errors.Join(in.found(found), f.Close())
}

func (in *inspector) segment(seg *segment, end Position) error {
	found := Finding{Kind: FoundSegment, Segment: seg.name, Generation: seg.generation, Bytes: seg.size}
	found.At = seg.base
	if err := in.found(found); err != nil {
		return err
	}
	last := int64(dataStart)
	sc := &scanner{r: seg.file, seal: seg.seal, end: seg.size}
	err := sc.walk(dataStart, seg.base, end, func(it item, g *gap) error {
		if g != nil && in.reused(seg) {
			return errReused
		}
		last = max(last, it.end)
		return in.found(in.describe(found, it, g))
	})
	if err == errReused { //nolint:errorlint // never wrapped
		found.Kind = FoundReused
		return in.found(found)
	}
	if err == nil && end == unknown && sc.tagged > last {
		found.Kind, found.Offset, found.Bytes = FoundTorn, last, sc.tagged-last
		err = in.found(found)
	}
	return err
}

var errReused = errors.New("reused")

func (in *inspector) reused(seg *segment) bool {
	h, err := readHeader(seg.file)
	return err != nil || h != seg.header
}

func (in *inspector) describe(f Finding, it item, g *gap) Finding {
	switch {
	case g != nil:
		f.Kind, f.Offset, f.Bytes = FoundCorrupt, g.off, g.until-g.off
		f.Entry = Entry{At: g.from, Next: g.to}
	case it.mark:
		f.Kind, f.Offset, f.Bytes, f.Entry = FoundMark, it.off, it.end-it.off, it.Entry
	default:
		f.Kind, f.Offset, f.Bytes, f.Entry = FoundRecord, it.off, it.end-it.off, it.Entry
		f.Batch = it.batch
	}
	return f
}

func (in *inspector) found(f Finding) error {
	if !in.yield(f, nil) {
		in.enough = true
		return errEnough
	}
	return nil
}

// Dump writes what Inspect finds for people, one finding a line; records only
// if asked for.
func Dump(fsys disk.FS, w io.Writer, records bool) error {
	for f, err := range Inspect(fsys) {
		if err != nil {
			return err
		}
		if !records && (f.Kind == FoundRecord || f.Kind == FoundMark) {
			continue
		}
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	return nil
}

// String is the finding as one line.
func (f Finding) String() string {
	switch f.Kind {
	case FoundSegment:
		return fmt.Sprintf("segment %s generation %d from record %d event %d, %d bytes", f.Segment, f.Generation, f.At.Record, f.At.Event, f.Bytes)
	case FoundRecord:
		return fmt.Sprintf("  record %d event %d: %d events, %d refused, %d bytes at offset %d", f.At.Record, f.At.Event, f.Events, f.Refused, len(f.Payload), f.Offset)
	case FoundMark:
		return fmt.Sprintf("  mark: all before record %d is on disk, offset %d", f.At.Record, f.Offset)
	case FoundCorrupt:
		return fmt.Sprintf("  CORRUPT: %d records from %d (%d events) are missing, %d bytes at offset %d of %s",
			f.Next.Record-f.At.Record, f.At.Record, f.Next.Event-f.At.Event, f.Bytes, f.Offset, f.Segment)
	case FoundTorn:
		return fmt.Sprintf("  unfinished write: %d bytes at offset %d", f.Bytes, f.Offset)
	case FoundReused:
		return "  reused by the running journal meanwhile"
	}
	return fmt.Sprintf("%s %s, %d bytes", f.Kind, f.Segment, f.Bytes)
}

// End is the position after the last record in a journal folder that nobody
// has open. It reads only the last segment.
func End(fsys disk.FS) (Position, error) {
	in := inspector{fs: fsys, yield: func(Finding, error) bool { return true }}
	defer in.close() //nolint:errcheck // nothing was written
	if err := in.openAll(); err != nil || len(in.segments) == 0 {
		return Position{}, err
	}
	last := in.segments[len(in.segments)-1]
	end := last.base
	sc := &scanner{r: last.file, seal: last.seal, end: last.size}
	err := sc.walk(dataStart, last.base, unknown, func(it item, g *gap) error {
		if g == nil {
			end = it.Next
		}
		return nil
	})
	return end, err
}
