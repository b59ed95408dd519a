package event

import "time"

// Policy says which clock values are believed. A zero field takes the value of
// DefaultPolicy.
type Policy struct {
	MaxLateness time.Duration // how far before its arrival an event may have happened
	MaxFuture   time.Duration // how far after
	Skew        time.Duration // a sending clock off by less is taken for a slow network
}

// DefaultPolicy returns the policy of a source that states none.
func DefaultPolicy() Policy {
	return Policy{
		MaxLateness: 2 * 365 * 24 * time.Hour,
		MaxFuture:   5 * time.Minute,
		Skew:        5 * time.Minute,
	}
}

func (p Policy) orDefault() Policy {
	d := DefaultPolicy()
	if p.MaxLateness == 0 {
		p.MaxLateness = d.MaxLateness
	}
	if p.MaxFuture == 0 {
		p.MaxFuture = d.MaxFuture
	}
	if p.Skew == 0 {
		p.Skew = d.Skew
	}
	return p
}

// Placement is when an event is held to have happened.
type Placement struct {
	OccurredAt  time.Time // UTC, whole microseconds
	Hour        time.Time // UTC start of the hour OccurredAt is in
	Corrected   bool      // the sender's clock was wrong by SentAt against ReceivedAt
	Implausible bool      // the claimed time is not believed; OccurredAt is the arrival
}

// Place decides when e happened: the client's time, moved by the skew of the
// client's clock where that clock is plainly wrong; the arrival where there is
// no time or none to believe. It depends on e, b and p alone, so that a replay
// places every event where it was.
//
// A historical batch carries old events on purpose: its send times say nothing
// about a clock, and it has no limit on lateness.
func Place(e *Envelope, b *Batch, p Policy) Placement {
	p = p.orDefault()
	received := microseconds(b.ReceivedAt)
	if e.Time.IsZero() {
		return Placement{OccurredAt: received, Hour: received.Truncate(time.Hour)}
	}
	at, corrected := e.Time, false
	skew := received.Sub(e.SentAt)
	if !e.SentAt.IsZero() && !b.Historical && (skew >= p.Skew || skew <= -p.Skew) {
		at, corrected = at.Add(skew), true
	}
	at = microseconds(at)
	if !plausible(at, received, b.Historical, p) {
		return Placement{OccurredAt: received, Hour: received.Truncate(time.Hour), Implausible: true}
	}
	return Placement{OccurredAt: at, Hour: at.Truncate(time.Hour), Corrected: corrected}
}

func plausible(at, received time.Time, historical bool, p Policy) bool {
	switch {
	case at.Unix() < 0:
		return false
	case at.Sub(received) > p.MaxFuture:
		return false
	}
	return historical || received.Sub(at) <= p.MaxLateness
}

func microseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
