package fingerprint

import "math"

// Metrics is the vector of numbers that judges compare: of all rows rows, bytes,
// rejected and, where it is known, late; of each column nulls, and what its kind
// has of distinct, firsts, mean, p50, p95, min, max, top (the share of the most frequent
// value) and entropy; and the measures that have a value. Times count in seconds
// from the partition's start, and are not there without one.
func (f *Fingerprint) Metrics() []Metric {
	out := []Metric{
		{Name: "rows", Value: float64(f.Rows), Error: math.Sqrt(float64(f.Rows)), Count: true},
		{Name: "bytes", Value: float64(f.Bytes), Count: true},
		shareMetric("rejected", "", f.RejectedShare(), f.Rows+f.Rejected),
	}
	if late, ok := f.LateShare(); ok {
		out = append(out, shareMetric("late", "", late, f.Rows))
	}
	for i := range f.Columns {
		out = append(out, f.columnMetrics(&f.Columns[i])...)
	}
	for _, m := range f.Measures {
		if m.Value != nil {
			out = append(out, Metric{Name: "measure", Column: m.Name, Value: *m.Value})
		}
	}
	return out
}

func (f *Fingerprint) columnMetrics(c *Column) []Metric {
	values := f.Rows - c.Nulls
	out := []Metric{shareMetric("nulls", c.Name, c.NullShare(f.Rows), f.Rows)}
	if c.Kind != Other && c.Kind != Bool && (c.Sketch != nil || c.Entropy != nil || values == 0) {
		n := float64(c.Distinct)
		out = append(out, Metric{Name: "distinct", Column: c.Name, Value: n, Error: n * c.Sketch.Error(), Count: true})
	}
	if c.Firsts != nil && *c.Firsts > 0 {
		looked := math.Min(float64(values), FirstsValues / *c.Firsts)
		out = append(out, shareMetric("firsts", c.Name, *c.Firsts, int64(looked)))
	}
	if zero, ok := f.origin(c); ok && c.Mean != nil {
		out = append(out, c.numberMetrics(zero, values-c.NotFinite)...)
	}
	if c.Entropy != nil {
		if len(c.Top) > 0 {
			out = append(out, shareMetric("top", c.Name, share(c.Top[0].Rows, values), values))
		}
		out = append(out, Metric{Name: "entropy", Column: c.Name, Value: *c.Entropy, Error: c.entropyError(values)})
	}
	return out
}

// origin is what a column's numbers are counted from, not ok where there is nothing.
func (f *Fingerprint) origin(c *Column) (zero float64, ok bool) {
	if c.Kind != Time {
		return 0, true
	}
	return float64(f.Start.UnixMicro()) / 1e6, !f.Start.IsZero()
}

// numberMetrics are those of n values counted from zero. The smallest and the
// largest of them have no error to speak of.
func (c *Column) numberMetrics(zero float64, n int64) []Metric {
	mean := Metric{Name: "mean", Column: c.Name, Value: *c.Mean - zero}
	if c.Deviation != nil && n > 0 {
		mean.Error = *c.Deviation / math.Sqrt(float64(n))
	}
	out := []Metric{mean}
	if c.Sampled > 0 {
		n = c.Sampled
	}
	for _, q := range []struct {
		name string
		rank float64
	}{{"p50", 0.5}, {"p95", 0.95}} {
		if value, ok := c.Quantile(q.rank); ok {
			out = append(out, Metric{Name: q.name, Column: c.Name, Value: value - zero, Error: c.quantileError(q.rank, n)})
		}
	}
	if c.Min != nil && c.Max != nil {
		out = append(out, Metric{Name: "min", Column: c.Name, Value: *c.Min - zero}, Metric{Name: "max", Column: c.Name, Value: *c.Max - zero})
	}
	return out
}

// shareMetric is a share of n rows, whose standard error is that of a proportion.
func shareMetric(name, column string, p float64, n int64) Metric {
	m := Metric{Name: name, Column: column, Value: p, Of: max(0, n)}
	if n > 0 {
		m.Error = math.Sqrt(p * (1 - p) / float64(n))
	}
	return m
}
