package collect

import (
	"net/netip"
	"sync"
	"time"
)

// maxAddresses is how many addresses of a source are told apart at least. Twice
// as many are kept, in about 3 MB.
const maxAddresses = 16 << 10

// addressSeconds is how many seconds' worth of its rate an address may send at
// once: a page sends little, but all of it when it begins and when it ends.
const addressSeconds = 10

// addresses are the allowances of those who send to one source. The zero value
// is empty; any goroutine may call its methods.
//
// Who has not been seen for maxAddresses others is forgotten, and begins anew
// with all it may. So many addresses are stopped by the source's rate, if by
// anything; the other way, refusing whom there is no room for, somebody with
// many addresses could keep everybody out.
type addresses struct {
	mu           sync.Mutex // guards all below
	recent, past map[netip.Addr]*allowance
}

// allowance is what one address may still send. One that has it all is the same
// as one that is not known.
type allowance struct {
	tokens float64 // below zero: events let in that are not yet paid for
	at     time.Time
}

// admit takes one event's worth for a request, and says whether the address has
// as much. rate is in events per second.
func (a *addresses) admit(from netip.Addr, rate float64, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	most := max(rate*addressSeconds, 1)
	one := a.of(network(from))
	switch d := now.Sub(one.at); {
	case one.at.IsZero():
		one.tokens, one.at = most, now
	case d > 0:
		one.tokens, one.at = one.tokens+d.Seconds()*rate, now
	}
	one.tokens = min(one.tokens, most)
	if one.tokens <= 0 {
		return false
	}
	one.tokens--
	return true
}

// charge takes what a request held beyond the one event it was admitted for.
func (a *addresses) charge(from netip.Addr, events int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(network(from)).tokens -= float64(events - 1)
}

// of finds an address among the recent ones, or puts it there.
func (a *addresses) of(from netip.Addr) *allowance {
	if one := a.recent[from]; one != nil {
		return one
	}
	one := a.past[from]
	if one == nil {
		one = new(allowance)
	}
	if a.recent == nil || len(a.recent) >= maxAddresses {
		a.recent, a.past = make(map[netip.Addr]*allowance), a.recent
	}
	a.recent[from] = one
	return one
}

// network is what counts as one address: all of an IPv4 address, and the /64 of
// an IPv6 address, which is one customer's.
func network(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return netip.Addr{} // of those whose address is not known, together
	}
	return p.Addr()
}
