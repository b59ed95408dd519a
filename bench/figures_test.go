package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
		text   string
	}{
		{[]float64{2}, spread{2, 2, 2}, "2.00 (2.00-2.00)"},
		{[]float64{3, 1, 2}, spread{2, 1, 3}, "2.00 (1.00-3.00)"},
		{[]float64{400, 1, 20, 10}, spread{15, 1, 400}, "15.0 (1.00-400)"},
	} {
		if got := spreadOf(c.values); got != c.want || got.String() != c.text {
			t.Errorf("%v: %v, want %s", c.values, got, c.text)
		}
	}
	if got := spreadOf(nil); !math.IsNaN(got.median) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	if diff := cmp.Diff([]float64{2, 0.5}, ratios([]float64{4, 1, 9}, []float64{2, 2})); diff != "" {
		t.Error(diff)
	}
}

func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 200).Draw(t, "values")
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		sorted := make([]time.Duration, len(values))
		for i, v := range slices.Sorted(slices.Values(values)) {
			sorted[i] = time.Duration(v)
		}
		got := quantile(sorted, q)
		atMost := 0
		for _, v := range sorted {
			if v <= got {
				atMost++
			}
		}
		if float64(atMost) < q*float64(len(sorted)) || !slices.Contains(sorted, got) {
			t.Fatalf("quantile %v of %v is %v", q, sorted, got)
		}
	})
	if quantile(nil, .5) != 0 {
		t.Error("of nothing")
	}
}

func TestSlope(t *testing.T) {
	x := []float64{0, 1, 2, 3}
	for want, y := range map[float64][]float64{0: {5, 5, 5, 5}, 2: {1, 3, 5, 7}, -1: {3, 2, 1, 0}} {
		if got := slope(x, y); math.Abs(got-want) > 1e-9 {
			t.Errorf("slope of %v is %v", y, got)
		}
	}
}

func TestDelays(t *testing.T) {
	zero := time.Unix(1000, 0)
	at := func(s int) time.Time { return zero.Add(time.Duration(s) * time.Second) }
	acks := []acked{{2, at(0)}, {5, at(2)}, {6, at(3)}, {9, at(6)}, {10, at(9)}}
	polls := []poll{{rows: 100, end: at(1)}, {rows: 103, end: at(3)}, {rows: 106, end: at(4)}, {rows: 109, end: at(7)}}
	got, unseen := delays(acks, polls, 100, at(1))
	second := time.Second
	if diff := cmp.Diff([]time.Duration{second, second, second, second, 2 * second, 2 * second, 2 * second}, got); diff != "" || unseen != 1 {
		t.Errorf("%d unseen, %s", unseen, diff)
	}
}
