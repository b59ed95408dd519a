package simulate_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/simulate"
)

// numbered is what a collector can know of one stream.
type numbered struct {
	seen    map[int64]time.Time
	dropped int64
	end     int64 // how many numbers were given out, as far as it shows
}

// What never arrives is missing in the numbers of its stream, and what the client
// dropped is reported, but for what comes last and what says so is lost itself.
func TestLostEventsAreMissingInTheNumbers(t *testing.T) {
	c := config(60_000)
	c.Listeners = 300
	c.Loss = simulate.Loss{Version: "2026.11", InFlight: 0.02, AtClient: 0.01}
	requests := collect(c)
	var lost, atClient, arrived float64
	for _, r := range requests {
		for _, l := range r.Lost {
			if lost++; l.AtClient {
				atClient++
			}
		}
	}
	var missing, dropped float64
	for id, s := range streams(t, requests) {
		for n := range s.seen {
			if n > 0 && !s.seen[n-1].IsZero() && s.seen[n].Before(s.seen[n-1]) {
				t.Fatalf("stream %s goes back in time at %d", id, n)
			}
			s.end = max(s.end, n+1)
		}
		arrived += float64(len(s.seen))
		missing += float64(s.end) - float64(len(s.seen))
		dropped += float64(s.dropped)
	}
	near(t, "missing of what is lost", missing/lost, 1, 0.06)
	near(t, "reported of what was dropped", dropped/atClient, 1, 0.06)
	near(t, "dropped of what is lost", atClient/lost, 1.0/3, chance(1.0/3, lost))
	near(t, "lost of what was numbered", lost/(arrived+lost), 0.03*40/48, 0.01)
}

// streams reads the numbers in requests, each event once.
func streams(t *testing.T, requests []simulate.Request) map[string]*numbered {
	t.Helper()
	p, _ := protocol.ByName(protocol.Native)
	decoder := protocol.NewDecoder(p, protocol.Limits{})
	out := map[string]*numbered{}
	of := func(id string) *numbered {
		if out[id] == nil {
			out[id] = &numbered{seen: map[int64]time.Time{}}
		}
		return out[id]
	}
	for _, r := range requests {
		if r.Repeat || r.Path != "/v1/events" {
			continue
		}
		for _, item := range decoder.Split(r.Body, "").Items {
			if item.Refusal.Code != "" {
				continue
			}
			var e struct {
				StreamID string `json:"stream_id"`
				Seq      int64
				Time     time.Time
				Dropped  int64
				Previous *struct {
					StreamID     string `json:"stream_id"`
					Seq, Dropped int64
				}
			}
			if err := json.Unmarshal(item.Raw, &e); err != nil {
				t.Fatal(err)
			}
			s := of(e.StreamID)
			s.seen[e.Seq], s.dropped = e.Time, max(s.dropped, e.Dropped)
			if p := e.Previous; p != nil {
				was := of(p.StreamID)
				was.end, was.dropped = p.Seq+1, p.Dropped
			}
		}
	}
	return out
}
