package tracker

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"
)

// stream numbers the events of one client, as docs/event.md has it. A clock that
// goes back begins another one.
type stream struct {
	id       string // "" before the first event
	next     int64
	drops    int64
	last     time.Time // of the newest event, or of this one
	previous end       // told until the first event of this stream is answered
}

// end is where a stream ends.
type end struct {
	StreamID string    `json:"stream_id"`
	Seq      int64     `json:"seq"`
	Dropped  int64     `json:"dropped"`
	Time     time.Time `json:"time"`
}

// number is the place of an event in its stream.
type number struct {
	StreamID string `json:"stream_id"`
	Seq      int64  `json:"seq"`
	Dropped  int64  `json:"dropped,omitempty"`
	Previous *end   `json:"previous,omitempty"`
}

// turn sets the clock, and begins a stream if there is none that can go on.
func (s *stream) turn(now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	if s.id != "" && !now.Before(s.last) {
		s.last = now
		return
	}
	before := s.previous
	if s.next > 0 {
		before = s.end()
	}
	*s = stream{id: uuid7(now), last: now, previous: before}
}

func (s *stream) number() *number {
	n := &number{StreamID: s.id, Seq: s.next, Dropped: s.drops}
	if s.previous.StreamID != "" {
		p := s.previous
		n.Previous = &p
	}
	return n
}

// gave counts an event that has its number.
func (s *stream) gave(e Event) {
	if e.Time.IsZero() {
		s.next++
	}
}

// refused counts an event with a number, given under the id of its stream, that was
// dropped; the events that follow report it.
func (s *stream) refused(id string) {
	switch id {
	case "": // it has no number
	case s.id:
		s.drops++
	case s.previous.StreamID:
		s.previous.Dropped++
	}
}

// answered forgets the stream before once events of this one are known to have arrived.
func (s *stream) answered(id string) {
	if id == s.id {
		s.previous = end{}
	}
}

// end is where the stream ends; the one before while it has no event.
func (s *stream) end() end {
	if s.next == 0 {
		return s.previous
	}
	return end{StreamID: s.id, Seq: s.next - 1, Dropped: s.drops, Time: s.last}
}

// uuid7 returns a UUID of version 7 (RFC 9562, 5.7): milliseconds, then random bits.
func uuid7(t time.Time) string {
	var u [16]byte
	rand.Read(u[:]) // never fails
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli())<<16)
	copy(u[:6], ms[:6])
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
