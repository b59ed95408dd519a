// Package event knows what an event is: the envelope every protocol maps to,
// the batch the front door puts in one journal record, the clocks, and the two
// pure functions that place an event (its hour) and route it (where its
// duplicates are looked for).
//
// It never does I/O, never reads a clock, and never knows HTTP, files or SQL.
package event

import "time"

// Envelope is one event after a protocol decoded it. Strings may alias the raw
// JSON they were decoded from, so an Envelope is valid only as long as that
// buffer is. Absent text is "", absent times are zero.
type Envelope struct {
	ID          string // the client's id; "" when it sent none
	Type        string // track, page, screen, identify, group or alias
	Name        string
	Time        time.Time // the client's clock, as claimed
	SentAt      time.Time // the client's clock when it sent, never part of identity
	UserID      string
	AnonymousID string
	SessionID   string
	StreamID    string
	Seq         int64  // -1 when the client sent none
	Properties  []byte // one JSON object, or nil
	Context     []byte // one JSON object, or nil
	Extra       []byte // one JSON object of all fields the envelope has no place for, or nil
}

// Batch is what the front door puts in one journal record: what one request
// carried, with what the door alone knows about it.
type Batch struct {
	Source     string
	Protocol   string
	ReceivedAt time.Time // UTC, microseconds
	ClientIP   string    // as the source's policy kept it: whole, truncated or ""
	UserAgent  string
	Historical bool   // an operator imports old events: no limit on lateness
	Shared     []byte // batch-level fields that apply to every event (one JSON object), or nil
	Items      []Item
}

// Item is one event of a batch: its original bytes and the door's verdict.
type Item struct {
	Refusal Refusal // zero: the raw bytes decode
	Raw     []byte
	// Outline is what the decoder that accepted Raw noted about it, so that it
	// need not be read in full again; nil if nothing was. It belongs to the
	// protocol and is opaque here.
	Outline []byte
}

// Refusal says why bytes do not decode to an envelope. Code is a short stable
// word for grouping (`invalid_json`, `duplicate_key`, `too_deep`); Reason is
// the sentence people read. The zero Refusal means "accepted".
type Refusal struct {
	Code   string
	Reason string
}

// Error makes a Refusal usable as an error.
func (r Refusal) Error() string { return r.Code + ": " + r.Reason }
