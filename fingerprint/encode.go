package fingerprint

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
)

// Limit is the most bytes that Encode returns.
const Limit = 16 << 10

// version is the first byte of what Encode returns.
const version = 1

// mostPlain bounds what Decode unpacks.
const mostPlain = 1 << 20

// detail is how much is kept of each column, and of the text of an error.
type detail struct{ top, registers, points, text int }

// details are tried in this order until a fingerprint fits. From the second on,
// numbers between a column's minimum and maximum are rounded, to a hundred
// thousandth of their distance. When even the last is too much, columns go, the
// last in order of name first.
func details() []detail {
	return []detail{
		{TopValues, mostRegisters, Points, 400},
		{TopValues, mostRegisters, Points, 400},
		{TopValues, mostRegisters, fewPoints, 400},
		{32, 256, fewPoints, 400},
		{16, 128, leastPoints, 200},
		{8, 64, leastPoints, 200},
		{8, 32, leastPoints, 100},
		{4, 16, leastPoints, 100},
		{2, 16, 0, 100},
		{1, 0, 0, 100},
	}
}

// Encode is that of an Encoder for one fingerprint.
func Encode(f *Fingerprint) ([]byte, error) {
	var e Encoder
	return e.Encode(f)
}

// Encoder encodes many fingerprints, also at the same time: the compressor, which
// is larger than any of them, is made once. Its zero value can be used.
type Encoder struct {
	compressors sync.Pool // of *flate.Writer
}

// Encode writes a fingerprint compactly, in at most Limit bytes: it keeps less of
// each column where there are many. It fails if the measures and checks alone are
// too many.
func (e *Encoder) Encode(f *Fingerprint) ([]byte, error) {
	steps := details()
	for i, d := range steps {
		if out, err := e.pack(f.reduced(d, i > 0)); err != nil || len(out) <= Limit {
			return out, err
		}
	}
	least := f.reduced(steps[len(steps)-1], true)
	for n := len(least.Columns); n > 0; {
		n -= max(1, n/8)
		least.Omitted += len(least.Columns) - n
		least.Columns = least.Columns[:n]
		if out, err := e.pack(least); err != nil || len(out) <= Limit {
			return out, err
		}
	}
	return nil, fmt.Errorf("a fingerprint with %d measures and %d checks does not fit into %d bytes: drop some, or give them shorter names",
		len(f.Measures), len(f.Checks), Limit)
}

func (e *Encoder) pack(f *Fingerprint) ([]byte, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode a fingerprint: %w", err)
	}
	if len(plain) > mostPlain {
		return make([]byte, Limit+1), nil // longer than is read back, and so than fits
	}
	var out bytes.Buffer
	out.WriteByte(version)
	w, ok := e.compressors.Get().(*flate.Writer)
	if !ok {
		if w, err = flate.NewWriter(nil, flate.DefaultCompression); err != nil {
			return nil, err
		}
	}
	defer e.compressors.Put(w)
	w.Reset(&out)
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// reduced is a copy with less detail.
func (f *Fingerprint) reduced(d detail, round bool) *Fingerprint {
	out := *f
	out.Columns = slices.Clone(f.Columns)
	for i := range out.Columns {
		out.Columns[i].reduce(d, f.Rows, round)
	}
	out.Measures = slices.Clone(f.Measures)
	for i := range out.Measures {
		out.Measures[i].Error = cut(strings.ToValidUTF8(out.Measures[i].Error, ""), d.text)
	}
	out.Checks = slices.Clone(f.Checks)
	for i := range out.Checks {
		out.Checks[i].Error = cut(strings.ToValidUTF8(out.Checks[i].Error, ""), d.text)
	}
	return &out
}

// reduce cuts a column of so many rows down.
func (c *Column) reduce(d detail, rows int64, round bool) {
	if len(c.Top) > d.top {
		tail := rows - c.Nulls - c.topRows()
		c.Top = slices.Clone(c.Top)
		c.keep(d.top, tail)
	}
	if d.registers == 0 {
		c.Sketch = nil
	}
	c.Sketch = c.Sketch.fold(d.registers)
	if n := len(c.Quantiles); n > d.points {
		c.thin(d.points)
	}
	if round {
		c.round()
	}
}

