package fingerprint

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Points are how many quantiles a column has that was not cut down, and those
// that it may be cut down to. All hold the ranks 0, 0.05, 0.5, 0.95 and 1.
const (
	Points      = 41
	fewPoints   = 21
	leastPoints = 5
)

// Ranks are the ranks, from 0 to 1, of so many quantiles.
func Ranks(points int) []float64 {
	if points == leastPoints {
		return []float64{0, 0.05, 0.5, 0.95, 1}
	}
	ranks := make([]float64, points)
	for i := range ranks {
		ranks[i] = float64(i) / float64(points-1)
	}
	return ranks
}

// Quantiles are those of sorted values: each is the smallest value that its
// rank's share of all is not greater than. It is nil for no values.
func Quantiles(sorted []float64, points int) []float64 {
	if len(sorted) == 0 {
		return nil
	}
	out := Ranks(points)
	for i, rank := range out {
		at := int(math.Ceil(rank*float64(len(sorted)) - 1e-9))
		out[i] = sorted[max(at-1, 0)]
	}
	return out
}

// Quantile is the value at a rank from 0 to 1, between the kept ones by a
// straight line. It is not ok for a column without quantiles.
func (c *Column) Quantile(rank float64) (value float64, ok bool) {
	if len(c.Quantiles) == 0 {
		return 0, false
	}
	ranks := Ranks(len(c.Quantiles))
	i := sort.SearchFloat64s(ranks, rank)
	switch {
	case i == len(ranks):
		return c.Quantiles[i-1], true
	case i == 0 || ranks[i] == rank:
		return c.Quantiles[i], true
	}
	return between(c.Quantiles[i-1], c.Quantiles[i], (rank-ranks[i-1])/(ranks[i]-ranks[i-1])), true
}

// quantile moves by this much if its rank does by one standard error of n values.
func (c *Column) quantileError(rank float64, n int64) float64 {
	if n == 0 {
		return 0
	}
	move := math.Sqrt(rank * (1 - rank) / float64(n))
	low, _ := c.Quantile(max(0, rank-move))
	high, _ := c.Quantile(min(1, rank+move))
	return (high - low) / 2
}

// summary is a distribution by its quantiles, between which values are taken to
// be spread evenly, and its weight in a mixture.
type summary struct {
	quantiles, ranks []float64
	weight           float64
}

// mixture finds the quantiles of several distributions together. The share of
// values up to any point is known of each part to within the distance of two of
// its ranks, so that of the whole is to within their weighted mean: by so much, at
// most, the rank of each answer is off.
func mixture(parts []summary, points int) []float64 {
	var at []float64
	for _, p := range parts {
		at = append(at, p.quantiles...)
	}
	slices.Sort(at)
	at = slices.Compact(at)
	if len(at) == 0 {
		return nil
	}
	out := Ranks(points)
	i, before := 0, 0.0 // before is the share up to and with at[i-1]
	below, upTo := shares(parts, at[0])
	for k, rank := range out {
		for upTo < rank-1e-12 && i < len(at)-1 {
			before = upTo
			i++
			below, upTo = shares(parts, at[i])
		}
		out[k] = at[i]
		if i > 0 && rank < below {
			out[k] = between(at[i-1], at[i], (rank-before)/(below-before))
		}
	}
	return out
}

// shares are those of the values below a point, and of those up to and with it.
func shares(parts []summary, at float64) (below, upTo float64) {
	for _, p := range parts {
		below += p.weight * p.share(sort.SearchFloat64s(p.quantiles, at), at)
		first, _ := slices.BinarySearchFunc(p.quantiles, at, func(q, at float64) int { // of those above
			if q <= at {
				return -1
			}
			return cmp.Compare(q, at)
		})
		upTo += p.weight * p.share(first, at)
	}
	return below, upTo
}

// share is the rank of a point between the quantiles i-1 and i.
func (p summary) share(i int, at float64) float64 {
	switch i {
	case 0:
		return 0
	case len(p.quantiles):
		return 1
	}
	low, high := p.quantiles[i-1], p.quantiles[i]
	part := (at/2 - low/2) / (high/2 - low/2) // halves: the difference of two numbers may be infinite
	return p.ranks[i-1] + (p.ranks[i]-p.ranks[i-1])*part
}

func between(low, high, part float64) float64 {
	return min(max(low*(1-part)+high*part, low), high)
}
