package strictjson

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// canonical is the dumb oracle of the hash: the one spelling of a value.
// Members are sorted, strings quoted by jsontext, numbers exact fractions.
func canonical(t interface{ Fatalf(string, ...any) }, text []byte) string {
	d := jsontext.NewDecoder(strings.NewReader(string(text)))
	var read func() string
	read = func() string {
		token, err := d.ReadToken()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		switch token.Kind() {
		case '"':
			quoted, _ := jsontext.AppendQuote(nil, token.String())
			return string(quoted)
		case '0':
			return exact(token.String())
		case '[':
			var parts []string
			for d.PeekKind() != ']' {
				parts = append(parts, read())
			}
			d.ReadToken()
			return "[" + strings.Join(parts, ",") + "]"
		case '{':
			var parts []string
			for d.PeekKind() != '}' {
				parts = append(parts, read()+":"+read())
			}
			d.ReadToken()
			slices.Sort(parts)
			return "{" + strings.Join(parts, ",") + "}"
		}
		return token.String()
	}
	return read()
}

// exact spells a number as its digits and power of ten, by another road than
// the scanner's: through a big fraction where that is small enough.
func exact(number string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	var power int
	fmt.Sscan(exponent, &power)
	whole, fraction, _ := strings.Cut(mantissa, ".")
	n, _ := new(big.Int).SetString(whole+fraction, 10)
	power -= len(fraction)
	if n.Sign() == 0 {
		return "0"
	}
	ten, rest := big.NewInt(10), new(big.Int)
	for {
		q, r := new(big.Int).QuoRem(n, ten, rest)
		if r.Sign() != 0 {
			break
		}
		n = q
		power++
	}
	return fmt.Sprintf("%de%d", n, power)
}

func sameCanonical(t interface{ Fatalf(string, ...any) }, a, b []byte) bool {
	return canonical(t, a) == canonical(t, b)
}

func sum(t interface{ Fatalf(string, ...any) }, text []byte) uint64 {
	s := NewScanner(Limits{})
	s.Hashing = true
	if err := s.Document(text); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s.Sum()
}

func TestSumOfSpellings(t *testing.T) {
	for _, same := range [][]string{
		{`1`, `1.0`, `1e0`, `10e-1`, `0.1e1`, `1.000`, `0.001E+3`},
		{`0`, `-0`, `0.0`, `0e5`, `-0.000e-7`},
		{`100`, `1e2`, `1E+2`},
		{`-5`, `-5.0`},
		{`12345678901234567890123`, `1.2345678901234567890123e22`, `12345678901234567890123000e-3`},
		{`"é"`, `"\u00e9"`, `"\u00E9"`},
		{`"/"`, `"\/"`},
		{`"🎵"`, `"\ud83c\udfb5"`},
		{`{"a":1,"b":[]}`, ` { "b" : [ ] , "\u0061" : 1.0 } `},
		{`{"a":{"x":1,"y":2}}`, `{"a":{"y":2,"x":1}}`},
	} {
		for _, other := range same[1:] {
			if sum(t, []byte(same[0])) != sum(t, []byte(other)) {
				t.Errorf("%s and %s hash differently", same[0], other)
			}
		}
	}
}

func TestSumTellsApart(t *testing.T) {
	texts := []string{
		`null`, `true`, `false`, `0`, `1`, `-1`, `10`, `0.1`, `1e-400`, `1e-401`, `""`, `"0"`, `"1"`, `"null"`, `"a"`, `"\u0000"`,
		`[]`, `{}`, `[[]]`, `[{}]`, `[null]`, `[0]`, `[1]`, `[1,1]`, `[1,2]`, `[2,1]`, `[[1],2]`, `[1,[2]]`, `[[1,2]]`,
		`{"a":null}`, `{"a":1}`, `{"b":1}`, `{"a":"1"}`, `{"a":[1]}`, `{"a":1,"b":2}`, `{"a":2,"b":1}`, `{"a":{"b":1}}`, `{"1":"a"}`,
		`{"a":{},"b":{}}`, `{"":{}}`, `{"":""}`, `9007199254740992`, `9007199254740993`, `9007199254740994`, `18446744073709551615`,
		`18446744073709551616`, `12345678901234567890123`, `12345678901234567890124`, `0.30000000000000004`, `0.3`,
	}
	seen := map[uint64]string{}
	for _, text := range texts {
		h := sum(t, []byte(text))
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have the same hash", text, other)
		}
		seen[h] = text
	}
}

