package fingerprint_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/fingerprint"
)

// What fits is read back as it was written.
func TestEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRows(t)
		want := of(r.numbers, r.texts)
		want.Measures = []fingerprint.Measure{{Name: "m", Error: "broken"}}
		want.Checks = []fingerprint.Check{{Name: "c", Count: 4, Whole: true}}
		b, err := fingerprint.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fingerprint.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// crowded has so many columns, a third of them categories, with nothing alike.
func crowded(columns int) *fingerprint.Fingerprint {
	f := &fingerprint.Fingerprint{}
	for i := range columns {
		var numbers []float64
		var texts []string
		for j := range 1000 {
			x := xxh3.HashString(fmt.Sprint(i, j))
			numbers = append(numbers, math.Exp(float64(x%100_000)/5000))
			texts = append(texts, fmt.Sprintf("value-%x", x%50*uint64(i+7)))
		}
		both := of(numbers, texts)
		c := both.Columns[0]
		if i%3 == 0 {
			c = both.Columns[1]
		}
		c.Name = fmt.Sprintf("a_column_with_a_name_%04d", i)
		f.Columns = append(f.Columns, c)
	}
	f.Rows = 1000
	return f
}

// Whatever the number of columns, there is room; the fewer, the more is kept.
func TestSize(t *testing.T) {
	for _, columns := range []int{1, 25, 60, 200, 700, 3000} {
		f := crowded(min(columns, 200))
		for i := len(f.Columns); i < columns; i++ {
			c := f.Columns[i%200]
			c.Name = fmt.Sprintf("a_column_with_a_name_%04d", i)
			f.Columns = append(f.Columns, c)
		}
		b, err := fingerprint.Encode(f)
		if err != nil || len(b) > fingerprint.Limit {
			t.Fatalf("%d columns: %d bytes, %v", columns, len(b), err)
		}
		got, err := fingerprint.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Columns)+got.Omitted != columns || columns <= 200 && got.Omitted > 0 {
			t.Errorf("%d columns: %d are kept, %d omitted", columns, len(got.Columns), got.Omitted)
		}
		c, was := got.Columns[1%columns], f.Columns[1%columns]
		t.Logf("%d columns: %d bytes, %d omitted, quantiles %d, registers %d, top %d", columns, len(b), got.Omitted, len(c.Quantiles), len(c.Sketch), len(got.Columns[0].Top))
		if columns <= 200 && columns > 1 {
			median, _ := c.Quantile(0.5)
			before, _ := was.Quantile(0.5)
			if math.Abs(median-before) > 1e-5*(*was.Max-*was.Min) || *c.Min != *was.Min || *c.Max != *was.Max {
				t.Errorf("%d columns: the median %g became %g", columns, before, median)
			}
		}
		merged := fingerprint.Merge(got, got)
		if merged.Columns[0].Entropy == nil || merged.Rows != 2*f.Rows || merged.Omitted != got.Omitted {
			t.Errorf("%d columns: cut down, they do not merge", columns)
		}
	}
}

func TestTooManyChecks(t *testing.T) {
	var f fingerprint.Fingerprint
	for i := range 3000 {
		f.Checks = append(f.Checks, fingerprint.Check{Name: fmt.Sprintf("%x", xxh3.HashString(fmt.Sprint(i)))})
	}
	if _, err := fingerprint.Encode(&f); err == nil || !strings.Contains(err.Error(), "3000 checks") {
		t.Errorf("3000 checks: %v", err)
	}
}

func pack(t testing.TB, plain string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteByte(1)
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(plain)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeRefuses(t *testing.T) {
	for reason, plain := range map[string]string{
		"a count that cannot be":        `{"rows":-1}`,
		"out of order":                  `{"rows":1,"columns":[{"name":"b"},{"name":"a"}]}`,
		"quantiles out of order":        `{"rows":1,"columns":[{"name":"a","quantiles":[1,2,3,2,4]}]}`,
		"3 quantiles":                   `{"rows":1,"columns":[{"name":"a","quantiles":[1,2,3]}]}`,
		"a sketch":                      `{"rows":1,"columns":[{"name":"a","sketch":"0123"}]}`,
		"a value of 3 rows":             `{"rows":9,"columns":[{"name":"a","top":[{"text":"x","rows":3}]}]}`,
		"more than 1048576 bytes":       strings.Repeat(" ", 1<<20+1),
		"an entropy that cannot be":     `{"rows":9,"columns":[{"name":"a","entropy":2}]}`,
		"unexpected end":                `{"rows":`,
		"over -1 rows":                  `{"rows":1,"measures":[{"name":"m","rows":-1}]}`,
		"a sketch with a register that": `{"rows":1,"columns":[{"name":"a","sketch":"000000000000000~"}]}`,
	} {
		if _, err := fingerprint.Decode(pack(t, plain)); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.60s: %v, want %s", plain, err, reason)
		}
	}
	for _, b := range [][]byte{nil, {0}, {2, 3}, {1, 0xff}} {
		if _, err := fingerprint.Decode(b); err == nil {
			t.Errorf("%x is a fingerprint", b)
		}
	}
}

// Whatever is decoded can be used, merged and written again, be it garbage packed
// or a garbled package.
func FuzzDecode(f *testing.F) {
	b, err := fingerprint.Encode(of([]float64{1, 2, 2, 3}, []string{"a", "b", "", "b"}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"rows":20,"columns":[{"name":"a","kind":"time","min":1,"max":2,"mean":1.5,"quantiles":[1,1,1,2,2],"top":[{"text":"x","rows":10}],"sketch":"0120000000000010"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, packed := range [][]byte{b, pack(t, string(b))} {
			got, err := fingerprint.Decode(packed)
			if err != nil {
				continue
			}
			got.Metrics()
			fingerprint.Merge(got, got).Metrics()
			again, err := fingerprint.Encode(got)
			if err != nil {
				continue // too many checks
			}
			if _, err := fingerprint.Decode(again); err != nil {
				t.Fatal(err)
			}
		}
	})
}
