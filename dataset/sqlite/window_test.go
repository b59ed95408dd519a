package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// TestDirtyingIsTheInverseOfReading changes one partition of one input and compares
// what becomes dirty with what reads it, for every kind of window, open and closed:
// q is among what p reads exactly when p is among what a change of q marks.
func TestDirtyingIsTheInverseOfReading(t *testing.T) {
	forSeconds(t, 5, func(r *rapid.T) {
		c, _ := openTest(t)
		base := time.Date(2026, 4, 10, 0, 0, 0, 0, time.UTC)
		hour := func(n int) dataset.Partition {
			return dataset.PartitionAt(dataset.Hour, base.Add(time.Duration(n)*time.Hour))
		}
		s := stageOver("s", "up", rapid.SampledFrom([]string{"same", "-1h..-1h", "+1h..+2h", "-1h..+1h", "-3d..0d", "all"}).Draw(r, "window"), dataset.Hour, 2)
		s.Spec.Grain = rapid.SampledFrom([]dataset.Grain{dataset.Hour, dataset.Day}).Draw(r, "grain")
		side := dataset.Window{Kind: rapid.SampledFrom([]dataset.WindowKind{dataset.Latest, dataset.AsOf}).Draw(r, "side")}
		if side.Kind == dataset.Latest && rapid.Bool().Draw(r, "dated") {
			side.From = dataset.PartitionAt(dataset.Day, base.AddDate(0, 0, rapid.IntRange(-1, 3).Draw(r, "from")))
		}
		s.Edges = append(s.Edges, dataset.Edge{Input: "rates", Window: side})
		rates := func(rows int64) {
			segment := segment("rates", dataset.Whole, fmt.Sprint("rates", rows), rows)
			if _, err := c.CommitSide(t.Context(), dataset.Spec{Name: "rates", Kind: dataset.Side, Grain: dataset.None}, "", segment); err != nil {
				r.Fatal(err)
			}
		}
		rates(1)
		up := stageOver("up", dataset.Raw, "same", rapid.SampledFrom([]dataset.Grain{dataset.Hour, dataset.Day}).Draw(r, "input grain"), 1)
		deploy(t, c, up, s)
		hours := rapid.SliceOfNDistinct(rapid.IntRange(0, 80), 1, 6, rapid.ID).Draw(r, "hours")
		for _, n := range hours {
			load(t, c, segment(dataset.Raw, hour(n), fmt.Sprint("r", n), 1))
		}
		build(t, c, "up", "one", 1)
		build(t, c, "s", "one", 1)
		if _, err := c.ClosePartitions(t.Context(), base.Add(time.Duration(rapid.IntRange(0, 120).Draw(r, "watermark"))*time.Hour)); err != nil {
			r.Fatal(err)
		}
		existing, err := c.Promoted(t.Context(), "s")
		if err != nil {
			r.Fatal(err)
		}
		before := map[dataset.Partition][]string{}
		for _, p := range existing {
			before[p.Partition] = reads(t, c, "s", p.Partition)
		}
		if rapid.Bool().Draw(r, "change the side input") {
			rates(2)
		} else {
			load(t, c, segment(dataset.Raw, hour(hours[0]), "late", 1))
			build(t, c, "up", "two", 2)
		}
		var want []string
		for _, p := range existing {
			if !slices.Equal(before[p.Partition], reads(t, c, "s", p.Partition)) {
				want = append(want, "s@"+string(p.Partition))
			}
		}
		slices.Sort(want)
		got := slices.Sorted(slices.Values(due(t, c)))
		if w := s.Edges[0].Window; w.Lo > 0 || w.Hi < 0 { // what shares q's time is looked at, too: q may be all that it exists by
			own := sharing(s.Spec.Grain, dataset.PartitionAt(up.Spec.Grain, hour(hours[0]).Start()))
			got = slices.DeleteFunc(got, func(name string) bool {
				return !slices.Contains(want, name) && slices.Contains(own, dataset.Partition(name[2:]))
			})
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			r.Fatalf("windows %v and %v: dirty is not what reads the change: %s", s.Edges[0].Window, side, d)
		}
	})
}

// TestFromMovesWithoutANewDefinition: what a stage computes stays, which version
// of the input closed partitions read does not.
func TestFromMovesWithoutANewDefinition(t *testing.T) {
	c, _ := openTest(t)
	side := func(rows int64) {
		segment := segment("rates", dataset.Whole, fmt.Sprint("rates", rows), rows)
		if _, err := c.CommitSide(t.Context(), dataset.Spec{Name: "rates", Kind: dataset.Side, Grain: dataset.None}, "", segment); err != nil {
			t.Fatal(err)
		}
	}
	side(1)
	s := overRaw("s")
	from := func(day dataset.Partition) {
		s.Edges = []dataset.Edge{s.Edges[0], {Input: "rates", Window: dataset.Window{Kind: dataset.Latest, From: day}}}
		deploy(t, c, s)
	}
	from("2026-04-02")
	const old, young = "2026-04-01T10", "2026-04-02T10"
	load(t, c, segment(dataset.Raw, old, "a", 1), segment(dataset.Raw, young, "b", 1))
	build(t, c, "s", "x", 1)
	closeAll(t, c)
	side(2)
	if d := cmp.Diff([]string{"s@" + young}, due(t, c)); d != "" {
		t.Errorf("a change of the input: %s", d)
	}
	if d := cmp.Diff([]string{"rates@all=1", "raw@" + old + "=1"}, reads(t, c, "s", old)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"rates@all=2", "raw@" + young + "=1"}, reads(t, c, "s", young)); d != "" {
		t.Error(d)
	}
	build(t, c, "s", "y", 1)
	deploy(t, c, s)
	if got := due(t, c); len(got) != 0 {
		t.Errorf("deployed again as it was: %v", got)
	}
	from("2026-04-01")
	if got := due(t, c); !slices.Contains(got, "s@"+old) {
		t.Errorf("the date moved and %s is not due: %v", old, got)
	}
	if d := cmp.Diff([]string{"rates@all=2", "raw@" + old + "=1"}, reads(t, c, "s", old)); d != "" {
		t.Error(d)
	}
}
