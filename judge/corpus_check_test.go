package judge_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Seeds for tuning; those that were held out at first, of which figures were known when
// tuning went on; and those that were never looked at before it was over.
var (
	tuningSeeds  = []uint64{1, 2, 3}
	earlierSeeds = []uint64{101, 102, 103, 104, 105}
	heldOutSeeds = []uint64{201, 202, 203, 204, 205}
)

// The corpus is what its description says: seasonal, growing, and the same each time.
func TestCorpus(t *testing.T) {
	c, p := newCorpus(tuningSeeds[0]), newPrinter()
	if diff := cmp.Diff(p.print(c.rows(100)), newPrinter().print(newCorpus(tuningSeeds[0]).rows(100))); diff != "" {
		t.Errorf("the same hour differs:\n%s", diff)
	}
	var night, day, early, late float64
	for d := range 28 {
		night += float64(c.rows(d*24 + 6).len())
		day += float64(c.rows(d*24 + 16).len())
		early += float64(c.rows(d*24 + 12).len())
		late += float64(c.rows((d+corpusDays-28)*24 + 12).len())
	}
	if day < 1.5*night {
		t.Errorf("rows by night and by day: %.0f and %.0f", night, day)
	}
	if late < 1.2*early {
		t.Errorf("rows of the first weeks and the last: %.0f and %.0f", early, late)
	}
	if before, after := c.rows(c.launch-1).len(), c.rows(c.launch).len(); float64(after) < 1.05*float64(before) {
		t.Errorf("rows before the launch and after: %d and %d", before, after)
	}
}

// Each corruption at its full severity touches what it says, and at none nothing.
func TestCorruptions(t *testing.T) {
	const hour = 1000
	c, p := newCorpus(tuningSeeds[0]), newPrinter()
	clean := p.print(c.rows(hour))
	for _, k := range corruptions {
		if diff := cmp.Diff(clean, p.print(c.spoiled(k, hour, 0, 1))); diff != "" {
			t.Errorf("%s at severity 0:\n%s", k.name, diff)
		}
		last := k.severities[len(k.severities)-1]
		if spoiled := p.print(c.spoiled(k, hour, last, 1)); cmp.Equal(clean, spoiled) {
			t.Errorf("%s at severity %g changed nothing", k.name, last)
		}
	}
	half := p.print(c.spoiled(corruptions[0], hour, .5, 1))
	if share := float64(half.Rows) / float64(clean.Rows); math.Abs(share-.5) > .05 {
		t.Errorf("of the rows %.2f are left after half were lost", share)
	}
}

func BenchmarkCorpus(b *testing.B) {
	c, p, hour := newCorpus(tuningSeeds[0]), newPrinter(), 0
	for b.Loop() {
		p.print(c.rows(hour % c.hours))
		hour++
	}
}
