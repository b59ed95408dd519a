// Package judge knows whether the statistics of a version are what those of others
// let one expect: of earlier partitions of the same definition, or of an earlier
// definition on the same partition and inputs. The two are never mixed.
//
// It is pure: it reads no clock, keeps nothing, and never knows datasets, contracts,
// files or what becomes of its verdicts.
package judge

import (
	"time"

	"github.com/reedbed/reedbed/fingerprint"
)

// Version is what is judged, or compared with: the metrics of one partition.
type Version struct {
	Start   time.Time // of the partition
	Metrics []fingerprint.Metric
}

// Severity is what a verdict means for promotion.
type Severity string

// The severities: promote; promote and say so; do not promote.
const (
	None Severity = "none"
	Warn Severity = "warn"
	Hold Severity = "hold"
)

// Verdict is the judgement of one version.
type Verdict struct {
	Severity Severity
	// Score is how seldom chance alone would do this to any of the metrics: 3 is
	// once in 1000 partitions, 0 is nothing unusual. It is at most MaxScore.
	Score float64
	// Points are the partitions compared with; nothing is judged with fewer than
	// MinPoints, or where they and the judged one have fewer rows than MinRows.
	Points   int
	Findings []Finding // those that matter, the weightiest first; none if Severity is None
}

// MinPoints are the partitions that any statistical judgement needs.
const MinPoints = 14

// MinRows are the rows that a partition should have for its statistics to be judged: if
// neither the judged one has so many nor half of those it is compared with, it is not.
const MinRows = 100

// MaxScore bounds scores, which grow without limit where chance is out of the question.
const MaxScore = 99

// maxFindings is how many a person reads.
const maxFindings = 8

// Finding is one metric that is not as expected.
type Finding struct {
	Metric   string // as in fingerprint.Metric
	Column   string
	Expected float64 // the forecast
	Low      float64 // the range nobody would wonder about
	High     float64
	Seen     float64
	// Z is the distance from the forecast in units of what such forecasts are
	// usually off by; below zero if less was seen than expected.
	Z float64
	// Weight is the score this metric alone would give the verdict.
	Weight float64
	Share  bool // the values are shares from 0 to 1
}
