package dataset

import (
	"errors"
	"fmt"
	"time"
)

// ErrSuperseded says that a build was computed from a definition that is no
// longer deployed: the commit changed nothing, and the partition is still due.
var ErrSuperseded = errors.New("the stage was deployed anew, paused, retired or waived while this ran")

// Deployment is one stage as it is put to work.
type Deployment struct {
	Spec         Spec
	Rejected     *Spec // the dataset of refused rows, nil without a rejects rule
	CodeIdentity []byte
	SQL          string
	Header       string // the YAML as written
	File         string
	GitRevision  string
	Definition   int64 // the revision on record that this is, 0 for a text as it stands in a file
	Edges        []Edge
	Allowance    time.Duration // how long after its end a partition stays open
	Interval     time.Duration // least time between two runs on one partition
	RowWise      bool
	Depth        int
	Release      string // the release group, "" for none
	// Gate identifies what judges the stage's versions, nil if nothing does. Closes
	// says that it judges a partition once more when it closes.
	// Completes says that it judges by how much arrived, as Completeness has it.
	Gate              []byte
	Closes, Completes bool
	// ComparesFrom is how many rows must be on record before the close of a partition
	// compares it with others; 0: it never does.
	ComparesFrom int64
}

// Task is one dirty partition that is due.
type Task struct {
	Dataset    string
	Owner      string // of the dataset
	Depth      int    // of the dataset, from the built-in ones
	Partition  Partition
	Generation int64 // the dirty entry's; a commit answers exactly this one
	Closed     bool
	Live       bool // its time was not over when it was asked for
	Urgent     bool // a person brought it about
	Cause      CauseKind
	Attempts   int
	FailedKey  []byte // the trace key that failed last, nil if none did
	Since      time.Time
}

// Build is the outcome of one task, committed in one transaction.
type Build struct {
	Task         Task
	CodeIdentity []byte // of the definition it was computed from
	Gate         []byte // what judged it, as it is deployed; nil: nothing
	TraceKey     []byte
	// ColumnKey is the trace key for a stage that does not see every column: equal
	// for all inputs that differ only in what it does not see. nil: it sees them all.
	ColumnKey []byte
	Inputs    []Promoted // what was read, Version 0 for ABSENT
	// Anchored says that some input has something in the partition's time. Then the
	// partition is on record even if it is absent: an input of which all is read may
	// come to have something later, anywhere in time.
	Anchored bool

	// Exactly one of the following says what the outcome is.
	Absent  bool        // nothing anchors the partition, or there is nothing to compute from
	Reuse   bool        // the output and refused rows on record under Found
	Content *NewContent // computed now

	// Standing says that the version found is promoted under this key already: what
	// is on record of its inputs stays, and Inputs is nil.
	Standing bool
	Found    []byte // a trace key of an earlier run that stands for this one, nil: TraceKey

	// Verdict is what the gate says of the outcome; nil: nothing judges it.
	Verdict *Verdict
	// Fingerprint are the statistics of the outcome, nil if none were taken now.
	Fingerprint []byte
	// Waits are inputs of which nothing can be read because what there is of them is
	// held. Then nothing is computed, and what readers see stays.
	Waits []Promoted

	CPU, Wall   time.Duration
	GitRevision string
}

// Held reports whether readers stay with what they see.
func (b Build) Held() bool {
	return len(b.Waits) > 0 || !b.Absent && b.Verdict != nil && b.Verdict.Held()
}

// HeldVerdict is why Held.
func (b Build) HeldVerdict() Verdict {
	if len(b.Waits) == 0 {
		return *b.Verdict
	}
	var v Verdict
	for _, q := range b.Waits {
		v.Broken = append(v.Broken, Broken{
			Contract: q.Dataset, Rule: "inputs", What: fmt.Sprintf("waits for %s@%s, which is held and has no earlier version", q.Dataset, q.Partition),
		})
	}
	return v
}

// Keys are the trace keys under which the outcome is recorded.
func (b Build) Keys() [][]byte {
	if b.ColumnKey == nil {
		return [][]byte{b.TraceKey}
	}
	return [][]byte{b.TraceKey, b.ColumnKey}
}

// FoundKey is the trace key whose versions a Reuse promotes.
func (b Build) FoundKey() []byte {
	if b.Found == nil {
		return b.TraceKey
	}
	return b.Found
}

// NewContent is what a stage run produced.
type NewContent struct {
	// Growth other than NoGrowth adds the segments to the content of Base, which
	// must still be what is promoted, instead of replacing all.
	Growth  Growth
	Base    Promoted
	Segment *NewSegment // nil: no rows
	// Keyed are the hashes by column of the whole output, nil if nobody looked; those
	// of an output whose key is not unique are without columns.
	Keyed    *ColumnHashes
	Rejected *NewSegment // nil: no rows refused
}

// Growth says how one content came of another.
type Growth int

// The kinds of growth. What Grew got more rows because more were loaded: it never
// goes back to what it was. What merely Holds what it was, and more, may: another
// definition made it so.
const (
	NoGrowth Growth = iota
	Holds
	Grew
)
