package judge

import (
	"math"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/fingerprint"
)

// significant is how many standard errors of sampling a share, a mean or an entropy
// has to move before anything else is asked.
const significant = 4

// What nobody would call a change, however exactly it is known.
const (
	smallShare = .002 // of shares and entropies
	smallLate  = .005 // of the share of late rows, which are there after all
	smallRatio = .01  // of everything else
)

// distrust of forecasts for a column after a shift of it was approved. It need not have
// moved by as much at all hours: what shows at noon may not have shown in the morning.
const distrust = 1.5

// Errors are taken to have at most so many degrees of freedom: what people do has
// heavier tails than a normal variable, however many errors are on record.
const (
	columnTails = 14
	rowsTails   = 18
)

// metric is one metric with its past.
type metric struct {
	key   fingerprint.Metric
	value grid    // as it is; of a count, its logarithm
	ratio *grid   // of a count that may follow the number of rows, less the logarithm of that
	error float64 // one standard error of sampling

	perRow grid         // what ratio points to
	found  [6]candidate // what the last question found; kept here to be used again
}

// candidate is a forecast of a metric, of its value or of its ratio to the rows.
type candidate struct {
	forecast
	grid *grid
}

func (c *candidate) z() float64 { return c.error / c.scale }

// judge compares metric k with its forecast. The surprise is how seldom, as -log10
// of a probability, it would be so far off; 0 if it is not worth a thought.
func (b *baseline) judge(k int) (Finding, float64) {
	m := &b.metric
	m.read(b, k)
	key := m.key
	var best candidate
	for i, e := range b.explanations {
		c := m.best(e)
		if c == nil {
			return Finding{}, 0
		}
		if i == 0 || math.Abs(c.z()) < math.Abs(best.z()) {
			best = *c
		}
	}
	found := &best
	if slices.Contains(b.moved, key.Column) && !m.isNew(found) {
		found.scale *= distrust
	}
	switch {
	case b.coarse:
		return m.finding(found), chebyshevTail(found.z())
	case isRows(key):
		return m.finding(found), studentTail(found.z(), min(found.dof, rowsTails))
	default:
		return m.finding(found), studentTail(found.z(), min(found.dof, columnTails))
	}
}

// isNew says whether next to nothing is expected, which it is at all hours.
func (m *metric) isNew(c *candidate) bool {
	return m.key.Of > 0 && m.value[0][0]-c.error < smallShare
}

// explanation is a way to see the past: which of the last hours are of the level that
// the judged one should have, and whether earlier seasons are.
type explanation struct {
	usable  func(lag int) bool
	seasons bool
}

// explain has one explanation, but after a person approved one of the last hours
// two: that the level has moved for good, or that it was a single time. Until the
// hours that follow tell, either will do.
func (b *baseline) explain() []explanation {
	oldest := 0
	for lag, accepted := range b.accepted {
		if accepted {
			oldest = lag
		}
	}
	if oldest == 0 {
		return []explanation{{func(int) bool { return true }, true}}
	}
	return []explanation{
		{func(lag int) bool { return lag <= oldest }, false},
		{func(lag int) bool { return !b.accepted[lag] }, true},
	}
}

// best is the forecast with the smallest scale; nil if there is none or if what was
// seen is near enough to it, or to all.
func (m *metric) best(e explanation) *candidate {
	c := m.least(e, seasons)
	if c == nil || math.Abs(c.z()) < usual {
		return nil
	}
	moved, ok := shifted(c.grid)
	switch {
	case ok && moved.since >= minSeasons:
		c = m.least(e, moved.since)
	case ok && (!m.key.Count || c.way.n == 0):
		// The hours of the new level say little of how it moves from hour to hour. Not
		// so of counts: their level is a factor, which differences of logarithms are
		// free of.
		c.scale = math.Hypot(c.scale, moved.by/2)
	}
	if c == nil || m.negligible(c) {
		return nil
	}
	return c
}

