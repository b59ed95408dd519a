package contract

import (
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
)

// Recall judges a version by a fingerprint that may have been taken for another
// contract. Rules of which it says nothing are not judged; unasked counts them.
func (r Rules) Recall(f *fingerprint.Fingerprint, facts Facts) (broken []dataset.Broken, unasked int) {
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
