package judge_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/judge"
)

// simple is a version with a few metrics: rows with a daily cycle, and what goes with them.
func simple(r *rand.Rand, at time.Time, scale float64) judge.Version {
	rows := scale * 1000 * (2 + math.Sin(float64(at.Hour())/24*2*math.Pi)) * (1 + .03*r.NormFloat64())
	share := .3 + .01*r.NormFloat64()
	return judge.Version{Start: at, Metrics: []fingerprint.Metric{
		{Name: "rows", Value: rows, Count: true},
		{Name: "bytes", Value: 80 * rows * (1 + .01*r.NormFloat64()), Count: true},
		{Name: "nulls", Column: "a", Value: share, Error: .01},
		{Name: "mean", Column: "b", Value: 5 + .1*r.NormFloat64(), Error: .1},
		{Name: judge.ValuePrefix + "x", Column: "a", Value: share / 2, Error: .01},
	}}
}

// history is what is wanted for the judged hour, by a stage with so many hours on record.
func history(r *rand.Rand, at time.Time, hours int, scale float64) judge.History {
	h := judge.History{Every: time.Hour}
	for _, start := range judge.Wanted(at, time.Hour, at.Add(-time.Duration(hours)*time.Hour)) {
		h.Versions = append(h.Versions, simple(r, start, scale))
	}
	return h
}

// spoil makes one metric of a version what it never was.
func spoil(v judge.Version, metric int, factor float64) judge.Version {
	v.Metrics = slices.Clone(v.Metrics)
	v.Metrics[metric].Value *= factor
	return v
}

func draw01(t *rapid.T) (r *rand.Rand, at time.Time, v judge.Version, h judge.History) {
	r = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	at = startOf(rapid.IntRange(2000, 5000).Draw(t, "hour"))
	h = history(r, at, rapid.IntRange(0, 1900).Draw(t, "hours on record"), 1)
	v = spoil(simple(r, at, 1), rapid.IntRange(0, 4).Draw(t, "metric"), rapid.SampledFrom([]float64{1, 1, .8, 3, 100}).Draw(t, "factor"))
	return r, at, v, h
}

func TestFewPointsAreNoJudgement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		at := startOf(3000)
		h := history(r, at, 1900, 1)
		r.Shuffle(len(h.Versions), func(i, j int) { h.Versions[i], h.Versions[j] = h.Versions[j], h.Versions[i] })
		h.Versions = h.Versions[:rapid.IntRange(0, judge.MinPoints-1).Draw(t, "points")]
		v := judge.Temporal(spoil(simple(r, at, 1), 0, 100), h)
		if v.Severity != judge.None || len(v.Findings) > 0 || v.Points != len(h.Versions) {
			t.Fatalf("from %d points: %+v", len(h.Versions), v)
		}
	})
}

func TestOrderOfHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, _, v, h := draw01(t)
		want := judge.Temporal(v, h)
		r.Shuffle(len(h.Versions), func(i, j int) { h.Versions[i], h.Versions[j] = h.Versions[j], h.Versions[i] })
		for i := range h.Versions {
			m := slices.Clone(h.Versions[i].Metrics)
			r.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
			h.Versions[i].Metrics = m
		}
		if diff := cmp.Diff(want, judge.Temporal(v, h), near); diff != "" {
			t.Fatalf("another order of history or of metrics:\n%s", diff)
		}
	})
}

// near forgives what sums in another order round to.
var near = cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a)) })

func TestJudgedVersionIsNoBaseline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, at, v, h := draw01(t)
		want := judge.Temporal(v, h)
		h.Versions = append(h.Versions, v, judge.Version{Start: at.Add(time.Hour), Metrics: v.Metrics})
		if diff := cmp.Diff(want, judge.Temporal(v, h)); diff != "" {
			t.Fatalf("with the judged version and a later one in the history:\n%s", diff)
		}
	})
}

// Ten times the traffic all along is the same story: counts are compared by ratio.
// There is so much of it that what sampling explains does not matter.
func TestScaleOfCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, _, v, h := draw01(t)
		scale := func(v judge.Version, by float64) judge.Version {
			v.Metrics = slices.Clone(v.Metrics)
			for i, m := range v.Metrics {
				if m.Count {
					v.Metrics[i].Value *= by
				}
			}
			return v
		}
		judged := func(by float64) judge.Verdict {
			scaled := h
			scaled.Versions = nil
			for _, v := range h.Versions {
				scaled.Versions = append(scaled.Versions, scale(v, by))
			}
			return judge.Temporal(scale(v, by), scaled)
		}
		a, b := judged(10_000), judged(100_000)
		if math.Abs(a.Score-b.Score) > .05*max(1, a.Score) {
			t.Fatalf("scores %g and, of ten times the rows, %g", a.Score, b.Score)
		}
	})
}

