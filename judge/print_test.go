package judge_test

import (
	"cmp"
	"math"
	"slices"

	"github.com/reedbed/reedbed/fingerprint"
)

// printer takes fingerprints of simulated rows as the engine would: all of a
// column's counts, quantiles of a sample, numbers of different values to within the
// error of a sketch.
type printer struct {
	bare     bool // of a stage without ids, times and what is known of clocks
	visitors []counted
	items    []counted
	prints   uint32
	order    []uint32 // values in the order they were seen in
	sample   []float64
}

func newPrinter() *printer {
	return &printer{visitors: make([]counted, 1<<17), items: make([]counted, 1<<16)}
}

// counted is how many rows of a print a value has.
type counted struct{ print, rows uint32 }

const sampleRows = 500

func (p *printer) print(r *rows) *fingerprint.Fingerprint {
	n := r.len()
	f := &fingerprint.Fingerprint{
		Start: startOf(r.hour), End: startOf(r.hour + 1), Rows: int64(n), Bytes: int64(24 * n), Rejected: int64(r.rejected),
	}
	for i, values := range r.text {
		var counts [256]int64
		for _, v := range values {
			counts[v]++
		}
		for code, rows := range counts[:len(words)] {
			f.Bytes += rows * int64(len(words[code]))
		}
		f.Columns = append(f.Columns, category(textNames[i], counts[:]))
	}
	for i, values := range r.number {
		f.Columns = append(f.Columns, number(p, numberNames[i], values, 0))
	}
	f.Columns = append(f.Columns, truths("signed_in", r.signedIn))
	if !p.bare {
		p.more(f, r)
	}
	slices.SortFunc(f.Columns, func(a, b fingerprint.Column) int { return cmp.Compare(a.Name, b.Name) })
	f.Measures = measures(r)
	return f
}

// more are the ids, the times and what is known of clocks.
func (p *printer) more(f *fingerprint.Fingerprint, r *rows) {
	late := count(r.late())
	f.Late = &late
	n, zero := r.len(), float64(f.Start.Unix())
	visitors, items := p.seen(p.visitors, r.visitor), p.seen(p.items, r.item)
	f.Columns = append(f.Columns, number(p, "occurred_at", r.occurred, zero), number(p, "received_at", r.received, zero),
		truths("time_corrected", r.corrected), truths("time_implausible", r.implausible),
		ids(n, r.repeats), text("visitor", missing(r.visitor), visitors, n), text("item", 0, items, n))
}

func count(flags []bool) (n int64) {
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

func missing(visitors []uint32) (n int64) {
	for _, v := range visitors {
		if v == 0 {
			n++
		}
	}
	return n
}

// sketch is only asked for its error.
var sketch = fingerprint.NewSketch()

// roughly is off as a sketch is, but never more than there are rows, and the same for the
// same numbers.
func roughly(distinct, rows int) int64 {
	off := sketch.Error() * normal[uint32(distinct*31+rows)*2654435761>>20]
	return min(int64(math.Round(float64(distinct)*(1+off))), int64(rows))
}

// truths is a column of booleans.
func truths(name string, flags []bool) fingerprint.Column {
	c := fingerprint.Column{Name: name, Kind: fingerprint.Bool, Distinct: 2}
	if n := len(flags); n > 0 {
		share := float64(count(flags)) / float64(n)
		c.Mean, c.Deviation = &share, new(math.Sqrt(share*(1-share)))
	}
	return c
}

// category is a column of few values: how many rows have which, and their entropy
// with the correction of Miller and Madow.
func category(name string, counts []int64) fingerprint.Column {
	c := fingerprint.Column{Name: name, Kind: fingerprint.Text, Nulls: counts[null]}
	var n float64
	for _, rows := range counts[1:] {
		n += float64(rows)
	}
	var h float64
	for code, rows := range counts[1:] {
		if rows == 0 {
			continue
		}
		c.Distinct++
		h -= float64(rows) / n * math.Log(float64(rows)/n)
		if rows >= fingerprint.FloorRows {
			c.Top = append(c.Top, fingerprint.Value{Text: words[code+1], Rows: rows})
		}
	}
	slices.SortFunc(c.Top, func(a, b fingerprint.Value) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Text, b.Text))
	})
	if k := float64(c.Distinct); k > 1 {
		c.Entropy = new(min(1, (h+(k-1)/(2*n))/math.Log(k)))
	} else {
		c.Entropy = new(float64)
	}
	return c
}

