package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// plainKey is the trace key by the words of docs/format/identity.md, in numbers
// of any size and with no sum kept from one partition to the next.
func plainKey(stage string, p Partition, code []byte, names []string, read map[string][]Promoted) []byte {
	list := func(fields ...string) []byte {
		h := sha256.New()
		for _, f := range fields {
			var length [8]byte
			binary.LittleEndian.PutUint64(length[:], uint64(len(f)))
			fmt.Fprintf(h, "%s%s", length[:], f)
		}
		return h.Sum(nil)
	}
	fields := []string{"reedbed identity 2", "trace", stage, string(p), string(code), fmt.Sprint(len(names))}
	for _, name := range names {
		sum, count := new(big.Int), 0
		for _, q := range read[name] {
			if q.Version == 0 {
				continue
			}
			leaf := list("reedbed identity 2", "leaf", string(q.Partition), fmt.Sprint(q.Rows), string(q.Hash.Bytes()))
			sum.Add(sum, new(big.Int).SetBytes(leaf))
			count++
		}
		sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 256))
		fields = append(fields, name, fmt.Sprint(count), string(sum.FillBytes(make([]byte, 32))))
	}
	return list(fields...)
}

func drawPromoted(t *rapid.T, name string, i int) Promoted {
	return Promoted{
		Dataset: name, Partition: Partition(fmt.Sprintf("2026-04-%02d", i+1)), Version: rapid.Int64Range(0, 3).Draw(t, "version"),
		Rows: rapid.Int64Range(0, 3).Draw(t, "rows"), Hash: ContentHash{rapid.Uint64().Draw(t, "hash"), 0, 0, uint64(i % 2)},
	}
}

// TestTraceKeyIsADifferenceOfPrefixSums compares the key of every window of a
// random history, taken as the difference of two prefix sums, with the plain
// computation over the partitions in it.
func TestTraceKeyIsADifferenceOfPrefixSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "partitions")
		var history []Promoted
		prefix := []Sum{{}}
		for i := range n {
			history = append(history, drawPromoted(t, "a", i))
			prefix = append(prefix, prefix[i].Add(Leaf(history[i])))
		}
		lo := rapid.IntRange(0, n).Draw(t, "from")
		hi := rapid.IntRange(lo, n).Draw(t, "to")
		side := drawPromoted(t, "b", 0)
		got := TraceKey("s", "2026-04-30", []byte("code"), []Read{{"a", prefix[hi].Sub(prefix[lo])}, {"b", Leaf(side)}})
		want := plainKey("s", "2026-04-30", []byte("code"), []string{"a", "b"}, map[string][]Promoted{"a": history[lo:hi], "b": {side}})
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		// The same from a pointer vector, in any order.
		vector := append(slices.Clone(history[lo:hi]), side, Promoted{Dataset: "a"})
		vector = rapid.Permutation(vector).Draw(t, "order")
		if d := cmp.Diff(want, TraceKey("s", "2026-04-30", []byte("code"), Reads(vector))); d != "" {
			t.Fatal(d)
		}
		if s := prefix[hi].Sub(prefix[lo]); SumFromBytes(s.Count, s.Bytes()) != s {
			t.Fatalf("%v does not survive its bytes", s)
		}
	})
}

func TestTraceKeyTells(t *testing.T) {
	code := []byte("code")
	key := func(in ...Promoted) string { return string(TraceKey("s", "2026-01-01T00", code, Reads(in))) }
	one := Promoted{Dataset: "a", Partition: "2026-01-01T00", Version: 1, Rows: 1, Hash: ContentHash{1}}
	two := Promoted{Dataset: "a", Partition: "2026-01-01T01", Version: 1, Rows: 1, Hash: ContentHash{2}}
	swapped, swappedToo := one, two
	swapped.Hash, swappedToo.Hash = two.Hash, one.Hash
	absent, empty, other := Promoted{Dataset: "a"}, Promoted{Dataset: "a", Version: 3}, Promoted{Dataset: "b", Version: 3}
	for what, pair := range map[string][2]string{
		"an absent input from an empty one":          {key(absent), key(empty)},
		"contents from contents that changed places": {key(one, two), key(swapped, swappedToo)},
		"one partition from two":                     {key(one), key(one, two)},
		"an input from another":                      {key(empty), key(other)},
		"no input from an absent one":                {key(), key(absent)},
	} {
		if pair[0] == pair[1] {
			t.Errorf("the key does not tell %s", what)
		}
	}
	again := one
	again.Version = 9
	if key(one) != key(again) {
		t.Error("the version's number is part of the key; only its content may be")
	}
}

// TestAMillionLeavesAndKeysLeaveNoGarbage but the keys themselves.
func TestAMillionLeavesAndKeysLeaveNoGarbage(t *testing.T) {
	q := Promoted{Partition: "2026-04-30T10", Version: 1, Rows: 12_345}
	var sum Sum
	if n := testing.AllocsPerRun(100, func() { sum = sum.Add(Leaf(q)) }); n != 0 {
		t.Errorf("a leaf takes %v allocations", n)
	}
	reads := []Read{{"some_input", sum}, {"some_other_input", sum}}
	if n := testing.AllocsPerRun(100, func() { TraceKey("some_stage", q.Partition, make([]byte, 32), reads) }); n > 1 {
		t.Errorf("a key takes %v allocations", n)
	}
}
