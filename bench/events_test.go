package main

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/reedbed/reedbed/collect/protocol"
)

func TestEventsAreAKilobyteAndAccepted(t *testing.T) {
	native, _ := protocol.ByName(protocol.Native)
	d := protocol.NewDecoder(native, protocol.Limits{})
	for _, n := range []int{1, 50} {
		body := newEvents(7).body(n, time.Now())
		if !jsontext.Value(body).IsValid() {
			t.Fatalf("invalid: %s", body)
		}
		if size := len(body) / n; size < 950 || size > 1100 {
			t.Errorf("%d bytes per event", size)
		}
		request := d.Split(body, "")
		if len(request.Items) != n {
			t.Fatalf("%d items of %d", len(request.Items), n)
		}
		for _, it := range request.Items {
			if it.Refusal.Code != "" {
				t.Errorf("refused: %v", it.Refusal)
			}
		}
	}
}

func TestRenumberMakesOtherIDs(t *testing.T) {
	native, _ := protocol.ByName(protocol.Native)
	d := protocol.NewDecoder(native, protocol.Limits{})
	body := newEvents(7).body(50, time.Now())
	tails := idTails(body)
	if len(tails) != 50 {
		t.Fatalf("%d ids found", len(tails))
	}
	seen := map[string]bool{}
	for _, from := range []uint64{0, 50, 0xffffffffff00} {
		renumber(body, tails, from)
		for _, id := range d.Split(body, "").IDs {
			seen[string([]byte(id))] = true
		}
	}
	if len(seen) != 150 {
		t.Errorf("%d different ids", len(seen))
	}
}
