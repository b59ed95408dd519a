package journal_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/internal/faultdisk"
	"github.com/reedbed/reedbed/journal"
)

// inspect lists what is on a disk, records with copies of their payloads.
func inspect(t *testing.T, fsys *faultdisk.FS) []journal.Finding {
	t.Helper()
	var all []journal.Finding
	for f, err := range journal.Inspect(fsys) {
		if err != nil {
			t.Fatal(err)
		}
		f.Payload = slices.Clone(f.Payload)
		all = append(all, f)
	}
	return all
}

// filled is a world whose journal has records in several segments. A closed
// one ends with a mark, a killed one with a batch of several records.
func filled(t *testing.T, seed uint64, closed bool) *world {
	w := newWorld(t, seed)
	j, err := journal.Open(w.disk, w.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for range 30 {
		w.append(j, 1+w.rng.IntN(6))
	}
	for killed := false; !killed; {
		if closed {
			j.Close()
		}
		all := inspect(t, w.disk)
		last := all[len(all)-1]
		killed = closed || len(batch(all)) > 2 && last.Kind == journal.FoundRecord
		if !killed {
			w.append(j, 6)
		}
	}
	w.disk = w.disk.Clone()
	return w
}

// branch is a world in which something else happens from here on.
func (w *world) branch() *world {
	b := *w
	b.disk = w.disk.Clone()
	b.submitted, b.acked, b.seen = maps.Clone(w.submitted), maps.Clone(w.acked), maps.Clone(w.seen)
	return &b
}

// records picks the records.
func records(all []journal.Finding) []journal.Finding {
	return slices.DeleteFunc(all, func(f journal.Finding) bool { return f.Kind != journal.FoundRecord })
}

// batch is the records of the last batch: those written at once.
func batch(all []journal.Finding) []journal.Finding {
	var last []journal.Finding
	for _, f := range all {
		if f.Kind != journal.FoundRecord {
			continue
		}
		if len(last) > 0 && (f.Batch != last[0].Batch || f.Segment != last[0].Segment) {
			last = nil
		}
		last = append(last, f)
	}
	return last
}

// TestBitFlip flips one bit at a time, anywhere in any segment: at most the
// record that was hit is lost, it is reported by its number, and everything
// else is read at its place.
func TestBitFlip(t *testing.T) {
	whole := filled(t, 7, true)
	all := inspect(t, whole.disk)
	rng := rand.New(rand.NewPCG(1, 1))
	reported := 0
	for _, hit := range all {
		if hit.Kind != journal.FoundRecord && hit.Kind != journal.FoundMark && hit.Kind != journal.FoundSegment {
			continue
		}
		step := int64(120)
		if testing.Short() {
			step = 400
		}
		span := min(hit.Bytes, 8192)
		for off := rng.Int64N(step); off < span; off += 1 + rng.Int64N(step) {
			w := whole.branch()
			w.name = fmt.Sprintf("bit flip in %s at %d", hit.Segment, hit.Offset+off)
			w.disk.Flip(hit.Segment, hit.Offset+off, 1<<rng.IntN(8))
			reported += w.flipped(hit)
		}
	}
	if reported == 0 {
		t.Fatal("no flip was reported: the test proves nothing")
	}
}

// flipped opens and reads a journal in which one finding was hit, and returns
// how many records it reports missing.
func (w *world) flipped(hit journal.Finding) int {
	w.t.Helper()
	j, err := journal.Open(w.disk, w.opt)
	if err != nil {
		w.fatalf("open: %v", err)
	}
	defer j.Close()
	missing := map[uint64]bool{}
	w.read(j, func(n uint64) bool {
		missing[n] = true
		return hit.Kind == journal.FoundRecord && n == hit.At.Record
	})
	if len(j.Recovery().SetAside) > 0 {
		w.fatalf("set aside: %+v", j.Recovery())
	}
	w.append(j, 2)
	return len(missing)
}

// TestBitFlipInLastBatch damages one record of a batch that nothing confirms:
// the others are kept, numbered on without a hole, and the bytes are kept.
func TestBitFlipInLastBatch(t *testing.T) {
	for seed := range seeds(200) {
		w := filled(t, seed, false)
		last := batch(inspect(t, w.disk))
		hit := w.rng.IntN(len(last))
		w.disk.Flip(last[hit].Segment, last[hit].Offset+w.rng.Int64N(40), 1)
		j, err := journal.Open(w.disk, w.opt)
		if err != nil {
			w.fatalf("%v", err)
		}
		got := payloads(t, j, last[0].At)
		want := slices.Delete(slices.Clone(last), hit, hit+1)
		for i := range want {
			if got[i] != string(want[i].Payload) {
				w.fatalf("record %d of the last batch is %.6s, want %.6s", i, got[i], want[i].Payload)
			}
		}
		if len(got) != len(want) {
			w.fatalf("%d records of the last batch, want %d", len(got), len(want))
		}
		rec := j.Recovery()
		if hit < len(last)-1 && len(rec.Suspect) != 1 || len(rec.Corrupt) > 0 || rec.Rewritten != len(want) {
			w.fatalf("recovery: %+v", rec)
		}
		for _, name := range rec.Suspect {
			if n := int64(len(w.disk.Contents(name))); n != last[hit].Bytes {
				w.fatalf("%s has %d bytes, want %d", name, n, last[hit].Bytes)
			}
		}
		j.Close()
	}
}

// TestConfirmedByReading says why readers never see a batch that could be
// numbered anew: once read, a record that goes bad leaves a hole.
func TestConfirmedByReading(t *testing.T) {
	w := newWorld(t, 3)
	j, err := journal.Open(w.disk, w.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	w.append(j, 8)
	w.read(j, none)
	hit := records(inspect(t, w.disk))[3]
	w.disk = w.disk.Clone()
	w.disk.Flip(hit.Segment, hit.Offset+20, 1)
	if missing := w.flipped(hit); missing != 1 {
		t.Fatalf("%d records are missing", missing)
	}
}

// TestTornTail cuts the last batch at every byte, with zeros or old bytes
// after the cut.
func TestTornTail(t *testing.T) {
	w := filled(t, 11, false)
	last := batch(inspect(t, w.disk))
	name := last[0].Segment
	start, end := last[0].Offset, last[len(last)-1].Offset+last[len(last)-1].Bytes
	for cut := start; cut < end; cut++ {
		for _, fill := range []byte{0, 0xa5} {
			disk := w.disk.Clone()
			b := disk.Contents(name)
			for i := cut; i < end; i++ {
				b[i] = fill
			}
			disk.Replace(name, b)
			torn(t, w, disk, last, cut)
		}
	}
}

func torn(t *testing.T, w *world, disk *faultdisk.FS, last []journal.Finding, cut int64) {
	t.Helper()
	j, err := journal.Open(disk, w.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	whole := 0
	for whole < len(last) && last[whole].Offset+40+int64(len(last[whole].Payload)) <= cut {
		whole++
	}
	if got := payloads(t, j, last[0].At); len(got) != whole {
		t.Fatalf("cut at %d: %d whole records of the last batch, want %d", cut, len(got), whole)
	}
	rec := j.Recovery()
	if len(rec.Corrupt)+len(rec.SetAside)+len(rec.Suspect) > 0 {
		t.Fatalf("cut at %d: a torn tail was taken for corruption: %+v", cut, rec)
	}
	if torn := whole < len(last) && cut >= last[whole].Offset+8; torn != (rec.TornBytes > 0) {
		t.Fatalf("cut at %d: torn bytes %d", cut, rec.TornBytes)
	}
}

// TestMissingSegment removes a segment, as an operator might: the rest is read
// and the gap reported exactly.
func TestMissingSegment(t *testing.T) {
	whole := filled(t, 5, true)
	var segments []journal.Finding
	for _, f := range inspect(t, whole.disk) {
		if f.Kind == journal.FoundSegment {
			segments = append(segments, f)
		}
	}
	for i := range len(segments) - 1 {
		w := whole.branch()
		if err := w.disk.Remove(segments[i].Segment); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(w.disk, w.opt)
		if err != nil {
			t.Fatal(err)
		}
		from, to := segments[i].At.Record, segments[i+1].At.Record
		missing := uint64(0)
		for _, err := range j.Read(t.Context(), journal.Position{}) {
			if corrupt, ok := errors.AsType[*journal.CorruptionError](err); ok {
				if corrupt.From.Record != from || corrupt.To.Record != to {
					t.Errorf("segment %d: %v", i, corrupt)
				}
				missing += corrupt.To.Record - corrupt.From.Record
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if missing != to-from {
			t.Errorf("segment %d: %d records reported missing, want %d", i, missing, to-from)
		}
		j.Close()
	}
}

// TestDamagedHeader destroys both copies of a header: the file is set aside,
// nothing in it is destroyed, and the gap is reported.
func TestDamagedHeader(t *testing.T) {
	w := filled(t, 5, true)
	name := records(inspect(t, w.disk))[0].Segment
	w.disk.Flip(name, 20, 1)
	w.disk.Flip(name, 4096+30, 1)
	before := w.disk.Contents(name)
	j, err := journal.Open(w.disk, w.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	rec := j.Recovery()
	if len(rec.SetAside) != 1 || string(w.disk.Contents(rec.SetAside[0])) != string(before) {
		t.Fatalf("%+v", rec)
	}
	for _, err := range j.Read(t.Context(), journal.Position{}) {
		if err == nil || !strings.Contains(err.Error(), "records 0 to ") {
			t.Fatalf("first result: %v", err)
		}
		break
	}
}

// TestOldRecordsOfAReusedSegment fills segments again and again: what was in
// them before is never taken for a record, a torn write, or corruption.
func TestOldRecordsOfAReusedSegment(t *testing.T) {
	for seed := range seeds(200) {
		w := newWorld(t, seed)
		j, err := journal.Open(w.disk, w.opt)
		if err != nil {
			t.Fatal(err)
		}
		for range 150 {
			w.append(j, 1)
			w.released = j.Durable()
			j.Release(w.released)
		}
		w.append(j, 1)
		w.disk = w.disk.Clone()
		j.Close()
		if j, err = journal.Open(w.disk, w.opt); err != nil {
			t.Fatal(err)
		}
		if rec := j.Recovery(); len(rec.Corrupt)+len(rec.SetAside)+len(rec.Suspect) > 0 || rec.TornBytes > 0 {
			w.fatalf("%+v", rec)
		}
		w.read(j, none)
		j.Close()
	}
}

// TestRecordInsideARecord appends copies of the journal's own bytes. When the
// record around them goes bad, none of them is taken for a record.
func TestRecordInsideARecord(t *testing.T) {
	w := newWorld(t, 1)
	j, err := journal.Open(w.disk, w.opt)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := j.Append(t.Context(), journal.Record{Payload: make([]byte, 300)}); err != nil {
			t.Fatal(err)
		}
	}
	all := records(inspect(t, w.disk))
	forged := w.disk.Contents(all[0].Segment)[all[0].Offset : all[2].Offset+all[2].Bytes]
	for range 2 {
		if _, err := j.Append(t.Context(), journal.Record{Payload: forged}); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	hit := records(inspect(t, w.disk))[3]
	w.disk.Flip(hit.Segment, hit.Offset+17, 1)
	if j, err = journal.Open(w.disk, w.opt); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var got []string
	for e, err := range j.Read(t.Context(), journal.Position{}) {
		got = append(got, fmt.Sprint(e.At.Record, err != nil))
	}
	if want := []string{"0 false", "1 false", "2 false", "0 true", "4 false"}; !slices.Equal(got, want) {
		t.Fatalf("%v", got)
	}
}

func TestDump(t *testing.T) {
	w := filled(t, 5, false)
	all := records(inspect(t, w.disk))
	w.disk.Flip(all[0].Segment, all[0].Offset+20, 1)
	last := all[len(all)-1]
	w.disk.Flip(last.Segment, last.Offset+20, 1)
	var out strings.Builder
	if err := journal.Dump(w.disk, &out, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"segment 00000000.seg generation 1 from record 0", "CORRUPT: 1 records from 0", "record 2 event", "unfinished write", "blank"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if err := journal.Dump(w.disk, io.Discard, false); err != nil {
		t.Fatal(err)
	}
}

func TestEnd(t *testing.T) {
	if end, err := journal.End(faultdisk.New()); end != (journal.Position{}) || err != nil {
		t.Fatal(end, err)
	}
	for _, closed := range []bool{false, true} {
		w := filled(t, 9, closed)
		all := records(inspect(t, w.disk))
		if end, err := journal.End(w.disk); end != all[len(all)-1].Next || err != nil {
			t.Errorf("closed %v: %v, %v, want %v", closed, end, err, all[len(all)-1].Next)
		}
	}
}
