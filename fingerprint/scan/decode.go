package scan

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"
	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/fingerprint"
)

// batch are values without NULL. Its slices are used again for the next.
type batch struct {
	hashes []uint64
	// numbers of a Number, a Time (seconds since 1970) or a Bool (0 and 1); else empty.
	numbers []float64
	text    func(i int) string
	wide    []int64 // integers that are stored in 32 bits
}

// decode fills a batch with n values.
type decode func(b *batch, values encoding.Values, n int)

// reading is what kind of column it is, and how its pages are read, nil for Other.
func reading(c *parquet.Column) (fingerprint.Kind, decode) {
	if !c.Leaf() || c.Repeated() {
		return fingerprint.Other, nil
	}
	t := c.Type()
	switch t.Kind() {
	case parquet.Boolean:
		return fingerprint.Bool, bools
	case parquet.Int32, parquet.Int64:
		return readingIntegers(t)
	case parquet.Float:
		return fingerprint.Number, func(b *batch, v encoding.Values, _ int) { floats(b, v.Float(), 32) }
	case parquet.Double:
		return fingerprint.Number, func(b *batch, v encoding.Values, _ int) { floats(b, v.Double(), 64) }
	}
	switch l := logical(t).(type) {
	case *format.StringType, *format.JsonType, *format.EnumType:
		return fingerprint.Text, texts
	case *format.UUIDType:
		return fingerprint.Text, uuids
	case *format.DecimalType:
		if t.Kind() == parquet.FixedLenByteArray && t.Length() <= 16 {
			return fingerprint.Number, wides(l.Scale)
		}
	}
	return fingerprint.Other, nil
}

func readingIntegers(t parquet.Type) (fingerprint.Kind, decode) {
	kind, n := fingerprint.Number, numerals{unit: 1, per: 1}
	var unsigned bool
	switch l := logical(t).(type) {
	case *format.IntType:
		unsigned = !l.IsSigned
		n.unsigned = unsigned && l.BitWidth == 64
	case *format.DecimalType:
		n.per = math.Pow10(int(l.Scale))
	case *format.TimeType:
		n.per = float64(time.Second / l.Unit.Value.Duration())
	case *format.TimestampType:
		kind, n.instant, n.per = fingerprint.Time, true, float64(time.Second/l.Unit.Value.Duration())
	case *format.DateType:
		kind, n.instant, n.unit = fingerprint.Time, true, 86400
	}
	if t.Kind() == parquet.Int64 {
		return kind, func(b *batch, v encoding.Values, _ int) { integers(b, v.Int64(), n) }
	}
	return kind, narrow(n, unsigned)
}

func logical(t parquet.Type) format.LogicalTypeValue {
	if l := t.LogicalType(); l != nil {
		return l.Value
	}
	return nil
}

// mix makes every bit of a number look random (Steele, Lea and Flood 2014,
// SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// bools are stored as bits.
func bools(b *batch, v encoding.Values, n int) {
	packed := v.Boolean()
	for i := range n {
		bit := packed[i/8] >> (i % 8) & 1
		b.hashes = append(b.hashes, mix(uint64(bit)))
		b.numbers = append(b.numbers, float64(bit))
	}
	b.text = func(i int) string { return strconv.FormatBool(b.numbers[i] == 1) }
}

// narrow reads integers of 32 bits.
func narrow(n numerals, unsigned bool) decode {
	return func(b *batch, v encoding.Values, _ int) {
		wide := b.wide[:0]
		for _, x := range v.Int32() {
			switch {
			case unsigned:
				wide = append(wide, int64(uint32(x)))
			case n.instant && (x == math.MaxInt32 || x == -math.MaxInt32):
				wide = append(wide, int64(x)<<32) // infinite there, and here
			default:
				wide = append(wide, int64(x))
			}
		}
		b.wide = wide
		integers(b, wide, n)
	}
}

func integers(b *batch, values []int64, number numerals) {
	for _, x := range values {
		b.hashes = append(b.hashes, mix(uint64(x)))
	}
	b.numbers = number.append(b.numbers, values)
	b.text = func(i int) string { return number.text(values[i], b.numbers[i]) }
}

