package dataset

import (
	"errors"
	"time"
)

// ErrCursorMoved says that somebody else committed the journal range first:
// the commit changed nothing and the loader must read its cursor again.
var ErrCursorMoved = errors.New("the load cursor moved: another loader committed this journal range")

// ErrSegmentGone says that a compaction names a segment that is no longer
// live: the compaction changed nothing and its output is an orphan.
var ErrSegmentGone = errors.New("a segment to compact is no longer live")

// Cursor is how far the journal is loaded: the next record number and the
// number of events before it.
type Cursor struct {
	Record uint64 `json:"record"`
	Event  uint64 `json:"event"`
	// ReceivedTo is the received time loaded up to: the watermark's source.
	ReceivedTo time.Time `json:"received_to"`
	// Retries counts the retries of quarantine: like a load, each brings ids that
	// a load which looked for copies before it does not know of.
	Retries uint64 `json:"retries,omitempty"`
}

// NewSegment is a Parquet object to be added to a partition.
type NewSegment struct {
	Dataset   string
	Partition Partition
	Object    string // the store's id of the object
	Rows      int64
	Bytes     int64
	Hash      ContentHash
	MinTime   time.Time // least and greatest event time inside, zero if unknown
	MaxTime   time.Time
}

// NewSidecar is a sorted file of the ids one load commit (or a merge of
// several) brought.
type NewSidecar struct {
	Object  string
	Bytes   int64
	Entries int64
}

// Sidecar is a live sidecar on record.
type Sidecar struct {
	ID      int64
	Object  string
	Bytes   int64
	Entries int64
}

// LoadCommit is one atomic step of the loader. Loaded counts rows put into
// raw, Quarantined rows put into quarantine, Repeats exact repeats dropped, Lost
// what a damaged journal no longer holds; the catalog refuses the commit unless they add up to the events consumed.
type LoadCommit struct {
	From     Cursor // where the loader began; compared and set
	To       Cursor
	Segments []NewSegment
	Sidecar  *NewSidecar // nil when no new id came

	// Sources and Received say what the events were, for people who ask why.
	Sources  []string
	Received TimeRange

	Loaded      int64
	Quarantined int64
	Repeats     int64
	Lost        int64 // events of journal ranges that were found corrupt
}

// Segment is a live segment on record.
type Segment struct {
	ID int64
	NewSegment
	AddedIn   int64 // version number of the partition that added it
	RemovedIn int64 // version number that removed it; 0 while live
}

// CompactionCandidate is a partition with small segments that may be merged:
// Segments are live, of one size tier, oldest first.
type CompactionCandidate struct {
	Dataset   string
	Partition Partition
	Segments  []Segment
}

// Compaction replaces segments of one partition by one with the same rows.
type Compaction struct {
	Dataset   string
	Partition Partition
	Replaced  []int64 // segment ids, all of which must still be live
	Segment   NewSegment
}
