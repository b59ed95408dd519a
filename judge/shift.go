package judge

import "math"

// shift is a level that moved within the seasons on record and stayed there.
type shift struct {
	since int     // the judged season and so many before it are of the new level
	by    float64 // how far it moved
}

// unusual is how many standard deviations seasons do not differ by without a cause.
const unusual = 4

// shifted finds a shift of a metric, if there is one. Cuts are tried from the newest on
// and the first that passes is taken, which may be newer than the shift is: what matters
// first is that the last hours are of another level than most seasons.
//
// It is the test of ADWIN (Bifet and Gavaldà, "Learning from Time-Changing Data with
// Adaptive Windowing", SDM 2007) on the promoted series: for each cut, are the means of
// what is before and of what is after further apart than
// sqrt(2/m * variance * ln(2/delta')), with 1/m the sum of 1/lengths and delta' divided
// among the cuts? Medians, and a variance within the parts, stand in for the means and
// the variance of the whole, so that a bad week is not a shift; the term the paper adds
// for values of which only the range is known is left out.
func shifted(g *grid) (shift, bool) {
	const confidence, cuts = .002, seasons - 2
	level := levels(g)
	for since := range cuts {
		after, before := level.cells(0, since), level.cells(since+1, seasons)
		if len(after) < minSeasons || len(before) < minSeasons {
			continue
		}
		new, old := median(after), median(before)
		m := 1 / (1/float64(len(after)) + 1/float64(len(before)))
		bound := spread(after, before) * math.Sqrt(2/m*math.Log(2*cuts/confidence))
		if gap := math.Abs(new - old); gap > max(bound, unusual*level.unrest(since)) {
			return shift{since, gap}, true
		}
	}
	return shift{}, false
}

// levels are the values less the median of their column, without the judged one.
func levels(g *grid) grid {
	var buffer [seasons + 1]float64
	level := *g
	for column := range columns {
		var plain way
		m := median(plain.column(g, 1, seasons, column, buffer[:0]))
		for row := range level {
			level[row][column] -= m
		}
	}
	level[0][0] = math.NaN()
	return level
}

// unrest is the standard deviation of the medians of seasons, within the two parts.
func (g *grid) unrest(since int) float64 {
	var after, before []float64
	for row := range g {
		if cells := g.cells(row, row); len(cells) > 0 && row <= since {
			after = append(after, median(cells))
		} else if len(cells) > 0 {
			before = append(before, median(cells))
		}
	}
	sort(after)
	sort(before)
	return spread(after, before)
}

// cells has what is on record from one season to another, in order of size.
func (g *grid) cells(first, last int) []float64 {
	var found []float64
	for row := first; row <= last; row++ {
		for _, value := range g[row] {
			if !math.IsNaN(value) {
				found = append(found, value)
			}
		}
	}
	sort(found)
	return found
}

// spread is the standard deviation within two parts, by the median of distances.
func spread(parts ...[]float64) float64 {
	var distances []float64
	for _, part := range parts {
		m := median(part)
		for _, value := range part {
			distances = append(distances, math.Abs(value-m))
		}
	}
	sort(distances)
	return normalMAD * median(distances)
}
