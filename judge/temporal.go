package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/reedbed/reedbed/fingerprint"
)

// History is what a version is compared with. The order of its versions does not
// matter. At most some 60 of them are looked at, those that Wanted names.
type History struct {
	// Every is the length of a partition: an hour or a day.
	Every time.Duration
	// Versions are those promoted under the same code identity. One with the start of
	// the judged partition is left out.
	Versions []Version
	// Accepted are partitions a person approved although they were held.
	Accepted []Accepted
}

// Accepted is a partition that a person approved, with the columns its verdict had
// findings of: after that they may behave otherwise.
type Accepted struct {
	Start   time.Time
	Columns []string
}

// The baseline has a row for each of the last seasons and a column for the judged
// hour and each of the hours before it.
const (
	seasons = 8
	columns = 7
	young   = 4 // with fewer seasons than these the next shorter season is taken
)

// season lengths of a partition's length, the longest first.
func lengths(every time.Duration) []int {
	if every >= 24*time.Hour {
		return []int{7, 1}
	}
	return []int{7 * 24, 24, 1}
}

// Wanted are the starts of the partitions that Temporal would look at to judge the one
// at start, the newest first, at most 62: the last hours, and the same hour and those
// before it one to eight weeks ago; until the oldest version on record is four weeks
// back, of days instead of weeks. None if partitions are not of hours or days.
func Wanted(start time.Time, every time.Duration, oldest time.Time) []time.Time {
	if every != time.Hour && every != 24*time.Hour {
		return nil
	}
	var lags []int
	if all := lengths(every); start.Sub(oldest) >= time.Duration(young*all[0])*every {
		lags = around(lags, all[0], seasons)
	} else {
		for lag := range MinPoints {
			lags = append(lags, lag+1)
		}
		lags = around(lags, all[1], seasons-2)
	}
	slices.Sort(lags)
	var starts []time.Time
	for _, lag := range slices.Compact(lags) {
		if at := start.Add(-time.Duration(lag) * every); !at.Before(oldest) {
			starts = append(starts, at)
		}
	}
	return starts
}

// around appends the lags of a baseline of seasons of some length.
func around(lags []int, length, seasons int) []int {
	for row := range seasons + 1 {
		for column := range columns {
			if lag := row*length + column; lag > 0 {
				lags = append(lags, lag)
			}
		}
	}
	return lags
}

// Temporal judges a version by earlier partitions of the same definition.
//
// Each metric is forecast from its own past in a few simple ways, and the way that
// would have done best in the weeks on record is believed; how far it was off there is
// the yardstick of how far it is off now. See forecast. Counts are compared by their
// logarithms, and those that follow the number of rows by their ratio to it, so that a
// busy day is one surprise and not forty.
//
// The probability of a false hold is controlled for the partition, not the metric: a
// weighted Bonferroni bound (Genovese, Roeder and Wasserman 2006), valid however the
// metrics depend on each other. The number of rows has rowsWeight of the budget, half
// of what thinning has coming from that; the columns share the rest evenly, and so do
// the metrics of a column.
func Temporal(v Version, h History) Verdict {
	b := newBaseline(v, h)
	verdict := Verdict{Severity: None, Points: b.points}
	if b.points < MinPoints || b.few() {
		return verdict
	}
	thin := newThinning(b.keys)
	weights := weigh(b.keys, thin.weight)
	for i := range b.keys {
		f, surprise := b.judge(i)
		if surprise == 0 {
			continue
		}
		f.Weight = min(MaxScore, max(0, surprise+math.Log10(weights[i])))
		verdict.Score = max(verdict.Score, f.Weight)
		verdict.Findings = append(verdict.Findings, f)
		thin.add(f, surprise)
	}
	verdict.Score = max(verdict.Score, thin.join(verdict.Findings))
	return conclude(verdict, limitsOf(h.Every))
}

// limits are the scores from which on a version is promoted with a warning, and held.
type limits struct{ warn, hold float64 }

// limitsOf aims at a third of the goal of one false hold in a month of hours, for
// forecasts are worst on days unlike any on record. A day's partition may be held once
// in 200, since one in 30 would be what people learn to ignore.
func limitsOf(every time.Duration) limits {
	if every >= 24*time.Hour {
		return limits{warn: math.Log10(30), hold: math.Log10(200)}
	}
	return limits{warn: math.Log10(7 * 24), hold: math.Log10(3 * 30 * 24)}
}

// conclude sets the severity and keeps what explains it.
func conclude(v Verdict, l limits) Verdict {
	switch {
	case v.Score >= l.hold:
		v.Severity = Hold
	case v.Score >= l.warn:
		v.Severity = Warn
	}
	v.Findings = slices.DeleteFunc(v.Findings, func(f Finding) bool { return f.Weight < l.warn })
	slices.SortFunc(v.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(math.Abs(b.Z), math.Abs(a.Z)),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Metric, b.Metric))
	})
	v.Findings = slices.Clip(v.Findings[:min(len(v.Findings), maxFindings)])
	return v
}

// rowsWeight is the part of the budget for false holds that the number of rows has:
// rows lost show nowhere else.
const rowsWeight = .4

// weigh gives each metric its part of the budget; with that of thinning the parts sum to 1.
func weigh(keys []fingerprint.Metric, thin float64) []float64 {
	sizes := make(map[string]int)
	family := func(m fingerprint.Metric) string {
		if m.Column == "" {
			return "\x00" + m.Name
		}
		return m.Column
	}
	for _, m := range keys {
		sizes[family(m)]++
	}
	rows, rest, families := rowsWeight-thin/2, 1-thin, len(sizes)
	switch {
	case sizes["\x00rows"] == 0:
		rows = 0
	case families == 1:
		rows = rest
	default:
		rest, families = rest-rows, families-1
	}
	weights := make([]float64, len(keys))
	for i, m := range keys {
		weights[i] = rest / float64(families*sizes[family(m)])
		if isRows(m) {
			weights[i] = rows
		}
	}
	return weights
}

func isRows(m fingerprint.Metric) bool { return m.Name == "rows" && m.Column == "" }
