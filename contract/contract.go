// Package contract knows what people hold a dataset to: what its producer
// guarantees, in the header of the stage, and what a consumer relies on, in a
// file of contracts/. It reads both strictly, checks them against the columns
// there are, says what an engine must find out to judge them, and judges a
// fingerprint.
//
// It reads nothing but the text and the values given to it, never runs SQL and
// never knows the catalog, nor what becomes of a version that breaks a contract.
package contract

import (
	"fmt"
	"time"
)

// Contract is what one party holds one dataset to.
type Contract struct {
	Name    string // the stage's, or that of the consumer's file
	Owner   string
	File    string // as people see it in messages
	Line    int    // where the terms begin
	Dataset string
	// Producer says that the dataset's own stage promises it: then everybody is kept
	// from a version that breaks it.
	Producer bool
	// Consumer is the stage that is kept from a version that breaks it, "" if nobody
	// is, and people are told.
	Consumer string
	Terms    Terms
}

// Terms are what is promised or expected of one dataset.
type Terms struct {
	// Tolerance is the share of rows that may break a rule that counts rows; nil is none.
	Tolerance *Number
	Columns   []Column
	Rows      Band // a number of rows
	Rejected  Band // a share of rows
	Complete  Band // a share of what was sent
	Fresh     *Delay
	Measures  []Measure
	Checks    []Check
	// Statistics says what becomes of a version that is not as others let one expect;
	// nil is Hold for the producer, and whatever that says for a consumer.
	Statistics *Literal
}

// Empty reports whether nothing is promised.
func (t Terms) Empty() bool {
	return len(t.Columns)+len(t.Measures)+len(t.Checks) == 0 && t.Rows.empty() && t.Rejected.empty() && t.Complete.empty() && t.Fresh == nil && t.Statistics == nil
}

// Column is what one column is held to. Lines are 0, and values nil, where
// nothing is asked.
type Column struct {
	Name     string
	Line     int
	Type     *Literal
	NotNull  int // the line that says so
	Unique   int // the line that says so
	Min, Max *Literal
	Accepted []Literal
	Matches  *Literal // a regular expression for the whole value
	Nulls    Band     // a share of rows
	Distinct Band     // a number of values
	Entropy  Band     // 0 for one value to 1 for all values equally often
	Relation *Relation
}

// Literal is a value as it was written.
type Literal struct {
	Text string
	Line int
}

// Number is a number that was written, a percentage as its share.
type Number struct {
	Value float64
	Text  string
	Line  int
}

// Band is where a number must lie, ends included; an end that is nil is open.
type Band struct{ Min, Max *Number }

func (b Band) empty() bool { return b.Min == nil && b.Max == nil }

// Delay is a time that may pass.
type Delay struct {
	Time time.Duration
	Line int
}

// Relation says that every value is one of another dataset's column.
type Relation struct {
	Dataset, Column string
	Line            int
}

// Measure holds one of the stage's own measures to a band.
type Measure struct {
	Name string
	Line int
	Band Band
}

// Check is a SELECT over the dataset, under its name: of the rows that must not
// be there, or of one number that must be 0.
type Check struct {
	Name, SQL, Why string
	Line           int
}

// Problem is one thing wrong with a contract.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"` // 0 when it concerns the whole file
	What string `json:"what"`
	Fix  string `json:"fix"`
}

func (p Problem) Error() string {
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Fix == "" {
		return at + ": " + p.What
	}
	return at + ": " + p.What + "; " + p.Fix
}
