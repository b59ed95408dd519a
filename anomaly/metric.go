package anomaly

import (
	"math"

	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/judge"
)

// Fewer rows than these are not judged by themselves: of a count, in usual hours; of
// shares, in the judged hour. What they are part of is.
const (
	fewRows   = 30
	fewShares = 100
)

// metrics are the numbers of a kind, and of how many rows they are.
func (o *Observation) metrics(k Kind) (m []fingerprint.Metric, n int64) {
	n = o.Rows
	switch k {
	case Volume:
		return []fingerprint.Metric{{Name: "rows", Value: float64(n), Error: math.Sqrt(float64(n)), Count: true}}, n
	case Delay:
		for i, d := range Delays() {
			m = append(m, share("come later than after "+d.String(), "", o.Slow[i], n))
		}
	case Spam:
		m = append(m, share("robots", "", o.Robots, n))
		if o.level() == ofSource && o.Crowd > 0 {
			m = append(m, share("ten busiest visitors", "", o.Crowd, n))
		}
	case Refused:
		n += o.Refused
		m = append(m, share("refused", "", o.Refused, n))
	case Missing:
		m = append(m, share("missing", o.Field, o.Missing, n))
	case Values:
		n -= o.Missing
		m = append(m, fingerprint.Metric{Name: "rows", Value: float64(n), Error: math.Sqrt(float64(n)), Count: true})
		for _, v := range o.Values {
			m = append(m, share(v.Text, o.Field, v.Rows, n))
		}
	}
	return m, n
}

// share is that of a part, with the error of a proportion.
func share(name, column string, part, n int64) fingerprint.Metric {
	p := float64(part) / float64(max(1, n))
	return fingerprint.Metric{
		Name: judge.ValuePrefix + name, Column: column, Value: p, Error: math.Sqrt(p * max(0, 1-p) / float64(max(1, n))), Of: n,
	}
}

// less takes the rows of a part away. What the ten busiest do without it is not known.
func (o *Observation) less(part Observation) {
	o.Rows, o.Robots, o.Crowd, o.Refused = o.Rows-part.Rows, o.Robots-part.Robots, 0, o.Refused-part.Refused
	for i := range o.Slow {
		o.Slow[i] -= part.Slow[i]
	}
}

// plus adds the rows of another series.
func (o *Observation) plus(other Observation) {
	o.Rows, o.Robots, o.Refused = o.Rows+other.Rows, o.Robots+other.Robots, o.Refused+other.Refused
	for i := range o.Slow {
		o.Slow[i] += other.Slow[i]
	}
}

// fewer is how seldom, as -log10 of a probability, a count is so far below all that
// it was in the hours compared with: of independent events half as frequent as in the
// least of those, by Chernoff's bound for the Poisson distribution. Logarithms, by
// which counts are compared otherwise, make little of the step to nothing at all.
func fewer(n, least int64) float64 {
	x, rate := float64(n), float64(least)/2
	if x >= rate {
		return 0
	}
	exponent := rate - x
	if x > 0 {
		exponent += x * math.Log(x/rate)
	}
	return exponent / math.Ln10
}
