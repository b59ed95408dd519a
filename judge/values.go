package judge

import (
	"math"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/fingerprint"
)

// ValuePrefix begins the name of a metric that is the share of one value among a
// column's rows with a value: ValuePrefix + "us". A version that lacks it has too few
// such rows to know of, which counts as none.
const ValuePrefix = "share of "

// Metrics is the vector that is judged: the fingerprint's own, and the share of each
// frequent value of a category column. A value that got another name moves neither
// entropy nor the share of the most frequent one.
//
// Entropy is in nats here: one that is normalised by the number of values jumps when
// the last of a rare value goes. Errors of quantiles hold for columns of few different
// values too, whose quantiles jump from one to the next.
func Metrics(f *fingerprint.Fingerprint) []fingerprint.Metric {
	metrics := slices.DeleteFunc(f.Metrics(), func(m fingerprint.Metric) bool { return isTime(f, m) })
	for i := range metrics {
		m := &metrics[i]
		c := f.Column(m.Column)
		switch {
		case c == nil || m.Name == "measure":
		case m.Name == "entropy" && c.Distinct > 1:
			nats := math.Log(float64(c.Distinct))
			m.Value, m.Error = m.Value*nats, m.Error*nats
		case m.Name == "p50":
			m.Error = max(m.Error, quantileError(f, c, .5))
		case m.Name == "p95":
			m.Error = max(m.Error, quantileError(f, c, .95))
		case m.Name == "min" || m.Name == "max":
			m.Error = extremeError(f, c, m.Name)
		}
	}
	for i := range f.Columns {
		metrics = append(metrics, quantiles(f, &f.Columns[i])...)
		metrics = append(metrics, shares(f, &f.Columns[i])...)
	}
	return metrics
}

// isTime says whether a metric is of what times are. A single one that was days under way
// moves their mean, and the smallest and largest of them are single ones.
func isTime(f *fingerprint.Fingerprint, m fingerprint.Metric) bool {
	switch m.Name {
	case "mean", "min", "max", "p50", "p95":
		c := f.Column(m.Column)
		return c != nil && c.Kind == fingerprint.Time
	}
	return false
}

// ranks are those of the quantiles of times: minutes that are missing, or are there
// twice, move some of them wherever they are.
var ranks = [...]struct {
	name string
	rank float64
}{{"p5", .05}, {"p25", .25}, {"p50", .5}, {"p75", .75}, {"p95", .95}}

// quantiles of a column of times, in seconds from the start of the partition.
func quantiles(f *fingerprint.Fingerprint, c *fingerprint.Column) (metrics []fingerprint.Metric) {
	if c.Kind != fingerprint.Time || f.Start.IsZero() || len(c.Quantiles) == 0 {
		return nil
	}
	zero := float64(f.Start.UnixMicro()) / 1e6
	for _, q := range ranks {
		at, _ := c.Quantile(q.rank)
		metrics = append(metrics, fingerprint.Metric{
			Name: q.name, Column: c.Name, Value: at - zero, Error: quantileError(f, c, q.rank),
		})
	}
	return metrics
}

// quantileError is a quarter of how far a quantile may move with its rank by four
// standard errors.
func quantileError(f *fingerprint.Fingerprint, c *fingerprint.Column, rank float64) float64 {
	n := f.Rows - c.Nulls
	if c.Sampled > 0 {
		n = c.Sampled
	}
	reach := significant * math.Sqrt(rank*(1-rank)/float64(max(1, n)))
	at, _ := c.Quantile(rank)
	low, _ := c.Quantile(max(0, rank-reach))
	high, _ := c.Quantile(min(1, rank+reach))
	return max(at-low, high-at) / significant
}

// extremeError is a quarter of how far ten values reach from the smallest or the largest:
// what fewer have may well be missing. It is 0 where there are no quantiles.
func extremeError(f *fingerprint.Fingerprint, c *fingerprint.Column, name string) float64 {
	reach, extreme := fingerprint.FloorRows/float64(max(fingerprint.FloorRows, f.Rows-c.Nulls)), *c.Min
	if name == "max" {
		reach, extreme = 1-reach, *c.Max
	}
	at, ok := c.Quantile(reach)
	if !ok {
		return 0
	}
	return math.Abs(at-extreme) / significant
}

// shares are those of a column's frequent values, in the order of their texts: that of
// their frequency is another in each version, and what is in order is found sooner.
func shares(f *fingerprint.Fingerprint, c *fingerprint.Column) []fingerprint.Metric {
	var metrics []fingerprint.Metric
	n := float64(max(1, f.Rows-c.Nulls))
	for _, v := range c.Top {
		share := float64(v.Rows) / n
		metrics = append(metrics, fingerprint.Metric{
			Name: ValuePrefix + v.Text, Column: c.Name,
			Value: share, Error: math.Sqrt(share * max(0, 1-share) / n), Of: int64(n),
		})
	}
	slices.SortFunc(metrics, func(a, b fingerprint.Metric) int { return strings.Compare(a.Name, b.Name) })
	return metrics
}