// numerals say what integers stand for.
type numerals struct {
	unsigned bool
	instant  bool    // beyond endless it is infinite
	unit     float64 // the integer counts so many of the number, days in seconds
	per      float64 // of the integer in a unit; one of the two is 1
}

// endless is where DuckDB's infinities begin: they are the last integers of both
// signs, or, in 32 bits, what narrow makes of these.
const endless = math.MaxInt64 - 1<<33

func (n numerals) append(to []float64, values []int64) []float64 {
	for _, x := range values {
		number := float64(x)
		switch {
		case n.unsigned:
			number = float64(uint64(x))
		case n.instant && (x > endless || x < -endless):
			number = math.Inf(int(x>>63) | 1)
		default:
			number = number / n.per * n.unit
		}
		to = append(to, number)
	}
	return to
}

// text is an integer as people write what it stands for.
func (n numerals) text(x int64, number float64) string {
	switch {
	case n.unsigned:
		return strconv.FormatUint(uint64(x), 10)
	case n.instant && math.Abs(number) < 1<<40:
		at := time.UnixMicro(int64(math.Round(number * 1e6))).UTC()
		if n.unit > 1 {
			return at.Format(time.DateOnly)
		}
		return at.Format(time.RFC3339Nano)
	case n.per != 1 || n.instant:
		return strconv.FormatFloat(number, 'g', -1, 64)
	}
	return strconv.FormatInt(x, 10)
}

// floats that are equal hash alike: 0 and -0, and every NaN.
func floats[F float32 | float64](b *batch, values []F, size int) {
	for _, v := range values {
		x := float64(v)
		hashed := math.Float64bits(x)
		switch {
		case x == 0:
			hashed = 0
		case math.IsNaN(x):
			hashed = math.Float64bits(math.NaN())
		}
		b.hashes = append(b.hashes, mix(hashed))
		b.numbers = append(b.numbers, x)
	}
	b.text = func(i int) string { return strconv.FormatFloat(float64(values[i]), 'g', -1, size) }
}

func texts(b *batch, v encoding.Values, n int) {
	data, offsets := v.ByteArray()
	for i := range n {
		b.hashes = append(b.hashes, xxh3.Hash(data[offsets[i]:offsets[i+1]]))
	}
	b.text = func(i int) string { return string(data[offsets[i]:offsets[i+1]]) }
}

func uuids(b *batch, v encoding.Values, _ int) {
	data, size := v.FixedLenByteArray()
	for i := 0; i+size <= len(data); i += size {
		b.hashes = append(b.hashes, xxh3.Hash(data[i:i+size]))
	}
	b.text = func(i int) string {
		id := data[i*size : (i+1)*size]
		return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	}
}

// wides are decimals of more than 18 digits, big endian.
func wides(scale int32) decode {
	return func(b *batch, v encoding.Values, _ int) {
		data, size := v.FixedLenByteArray()
		for i := 0; i+size <= len(data); i += size {
			word := data[i : i+size]
			b.hashes = append(b.hashes, xxh3.Hash(word))
			b.numbers = append(b.numbers, wide(word)/math.Pow10(int(scale)))
		}
		b.text = func(i int) string { return strconv.FormatFloat(b.numbers[i], 'g', -1, 64) }
	}
}

func wide(word []byte) float64 {
	negative := word[0] >= 0x80
	var full [16]byte
	for i := range full {
		if negative {
			full[i] = 0xff
		}
	}
	copy(full[16-len(word):], word)
	high, low := binary.BigEndian.Uint64(full[:8]), binary.BigEndian.Uint64(full[8:])
	if !negative {
		return math.Ldexp(float64(high), 64) + float64(low)
	}
	low, borrow := bits.Sub64(0, low, 0) // of its distance from 0 nothing is lost
	high, _ = bits.Sub64(0, high, borrow)
	return -math.Ldexp(float64(high), 64) - float64(low)
}
