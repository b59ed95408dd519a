package scan

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/fingerprint"
)

// Of few values the share is what counting them all gives, in whatever order they come.
func TestFirstsOfFewValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Uint64Range(0, 300), 1, 900).Draw(t, "values")
		f, rows := new(firsts), map[uint64]int{}
		for _, v := range values {
			f.add(mix(v), 1)
			rows[v]++
		}
		counted := 0
		for _, n := range rows {
			counted += min(n, fingerprint.FirstsRows)
		}
		if got, want := *f.share(), float64(len(rows))/float64(counted); got != want {
			t.Fatalf("%v, expected %v", got, want)
		}
	})
}

// Of many it is that of a part of them, and of a key exactly 1.
func TestFirstsOfManyValues(t *testing.T) {
	const n = 100_000
	r := rand.New(rand.NewPCG(1, 2))
	for _, repeats := range []int{0, n / 100, n / 5} {
		f := new(firsts)
		for i := range n {
			f.add(mix(uint64(i)), 1)
		}
		for range repeats {
			f.add(mix(r.Uint64N(n)), 1)
		}
		want := float64(n) / float64(n+repeats)
		if got := *f.share(); repeats == 0 && got != 1 || math.Abs(got-want) > .04 {
			t.Errorf("%d repeats: %v, expected about %v", repeats, got, want)
		}
		if f.values > fingerprint.FirstsValues || f.values < fingerprint.FirstsValues/3 {
			t.Errorf("%d values", f.values)
		}
	}
	if new(firsts).share() != nil {
		t.Error("a share of nothing")
	}
}

func BenchmarkFirsts(b *testing.B) {
	f, i := new(firsts), uint64(0)
	for b.Loop() {
		f.add(mix(i), 1)
		i++
	}
}
