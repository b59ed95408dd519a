package scan

import (
	"math"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/reedbed/reedbed/fingerprint"
)

// mostSampled bounds the values that quantiles are found among: of more, a half to
// all of this number are sampled. The rank of a median is then off by 0.4 % of the
// values at most, one standard error, and that of the 95th percentile by 0.2 %.
const mostSampled = 1 << 15

// mostCategories is how many values a category may have.
const mostCategories = 1 << 14

// column gathers the statistics of one column.
type column struct {
	out    fingerprint.Column
	decode decode // nil if only NULL is counted
	nested bool

	values     int64 // without NULL
	numbers    moments
	sample     sampler
	categories map[uint64]*fingerprint.Value // by hash of the value; nil for no category
	after      float64                       // rows are late from this second on
	late       *int64
	firsts     *firsts // nil of what has few values

	dictionary parquet.Dictionary // of the chunk: what is in it are the entries
	*scratch
}

// scratch is room that the columns of a file use one after the other.
type scratch struct {
	plain, entries batch
	counts         []int64 // of the entries in a page
	gathered       []float64
	sampled        []float64
	firstRows      firsts
}

func newColumn(parts []part, rows int64, o Options, room *scratch) *column {
	first := parts[0].column
	c := &column{sample: sampler{step: 1, values: room.sampled[:0]}, scratch: room}
	c.out.Name, c.out.Nulls = first.Name(), rows
	c.out.Kind, _ = reading(first)
	for _, p := range parts {
		c.out.Nulls -= p.file.NumRows()
		if kind, _ := reading(p.column); kind != c.out.Kind {
			c.out.Kind = fingerprint.Other
		}
	}
	named := func(name string) bool { return strings.EqualFold(name, c.out.Name) }
	if slices.ContainsFunc(o.Categories, named) {
		c.categories = map[uint64]*fingerprint.Value{}
	}
	if o.Received != "" && named(o.Received) && c.out.Kind == fingerprint.Time && !o.End.IsZero() {
		c.after, c.late = float64(o.End.UnixMicro())/1e6, new(int64)
	}
	if c.out.Kind != fingerprint.Other {
		c.out.Sketch = fingerprint.NewSketch()
	}
	if c.categories == nil && c.out.Kind != fingerprint.Bool && c.out.Kind != fingerprint.Other {
		room.firstRows.reset()
		c.firsts = &room.firstRows
	}
	return c
}

func (c *column) page(page parquet.Page) {
	nulls := page.NumNulls()
	if c.nested {
		nulls = absent(page)
	}
	c.out.Nulls += nulls
	if c.out.Kind == fingerprint.Other {
		return
	}
	n := int(page.NumValues() - nulls)
	c.values += int64(n)
	if d := page.Dictionary(); d != nil {
		data := page.Data()
		c.indexed(d, data.Int32())
		return
	}
	c.fill(&c.plain, page, n)
	for _, h := range c.plain.hashes {
		c.out.Sketch.Add(h)
	}
	if c.firsts != nil {
		for _, h := range c.plain.hashes {
			c.firsts.add(h, 1)
		}
	}
	for i := 0; i < n && c.categories != nil; i++ {
		c.count(c.plain.hashes[i], 1, &c.plain, i)
	}
	c.add(c.plain.numbers)
}

func (c *column) fill(b *batch, page parquet.Page, n int) {
	b.hashes, b.numbers = b.hashes[:0], b.numbers[:0]
	c.decode(b, page.Data(), n)
}

// indexed sees a page of indexes into a dictionary.
func (c *column) indexed(d parquet.Dictionary, indexes []int32) {
	if c.dictionary != d {
		c.dictionary = d
		c.fill(&c.entries, d.Page(), d.Len())
	}
	c.counts = append(c.counts[:0], make([]int64, d.Len())...)
	for _, i := range indexes {
		c.counts[i]++
	}
	for i, n := range c.counts {
		if n == 0 {
			continue
		}
		c.out.Sketch.Add(c.entries.hashes[i])
		c.count(c.entries.hashes[i], n, &c.entries, i)
		if c.firsts != nil {
			c.firsts.add(c.entries.hashes[i], n)
		}
	}
	if len(c.entries.numbers) == 0 {
		return
	}
	c.gathered = c.gathered[:0]
	for _, i := range indexes {
		c.gathered = append(c.gathered, c.entries.numbers[i])
	}
	c.add(c.gathered)
}

