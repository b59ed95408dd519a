package fingerprint_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reedbed/reedbed/fingerprint"
)

func TestMetrics(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	zero := float64(start.Unix())
	f := &fingerprint.Fingerprint{
		Start: start, End: start.Add(time.Hour), Rows: 100, Bytes: 5000, Rejected: 25, Late: new(int64(10)),
		Columns: []fingerprint.Column{
			{Name: "blob", Kind: fingerprint.Other, Nulls: 50},
			{Name: "bot", Kind: fingerprint.Bool, Mean: new(0.25), Deviation: new(0.5)},
			{Name: "country", Kind: fingerprint.Text, Nulls: 20, Distinct: 2, Entropy: new(1.0), Top: []fingerprint.Value{{Text: "DE", Rows: 40}, {Text: "FR", Rows: 40}}},
			{Name: "empty", Kind: fingerprint.Text, Nulls: 100},
			{Name: "id", Kind: fingerprint.Text, Nulls: 10, Distinct: 72, Firsts: new(0.8)},
			{Name: "n", Kind: fingerprint.Number, NotFinite: 19, Nulls: 0, Mean: new(5.0), Deviation: new(3.0), Min: new(0.0), Max: new(10.0), Quantiles: []float64{0, 1, 5, 9, 10}},
			{Name: "seen", Kind: fingerprint.Time, Mean: new(zero + 60), Min: new(zero), Max: new(zero + 120), Quantiles: []float64{zero, zero + 6, zero + 60, zero + 114, zero + 120}},
		},
		Measures: []fingerprint.Measure{{Name: "none"}, {Name: "spam", Value: new(0.5)}},
	}
	want := []fingerprint.Metric{
		{Name: "rows", Value: 100, Error: 10, Count: true},
		{Name: "bytes", Value: 5000, Count: true},
		{Name: "rejected", Value: 0.2, Error: math.Sqrt(0.16 / 125), Of: 125},
		{Name: "late", Value: 0.1, Error: 0.03, Of: 100},
		{Name: "nulls", Column: "blob", Value: 0.5, Error: 0.05, Of: 100},
		{Name: "nulls", Column: "bot", Of: 100},
		{Name: "mean", Column: "bot", Value: 0.25, Error: 0.05},
		{Name: "nulls", Column: "country", Value: 0.2, Error: 0.04, Of: 100},
		{Name: "distinct", Column: "country", Value: 2, Count: true},
		{Name: "top", Column: "country", Value: 0.5, Error: math.Sqrt(0.25 / 80), Of: 80},
		{Name: "entropy", Column: "country", Value: 1},
		{Name: "nulls", Column: "empty", Value: 1, Of: 100},
		{Name: "distinct", Column: "empty", Count: true},
		{Name: "nulls", Column: "id", Value: 0.1, Error: 0.03, Of: 100},
		{Name: "firsts", Column: "id", Value: 0.8, Error: math.Sqrt(0.16 / 90), Of: 90},
		// One standard error of the rank of 81 values is a 1/18; a rank of 0.45 is worth 4.
		{Name: "nulls", Column: "n", Of: 100},
		{Name: "mean", Column: "n", Value: 5, Error: 1.0 / 3},
		{Name: "p50", Column: "n", Value: 5, Error: 4 / (0.45 * 18)},
		{Name: "p95", Column: "n", Value: 9, Error: (math.Sqrt(0.0475)/9*4/0.45 + math.Sqrt(0.0475)/9/0.05) / 2},
		{Name: "min", Column: "n"},
		{Name: "max", Column: "n", Value: 10},
		{Name: "nulls", Column: "seen", Of: 100},
		{Name: "mean", Column: "seen", Value: 60},
		{Name: "p50", Column: "seen", Value: 60, Error: 6},
		{Name: "p95", Column: "seen", Value: 114, Error: (math.Sqrt(0.0475)/10*54/0.45 + math.Sqrt(0.0475)/10*6/0.05) / 2},
		{Name: "min", Column: "seen"},
		{Name: "max", Column: "seen", Value: 120},
		{Name: "measure", Column: "spam", Value: 0.5},
	}
	if diff := cmp.Diff(want, f.Metrics(), cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Error(diff)
	}
	f.Start, f.End, f.Late = time.Time{}, time.Time{}, nil
	for _, m := range f.Metrics() {
		if m.Name == "late" || m.Column == "seen" && m.Name != "nulls" {
			t.Errorf("without a partition: %+v", m)
		}
	}
	for name, want := range map[string]string{"COUNTRY": "country", "nowhere": ""} {
		if c := f.Column(name); (c == nil) != (want == "") || c != nil && c.Name != want {
			t.Errorf("column %s: %+v", name, c)
		}
	}
}
