package dataset

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseWindow(t *testing.T) {
	for text, want := range map[string]Window{
		"same": Same, "all": {Kind: All}, "latest": {Kind: Latest}, "as-of": {Kind: AsOf},
		"-1h..+1h": {Kind: Span, Lo: -time.Hour, Hi: time.Hour},
		"-27d..0d": {Kind: Span, Lo: -27 * 24 * time.Hour},
	} {
		got, err := ParseWindow(text)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
		if back, err := ParseWindow(got.String()); err != nil || back != want {
			t.Errorf("%q does not survive its own text %q: %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1h", "+1h..-1h", "-1m..0", "-99999d..0"} {
		if w, err := ParseWindow(text); err == nil {
			t.Errorf("%q was read as %v", text, w)
		}
	}
}

// TestReadersIsTheInverseOfReads compares the arithmetic with the definition:
// p reads q exactly when their times overlap through the window.
func TestReadersIsTheInverseOfReads(t *testing.T) {
	grains := rapid.SampledFrom([]Grain{Hour, Day})
	rapid.Check(t, func(t *rapid.T) {
		base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		w := Window{Kind: Span, Lo: time.Duration(rapid.IntRange(-60, 30).Draw(t, "lo")) * time.Hour}
		w.Hi = w.Lo + time.Duration(rapid.IntRange(0, 60).Draw(t, "len"))*time.Hour
		in, out := grains.Draw(t, "in"), grains.Draw(t, "out")
		q := PartitionAt(in, base.Add(time.Duration(rapid.IntRange(-99, 99).Draw(t, "q"))*time.Hour))
		p := PartitionAt(out, base.Add(time.Duration(rapid.IntRange(-199, 199).Draw(t, "p"))*time.Hour))
		reads := w.Reads(p).Overlaps(q.Interval())
		readers := false
		for r := range w.Readers(q, out).Each(out) {
			readers = readers || r == p
		}
		if reads != readers {
			t.Fatalf("window %v: %s reads %s is %v, but the inverse says %v", w, p, q, reads, readers)
		}
	})
}

func TestFrom(t *testing.T) {
	w, err := Window{Kind: Latest}.ParseFrom("2026-01-02")
	if err != nil || w.String() != "latest from 2026-01-02" {
		t.Fatalf("%v, %v", w, err)
	}
	for p, want := range map[Partition]bool{"2026-01-01T23": false, "2026-01-02T00": true, "2026-01-01": false, "2026-01-02": true, Whole: true} {
		if w.Follows(p) != want {
			t.Errorf("%s follows is %v", p, !want)
		}
	}
	if (Window{Kind: AsOf}).Follows("2026-01-02") || !(Window{Kind: Latest}).Follows("1970-01-01") {
		t.Error("as-of follows, or latest does not")
	}
	for _, bad := range []struct {
		w   Window
		day string
	}{{Window{Kind: Latest}, "2026-01"}, {Window{Kind: Latest}, "2026-01-02T03"}, {Window{Kind: Latest}, "all"}, {Same, "2026-01-02"}, {Window{Kind: AsOf}, "2026-01-02"}} {
		if w, err := bad.w.ParseFrom(bad.day); err == nil {
			t.Errorf("%s from %s was read as %v", bad.w, bad.day, w)
		}
	}
}
