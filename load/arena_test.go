package load

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

// What was kept since the last reset is there, whole, however the arena grew
// and shrank before.
func TestArenaKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a arena
		defer a.release(0)
		for range rapid.IntRange(1, 4).Draw(t, "uses") {
			var kept [][]byte
			for i := range rapid.IntRange(0, 12).Draw(t, "slices") {
				size := rapid.SampledFrom([]int{0, 1, arenaBlock/4 - 1, arenaBlock / 4, arenaBlock/4 + 1}).Draw(t, "size")
				kept = append(kept, a.keep(bytes.Repeat([]byte{byte(i)}, size)))
			}
			for i, p := range kept {
				if bytes.Count(p, []byte{byte(i)}) != len(p) {
					t.Fatalf("slice %d of %d bytes was overwritten", i, len(p))
				}
			}
			a.reset()
		}
	})
}

// A batch that is used again holds on to nothing of the cycle before: its memory
// holds other bytes by then, or is gone.
func TestBatchForgets(t *testing.T) {
	b := newBatch(func(string) event.Policy { return event.DefaultPolicy() }, protocol.Limits{EventBytes: 1 << 10, Events: 10})
	for i := range 4 {
		payload := event.EncodeBatch(nil, &event.Batch{
			Protocol: "native", Source: strings.Repeat("x", 1+i*7), ReceivedAt: time.Unix(1_800_000_000, 0),
			Items: []event.Item{{Raw: []byte(`{"id":"1","name":"Seen","user_id":"u","properties":{"a":1},"context":{"b":2}}`)}},
		})
		if err := b.add(payload, 1); err != nil || len(b.rows) != 1 || len(b.decoders) != 1 {
			t.Fatalf("%d rows, decoders %q: %v", len(b.rows), slices.Collect(maps.Keys(b.decoders)), err)
		}
		b.reset()
	}
}
