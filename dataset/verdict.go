package dataset

import (
	"fmt"
	"strings"
	"time"
)

// Verdict is what a gate says of a version before readers are sent to it.
type Verdict struct {
	// By identifies what judged: the contracts as they are, and whether the partition
	// was open. Another one judges again.
	By []byte `json:"-"`
	// Broken says what the version does not keep, the gravest first. It is held
	// unless all of it is a warning.
	Broken []Broken `json:"broken,omitempty"`
	// For are stages for which alone it is held, by their own contracts: they go on
	// reading the last version that was good for them.
	For map[string][]Broken `json:"for,omitempty"`
	// Approved is a person's word that it is good as it is.
	Approved *Approval `json:"approved,omitempty"`
	// Moved says how far the version is from what the partition was before somebody
	// applied a change, nil if that is not far. Nobody is kept from it for that.
	Moved *Broken `json:"moved,omitempty"`
}

// Broken is one expectation that a version does not meet.
type Broken struct {
	Contract string `json:"contract"`        // whose: a stage, or a file of contracts/
	Owner    string `json:"owner,omitempty"` // of the contract
	Rule     string `json:"rule"`            // such as columns.country.not_null
	At       string `json:"at,omitempty"`    // file:line of the rule
	What     string `json:"what"`            // what was expected and what was found, in words
	Warning  bool   `json:"warning,omitempty"`
	// Column is the one it is about, "" for all rows.
	Column string `json:"column,omitempty"`
	// Grave says of a rule Statistics that readers are kept from the version where
	// that holds versions: it is no matter of a warning.
	Grave bool `json:"grave,omitempty"`
	// Usual and Here are how the column's values are spread in a version to compare
	// with, and in this one; nil where nobody knows.
	Usual *Spread `json:"usual,omitempty"`
	Here  *Spread `json:"here,omitempty"`
}

// Rules that no contract has written.
const (
	Statistics = "statistics" // it is not what earlier partitions let one expect
	Difference = "difference" // it is far from what the partition was before somebody applied a change
)

// Spread is how the values of a column are spread.
type Spread struct {
	Of    string  `json:"of"` // the version, as reedbed why calls it; "" for the judged one
	Rows  int64   `json:"rows"`
	Nulls float64 `json:"nulls"` // share of rows
	// Quantiles are the values at equal steps of rank from the smallest to the largest;
	// those of times are seconds since 1970 UTC.
	Quantiles []float64 `json:"quantiles,omitempty"`
	// Top are the most frequent values of a category with their shares of all values.
	Top []Part `json:"top,omitempty"`
}

// Part is one value's share.
type Part struct {
	Value string  `json:"value"`
	Share float64 `json:"share"`
}

// Approval is a person's consent to a held version.
type Approval struct {
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	// For is the stage that is to read what is held for it alone, "" for everybody.
	For string `json:"for,omitempty"`
}

// Held reports whether nobody is to read the version.
func (v Verdict) Held() bool {
	if v.Approved != nil {
		return false
	}
	for _, b := range v.Broken {
		if !b.Warning {
			return true
		}
	}
	return false
}

// Warnings are what keeps nobody from the version.
func (v Verdict) Warnings() (out []Broken) {
	for _, b := range v.Broken {
		if b.Warning || v.Approved != nil {
			out = append(out, b)
		}
	}
	if v.Moved != nil {
		out = append(out, *v.Moved)
	}
	return out
}

// Judgement is what is on record of a version that a run could promote.
type Judgement struct {
	Promoted          // as it would be; Version 0: there is none
	Rejected    int64 // rows refused beside it
	Judged      bool
	Verdict     Verdict
	Fingerprint []byte // nil: none was taken
}

// Hold is a partition of which a version is held, or which waits for one that is.
type Hold struct {
	Dataset   string    `json:"dataset"`
	Partition Partition `json:"partition"`
	Owner     string    `json:"owner,omitempty"`
	Version   int64     `json:"version"` // what is held; 0: it waits for held inputs
	Reads     int64     `json:"reads"`   // what readers see instead, 0: ABSENT
	Since     time.Time `json:"since"`
	Broken    []Broken  `json:"broken"`
	// For is the stage for which alone it is held, "" for everybody.
	For string `json:"for,omitempty"`
	// Causes are why the version was made, the nearest first.
	Causes []Cause `json:"causes,omitempty"`
}

// Words says a hold in one line.
func (h Hold) Words() string {
	var what []string
	for _, b := range h.Broken {
		if !b.Warning {
			what = append(what, b.What)
		}
	}
	at := fmt.Sprintf("%s@%s", h.Dataset, h.Partition)
	if h.For != "" {
		at += " for " + h.For
	}
	return at + ": " + strings.Join(what, "; ")
}