func TestVerdict(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	at := startOf(3000)
	h := history(r, at, 1900, 1)
	good := simple(r, at, 1)
	if v := judge.Temporal(good, h); v.Severity != judge.None || len(v.Findings) != 0 {
		t.Errorf("a good version: %+v", v)
	}
	v := judge.Temporal(spoil(spoil(good, 0, .5), 1, .5), h)
	if v.Severity != judge.Hold || v.Findings[0].Metric != "rows" || v.Findings[0].Z > -5 {
		t.Errorf("half the rows: %+v", v)
	}
	if !slices.IsSortedFunc(v.Findings, func(a, b judge.Finding) int { return -int(math.Copysign(1, a.Weight-b.Weight)) }) {
		t.Errorf("findings are not in order of weight: %+v", v.Findings)
	}
	v = judge.Temporal(spoil(good, 4, 0), h)
	if len(v.Findings) == 0 || !strings.HasPrefix(v.Findings[0].String(), `a: share of "x" is 0.`) {
		t.Errorf("a value that is gone: %v", v.Findings)
	}
}

// After a person approved a move both levels will do; when it has stayed, only the new one.
func TestAcceptedShift(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	at := startOf(3000)
	h := history(r, at, 1900, 1)
	half := spoil(simple(r, at, 1), 0, .5)
	for i, v := range h.Versions {
		if at.Sub(v.Start) <= 2*time.Hour {
			h.Versions[i] = spoil(v, 0, .5)
			h.Accepted = append(h.Accepted, judge.Accepted{Start: v.Start})
		}
	}
	if v := judge.Temporal(half, h); v.Severity == judge.Hold {
		t.Errorf("held although two like it were approved: %v", v.Findings)
	}
	if v := judge.Temporal(simple(r, at, 1), h); v.Severity == judge.Hold {
		t.Errorf("held although it is as it was before: %v", v.Findings)
	}
	if v := judge.Temporal(spoil(simple(r, at, 1), 0, .05), h); v.Severity != judge.Hold {
		t.Errorf("a twentieth of the rows is neither level, and not held")
	}
}

func TestWanted(t *testing.T) {
	at := startOf(5000)
	for _, test := range []struct {
		every time.Duration
		age   int
	}{{time.Hour, 10}, {time.Hour, 100}, {time.Hour, 600}, {time.Hour, 5000}, {24 * time.Hour, 20}, {24 * time.Hour, 700}, {time.Minute, 50}} {
		oldest := at.Add(-time.Duration(test.age) * test.every)
		starts := judge.Wanted(at, test.every, oldest)
		if len(starts) > 62 || (len(starts) == 0) != (test.every == time.Minute) {
			t.Errorf("%v, %d on record: %d wanted", test.every, test.age, len(starts))
		}
		for i, s := range starts {
			if !s.Before(at) || s.Before(oldest) || i > 0 && !s.Before(starts[i-1]) {
				t.Errorf("%v, %d on record: %v is wanted for %v", test.every, test.age, s, at)
			}
		}
	}
}

func TestPaired(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	old := simple(r, startOf(0), 1)
	for _, test := range []struct {
		metric int
		factor float64
		want   judge.Severity
	}{{0, 1, judge.None}, {0, .92, judge.Warn}, {0, .5, judge.Hold}, {2, 1.01, judge.None}, {2, 2, judge.Hold}, {3, 100, judge.Hold}} {
		pair := judge.Pair{Old: old.Metrics, New: spoil(old, test.metric, test.factor).Metrics}
		v := judge.Paired(pair, nil)
		if v.Severity != test.want {
			t.Errorf("metric %d times %g: %s, expected %s: %v", test.metric, test.factor, v.Severity, test.want, v.Findings)
		}
		if v := judge.Paired(pair, []judge.Pair{pair}); v.Severity != judge.None {
			t.Errorf("metric %d times %g, as approved: %v", test.metric, test.factor, v.Findings)
		}
	}
}

// The judge's time does not depend on how long the history is: of two years of hours it
// reads those that Wanted names.
func BenchmarkTemporal(b *testing.B) {
	s := newStream(tuningSeeds[0], events, firstHour+24)
	at := startOf(firstHour + 12)
	oldest := at.Add(-2 * 365 * 24 * time.Hour)
	h := judge.History{Every: time.Hour}
	for _, start := range judge.Wanted(at, time.Hour, oldest) {
		h.Versions = append(h.Versions, judge.Version{Start: start, Metrics: wide(s.metrics[start.Sub(epoch)/time.Hour])})
	}
	v := judge.Version{Start: at, Metrics: wide(s.metrics[firstHour+12])}
	b.Logf("%d metrics, %d versions", len(v.Metrics), len(h.Versions))
	b.ReportAllocs()
	for b.Loop() {
		judge.Temporal(v, h)
	}
}

