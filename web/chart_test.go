package web

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Whatever the points are, a chart stays in its box, keeps every value, places
// bars in order of time and marks a few times only.
func TestChartStaysInItsBox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(-1e9, 4e9).Draw(t, "start"), 0)
		steps := rapid.SliceOfN(rapid.Int64Range(0, 1e6), 1, 300).Draw(t, "steps")
		unit := rapid.SampledFrom([]int64{1, 60, 3600, 86400}).Draw(t, "unit")
		rows := [][]any{}
		for _, s := range steps {
			v := rapid.OneOf(rapid.Float64Range(-1e6, 1e12), rapid.Just(0.0)).Draw(t, "value")
			rows = append(rows, []any{start.Add(time.Duration(s*unit) * time.Second), v})
		}
		points, err := pointsOf(CardData{Columns: []string{"time", "value"}, Rows: rows}, 200)
		if err != nil {
			t.Fatal(err)
		}
		c := draw(points)
		if len(c.Bars) != min(200, len(steps)) {
			t.Fatalf("%d bars for %d points", len(c.Bars), len(steps))
		}
		if n := len(c.Ticks); n < 1 || n > 7 {
			t.Fatalf("%d ticks", n)
		}
		last := 0.0
		for _, b := range c.Bars {
			if b.X < last || b.X+b.W > float64(c.Width) || b.Y < 0 || b.H < 0 || b.Y+b.H > chartHeight+0.01 {
				t.Fatalf("bar %+v leaves the box of %d by %d", b, c.Width, c.Height)
			}
			last = b.X
		}
		for _, k := range c.Ticks {
			if k.Place < 0 || k.Place > 100 {
				t.Fatalf("tick %+v leaves the axis", k)
			}
		}
		if c.Width > (maxSlots+1)*slotWidth {
			t.Fatalf("%d units wide", c.Width)
		}
	})
}

func TestMissingHoursShowAsGaps(t *testing.T) {
	at := func(hour int) any { return fmt.Sprintf("2026-11-22 %02d:00:00", hour) }
	points, err := pointsOf(CardData{Columns: []string{"value", "time"}, Rows: [][]any{{1, at(3)}, {4, at(0)}, {2, at(1)}}}, 10)
	if err != nil {
		t.Fatal(err)
	}
	c := draw(points)
	if c.Width != 4*slotWidth || c.Bars[2].Slot != 3*slotWidth || c.Bars[0].H != 100 || c.Bars[2].H != 25 || c.Top != "4" {
		t.Errorf("%+v", c)
	}
	if got := c.Bars[2].Time; got != "22 Nov 2026, 03:00 UTC" {
		t.Errorf("the last bar is of %s", got)
	}
	if want := "[{12.5 middle 22 Nov} {37.5 middle 01:00} {62.5 middle 02:00} {87.5 middle 03:00}]"; fmt.Sprint(c.Ticks) != want {
		t.Errorf("ticks %v, want %s", c.Ticks, want)
	}
}

func TestRoundUp(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, -5: 1, 0.3: 0.3, 1: 1, 7: 8, 9: 10, 10: 10, 720: 800, 999: 1000, 1e9 + 1: 2e9} {
		if got := roundUp(v); math.Abs(got-want) > 1e-9*want {
			t.Errorf("roundUp(%v) = %v, want %v", v, got, want)
		}
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string // "" for an error
	}{
		{1234567, "1,234,567"},
		{int64(-1234), "-1,234"},
		{json.Number("9007199254740993"), "9,007,199,254,740,993"},
		{"12", "12"},
		{1234.5, "1,234.5"},
		{0.126, "0.13"},
		{-0.001, "0"},
		{1e6, "1,000,000"},
		{1e300, "1e+300"},
		{nil, "none"},
		{json.Number("170141183460469231731687303715884105727"), "1.70141e+38"},
		{"twelve", ""},
		{math.NaN(), ""},
		{math.Inf(1), ""},
		{"", ""},
		{true, ""},
		{[]any{1}, ""},
		{time.Time{}, ""},
	} {
		got, err := amountOf(c.v)
		if got.Text != c.want || (err == nil) != (c.want != "") {
			t.Errorf("amountOf(%v) = %q, %v; want %q", c.v, got.Text, err, c.want)
		}
	}
}

func TestTimes(t *testing.T) {
	want := time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)
	for _, v := range []any{
		want, want.In(time.FixedZone("", 3600)), "2026-11-22T21:00:00Z", "2026-11-22T22:00:00+01:00", "2026-11-22 21:00:00",
		"2026-11-22 21:00:00+00", "2026-11-22 21:00:00.000", "2026-11-22T21:00:00",
	} {
		if got, err := timeOf(v); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("timeOf(%v) = %v, %v", v, got, err)
		}
	}
	for _, v := range []any{nil, 7, "yesterday", ""} {
		if got, err := timeOf(v); err == nil {
			t.Errorf("timeOf(%v) = %v", v, got)
		}
	}
}

func FuzzLabel(f *testing.F) {
	f.Add("a")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, s string) {
		got := labelOf(s)
		if !utf8.ValidString(got) || len(got) > longestLabel+len("…") || got == "" {
			t.Errorf("labelOf(%q) = %q", s, got)
		}
	})
}

func TestTickForms(t *testing.T) {
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		span, step time.Duration
		want       string
	}{
		{47 * time.Hour, time.Hour, "[22 Nov 12:00 23 Nov 12:00]"},
		{10 * time.Minute, time.Minute, "[22 Nov 00:05 00:10]"},
		{27 * 24 * time.Hour, 24 * time.Hour, "[23 Nov 30 Nov 7 Dec 14 Dec]"},
		{0, time.Hour, "[22 Nov]"},
		{20 * time.Second, time.Second, "[22 Nov 00:00:05 00:00:10 00:00:15 00:00:20]"},
		{2000 * 24 * time.Hour, 24 * time.Hour, ""},
	} {
		var texts []string
		for _, k := range ticks(day, day.Add(c.span), c.step) {
			texts = append(texts, k.Text)
		}
		if got := fmt.Sprint(texts); got != c.want && c.want != "" || len(texts) > 7 {
			t.Errorf("%v in steps of %v: %s, want %s", c.span, c.step, got, c.want)
		}
	}
}
