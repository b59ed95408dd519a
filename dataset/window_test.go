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