// count counts rows of a value of a category, until there are too many values.
func (c *column) count(hash uint64, rows int64, b *batch, i int) {
	if c.categories == nil {
		return
	}
	v := c.categories[hash]
	if v == nil {
		if len(c.categories) == mostCategories {
			c.categories = nil
			return
		}
		v = &fingerprint.Value{Text: strings.ToValidUTF8(b.text(i), "\uFFFD")}
		c.categories[hash] = v
	}
	v.Rows += rows
}

// absent are the rows of a page without a nested value.
func absent(page parquet.Page) (rows int64) {
	repeats := page.RepetitionLevels()
	for i, level := range page.DefinitionLevels() {
		if level == 0 && (len(repeats) == 0 || repeats[i] == 0) {
			rows++
		}
	}
	return rows
}

// add sees numbers in the order of rows.
func (c *column) add(numbers []float64) {
	if c.late != nil {
		for _, x := range numbers {
			if x >= c.after {
				*c.late++
			}
		}
	}
	if slices.ContainsFunc(numbers, func(x float64) bool { return x-x != 0 }) {
		all := len(numbers)
		numbers = slices.DeleteFunc(numbers, func(x float64) bool { return x-x != 0 })
		c.out.NotFinite += int64(all - len(numbers))
	}
	c.numbers.add(numbers)
	if c.out.Kind != fingerprint.Bool {
		c.sample.add(numbers)
	}
}

// finish is the column's part of a fingerprint.
func (c *column) finish() fingerprint.Column {
	out := &c.out
	if out.Kind == fingerprint.Other {
		return *out
	}
	if c.values == 0 {
		out.Sketch = nil
		return *out
	}
	out.Distinct = min(int64(math.Round(out.Sketch.Estimate())), c.values)
	if c.firsts != nil {
		out.Firsts = c.firsts.share()
	}
	if c.categories != nil {
		all := make([]fingerprint.Value, 0, len(c.categories))
		for _, v := range c.categories {
			all = append(all, *v)
		}
		out.Categorise(all)
	}
	n := c.numbers
	if n.n == 0 {
		return *out
	}
	out.Mean, out.Deviation = fingerprint.Finite(n.mean), fingerprint.Finite(math.Sqrt(n.square/float64(n.n)))
	if out.Kind == fingerprint.Bool {
		return *out
	}
	out.Min, out.Max = &n.least, &n.greatest
	values := c.sample.values
	c.sampled = values
	slices.Sort(values)
	out.Quantiles = fingerprint.Quantiles(values, fingerprint.Points)
	if c.sample.step > 1 {
		out.Sampled = int64(len(values))
		out.Quantiles[0], out.Quantiles[len(out.Quantiles)-1] = n.least, n.greatest
	}
	return *out
}

// moments are of the numbers seen: how many, their bounds, their mean, and the sum
// of the squares of their distances from it.
type moments struct {
	n               int64
	least, greatest float64
	mean, square    float64
}

// add sees more numbers, all finite. Partial results are joined as in Chan, Golub
// and LeVeque 1979.
func (m *moments) add(numbers []float64) {
	if len(numbers) == 0 {
		return
	}
	if m.n == 0 {
		m.least, m.greatest = numbers[0], numbers[0]
	}
	origin := numbers[0] // sums of distances stay small where the numbers are large and alike
	var sum float64
	for _, x := range numbers {
		m.least, m.greatest = min(m.least, x), max(m.greatest, x)
		sum += x - origin
	}
	n := float64(len(numbers))
	mean := origin + sum/n
	var square float64
	for _, x := range numbers {
		square += (x - mean) * (x - mean)
	}
	before := float64(m.n)
	delta := mean - m.mean
	m.n += int64(len(numbers))
	m.mean += delta * n / float64(m.n)
	m.square += square + delta*delta*before*n/float64(m.n)
}

// sampler keeps one of every step values, at a place in each step that looks
// random but is the same whenever as many values are seen. The step doubles when
// there is no room for more.
type sampler struct {
	step   int64
	values []float64
	seen   int64
}

func (s *sampler) add(values []float64) {
	end := s.seen + int64(len(values))
	for next := s.next(); next < end; next = s.next() {
		s.values = append(s.values, values[next-s.seen])
		if len(s.values) == mostSampled {
			s.thin()
		}
	}
	s.seen = end
}

// next is the place of the next value to keep.
func (s *sampler) next() int64 {
	step := uint64(len(s.values))
	return int64(step)*s.step + int64(mix(step)%uint64(s.step))
}

// thin keeps one of every two.
func (s *sampler) thin() {
	half := s.values[:len(s.values)/2]
	for i := range half {
		half[i] = s.values[2*i+int(mix(uint64(i))>>63)]
	}
	s.values, s.step = half, 2*s.step
}