// wide has the metrics of a table with 25 columns: those of the corpus, some twice.
func wide(metrics []fingerprint.Metric) []fingerprint.Metric {
	wide := slices.Clone(metrics)
	for _, m := range metrics {
		if m.Column == "country" || m.Column == "latency" || m.Column == "score" || m.Column == "width" || m.Column == "event" {
			for i := range 2 {
				m.Column = fmt.Sprintf("%s%d", m.Column, i)
				wide = append(wide, m)
			}
		}
	}
	return wide
}

// Rows lost at random are found by both that there are fewer and that more are first
// ones, where either alone would do for a warning at most; not if both move as traffic
// moves them.
func TestThinning(t *testing.T) {
	at := startOf(3000)
	with := func(r *rand.Rand, v judge.Version, firsts float64) judge.Version {
		v.Metrics = append(v.Metrics, fingerprint.Metric{
			Name: "firsts", Column: "visitor", Value: (.4 + .01*r.NormFloat64()) * firsts, Error: .008, Of: 4000,
		})
		return v
	}
	for _, test := range []struct {
		rows, firsts float64
		hold         bool
	}{{1, 1, false}, {.88, 1.14, true}, {1.2, .86, true}, {.88, 1, false}, {1, 1.14, false}, {.88, .86, false}} {
		r := rand.New(rand.NewPCG(7, 7))
		h := history(r, at, 1900, 1)
		for i, v := range h.Versions {
			h.Versions[i] = with(r, v, 1)
		}
		v := judge.Temporal(with(r, simple(r, at, test.rows), test.firsts), h)
		if (v.Severity == judge.Hold) != test.hold {
			t.Errorf("%g times the rows and %g times the first ones: %s, %.1f, %v", test.rows, test.firsts, v.Severity, v.Score, v.Findings)
		}
	}
}

// Of few rows nothing is said, but that of many few are left is.
func TestFewRows(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	at := startOf(3000)
	if v := judge.Temporal(spoil(simple(r, at, .02), 3, 100), history(r, at, 1900, .02)); v.Severity != judge.None || v.Points == 0 {
		t.Errorf("of %d rows or so: %+v", judge.MinRows/2, v)
	}
	if v := judge.Temporal(simple(r, at, .02), history(r, at, 1900, 1)); v.Severity != judge.Hold {
		t.Errorf("few of many: %+v", v)
	}
	if v := judge.Temporal(simple(r, at, 1), history(r, at, 1900, .02)); v.Severity != judge.Hold {
		t.Errorf("many where there were few: %+v", v)
	}
}

// Times are judged by quantiles, from the start of their partition on.
func TestMetricsOfTimes(t *testing.T) {
	start := startOf(10)
	zero := float64(start.Unix())
	f := &fingerprint.Fingerprint{Start: start, End: start.Add(time.Hour), Rows: 1000, Columns: []fingerprint.Column{{
		Name: "at", Kind: fingerprint.Time, Mean: new(zero + 1e9), Min: new(zero), Max: new(zero + 1e12),
		Quantiles: []float64{zero, zero + 180, zero + 1800, zero + 3420, zero + 1e12},
	}}}
	got := map[string]float64{}
	for _, m := range judge.Metrics(f) {
		if m.Column == "at" {
			got[m.Name] = m.Value
		}
	}
	want := map[string]float64{"nulls": 0, "p5": 180, "p25": 900, "p50": 1800, "p75": 2700, "p95": 3420}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFindingInWords(t *testing.T) {
	for want, f := range map[string]judge.Finding{
		`rows is 520, expected 900 to 1100`:                           {Metric: "rows", Seen: 520.4, Low: 900, High: 1100},
		`country: share of "us" is 12.0 %, expected 24.1 % to 29.8 %`: {Metric: judge.ValuePrefix + "us", Column: "country", Seen: .12, Low: .241, High: .298, Share: true},
		`measure spam_rate is 0.36, expected 0.00`:                    {Metric: "measure", Column: "spam_rate", Seen: .36},
		`amount: mean is 0.005120, expected 0.000510 to 0.000600`:     {Metric: "mean", Column: "amount", Seen: .00512, Low: .00051, High: .0006},
	} {
		if got := f.String(); got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
}
