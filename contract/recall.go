package contract

import (
	"slices"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
)

// Recall judges a version by a fingerprint that may have been taken for another
// contract. Rules of which it says nothing are not judged; unasked counts them.
func (r Rules) Recall(f *fingerprint.Fingerprint, facts Facts) (broken []dataset.Broken, unasked int) {
	f = r.withNulls(f)
	all := r.List
	r.List = nil
	for _, x := range all {
		switch {
		case !x.due(f, facts):
		case x.answered(f, facts):
			r.List = append(r.List, x)
		default:
			unasked++
		}
	}
	return r.Judge(f, facts), unasked
}

// withNulls adds the missing values that nobody counted for a rule: they are counted
// in every column there was room for.
func (r Rules) withNulls(f *fingerprint.Fingerprint) *fingerprint.Fingerprint {
	out := *f
	out.Checks = slices.Clone(f.Checks)
	for _, x := range r.List {
		if c := f.Column(x.nulls); x.nulls != "" && c != nil && f.Check(x.Asks.Name) == nil {
			out.Checks = append(out.Checks, fingerprint.Check{Name: x.Asks.Name, Count: c.Nulls})
		}
	}
	return &out
}

// answered reports whether a fingerprint says what the rule asks, if only that it
// could not be found out.
func (x Rule) answered(f *fingerprint.Fingerprint, facts Facts) bool {
	switch x.source {
	case fromCount:
		return f.Check(x.Asks.Name) != nil
	case fromMeasure:
		return f.Measure(x.of) != nil
	case fromComplete:
		return facts.Complete != nil
	case fromDistinct:
		return f.Column(x.of) != nil
	case fromEntropy:
		c := f.Column(x.of)
		return c != nil && (c.Entropy != nil || c.Nulls >= f.Rows)
	}
	return true
}
