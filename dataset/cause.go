package dataset

import (
	"fmt"
	"strings"
	"time"
)

// CauseKind says what began a change, or passed it on.
type CauseKind string

// The kinds of cause this package can say in words.
const (
	ByLoad       CauseKind = "load"       // events came in
	BySide       CauseKind = "side"       // a small file of the project changed
	ByDefinition CauseKind = "definition" // a stage was deployed
	ByPromotion  CauseKind = "promotion"  // an input has other content
	ByRetry      CauseKind = "retry"      // what was in quarantine decodes now
	ByContract   CauseKind = "contract"   // what judges versions changed
	ByClose      CauseKind = "close"      // the partition closed: all of its contract counts now
	ByHold       CauseKind = "hold"       // an input is held, and nothing of it can be read
	ByApproval   CauseKind = "approval"   // a person let a held version pass
)

// Cause is one link of the chain that made a version, or makes a partition due.
type Cause struct {
	ID     int64     `json:"id"`
	Kind   CauseKind `json:"kind"`
	Detail string    `json:"detail"` // in words, for people
	At     time.Time `json:"at"`
	// By is the change of what is deployed that this is part of; nil for others.
	By *AppliedBy `json:"by,omitempty"`
	Facts
}

// AppliedBy says who deployed something.
type AppliedBy struct {
	Apply  int64  `json:"apply"`  // number of the record
	Action string `json:"action"` // first, apply, rollback or upgrade
	Actor  string `json:"actor"`
}

// Facts are what a cause's words say, for programs. Which are set follows from
// its kind.
type Facts struct {
	// What changed: a stage, a side input, or the input that was promoted.
	Dataset   string    `json:"dataset,omitempty"`
	Partition Partition `json:"partition,omitempty"`
	// Version is of the side input or of the promoted input. A promotion without
	// one made it ABSENT.
	Version int64 `json:"version,omitempty"`

	// Of a side input or a definition. Revision counts the definitions of a stage.
	File        string `json:"file,omitempty"`
	Revision    int64  `json:"revision,omitempty"`
	GitRevision string `json:"git_revision,omitempty"`

	Load  *LoadFacts  `json:"load,omitempty"`
	Retry *RetryFacts `json:"retry,omitempty"` // Dataset and Partition say of what
}

// LoadFacts say what one load took from the journal.
type LoadFacts struct {
	// Records and Events are numbers of the journal, first and last.
	Records  [2]uint64 `json:"records"`
	Events   [2]uint64 `json:"events"`
	Sources  []string  `json:"sources,omitempty"`
	Received TimeRange `json:"received"`
}

// TimeRange is the time from the first to the last of some instants, both
// included.
type TimeRange struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// Include widens r so that t is in it.
func (r *TimeRange) Include(t time.Time) {
	if r.From.IsZero() || t.Before(r.From) {
		r.From = t
	}
	if t.After(r.To) {
		r.To = t
	}
}

// Words says the facts of a cause of some kind in one line.
func (f Facts) Words(kind CauseKind) string {
	switch kind {
	case ByLoad:
		if f.Load != nil {
			return f.Load.words()
		}
	case ByRetry:
		if f.Retry != nil {
			return f.retryInWords()
		}
	case BySide:
		return fmt.Sprintf("%s changed: version %d of %s", f.File, f.Version, f.Dataset)
	case ByDefinition:
		return fmt.Sprintf("%s was deployed: revision %d of %s%s", f.File, f.Revision, f.Dataset, atCommit(f.GitRevision))
	case ByContract:
		return fmt.Sprintf("what %s is judged by changed", f.Dataset)
	case ByHold:
		return fmt.Sprintf("%s@%s is held", f.Dataset, f.Partition)
	case ByClose:
		return fmt.Sprintf("%s closed partitions, which are judged once more", f.Dataset)
	case ByPromotion:
		if f.Version == 0 {
			return fmt.Sprintf("%s@%s became absent", f.Dataset, f.Partition)
		}
		return fmt.Sprintf("%s@%s has new content: version %d", f.Dataset, f.Partition, f.Version)
	}
	return string(kind)
}

func (l LoadFacts) words() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s loaded: journal %s", count(l.Events, "event"), span(l.Records, "record"))
	if len(l.Sources) > 0 {
		b.WriteString(", from " + strings.Join(l.Sources, ", "))
	}
	if !l.Received.To.IsZero() {
		b.WriteString(", received " + l.Received.words())
	}
	return b.String()
}

func count(r [2]uint64, what string) string {
	if n := r[1] - r[0] + 1; n != 1 {
		return fmt.Sprintf("%d %ss", n, what)
	}
	return "1 " + what
}

func span(r [2]uint64, what string) string {
	if r[0] == r[1] {
		return fmt.Sprintf("%s %d", what, r[0])
	}
	return fmt.Sprintf("%ss %d to %d", what, r[0], r[1])
}

func (r TimeRange) words() string {
	const layout = "2006-01-02T15:04:05Z"
	from, to := r.From.UTC().Format(layout), r.To.UTC().Format(layout)
	if r.From.IsZero() || from == to {
		return to
	}
	return from + " to " + to
}

// atCommit names a git revision as people do, by its first digits.
func atCommit(revision string) string {
	if revision == "" {
		return ""
	}
	return ", git " + revision[:min(len(revision), 10)]
}

// Outcome says what came of the last time a partition was looked at.
type Outcome string

// The outcomes. After the last four nothing that readers see had changed, unless
// what they saw was what is held now.
const (
	Built     Outcome = "built"     // computed
	Appended  Outcome = "appended"  // computed for what the input had gained
	Reused    Outcome = "reused"    // an earlier version stands under the same trace key
	Vanished  Outcome = "absent"    // there is nothing to compute from
	Unchanged Outcome = "unchanged" // computed, and the rows are those that were promoted
	Withheld  Outcome = "held"      // a gate holds the result, or an input is held
	Standing  Outcome = "fresh"     // the trace key was that of the promoted version
)
