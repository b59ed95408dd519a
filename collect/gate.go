package collect

import (
	"sync"
	"time"
)

// gate admits requests before their bodies are read. It bounds requests and
// body bytes in flight, over all sources and for each, and the event rate of
// each source. It never makes anyone wait: what does not fit now is shed.
type gate struct {
	maxSlots, maxBytes int64

	mu       sync.Mutex // guards everything below, and every usage
	slots    int64      // requests in flight
	bytes    int64      // body bytes they have reserved
	draining bool
	idle     chan struct{} // closed when draining and slots falls to 0
}

// usage is what one source holds of the gate. It outlives a change of the
// source's settings. Guarded by gate.mu.
type usage struct {
	share      float64 // most of the gate it may hold while others hold some
	rate       float64 // events per second, 0 for no limit
	burst      float64
	slots      int64
	bytes      int64
	tokens     float64 // below zero: events let in that are not yet paid for
	refilledAt time.Time
}

// shed is why a request was not admitted; the zero value means it was.
type shed uint8

const (
	admitted shed = iota
	shedDraining
	shedRate    // the source's own event rate is used up
	shedShare   // the source holds its share while others want theirs
	shedBusy    // the whole door is full
	shedAddress // what the client's address may send to the source is used up
	shedJournal // the journal is behind
	sheds
)

var shedNames = [sheds]string{"", "draining", "rate", "share", "busy", "address", "journal"}

// soleShare is the most of the gate a source may hold when nobody else holds
// any: the rest stays free so that a second source is let in, and once it is
// in, the first is bound to its share.
const soleShare = 7.0 / 8

func newGate(l Limits) *gate {
	return &gate{
		maxSlots: int64(l.InFlight), maxBytes: l.InFlightBytes,
		idle: make(chan struct{}),
	}
}

// configure sets a source's limits, keeping what it holds and owes.
func (g *gate) configure(u *usage, s Source, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if u.rate == 0 {
		u.tokens = s.burst() // it had no limit so far and begins with a full bucket
	}
	u.share, u.rate, u.burst = s.share(), s.Rate, s.burst()
	u.tokens, u.refilledAt = min(u.tokens, u.burst), now
}

// ticket is one request's hold on the gate. The zero ticket holds nothing.
type ticket struct {
	gate  *gate
	usage *usage
	bytes int64
}

// admit takes a place for one request that is expected to carry bytes, of
// which it reserves at most firstReserve now: a sender that announces much and
// sends slowly must not hold what it does not use.
func (g *gate) admit(u *usage, bytes int64, now time.Time) (ticket, shed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining {
		return ticket{}, shedDraining
	}
	if !u.mayStart(now) {
		return ticket{}, shedRate
	}
	if why := g.fits(u, 1, bytes); why != admitted {
		return ticket{}, why
	}
	t := ticket{gate: g, usage: u, bytes: min(bytes, firstReserve)}
	g.take(u, 1, t.bytes)
	return t, admitted
}

const firstReserve = 256 << 10

func (g *gate) fits(u *usage, slots, bytes int64) shed {
	if g.slots+slots > g.maxSlots || g.bytes+bytes > g.maxBytes {
		return shedBusy
	}
	if u.slots == 0 {
		return admitted // a source with nothing in flight always gets its turn
	}
	share := u.share
	if g.slots == u.slots {
		share = max(share, soleShare)
	}
	if over(u.slots+slots, share, g.maxSlots) || over(u.bytes+bytes, share, g.maxBytes) {
		return shedShare
	}
	return admitted
}

func over(n int64, share float64, limit int64) bool { return float64(n) > share*float64(limit) }

func (g *gate) take(u *usage, slots, bytes int64) {
	g.slots += slots
	g.bytes += bytes
	u.slots += slots
	u.bytes += bytes
}

// mayStart refills the bucket and says whether a request may start. How many
// events it carries is known only once it is read, so a request may start
// while any token is left, and the source pays what it owes afterwards.
func (u *usage) mayStart(now time.Time) bool {
	if u.rate == 0 {
		return true
	}
	if d := now.Sub(u.refilledAt); d > 0 {
		u.tokens = min(u.burst, u.tokens+d.Seconds()*u.rate)
		u.refilledAt = now
	}
	return u.tokens > 0
}

// charge takes events from the source's bucket.
func (t *ticket) charge(events int) {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.usage.tokens -= float64(events)
}

// need makes the ticket hold at least bytes in all.
func (t *ticket) need(bytes int64) shed {
	extra := bytes - t.bytes
	if extra <= 0 {
		return admitted
	}
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if why := t.gate.grows(t.usage, extra); why != admitted {
		return why
	}
	t.gate.take(t.usage, 0, extra)
	t.bytes = bytes
	return admitted
}

// grows is fits for a request already in: one alone is never stopped by its
// own source's share.
func (g *gate) grows(u *usage, bytes int64) shed {
	if u.slots == 1 {
		if g.bytes+bytes > g.maxBytes {
			return shedBusy
		}
		return admitted
	}
	return g.fits(u, 0, bytes)
}

// move gives the ticket to the source whose key was found in the body.
func (t *ticket) move(to *usage, now time.Time) shed {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !to.mayStart(now) {
		return shedRate
	}
	g.take(t.usage, -1, -t.bytes)
	why := g.fits(to, 1, t.bytes)
	if why == admitted {
		t.usage = to
	}
	g.take(t.usage, 1, t.bytes)
	return why
}

// release gives everything back. It may be called more than once.
func (t *ticket) release() {
	g := t.gate
	if g == nil {
		return
	}
	t.gate = nil
	g.mu.Lock()
	defer g.mu.Unlock()
	g.take(t.usage, -1, -t.bytes)
	if g.draining && g.slots == 0 {
		g.closeIdle()
	}
}

// drain stops admitting and returns a channel that closes when nothing is in
// flight any more.
func (g *gate) drain() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.draining {
		g.draining = true
		if g.slots == 0 {
			g.closeIdle()
		}
	}
	return g.idle
}

func (g *gate) closeIdle() {
	select {
	case <-g.idle:
	default:
		close(g.idle)
	}
}

func (g *gate) inFlight() (requests, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.slots, g.bytes
}
