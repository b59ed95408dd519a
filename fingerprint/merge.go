package fingerprint

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Merge is the fingerprint of the union of disjoint sets of rows; of none it is
// empty. Counts, minima, maxima and means are those of the union. So are the
// entropy and the most frequent values of a category of which no part has a value
// outside Top; see Column for what holds else. To merge many at once is more
// exact than one after the other: quantiles are written anew each time, and each
// time RankError grows by the distance of two ranks.
//
// Measures become the mean of the parts' by weight of rows. Checks add up, but
// for those of Whole, and for those that not every part has.
func Merge(parts ...*Fingerprint) *Fingerprint {
	out := &Fingerprint{}
	columns := map[string]Kind{}
	var most *Fingerprint // of those read together
	for i, p := range parts {
		if i == 0 {
			out.Start, out.End, out.Late = p.Start, p.End, new(int64)
		}
		out.Start, out.End = earlier(out.Start, p.Start), later(out.End, p.End)
		out.Rows += p.Rows
		if p.Together > out.Together {
			out.Together, most = p.Together, p
		}
		out.Bytes += p.Bytes
		out.Rejected += p.Rejected
		out.Omitted = max(out.Omitted, p.Omitted)
		if p.Late == nil {
			out.Late = nil
		} else if out.Late != nil {
			*out.Late += *p.Late
		}
		for _, c := range p.Columns {
			if kind, ok := columns[c.Name]; ok && kind != c.Kind {
				c.Kind = Other
			}
			columns[c.Name] = c.Kind
		}
	}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		c := mergeColumn(name, columns[name], parts)
		if most != nil && out.Whole() && c.Kind != Other {
			c.Firsts = most.firsts(name)
		}
		out.Columns = append(out.Columns, c)
	}
	out.Completeness = mergeCompleteness(parts)
	out.Measures = mergeMeasures(parts)
	out.Checks = mergeChecks(parts)
	return out
}

// earlier is the start of what both begin; a partition without bounds has no start.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if b.After(a) {
		return b
	}
	return a
}

// weighed is a part's column and how many values it has, NULL not among them.
type weighed struct {
	*Column
	values int64
}

// mergeColumn merges what the parts say of a column. Rows of a part without the
// column read NULL.
func mergeColumn(name string, kind Kind, parts []*Fingerprint) Column {
	c := Column{Name: name, Kind: kind}
	var filled []weighed
	for _, p := range parts {
		part := p.exactly(name)
		if part == nil {
			c.Nulls += p.Rows
			continue
		}
		c.Nulls += part.Nulls
		c.NotFinite += part.NotFinite
		if values := p.Rows - part.Nulls; values > 0 {
			filled = append(filled, weighed{part, values})
		}
	}
	if kind != Other && len(filled) > 0 {
		c.mergeDistinct(filled)
		c.mergeNumbers(filled)
		c.mergeCategory(filled)
	}
	return c
}

func (f *Fingerprint) firsts(name string) *float64 {
	if c := f.exactly(name); c != nil {
		return c.Firsts
	}
	return nil
}

func (f *Fingerprint) exactly(name string) *Column {
	i, found := slices.BinarySearchFunc(f.Columns, name, func(c Column, name string) int { return cmp.Compare(c.Name, name) })
	if !found {
		return nil
	}
	return &f.Columns[i]
}

// mergeDistinct asks the sketches' union. Without them all that is known is that
// there are at least as many values as the part with most has.
func (c *Column) mergeDistinct(parts []weighed) {
	var sketches []Sketch
	var most, sum int64
	for _, p := range parts {
		sketches = append(sketches, p.Sketch)
		most, sum = max(most, p.Distinct), sum+p.Distinct
	}
	c.Sketch = union(sketches)
	c.Distinct = min(max(int64(math.Round(c.Sketch.Estimate())), most), sum)
}

// mergeNumbers merges the statistics of finite values; deviations by Chan, Golub
// and LeVeque 1979 (Updating formulae and a pairwise algorithm for computing
// sample variances).
func (c *Column) mergeNumbers(parts []weighed) {
	var n, mean, square float64
	for _, p := range parts {
		weight := float64(p.finite())
		if p.Mean == nil || p.Deviation == nil || weight <= 0 {
			continue
		}
		c.Min, c.Max = least(c.Min, p.Min), greatest(c.Max, p.Max)
		delta := *p.Mean - mean
		n += weight
		mean += delta * weight / n
		square += *p.Deviation**p.Deviation*weight + delta*delta*weight*(n-weight)/n
	}
	if n > 0 {
		c.Mean, c.Deviation = Finite(mean), Finite(math.Sqrt(square/n))
		c.mergeQuantiles(parts, n)
	}
}

// mergeQuantiles makes as many quantiles as the part with fewest has, of n values.
func (c *Column) mergeQuantiles(parts []weighed, n float64) {
	var summaries []summary
	var sampled int64
	points := Points
	for _, p := range parts {
		if p.finite() <= 0 {
			continue
		}
		points = min(points, len(p.Quantiles))
		ranks := Ranks(len(p.Quantiles))
		weight := float64(p.finite()) / n
		summaries = append(summaries, summary{p.Quantiles, ranks, weight})
		sampled += cmp.Or(p.Sampled, p.finite())
		c.RankError += weight * (p.RankError + widest(ranks))
	}
	if points == 0 {
		c.RankError = 0
		return
	}
	c.Quantiles = mixture(summaries, points)
	if float64(sampled) < n {
		c.Sampled = sampled
	}
}

// finite is how many of the values are, if the column has numbers.
func (p weighed) finite() int64 { return p.values - p.NotFinite }

// widest is the largest distance of two ranks.
func widest(ranks []float64) (gap float64) {
	for i := 1; i < len(ranks); i++ {
		gap = max(gap, ranks[i]-ranks[i-1])
	}
	return gap
}

// Finite is a pointer to x, nil if x is no number or infinite.
func Finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func least(a, b *float64) *float64 {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

func greatest(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

func mergeMeasures(parts []*Fingerprint) []Measure {
	sums := map[string]*Measure{}
	for _, p := range parts {
		for _, m := range p.Measures {
			sum := sums[m.Name]
			if sum == nil {
				sum = &Measure{Name: m.Name}
				sums[m.Name] = sum
			}
			sum.Error = cmp.Or(sum.Error, m.Error)
			if m.Value != nil && m.Rows > 0 {
				rows := sum.Rows + m.Rows
				before := cmp.Or(sum.Value, new(float64))
				sum.Value = Finite(*before + (*m.Value-*before)*share(m.Rows, rows))
				sum.Rows = rows
			}
		}
	}
	var out []Measure
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		m := *sums[name]
		if m.Error != "" {
			m.Value = nil
		}
		out = append(out, m)
	}
	return out
}

func mergeChecks(parts []*Fingerprint) []Check {
	sums, in := map[string]Check{}, map[string]int{}
	for _, p := range parts {
		for _, c := range p.Checks {
			if c.Whole {
				continue
			}
			sum := sums[c.Name]
			sums[c.Name] = Check{Name: c.Name, Count: sum.Count + c.Count, Error: cmp.Or(sum.Error, c.Error)}
			in[c.Name]++
		}
	}
	var out []Check
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if in[name] == len(parts) {
			out = append(out, sums[name])
		}
	}
	return out
}
