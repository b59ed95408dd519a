package fingerprint_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/fingerprint"
)

// of is the dumb oracle: the fingerprint of rows of one number and one category,
// "" for NULL.
func of(numbers []float64, texts []string) *fingerprint.Fingerprint {
	f := &fingerprint.Fingerprint{Rows: int64(len(texts)), Bytes: int64(10 * len(texts))}
	n := fingerprint.Column{Name: "n", Kind: fingerprint.Number, Sketch: fingerprint.NewSketch()}
	sorted := slices.Sorted(slices.Values(numbers))
	if len(sorted) > 0 {
		var sum, square float64
		for _, x := range sorted {
			n.Sketch.Add(xxh3.HashString(strconv.FormatFloat(x, 'g', -1, 64)))
			sum += x
		}
		mean := sum / float64(len(sorted))
		for _, x := range sorted {
			square += (x - mean) * (x - mean)
		}
		n.Min, n.Max, n.Mean = &sorted[0], &sorted[len(sorted)-1], &mean
		n.Deviation = new(math.Sqrt(square / float64(len(sorted))))
		n.Quantiles = fingerprint.Quantiles(sorted, fingerprint.Points)
		n.Distinct = int64(math.Round(n.Sketch.Estimate()))
	}
	n.Nulls = f.Rows - int64(len(numbers))
	t := fingerprint.Column{Name: "t", Kind: fingerprint.Text, Sketch: fingerprint.NewSketch()}
	counts := map[string]int64{}
	for _, s := range texts {
		if s == "" {
			t.Nulls++
			continue
		}
		counts[s]++
		t.Sketch.Add(xxh3.HashString(s))
	}
	var values []fingerprint.Value
	for s, n := range counts {
		values = append(values, fingerprint.Value{Text: s, Rows: n})
	}
	t.Categorise(values)
	f.Columns = []fingerprint.Column{n, t}
	for i := range f.Columns {
		if f.Columns[i].Nulls == f.Rows {
			f.Columns[i].Sketch = nil
		}
	}
	return f
}

type rows struct {
	numbers []float64
	texts   []string
}

func drawRows(t *rapid.T) rows {
	n := rapid.IntRange(0, 400).Draw(t, "rows")
	spread := rapid.SampledFrom([]int{1, 3, 40, 100_000}).Draw(t, "values")
	seed := rapid.Uint64().Draw(t, "seed")
	var r rows
	for i := range n {
		x := xxh3.HashString(fmt.Sprint(seed, i))
		if x%7 > 0 {
			r.numbers = append(r.numbers, float64(int(x>>8)%spread)/4)
		}
		r.texts = append(r.texts, []string{"", "a", "b", "c", "rare" + fmt.Sprint(x%4)}[min(x>>40%16, 4)])
	}
	return r
}

// Merged parts are as the whole: exactly in what is counted, and within what is
// stated in the rest.
func TestMergeIsTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all rows
		var parts []*fingerprint.Fingerprint
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			r := drawRows(t)
			parts = append(parts, of(r.numbers, r.texts))
			all.numbers, all.texts = append(all.numbers, r.numbers...), append(all.texts, r.texts...)
		}
		whole := of(all.numbers, all.texts)
		checkMerged(t, "at once", fingerprint.Merge(parts...), whole, all.numbers)
		chain := parts[0]
		for _, p := range parts[1:] {
			chain = fingerprint.Merge(chain, p)
		}
		checkMerged(t, "one by one", chain, whole, all.numbers)
	})
}

