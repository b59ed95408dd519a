package judge

import (
	"math"
	"slices"
)

// way is a simple way to forecast a value: it is above a weighted mean of values some
// hours before by as much as at this hour in other seasons, by their median. Without
// lags the median of the seasons itself is the forecast, which is best for what stays
// the same; with lags it follows trends, shifts and unusual days, since it is their
// difference that is forecast.
type way struct {
	lags    [3]int
	weights [3]float64
	n       int
}

// forecast is a way applied to the past of a metric.
type forecast struct {
	way   way
	depth int     // the seasons it learns from
	step  float64 // the median step of the seasons
	error float64 // how far the judged value is from it
	scale float64 // one standard deviation of such errors
	dof   float64 // degrees of freedom of the scale
}

// recent are the weights of the last three hours on record.
var recent = [...]float64{.5, .3, .2}

// ways are those that hours on record allow; usable says which of them to use.
func ways(g *grid, usable func(lag int) bool) []way {
	var follow way
	for lag := 1; lag < columns && follow.n < len(recent); lag++ {
		if !math.IsNaN(g[0][lag]) && usable(lag) {
			follow.lags[follow.n] = lag
			follow.n++
		}
	}
	if follow.n == 0 {
		return nil
	}
	last := way{lags: follow.lags, n: 1, weights: [3]float64{1}}
	if follow.n == 1 {
		return []way{last}
	}
	var sum float64
	for i := range follow.n {
		sum += recent[i]
	}
	for i := range follow.n {
		follow.weights[i] = recent[i] / sum
	}
	return []way{last, follow}
}

// at is the value in a cell less what the way takes from the hours before it; NaN if
// one of them is not on record.
func (w *way) at(g *grid, row, column int) float64 {
	value := g[row][column]
	for i := range w.n {
		value -= w.weights[i] * g[row][column+w.lags[i]]
	}
	return value
}

// reach is how many columns before a value the way looks at.
func (w *way) reach() int {
	if w.n == 0 {
		return 0
	}
	return w.lags[w.n-1]
}

// column has the steps in one column from one season to another, in order of size.
func (w *way) column(g *grid, first, last, column int, into []float64) []float64 {
	for row := first; row <= last; row++ {
		if step := w.at(g, row, column); !math.IsNaN(step) {
			into = append(into, step)
		}
	}
	sort(into)
	return into
}

// normalMAD makes a median distance from the median a standard deviation, if normal.
const normalMAD = 1.4826

// minSeasons are those a median is taken of at least.
const minSeasons = 3

// forecast says how far the judged value is from what the way expects by the last
// seasons; not ok if too little is on record for it.
func (w way) forecast(g *grid, depth int) (f forecast, ok bool) {
	var buffer [seasons + 1]float64
	steps := w.column(g, 1, depth, 0, buffer[:0])
	if len(steps) < minSeasons {
		return f, false
	}
	f.way, f.depth, f.step = w, depth, median(steps)
	f.error = w.at(g, 0, 0) - f.step
	return f, !math.IsNaN(f.error)
}

// measure finds the scale of the forecast's errors from those it would have made for
// the seasons on record, at the judged hour and those before it. The scale is a
// winsorised standard deviation, but no less than the 95 % quantile of the errors says:
// it is not moved by one bad week, and knows of heavy tails.
func (f *forecast) measure(g *grid) {
	var buffer [(seasons + 1) * columns]float64
	errors, targets, rows := buffer[:0], 0, 0
	for column := 0; column+f.way.reach() < columns; column++ {
		first := len(errors)
		steps := f.way.column(g, max(0, 1-column), f.depth, column, errors[first:])
		if len(steps) < minSeasons {
			continue
		}
		m := median(steps)
		for i := range steps {
			steps[i] = math.Abs(steps[i] - m)
		}
		errors, targets, rows = errors[:first+len(steps)], targets+1, max(rows, len(steps))
	}
	n := float64(len(errors))
	sort(errors)
	bound := 3 * normalMAD * median(errors)
	var squares float64
	for _, e := range errors {
		e = min(e, bound)
		squares += e * e
	}
	f.dof = max(2, n-float64(targets))
	widest := errors[int(math.Ceil(.95*n))-1] / 1.96
	// The step itself is a median, and off by as much as medians are.
	f.scale = max(math.Sqrt(squares/f.dof), widest) * math.Sqrt(1+math.Pi/2/float64(rows))
}

// median of what is in order; 0 of nothing.
func median(ordered []float64) float64 {
	switch n := len(ordered); {
	case n == 0:
		return 0
	case n%2 == 0:
		return (ordered[n/2-1] + ordered[n/2]) / 2
	default:
		return ordered[n/2]
	}
}

// sort is by insertion for the few values of a column.
func sort(x []float64) {
	if len(x) > 12 {
		slices.Sort(x)
		return
	}
	for i := 1; i < len(x); i++ {
		for j := i; j > 0 && x[j] < x[j-1]; j-- {
			x[j], x[j-1] = x[j-1], x[j]
		}
	}
}
