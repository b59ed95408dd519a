package node

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/reedbed/reedbed/arrival"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/web"
)

// unwatched is how long arrivals go on being counted when nobody asks.
const unwatched = time.Minute

// arrivals counts what comes in while somebody looks at it, which costs decoding it
// once more.
type arrivals struct {
	mu      sync.Mutex
	counter *arrival.Counter // nil while nobody looks
	since   time.Time
	asked   time.Time
}

// arriving is what came in lately. The first who asks begins the counting.
func (n *Node) arriving() web.Arrivals {
	a, now := &n.arrivals, time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = now
	if a.counter == nil {
		a.counter, a.since = &arrival.Counter{}, now
		go n.countArrivals(a.counter)
	}
	return web.Arrivals{Since: later(a.since, now.Add(-arrival.Window)).UTC(), Groups: a.counter.Groups(now)}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// countArrivals counts until nobody has asked for a while, or the node stops.
func (n *Node) countArrivals(c *arrival.Counter) {
	ctx, cancel := context.WithCancel(n.stopping)
	defer cancel()
	go n.arrivals.watch(ctx, cancel)
	for e, info := range n.tail(ctx) {
		x := arrivalOf(e, info)
		n.arrivals.mu.Lock()
		c.Add(x)
		n.arrivals.mu.Unlock()
	}
	n.arrivals.mu.Lock()
	defer n.arrivals.mu.Unlock()
	if n.arrivals.counter == c { // it ended by itself: who asks next begins anew
		n.arrivals.counter = nil
	}
}

// watch ends the counting once nobody has asked for a while.
func (a *arrivals) watch(ctx context.Context, end func()) {
	every := time.NewTicker(unwatched / 4)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-every.C:
			a.mu.Lock()
			over := now.Sub(a.asked) > unwatched
			if over {
				a.counter = nil
				end()
			}
			a.mu.Unlock()
			if over {
				return
			}
		}
	}
}

func arrivalOf(e event.Envelope, info TailInfo) arrival.Event {
	return arrival.Event{
		At: info.Batch.ReceivedAt, Source: info.Batch.Source, Protocol: info.Batch.Protocol, AppVersion: appVersion(e.Context),
		StreamID: e.StreamID, Seq: e.Seq, Quarantined: info.Refusal != (event.Refusal{}),
	}
}

// appVersion is what an event's context says of the application; "" if nothing.
func appVersion(eventContext []byte) string {
	var c struct {
		App struct {
			Version string `json:"version"`
		} `json:"app"`
	}
	if len(eventContext) == 0 || json.Unmarshal(eventContext, &c) != nil {
		return ""
	}
	return c.App.Version
}