func checkMerged(t *rapid.T, how string, got, want *fingerprint.Fingerprint, numbers []float64) {
	inexact := cmpopts.IgnoreFields(fingerprint.Column{}, "Quantiles", "RankError", "Distinct", "Entropy", "TailEntropy", "Top", "Mean", "Deviation")
	if diff := cmp.Diff(want, got, inexact, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(fingerprint.Fingerprint{}, "Late")); diff != "" {
		t.Fatalf("%s: %s", how, diff)
	}
	n, wantN := got.Column("n"), want.Column("n")
	if wantN.Mean != nil && (math.Abs(*n.Mean-*wantN.Mean) > 1e-9*(1+*wantN.Max) || math.Abs(*n.Deviation-*wantN.Deviation) > 1e-6*(1+*wantN.Max)) {
		t.Fatalf("%s: mean %g, deviation %g; want %g, %g", how, *n.Mean, *n.Deviation, *wantN.Mean, *wantN.Deviation)
	}
	checkRanks(t, how, n, numbers)
	// Within a part's estimate being too large, too: at least as many as in each part.
	if off := math.Abs(float64(n.Distinct - wantN.Distinct)); off > 5*n.Sketch.Error()*float64(wantN.Distinct)+1 {
		t.Fatalf("%s: %d distinct, the whole has %d", how, n.Distinct, wantN.Distinct)
	}
	c, wantC := got.Column("t"), want.Column("t")
	for _, v := range wantC.Top {
		i := slices.IndexFunc(c.Top, func(o fingerprint.Value) bool { return o.Text == v.Text })
		// A part may have had less than the floor of it.
		if i >= 0 && c.Top[i].Rows > v.Rows || i < 0 && v.Rows >= 6*fingerprint.FloorRows {
			t.Fatalf("%s: %v of %v", how, c.Top, wantC.Top)
		}
	}
	if (c.Entropy == nil) != (wantC.Entropy == nil) {
		t.Fatalf("%s: entropy %v, want %v", how, c.Entropy, wantC.Entropy)
	}
}

// checkRanks counts: the rank of a quantile is where it says, or off by RankError.
func checkRanks(t *rapid.T, how string, c *fingerprint.Column, numbers []float64) {
	for i, rank := range fingerprint.Ranks(len(c.Quantiles)) {
		var below, upTo float64
		for _, x := range numbers {
			if x < c.Quantiles[i]-1e-9 {
				below++
			}
			if x <= c.Quantiles[i]+1e-9 {
				upTo++
			}
		}
		below, upTo = below/float64(len(numbers)), upTo/float64(len(numbers))
		if rank < below-c.RankError-1e-9 || rank > upTo+c.RankError+1e-9 {
			t.Fatalf("%s: the quantile at %g is %g, whose rank is %g to %g; the error stated is %g", how, rank, c.Quantiles[i], below, upTo, c.RankError)
		}
	}
}

// Where every value has enough rows everywhere, categories merge exactly.
func TestCategoriesMergeExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []string
		var parts []*fingerprint.Fingerprint
		for range rapid.IntRange(1, 5).Draw(t, "parts") {
			var texts []string
			for v := range rapid.IntRange(0, 20).Draw(t, "values") {
				for range rapid.IntRange(fingerprint.FloorRows, 30).Draw(t, "rows") {
					texts = append(texts, fmt.Sprint("v", v))
				}
			}
			parts = append(parts, of(nil, texts))
			all = append(all, texts...)
		}
		got, want := fingerprint.Merge(parts...).Column("t"), of(nil, all).Column("t")
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Fatal(diff)
		}
		checkEntropy(t, got, all)
	})
}

// checkEntropy computes it once more, as it is defined.
func checkEntropy(t *rapid.T, c *fingerprint.Column, texts []string) {
	counts := map[string]float64{}
	for _, s := range texts {
		counts[s]++
	}
	if len(texts) == 0 {
		if c.Entropy != nil {
			t.Fatalf("the entropy of nothing is %g", *c.Entropy)
		}
		return
	}
	n, k := float64(len(texts)), float64(len(counts))
	var want float64
	for _, rows := range counts {
		want -= rows / n * math.Log(rows/n)
	}
	want = min(1, (want+(k-1)/(2*n))/math.Log(k))
	if k == 1 {
		want = 0
	}
	if math.Abs(*c.Entropy-want) > 1e-9 {
		t.Fatalf("entropy %g, want %g", *c.Entropy, want)
	}
}

// The entropy counts values that are not kept.
func TestEntropyOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringMatching(`[a-c][0-9]?`), 0, 300).Draw(t, "texts")
		c := of(nil, texts).Column("t")
		checkEntropy(t, c, texts)
		for _, v := range c.Top {
			if v.Rows < fingerprint.FloorRows {
				t.Fatalf("%q of %d rows is kept", v.Text, v.Rows)
			}
		}
	})
}

