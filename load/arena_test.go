package load

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
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
