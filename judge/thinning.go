package judge

import (
	"math"

	"github.com/reedbed/reedbed/fingerprint"
)

// thinning is what rows lost at random do, and rows that are there twice: of fewer rows
// more are the first of their visitor, and of rows repeated less are. Traffic moves the
// number of rows, and what people do on a visit the other; both at once and in opposite
// directions are rare. Fisher's combination of two chances ("Statistical Methods for
// Research Workers", 1932) takes them for independent.
type thinning struct {
	weight       float64 // its part of the budget for false holds
	columns      float64 // of which it is known how many rows are first ones
	rows, firsts surprising
}

// surprising is a finding and how seldom, as -log10 of a probability, it is by itself.
type surprising struct {
	Finding
	by float64
}

const thinWeight = .1

func newThinning(keys []fingerprint.Metric) *thinning {
	t := &thinning{}
	for i := range keys {
		if keys[i].Name == firsts {
			t.columns++
			t.weight = thinWeight
		}
	}
	return t
}

// firsts is the metric of how many rows are the first with their value.
const firsts = "firsts"

func (t *thinning) add(f Finding, by float64) {
	switch {
	case f.Metric == "rows" && f.Column == "":
		t.rows = surprising{f, by}
	case f.Metric == firsts && by > t.firsts.by:
		t.firsts = surprising{f, by}
	}
}

// join gives both findings the weight that they have together, if that is more.
func (t *thinning) join(findings []Finding) (weight float64) {
	if t.rows.by == 0 || t.firsts.by == 0 || (t.rows.Z > 0) == (t.firsts.Z > 0) {
		return 0
	}
	// The direction of each is half of its chance, and the column is one of all.
	both := t.rows.by + t.firsts.by + math.Log10(4/t.columns)
	weight = min(MaxScore, max(0, both-math.Log10(1+math.Ln10*max(0, both))+math.Log10(t.weight)))
	for i := range findings {
		f := &findings[i]
		if f.Column == t.rows.Column && f.Metric == t.rows.Metric || f.Column == t.firsts.Column && f.Metric == t.firsts.Metric {
			f.Weight = max(f.Weight, weight)
		}
	}
	return weight
}
