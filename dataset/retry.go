package dataset

import (
	"fmt"
	"strings"
)

// Retry is one atomic step of trying quarantine again: of one segment's rows,
// Loaded decode now and become rows of raw, Repeats decode and are there
// already, and all others stay. The catalog refuses it unless that adds up.
type Retry struct {
	// At is where the journal was loaded to when copies were looked for; compared
	// and set, so that nothing was loaded or retried since.
	At       Cursor
	Replaced Segment     // of quarantine; must still be live
	With     *NewSegment // its rows that stay; nil when none does
	Added    []NewSegment
	Sidecar  *NewSidecar // the ids of Added; nil when there are none
	Loaded   int64
	Repeats  int64
	// Identity is that of the decoder all rows that stay were tried with; nil when
	// some were not, and then nothing is known of them that was not known before.
	Identity []byte

	// Sources say whose events they were, for people who ask why.
	Sources []string
}

// RetryFacts say what one retry of quarantine brought.
type RetryFacts struct {
	Events  int64    `json:"events"` // that decode now, repeats included
	Sources []string `json:"sources,omitempty"`
}

func (f Facts) retryInWords() string {
	if f.Retry.Events == 0 {
		return fmt.Sprintf("%s@%s was tried again and has other reasons", f.Dataset, f.Partition)
	}
	which := fmt.Sprintf("%d events of %s@%s decode now", f.Retry.Events, f.Dataset, f.Partition)
	if f.Retry.Events == 1 {
		which = fmt.Sprintf("1 event of %s@%s decodes now", f.Dataset, f.Partition)
	}
	if len(f.Retry.Sources) == 0 {
		return which
	}
	return which + ", from " + strings.Join(f.Retry.Sources, ", ")
}

// Without returns the hash of what is left of a multiset of rows when those of
// o, which are in it, are taken out.
func (h ContentHash) Without(o ContentHash) ContentHash {
	for i := range h {
		h[i] -= o[i]
	}
	return h
}
