// Package fingerprint knows the summary statistics of a version: how many rows,
// how often a column is missing, how values are spread, what its owner measures.
// Fingerprints of disjoint sets of rows merge into that of their union, so that a
// day's is the merge of its hours'.
//
// It computes nothing from rows, which fingerprint/scan does, and judges nothing.
// It never knows datasets, contracts or where a fingerprint is kept.
package fingerprint

import (
	"slices"
	"strings"
	"time"
)

// Fingerprint are the summary statistics of one version's rows.
type Fingerprint struct {
	// Start and End bound the partition in time; zero where it has no bounds.
	Start    time.Time `json:"start,omitzero"`
	End      time.Time `json:"end,omitzero"`
	Rows     int64     `json:"rows"`
	Bytes    int64     `json:"bytes"`
	Rejected int64     `json:"rejected"` // rows the stage refused beside these
	// Together are the rows that were read at once, of which it is known what they have in
	// common: all, but for those that were merged with them.
	Together int64 `json:"together,omitempty"`
	// Late are rows received after the partition had ended, nil where that is not known.
	Late *int64 `json:"late,omitempty"`
	// Completeness is of the time of the rows, as far as it was measured when they
	// were judged last; nil where it is not.
	Completeness *Completeness `json:"completeness,omitempty"`
	Columns      []Column      `json:"columns,omitempty"` // in order of name
	// Omitted are columns there were no room for.
	Omitted  int       `json:"omitted,omitempty"`
	Measures []Measure `json:"measures,omitempty"` // in order of name
	// Checks are what counting found for each rule that was asked about.
	Checks []Check `json:"checks,omitempty"` // in order of name
}

// Kind is what statistics a column has.
type Kind string

// The kinds of column. Numbers and times have minimum, maximum, mean and
// quantiles; booleans have the share of true as their mean. Nested values and
// bytes are Other, of which only the missing ones are counted.
const (
	Number Kind = "number"
	Time   Kind = "time"
	Text   Kind = "text"
	Bool   Kind = "bool"
	Other  Kind = "other"
)

// Column are the statistics of one column. Min, Max, Mean, Deviation and
// Quantiles are over the values that are finite, and nil where there are none;
// those of a Time are seconds since 1970 UTC.
type Column struct {
	Name      string `json:"name"`
	Kind      Kind   `json:"kind"`
	Nulls     int64  `json:"nulls"`
	NotFinite int64  `json:"not_finite,omitempty"` // rows with NaN or an infinity, which are no NULL
	// Distinct is the number of values but for NULL: exact for a category that never
	// was merged, else within Sketch.Error.
	Distinct int64 `json:"distinct"`
	// Firsts is the share of the rows with a value that are the first with theirs: 1 of
	// a key. Of each value no more than FirstsRows rows count. It is found among the rows
	// of at most FirstsValues values, and nil where nobody looked, which is so of
	// categories, and of a merge that is not Whole.
	Firsts    *float64 `json:"firsts,omitempty"`
	Min       *float64 `json:"min,omitempty"`
	Max       *float64 `json:"max,omitempty"`
	Mean      *float64 `json:"mean,omitempty"`
	Deviation *float64 `json:"deviation,omitempty"` // standard deviation
	// Quantiles are the values at Ranks(len(Quantiles)).
	Quantiles []float64 `json:"quantiles,omitempty"`
	// RankError is by how much merging may have moved the rank of a quantile, at
	// most: 0.01 is a hundredth of the values.
	RankError float64 `json:"rank_error,omitempty"`
	// Sampled are the values the quantiles were found among, 0 if it was all of them.
	Sampled int64 `json:"sampled,omitempty"`

	// Categories have an entropy, from 0 for a single value to 1 for all values
	// equally often, and the values that most rows have, in order of rows. A column
	// with too many values to count is none.
	Entropy *float64 `json:"entropy,omitempty"`
	Top     []Value  `json:"top,omitempty"`
	// TailEntropy is the entropy in nats among the rows with a value that is not in Top.
	TailEntropy float64 `json:"tail_entropy,omitempty"`

	Sketch Sketch `json:"sketch,omitempty"` // nil without values, and where there was no room for it
}

// How many values Firsts is found among, and how many rows of each count.
const (
	FirstsValues = 2048
	FirstsRows   = 8
)

// Value is a frequent value of a category column.
type Value struct {
	Text string `json:"text"` // at most TextBytes of it
	Rows int64  `json:"rows"`
}

// The privacy floor: no value is kept that fewer than FloorRows rows have, and
// none in full that is longer than TextBytes. Texts have no minimum and maximum.
const (
	FloorRows = 10
	TextBytes = 64
)

// Check is the number one rule's SQL gave: rows that break it. A rule whose SQL
// fails has an Error and no number.
type Check struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	Error string `json:"error,omitempty"`
	// Whole says that the number is of the rows together, such as repeats of a key:
	// those of parts say nothing of their union, and Merge leaves them out.
	Whole bool `json:"whole,omitempty"`
}

// Measure is the value of one of the stage's own measures over Rows rows, nil if
// the SQL gave NULL or, with an Error, failed. Values of parts merge by weight of
// rows, which is right for means and shares.
type Measure struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value"`
	Rows  int64    `json:"rows"`
	Error string   `json:"error,omitempty"`
}

// Metric is one number of a fingerprint, as judges compare it with others.
type Metric struct {
	Name   string  // rows, bytes, rejected, late, nulls, distinct, mean, p50, top, entropy, measure, ...
	Column string  // or the measure's name; "" for metrics of all rows
	Value  float64 // counts as they are, shares from 0 to 1, entropy normalised to 0..1
	Error  float64 // what sampling alone may move it by: one standard error, 0 if not known
	Of     int64   // how many values it is a share of, 0 of all that is no share
	Count  bool    // it grows with traffic: compare its logarithm
}

// Column is the column of that name, nil if there is none.
func (f *Fingerprint) Column(name string) *Column {
	i := slices.IndexFunc(f.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return nil
	}
	return &f.Columns[i]
}

// Measure is the measure of that name, nil if there is none.
func (f *Fingerprint) Measure(name string) *Measure {
	i := slices.IndexFunc(f.Measures, func(m Measure) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Measures[i]
}

// Check is the check of that name, nil if there is none.
func (f *Fingerprint) Check(name string) *Check {
	i := slices.IndexFunc(f.Checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Checks[i]
}

// Whole says whether nine of ten rows were read together, so that what others of the
// rows have in common with them matters little.
func (f *Fingerprint) Whole() bool { return f.Together >= f.Rows-f.Rows/10 }

// RejectedShare is the share of rejected rows among all that the stage returned.
func (f *Fingerprint) RejectedShare() float64 { return share(f.Rejected, f.Rows+f.Rejected) }

// LateShare is the share of late rows, not ok where that is not known.
func (f *Fingerprint) LateShare() (late float64, ok bool) {
	if f.Late == nil {
		return 0, false
	}
	return share(*f.Late, f.Rows), true
}

// NullShare is the share of rows without a value, of the rows the fingerprint has.
func (c *Column) NullShare(rows int64) float64 { return share(c.Nulls, rows) }

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