// least is the forecast with the smallest scale, nil if all are near what was seen.
func (m *metric) least(e explanation, depth int) (found *candidate) {
	all := m.candidates(e, depth)
	if !m.stirs(all) {
		return nil
	}
	var least float64
	for i := range all {
		c := &all[i]
		c.measure(c.grid)
		scale := max(c.scale, m.floor(c))
		if m.key.Of > 0 { // what sampling gives of the share that is forecast is no merit of a forecast
			scale = max(c.scale, smallShare, m.error)
		}
		if found == nil || scale < least {
			found, least = c, scale
		}
	}
	found.scale = max(found.scale, m.floor(found))
	return found
}

func (m *metric) candidates(e explanation, depth int) []candidate {
	all := ways(&m.value, e.usable)
	if e.seasons {
		all = append(all, way{})
	}
	found := m.found[:0]
	for _, g := range []*grid{&m.value, m.ratio} {
		if g == nil {
			continue
		}
		for _, w := range all {
			if f, ok := w.forecast(g, depth); ok {
				found = append(found, candidate{f, g})
			}
		}
	}
	return found
}

// stirs says whether any forecast is off by what is worth a calculation.
func (m *metric) stirs(all []candidate) bool {
	for i := range all {
		if !m.negligible(&all[i]) {
			return true
		}
	}
	return false
}

// negligible is what sampling may do, or what is usual by the least scale there can be.
func (m *metric) negligible(c *candidate) bool {
	off := math.Abs(c.error)
	return off <= usual*m.floor(c) || !m.key.Count && off <= significant*m.sampling(c)
}

// sampling is the standard error that sampling alone gives the metric if the forecast is
// right: a value that nobody had before is not less unusual for being seen often.
func (m *metric) sampling(c *candidate) float64 {
	if m.key.Of == 0 {
		return m.error
	}
	p := m.value[0][0] - c.error
	least := fingerprint.FloorRows / 2 / float64(m.key.Of)
	p = min(max(p, least), max(1-least, .5))
	return math.Sqrt(p * (1 - p) / float64(m.key.Of))
}

// floor is the least scale of a forecast's errors, whatever the past says.
func (m *metric) floor(c *candidate) float64 {
	switch {
	case m.key.Count:
		least := min(m.value[0][0], m.value[0][0]-c.error)
		return max(smallRatio, math.Exp(-least/2), m.error/math.Exp(least))
	case m.key.Name == "late":
		return max(smallLate, m.sampling(c))
	case isShare(m.key):
		return max(smallShare, m.sampling(c))
	default:
		return max(smallRatio*math.Abs(m.value[0][0]-c.error), m.error, math.SmallestNonzeroFloat64)
	}
}

// isShare says whether values are shares of 1.
func isShare(m fingerprint.Metric) bool {
	switch m.Name {
	case "rejected", "late", "nulls", firsts, "top", "entropy":
		return !m.Count
	}
	return strings.HasPrefix(m.Name, ValuePrefix)
}

// inHundredths says whether people read the values as parts of a hundred: those that are
// compared as shares are, but for entropies in nats.
func inHundredths(m fingerprint.Metric) bool { return isShare(m) && m.Name != "entropy" }

// finding says in the metric's own units what was expected.
func (m *metric) finding(c *candidate) Finding {
	back := func(x float64) float64 {
		if m.key.Count {
			return max(0, math.Expm1(x))
		}
		return x
	}
	seen := m.value[0][0]
	expected := seen - c.error
	f := Finding{
		Metric: m.key.Name, Column: m.key.Column, Share: inHundredths(m.key), Seen: back(seen), Z: c.z(),
		Expected: back(expected), Low: back(expected - usual*c.scale), High: back(expected + usual*c.scale),
	}
	if f.Share {
		f.Low, f.High = max(0, f.Low), min(1, f.High)
	}
	return f
}

// usual is how many scales around the forecast nobody wonders about.
const usual = 3
