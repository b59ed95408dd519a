package judge

import (
	"math"

	"github.com/reedbed/reedbed/fingerprint"
)

// Pair is what an old definition and a new one make of the same partition and inputs.
type Pair struct {
	Old, New []fingerprint.Metric
}

// How far a new definition may move a metric, as a part of its value or, of shares, in
// hundredths of the whole: beyond the first figure it is promoted with a warning, beyond
// the second held. A definition is changed in order to move something, so these are
// wide; contracts say what may never move.
const (
	movesShare, movesShareFar = .02, .15
	movesRatio, movesRatioFar = .05, .30
)

// Paired judges what a new definition makes of a partition by what the old one made of
// it. As the inputs are the same there is no chance in it but that of entropies and
// shares of few rows, of which moves below four standard errors are left out; a move
// is held against fixed bounds. What moved as far for a pair that a person approved is
// what the change is meant to do: if a metric of the approved pairs moved by between a
// and b, moves within a tenth of the larger around that are expected.
//
// Metrics that only one side has are left to contracts. Z is the move in units of what
// would be held, and 10 to the power of -Score is no probability: a score of 1 is as
// far as a warning, of 2 as a hold.
func Paired(p Pair, approved []Pair) Verdict {
	verdict := Verdict{Severity: None, Points: 1}
	cursor := 0
	for _, m := range p.New {
		old := find(p.Old, &cursor, &m)
		if old == nil {
			continue
		}
		from, to := expectedMove(m, approved)
		f := move(*old, m, from, to)
		if math.Abs(m.Value-old.Value) <= significant*max(m.Error, old.Error) && !m.Count {
			continue
		}
		verdict.Score = max(verdict.Score, f.Weight)
		verdict.Findings = append(verdict.Findings, f)
	}
	return conclude(verdict, limits{warn: 1, hold: 2})
}

// expectedMove is by how much the approved pairs moved a metric, from least to most,
// and always by nothing.
func expectedMove(m fingerprint.Metric, approved []Pair) (from, to float64) {
	for _, p := range approved {
		var a, b int
		old, new := find(p.Old, &a, &m), find(p.New, &b, &m)
		if old == nil || new == nil {
			continue
		}
		by := moved(*old, *new)
		from, to = min(from, by), max(to, by)
	}
	margin := max(to, -from) / 10
	return from - margin, to + margin
}

// moved is how far a metric moved: a difference of shares, else a logarithm of the
// ratio, or what stands for it where there is none.
func moved(old, new fingerprint.Metric) float64 {
	switch {
	case isShare(new):
		return new.Value - old.Value
	case new.Count:
		return scaled(&new, new.Value) - scaled(&old, old.Value)
	case old.Value == new.Value:
		return 0
	default:
		return (new.Value - old.Value) / max(math.Abs(old.Value), math.Abs(new.Value)*1e-6)
	}
}

// move is the finding of one metric that was expected to move within bounds.
func move(old, new fingerprint.Metric, from, to float64) Finding {
	near, far := movesRatio, movesRatioFar
	if isShare(new) {
		near, far = movesShare, movesShareFar
	}
	by := moved(old, new)
	beyond := max(from-by, by-to, 0)
	f := Finding{
		Metric: new.Name, Column: new.Column, Share: inHundredths(new), Seen: new.Value, Expected: old.Value,
		Low: moveBy(old, from-near), High: moveBy(old, to+near), Z: math.Copysign(beyond/far, by),
	}
	switch {
	case beyond >= far:
		f.Weight = min(MaxScore, 2*beyond/far)
	case beyond >= near:
		f.Weight = 1 + (beyond-near)/(far-near)
	default:
		f.Weight = beyond / near
	}
	return f
}

// moveBy is the value that is so far from an old one.
func moveBy(old fingerprint.Metric, by float64) float64 {
	switch {
	case isShare(old):
		return min(1, max(0, old.Value+by))
	case old.Count:
		return max(0, math.Expm1(scaled(&old, old.Value)+by))
	default:
		return old.Value + by*math.Abs(old.Value)
	}
}