// Stored payload hashes depend on these values.
func TestSumIsStable(t *testing.T) {
	for text, want := range map[string]uint64{
		`null`: 0xa74f4e9b0afa89cd, `12`: 0xb782b3da2cc2f437, `"reed"`: 0x4e1e59c3e5951faa, `[]`: 0x6bf487c80990b3dc, `{}`: 0xf47e008bc03417ad,
		`{"a":[1,-2.5e3,true,{"b":"é and a text that is longer than sixteen bytes"}],"n":123456789012345678901234567890}`: 0xbc3dfaf3f272c832,
	} {
		if got := sum(t, []byte(text)); got != want {
			t.Errorf("%s: %#x, want %#x", text, got, want)
		}
	}
}

func TestFoldLeavesOut(t *testing.T) {
	fold := func(text string, except ...string) uint64 {
		s := NewScanner(Limits{})
		s.Hashing = true
		members, _, err := s.Object([]byte(text), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Fold(members, except)
	}
	if fold(`{"a":1,"b":2,"c":3}`, "b", "x") != fold(`{"c":3,"a":1}`) {
		t.Error("an excepted member counts")
	}
	if fold(`{"a":{"b":1}}`, "b") == fold(`{"a":{}}`, "b") {
		t.Error("an inner member was left out")
	}
	if fold(`{"a":1,"b":2}`) != sum(t, []byte(`{"b":2,"a":1}`)) {
		t.Error("the fold of all members is not the object's sum")
	}
}

// Values, and two spellings of each, for the property below.

func anyValue(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		rapid.StringN(0, 6, -1).AsAny(),
		rapid.SampledFrom([]string{"", "a", "b", "ab", "é", "\x00", "\"", "0"}).AsAny(),
		rapid.Map(rapid.Int64(), func(n int64) any { return big.NewInt(n) }),
		rapid.Map(rapid.IntRange(-3, 3), func(n int) any { return big.NewInt(int64(n)) }),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	inner := anyValue(depth - 1)
	return rapid.OneOf(append(leaves,
		rapid.SliceOfN(inner, 0, 4).AsAny(),
		rapid.MapOfN(rapid.SampledFrom([]string{"", "a", "b", "c", "é", "\n"}), inner, 0, 4).AsAny(),
	)...)
}

// spell writes a value in one of its many ways.
func spell(t *rapid.T, v any) string {
	pad := rapid.SampledFrom([]string{"", "", " ", "\n\t"}).Draw(t, "space")
	switch v := v.(type) {
	case nil:
		return pad + "null"
	case bool:
		return pad + fmt.Sprint(v)
	case string:
		return pad + spellText(t, v)
	case *big.Int:
		return pad + spellNumber(t, v)
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, spell(t, e))
		}
		return pad + "[" + strings.Join(parts, ",") + "]" + pad
	case map[string]any:
		var parts []string
		for key, e := range v {
			parts = append(parts, spellText(t, key)+pad+":"+spell(t, e))
		}
		return pad + "{" + strings.Join(parts, ",") + "}"
	}
	panic("unknown value")
}

func spellText(t *rapid.T, s string) string {
	s = strings.ToValidUTF8(s, "?")
	if rapid.Bool().Draw(t, "escape") {
		return string(escapeAll(s))
	}
	quoted, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

func escapeAll(s string) []byte {
	out := []byte{'"'}
	for _, unit := range utf16.Encode([]rune(s)) {
		out = fmt.Appendf(out, `\u%04x`, unit)
	}
	return append(out, '"')
}

func spellNumber(t *rapid.T, n *big.Int) string {
	switch rapid.IntRange(0, 3).Draw(t, "number") {
	case 0:
		return n.String() + ".000"
	case 1:
		if n.Sign() != 0 {
			return n.String() + "00e-2"
		}
	case 2:
		return n.String() + "E+0"
	}
	return n.String()
}

func TestEqualMeaningIsEqualHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyValue(3).Draw(t, "a")
		b := anyValue(3).Draw(t, "b")
		texts := []string{spell(t, a), spell(t, a), spell(t, b)}
		for _, x := range texts {
			for _, y := range texts {
				same := sameCanonical(t, []byte(x), []byte(y))
				if equal := sum(t, []byte(x)) == sum(t, []byte(y)); equal != same {
					t.Fatalf("%s and %s: same meaning %v, same hash %v", x, y, same, equal)
				}
			}
		}
	})
}

// FuzzHash compares the hash with the oracle on pairs of texts.
func FuzzHash(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[1.0,"x"]}`), []byte(`{"b":[1,"\u0078"],"a":1e0}`))
	f.Add([]byte(`100000000000000000001`), []byte(`1.00000000000000000001e20`))
	s := NewScanner(Limits{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if s.Document(a) != nil || s.Document(b) != nil {
			return
		}
		if (sum(t, a) == sum(t, b)) != sameCanonical(t, a, b) {
			t.Fatalf("%q and %q: canonical %s and %s", a, b, canonical(t, a), canonical(t, b))
		}
	})
}