// The merged entropy is off by the tails' share of rows times the logarithm of the
// number of parts at most.
func TestMergedEntropy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []string
		var parts []*fingerprint.Fingerprint
		n := rapid.IntRange(2, 4).Draw(t, "parts")
		from := rapid.IntRange(0, 40).Draw(t, "shift")
		for p := range n {
			var texts []string
			for i := range rapid.IntRange(1, 200).Draw(t, "rows") {
				texts = append(texts, fmt.Sprint("v", p*from+i%40))
			}
			parts = append(parts, of(nil, texts))
			all = append(all, texts...)
		}
		got, want := fingerprint.Merge(parts...).Column("t"), of(nil, all).Column("t")
		bound := math.Log(float64(n)) / math.Log(float64(max(2, min(got.Distinct, want.Distinct))))
		if math.Abs(*got.Entropy-*want.Entropy) > bound+0.05 { // and what the estimate of distinct values does to the logarithm
			t.Fatalf("entropy %g, want %g within %g", *got.Entropy, *want.Entropy, bound)
		}
	})
}

func TestMergeOfOthers(t *testing.T) {
	late, value := int64(3), 0.5
	a := &fingerprint.Fingerprint{
		Rows: 30, Rejected: 2, Late: &late, Columns: []fingerprint.Column{{Name: "only", Kind: fingerprint.Other, Nulls: 4}, {Name: "x", Kind: fingerprint.Text}},
		Measures: []fingerprint.Measure{{Name: "broken", Error: "no column"}, {Name: "m", Value: &value, Rows: 30}, {Name: "none", Rows: 30}},
		Checks:   []fingerprint.Check{{Name: "only"}, {Name: "rows", Count: 2}, {Name: "unique", Count: 1, Whole: true}},
	}
	other := 1.0
	b := &fingerprint.Fingerprint{
		Rows: 10, Late: new(int64), Columns: []fingerprint.Column{{Name: "x", Kind: fingerprint.Number}},
		Measures: []fingerprint.Measure{{Name: "broken", Value: &other, Rows: 10}, {Name: "m", Value: &other, Rows: 10}},
		Checks:   []fingerprint.Check{{Name: "rows", Count: 5, Error: "one failed"}, {Name: "unique", Whole: true}},
	}
	mean := 0.625
	want := &fingerprint.Fingerprint{
		Rows: 40, Rejected: 2, Late: &late, Columns: []fingerprint.Column{{Name: "only", Kind: fingerprint.Other, Nulls: 14}, {Name: "x", Kind: fingerprint.Other}},
		Measures: []fingerprint.Measure{{Name: "broken", Error: "no column", Rows: 10}, {Name: "m", Value: &mean, Rows: 40}, {Name: "none"}},
		Checks:   []fingerprint.Check{{Name: "rows", Count: 7, Error: "one failed"}},
	}
	if diff := cmp.Diff(want, fingerprint.Merge(a, b)); diff != "" {
		t.Error(diff)
	}
	b.Late = nil
	if got := fingerprint.Merge(a, b); got.Late != nil {
		t.Errorf("late %d, of a part it is not known", *got.Late)
	}
	if diff := cmp.Diff(&fingerprint.Fingerprint{}, fingerprint.Merge()); diff != "" {
		t.Error(diff)
	}
}

// The estimate is within four standard errors, at sizes that are small to a sketch
// and large, with all registers and with few.
func TestSketch(t *testing.T) {
	for _, n := range []int{0, 1, 2, 10, 100, 500, 3000, 100_000} {
		for run := range 10 {
			left, right := fingerprint.NewSketch(), fingerprint.NewSketch()
			for i := range n {
				h := xxh3.HashString(fmt.Sprint(run, "-", i))
				left.Add(h)
				if i%2 == 0 {
					right.Add(h)
				}
			}
			if off := math.Abs(left.Estimate() - float64(n)); off > 4*left.Error()*float64(n)+0.01 {
				t.Errorf("%d values: %g", n, left.Estimate())
			}
		}
	}
}

// What the largest part knows of first rows is kept while nine of ten rows are in it,
// however small the others are one by one.
func TestFirstsOfAMerge(t *testing.T) {
	part := func(rows int64, share float64) *fingerprint.Fingerprint {
		return &fingerprint.Fingerprint{Rows: rows, Together: rows, Columns: []fingerprint.Column{
			{Name: "id", Kind: fingerprint.Text, Distinct: rows, Firsts: &share},
		}}
	}
	f := part(1000, .5)
	for range 11 {
		f = fingerprint.Merge(part(10, 1), f)
	}
	if c := f.Column("id"); !f.Whole() || f.Together != 1000 || c.Firsts == nil || *c.Firsts != .5 {
		t.Errorf("after 110 rows: %+v", f)
	}
	f = fingerprint.Merge(part(10, 1), f)
	if f.Whole() || f.Column("id").Firsts != nil {
		t.Errorf("after 120 rows: %+v", f)
	}
}
