package event

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRouteOf(t *testing.T) {
	const v7 = "0193518a-6a00-7abc-8def-0123456789ab" // 2024-11-22
	for _, c := range []struct {
		id, claimed, want string
	}{
		{v7, "", "2024-11-22"},
		{strings.ToUpper(v7), "2026-01-01T00:00:00Z", "2024-11-22"},
		{"0193518a-6a00-4abc-8def-0123456789ab", "2026-01-01T23:59:59.999Z", "2026-01-01"}, // UUIDv4
		{"0193518a-6a00-7abc-7def-0123456789ab", "2026-01-01T00:00:00Z", "2026-01-01"},     // another variant
		{"0193518a6a007abc8def0123456789ab0000", "2026-01-01T00:00:00Z", "2026-01-01"},
		{"0193518a-6a00-7abc-8def-0123456789ag", "2026-01-01T00:00:00Z", "2026-01-01"},
		{"{193518a-6a00-7abc-8def-0123456789ab", "2026-01-01T00:00:00Z", "2026-01-01"},
		{"00000000-0000-7abc-8def-0123456789ab", "2026-01-01T00:00:00Z", "2026-01-01"}, // 1970: out of range
		{"ffffffff-ffff-7abc-8def-0123456789ab", "2026-01-01T00:00:00Z", "2026-01-01"},
		{"e1", "2026-01-01T01:00:00+02:00", "2025-12-31"},
		{"e1", "2000-01-01T00:00:00Z", "2000-01-01"},
		{"e1", "2099-12-31T23:59:59Z", "2099-12-31"},
		{"e1", "", "bucket-47"},
		{"e1", "1999-12-31T23:59:59Z", "bucket-47"},
		{"e1", "2100-01-01T00:00:00Z", "bucket-47"},
		{"e1", "0001-01-02T00:00:00Z", "bucket-47"},
		{"", "", "bucket-02"},
	} {
		var claimed time.Time
		if c.claimed != "" {
			claimed = at(c.claimed)
		}
		if got := RouteOf(c.id, claimed).String(); got != c.want {
			t.Errorf("%q at %q: %s, want %s", c.id, c.claimed, got, c.want)
		}
	}
}

// The oracle formats the day; the route must agree with it for any claimed
// time.
func TestRouteIsTheClaimedDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claimed := time.Unix(rapid.Int64Range(946684800, 4102444799).Draw(t, "seconds"), 0)
		if got := RouteOf("x", claimed).String(); got != claimed.UTC().Format("2006-01-02") {
			t.Fatalf("%v: %s", claimed.UTC(), got)
		}
	})
}

func TestIDHashSeparatesSourceAndID(t *testing.T) {
	seen := map[[16]byte]string{}
	long := strings.Repeat("x", 600)
	for _, c := range [][2]string{{"", ""}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"b", "a"}, {long, "a"}, {long + "a", ""}} {
		h := IDHash(c[0], c[1])
		if other, ok := seen[h]; ok {
			t.Errorf("%.10q and %.10q share a hash", c, other)
		}
		seen[h] = c[0] + "|" + c[1]
	}
}

// Stored sidecars depend on these values.
func TestHashesAreStable(t *testing.T) {
	if got := IDHash("web", "0193518a-6a00-7abc-8def-0123456789ab"); hex.EncodeToString(got[:]) != "9c158200073a960f817a8ef798eaf0d9" {
		t.Errorf("id hash %x", got)
	}
	got, err := PayloadHash([]byte(`{"id":"1","name":"Play","properties":{"n":1.50},"sent_at":"now"}`), []string{"sent_at"})
	if err != nil || got != 0xf20be6acd56ea68d {
		t.Errorf("payload hash %#x, %v", got, err)
	}
	if got := DerivedID([16]byte{1, 2, 3}, time.Time{}, at("2026-11-22T10:30:59Z"), 2); got != "d_fc5f37cf43fed35b3c343ca14374ff9d" {
		t.Errorf("derived id %s", got)
	}
}

func TestPayloadHash(t *testing.T) {
	hash := func(raw string) uint64 {
		h, err := PayloadHash([]byte(raw), []string{"sent_at"})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if hash(`{"a":1,"sent_at":1}`) != hash(` {"sent_at":2, "a":1.0}`) {
		t.Error("a copy sent again looks different")
	}
	if hash(`{"a":1}`) == hash(`{"a":2}`) || hash(`{"a":{"sent_at":1}}`) == hash(`{"a":{"sent_at":2}}`) {
		t.Error("different events look the same")
	}
	if _, err := PayloadHash([]byte(`{"a":1,"a":2}`), nil); err == nil {
		t.Error("no error for refused JSON")
	}
}

func TestDerivedID(t *testing.T) {
	one, two := [16]byte{1}, [16]byte{2}
	noon, later, soon := at("2026-11-22T12:00:00Z"), at("2026-11-22T12:01:00Z"), at("2026-11-22T12:00:59Z")
	never := time.Time{}
	claimed := DerivedID(one, noon, noon, 0)
	if claimed != "d_01000000000000000000000000000000" || claimed != DerivedID(one, noon, later, 3) {
		t.Error("with a claimed time only the content counts")
	}
	same := DerivedID(one, never, noon, 0)
	if same != DerivedID(one, never, soon, 0) {
		t.Error("a copy in the same minute is another event")
	}
	for name, other := range map[string]string{
		"content": DerivedID(two, never, noon, 0), "minute": DerivedID(one, never, later, 0), "number": DerivedID(one, never, noon, 1), "claim": claimed,
	} {
		if other == same {
			t.Errorf("%s does not count", name)
		}
	}
}
