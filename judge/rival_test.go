package judge_test

import (
	"math"
	"strings"

	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/judge"
)

// rival is another way to raise an alarm. It is given the good history, whatever it
// said of it, and reads what the gate reads but for the shares of single values, which
// are for the one that compares distributions.
type rival struct {
	name  string
	alarm func(s *stream, hour int, f *fingerprint.Fingerprint, metrics []fingerprint.Metric) bool
}

var rivals = []rival{
	{"3 sigma, 8 same hours of week", func(s *stream, hour int, _ *fingerprint.Fingerprint, metrics []fingerprint.Metric) bool {
		return s.sigmas(hour, metrics, 7*24, 8, 3)
	}},
	{"z-score 3, 14 days of hours", func(s *stream, hour int, _ *fingerprint.Fingerprint, metrics []fingerprint.Metric) bool {
		return s.sigmas(hour, metrics, 1, 14*24, 3)
	}},
	{"drift 0.01, against the week before", func(s *stream, hour int, f *fingerprint.Fingerprint, _ []fingerprint.Metric) bool {
		return drift(f, s.prints[hour-7*24]) > .01
	}},
	{"drift 0.1, against the week before", func(s *stream, hour int, f *fingerprint.Fingerprint, _ []fingerprint.Metric) bool {
		return drift(f, s.prints[hour-7*24]) > .1
	}},
}

// sigmas says whether any metric is further from the mean of n earlier values, a step
// of hours apart, than so many of their standard deviations.
func (s *stream) sigmas(hour int, metrics []fingerprint.Metric, step, n int, bound float64) bool {
	for i, m := range metrics {
		if strings.HasPrefix(m.Name, judge.ValuePrefix) {
			continue
		}
		var k, sum, squares float64
		for lag := 1; lag <= n; lag++ {
			past := s.metrics[hour-lag*step]
			if i >= len(past) || past[i].Name != m.Name || past[i].Column != m.Column {
				continue
			}
			v := past[i].Value
			k, sum, squares = k+1, sum+v, squares+v*v
		}
		mean := sum / max(1, k)
		sd := math.Sqrt(max(0, squares-k*mean*mean) / max(1, k-1))
		if k > 2 && math.Abs(m.Value-mean) > bound*sd+1e-9*math.Abs(mean) {
			return true
		}
	}
	return false
}

// drift is the largest distance of a column's distributions, as TFDV takes it: of
// categories the largest difference of a share (L-infinity), of numbers the
// Jensen-Shannon divergence.
func drift(a, b *fingerprint.Fingerprint) (most float64) {
	for i := range a.Columns {
		x, y := &a.Columns[i], &b.Columns[i]
		switch {
		case x.Kind == fingerprint.Time: // which is another each week
		case len(x.Top) > 0:
			most = max(most, furthest(x, y, float64(max(1, a.Rows-x.Nulls)), float64(max(1, b.Rows-y.Nulls))))
		case len(x.Quantiles) > 0 && len(y.Quantiles) > 0:
			most = max(most, jensenShannon(x.Quantiles, y.Quantiles))
		}
	}
	return most
}

func furthest(x, y *fingerprint.Column, n, m float64) (most float64) {
	shares := make(map[string]float64)
	for _, v := range x.Top {
		shares[v.Text] += float64(v.Rows) / n
	}
	for _, v := range y.Top {
		shares[v.Text] -= float64(v.Rows) / m
	}
	for _, d := range shares {
		most = max(most, math.Abs(d))
	}
	return most
}

// jensenShannon is the divergence, in bits, of two distributions by the tenths of the
// second's range of ranks.
func jensenShannon(x, y []float64) (sum float64) {
	before, last := 0., 0.
	for i := 2; i < len(y); i += 2 {
		at := y[i]
		below := rankOf(x, at)
		upTo := rankOf(y, at)
		if i == len(y)-1 {
			below, upTo = 1, 1
		}
		p, q := max(0, below-before), max(0, upTo-last)
		before, last = below, upTo
		m := (p + q) / 2
		if p > 0 {
			sum += p / 2 * math.Log2(p/m)
		}
		if q > 0 {
			sum += q / 2 * math.Log2(q/m)
		}
	}
	return sum
}

// rankOf is the share of values up to a bound, by quantiles.
func rankOf(quantiles []float64, bound float64) float64 {
	n := len(quantiles) - 1
	for i := n; i >= 0; i-- {
		if quantiles[i] <= bound {
			if i == n {
				return 1
			}
			return (float64(i) + (bound-quantiles[i])/(quantiles[i+1]-quantiles[i])) / float64(n)
		}
	}
	return 0
}