// thin leaves the quantiles at fewer ranks, which are ranks of more, too.
func (c *Column) thin(points int) {
	if points == 0 {
		c.Quantiles, c.RankError, c.Sampled = nil, 0, 0
		return
	}
	fewer := Ranks(points)
	for i, rank := range fewer {
		fewer[i], _ = c.Quantile(rank)
	}
	c.Quantiles = fewer
}

// round gives what lies between minimum and maximum as many decimals as say where.
func (c *Column) round() {
	if c.Min == nil || c.Max == nil {
		return
	}
	places := 5 - math.Ceil(math.Log10(*c.Max-*c.Min))
	if math.IsNaN(places) || math.Abs(places) > 300 {
		return
	}
	up, down := math.Pow(10, max(0, places)), math.Pow(10, max(0, -places))
	short := func(x float64) float64 {
		return min(max(math.Round(x*up/down)/up*down, *c.Min), *c.Max)
	}
	c.Quantiles = slices.Clone(c.Quantiles)
	for i, q := range c.Quantiles {
		c.Quantiles[i] = short(q)
	}
	if c.Mean != nil {
		c.Mean = Finite(short(*c.Mean))
	}
	if c.Deviation != nil {
		c.Deviation = Finite(math.Round(*c.Deviation*up/down) / up * down)
	}
}

// Decode reads what Encode wrote, of this version of the program or an earlier one.
func Decode(b []byte) (*Fingerprint, error) {
	if len(b) == 0 || b[0] != version {
		return nil, errors.New("not a fingerprint that this version of reedbed can read")
	}
	unpacked := flate.NewReader(bytes.NewReader(b[1:]))
	plain, err := io.ReadAll(io.LimitReader(unpacked, mostPlain+1))
	if err != nil {
		return nil, fmt.Errorf("unpack a fingerprint: %w", err)
	}
	if len(plain) > mostPlain {
		return nil, fmt.Errorf("a fingerprint of more than %d bytes", mostPlain)
	}
	f := new(Fingerprint)
	if err := json.Unmarshal(plain, f); err != nil {
		return nil, fmt.Errorf("read a fingerprint: %w", err)
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("read a fingerprint: %w", err)
	}
	return f, nil
}

// check finds what other functions rely on and a damaged fingerprint may lack.
func (f *Fingerprint) check() error {
	if f.Rows < 0 || f.Bytes < 0 || f.Rejected < 0 || f.Omitted < 0 || f.Together < 0 || f.Together > f.Rows || f.Late != nil && (*f.Late < 0 || *f.Late > f.Rows) {
		return errors.New("a count that cannot be")
	}
	if f.Completeness != nil {
		if err := f.Completeness.check(); err != nil {
			return err
		}
	}
	for i := range f.Columns {
		c := &f.Columns[i]
		if i > 0 && f.Columns[i-1].Name >= c.Name {
			return fmt.Errorf("the column %q is out of order", c.Name)
		}
		if err := c.check(f.Rows); err != nil {
			return fmt.Errorf("the column %q: %w", c.Name, err)
		}
	}
	for _, m := range f.Measures {
		if m.Rows < 0 {
			return fmt.Errorf("the measure %q over %d rows", m.Name, m.Rows)
		}
	}
	return nil
}

func (c *Column) check(rows int64) error {
	values := rows - c.Nulls
	if c.Nulls < 0 || values < 0 || c.NotFinite < 0 || c.NotFinite > values || c.Distinct < 0 || c.Sampled < 0 {
		return errors.New("a count that cannot be")
	}
	switch len(c.Quantiles) {
	case 0, leastPoints, fewPoints, Points:
	default:
		return fmt.Errorf("%d quantiles", len(c.Quantiles))
	}
	if !slices.IsSorted(c.Quantiles) {
		return errors.New("quantiles out of order")
	}
	for _, v := range c.Top {
		if v.Rows < FloorRows || v.Rows > values {
			return fmt.Errorf("a value of %d rows", v.Rows)
		}
		values -= v.Rows
	}
	if c.Firsts != nil && !(*c.Firsts >= 0 && *c.Firsts <= 1) {
		return errors.New("a share that cannot be")
	}
	if c.TailEntropy < 0 || c.Entropy != nil && (*c.Entropy < 0 || *c.Entropy > 1) {
		return errors.New("an entropy that cannot be")
	}
	return nil
}