// number has the mean of all values and the quantiles of a sample. Numbers that are
// counted from something are times.
func number[T float32 | float64](p *printer, name string, values []T, zero float64) fingerprint.Column {
	c := fingerprint.Column{Name: name, Kind: fingerprint.Number}
	if zero != 0 {
		c.Kind = fingerprint.Time
	}
	var n, sum, squares float64
	least, most := math.Inf(1), math.Inf(-1)
	p.sample = p.sample[:0]
	for _, v := range values {
		if v != v {
			c.Nulls++
			continue
		}
		x := float64(v)
		n, sum, squares = n+1, sum+x, squares+x*x
		least, most = min(least, x), max(most, x)
		p.sample = append(p.sample, x)
	}
	if n == 0 {
		return c
	}
	if all := len(p.sample); all > sampleRows {
		for i := range sampleRows {
			p.sample[i] = p.sample[i*all/sampleRows]
		}
		p.sample = p.sample[:sampleRows]
	}
	c.Sampled = int64(len(p.sample))
	c.Distinct, c.Sketch = roughly(int(n), int(n)), sketch
	c.Mean, c.Deviation = new(zero+sum/n), new(math.Sqrt(max(0, squares/n-sum*sum/n/n)))
	slices.Sort(p.sample)
	for i := range 21 {
		c.Quantiles = append(c.Quantiles, zero+p.sample[i*(len(p.sample)-1)/20])
	}
	c.Min, c.Max = new(zero+least), new(zero+most)
	return c
}

// values are how many different ones there are, and the share of rows that are the
// first with theirs, among as many of them as scan looks at.
type values struct {
	distinct int
	firsts   float64
}

// looked is about how many values scan looks at of many.
const looked = fingerprint.FirstsValues * 3 / 4

// seen counts values that are not 0.
func (p *printer) seen(counts []counted, of []uint32) (v values) {
	p.prints++
	p.order = p.order[:0]
	for _, x := range of {
		if x == 0 {
			continue
		}
		at := &counts[x%uint32(len(counts))]
		if at.print != p.prints {
			*at = counted{print: p.prints}
			p.order = append(p.order, x)
		}
		at.rows = min(at.rows+1, fingerprint.FirstsRows)
	}
	v.distinct = len(p.order)
	var sampled, rows uint32
	for _, x := range p.order {
		if x*2654435761>>20*uint32(v.distinct)>>12 > looked {
			continue
		}
		sampled, rows = sampled+1, rows+counts[x%uint32(len(counts))].rows
	}
	v.firsts = float64(sampled) / float64(max(1, rows))
	return v
}

func text(name string, nulls int64, v values, rows int) fingerprint.Column {
	return fingerprint.Column{
		Name: name, Kind: fingerprint.Text, Nulls: nulls, Distinct: roughly(v.distinct, rows), Firsts: &v.firsts, Sketch: sketch,
	}
}

// ids are of n rows, of which some have the id of another.
func ids(n, repeats int) fingerprint.Column {
	share := float64(repeats) / float64(max(1, n-repeats)) // of the ids
	sampled := float64(min(n-repeats, looked))
	off := math.Sqrt(share*max(0, 1-share)/max(1, sampled)) * normal[uint32(n*31+repeats)*2654435761>>20]
	return text("id", 0, values{n - repeats, 1 / (1 + min(max(0, share+off), 1))}, n)
}

// measures are two that an owner might ask for: money per row, purchases per click.
func measures(r *rows) []fingerprint.Measure {
	var money, purchases, clicks float64
	for i, what := range r.text[event] {
		switch what {
		case purchase:
			purchases++
		case click:
			clicks++
		}
		if a := float64(r.number[amount][i]); a == a {
			money += a
		}
	}
	n := float64(r.len())
	return []fingerprint.Measure{
		{Name: "conversion", Value: new(purchases / max(1, clicks)), Rows: int64(n)},
		{Name: "revenue", Value: new(money / max(1, n)), Rows: int64(n)},
	}
}
