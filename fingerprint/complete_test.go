package fingerprint_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/fingerprint"
)

func TestMissingInWords(t *testing.T) {
	for want, c := range map[string]fingerprint.Completeness{
		"0.3 % missing":                                         {Received: 997, Numbered: 997, InFlight: 2, AtClient: 1},
		"12 % missing":                                          {Received: 88, Numbered: 88, InFlight: 12},
		"100 % missing":                                         {InFlight: 3},
		"0.00001 % missing":                                     {Received: 1e7, Numbered: 1e7, InFlight: 1},
		"nothing missing":                                       {Received: 5, Numbered: 5},
		"not measured: there are no events":                     {},
		"not measured: no source numbers its events":            {Received: 5},
		"not measured: source a does not number its events":     {Received: 5, Unnumbered: []string{"a"}},
		"not measured: sources a, b do not number their events": {Received: 5, Unnumbered: []string{"a", "b"}},
		"nothing missing; not measured: 20 % of the events, for source a does not number all its events": {
			Received: 5, Numbered: 4, Unnumbered: []string{"a"},
		},
	} {
		if got := c.Missing(); got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}

// The completeness of a day is that of its hours together, in any order; it is known
// to last up to the first hour of which more is expected.
func TestMergeCompleteness(t *testing.T) {
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	var hours []*fingerprint.Fingerprint
	want := fingerprint.Completeness{Unnumbered: []string{"a", "b"}, Until: day.Add(3 * time.Hour)}
	for i := range 5 {
		c := fingerprint.Completeness{Received: int64(10 + i), Numbered: int64(i), InFlight: 2, AtClient: 1, Unnumbered: []string{"a"}}
		f := &fingerprint.Fingerprint{Start: day.Add(time.Duration(i) * time.Hour), End: day.Add(time.Duration(i+1) * time.Hour), Completeness: &c}
		if i != 3 {
			c.Until = f.End
		} else {
			c.Unnumbered = []string{"b"}
		}
		want.Received, want.Numbered, want.InFlight, want.AtClient = want.Received+c.Received, want.Numbered+c.Numbered, want.InFlight+2, want.AtClient+1
		hours = append(hours, f)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(hours), func(i, j int) { hours[i], hours[j] = hours[j], hours[i] })
	got := fingerprint.Merge(hours...)
	if d := cmp.Diff(&want, got.Completeness); d != "" {
		t.Error(d)
	}
	b, err := fingerprint.Encode(got)
	if err != nil {
		t.Fatal(err)
	}
	back, err := fingerprint.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&want, back.Completeness); d != "" {
		t.Error(d)
	}
	hours[2].Completeness = nil
	if c := fingerprint.Merge(hours...).Completeness; c != nil {
		t.Errorf("of one hour nothing is known, and yet: %+v", c)
	}
}

func TestCompletenessThatCannotBe(t *testing.T) {
	for _, c := range []fingerprint.Completeness{{Received: 1, Numbered: 2}, {InFlight: -1}, {Received: 1 << 62}, {Unnumbered: []string{"b", "a"}}} {
		b, err := fingerprint.Encode(&fingerprint.Fingerprint{Completeness: &c})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fingerprint.Decode(b); err == nil {
			t.Errorf("%+v was read", c)
		}
	}
}
