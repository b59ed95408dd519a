package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/reedbed/reedbed/internal/recorded"
)

func code(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

func TestTexts(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`,"k` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/26) + `":1`)
		}
		return "{" + b.String()[1:] + "}"
	}
	for _, c := range []struct {
		text   string
		code   Code
		offset int
	}{
		{`{}`, "", 0},
		{` [ ] `, "", 0},
		{`"a"`, "", 0},
		{`-0.5e-7`, "", 0},
		{`{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, "", 0},
		{`"\ud83c\udfb5 é 🎵 \u0000 \/"`, "", 0},
		{"\"\x7f\u2028\"", "", 0},
		{``, Truncated, 0},
		{`  `, Truncated, 2},
		{`{`, Truncated, 1},
		{`{"a`, Truncated, 3},
		{`{"a"`, Truncated, 4},
		{`{"a":`, Truncated, 5},
		{`{"a":1`, Truncated, 6},
		{`{"a":1,`, Truncated, 7},
		{`[1,`, Truncated, 3},
		{`"\`, Truncated, 2},
		{`"\u12`, Truncated, 5},
		{`tru`, Truncated, 3},
		{`-`, Truncated, 1},
		{`1.`, Truncated, 2},
		{`1e+`, Truncated, 3},
		{`{"a":1,}`, InvalidJSON, 7},
		{`[1,]`, InvalidJSON, 3},
		{`{'a':1}`, InvalidJSON, 1},
		{`{a:1}`, InvalidJSON, 1},
		{`{"a" 1}`, InvalidJSON, 5},
		{`[1 2]`, InvalidJSON, 3},
		{`1 2`, InvalidJSON, 2},
		{`{}x`, InvalidJSON, 2},
		{`01`, InvalidJSON, 1},
		{`-01`, InvalidJSON, 2},
		{`+1`, InvalidJSON, 0},
		{`.5`, InvalidJSON, 0},
		{`1.e5`, InvalidJSON, 2},
		{`NaN`, InvalidJSON, 0},
		{`nul!`, InvalidJSON, 3},
		{`True`, InvalidJSON, 0},
		{`"\x"`, InvalidJSON, 2},
		{`"\u12g4"`, InvalidJSON, 5},
		{"\"a\nb\"", InvalidJSON, 2},
		{"\"a\x00b\"", InvalidJSON, 2},
		{"\xef\xbb\xbf{}", InvalidJSON, 0},
		{"[1]\x00", InvalidJSON, 3},
		{"/* */1", InvalidJSON, 0},
		{"\"\xff\"", InvalidUTF8, 1},
		{"\"\xc0\xaf\"", InvalidUTF8, 1},         // overlong
		{"\"\xed\xa0\x80\"", InvalidUTF8, 1},     // a surrogate in UTF-8
		{"\"\xf4\x90\x80\x80\"", InvalidUTF8, 1}, // beyond Unicode
		{`"\ud800"`, InvalidUTF8, 1},
		{`"\udc00\ud800"`, InvalidUTF8, 1},
		{`"ab\ud800x"`, InvalidUTF8, 3},
		{`"\ud800\u0041"`, InvalidUTF8, 1},
		{`{"a":1,"a":2}`, DuplicateKey, 7},
		{`{"a":1,"\u0061":2}`, DuplicateKey, 7},
		{`{"\u0061":1,"b":0,"a":2}`, DuplicateKey, 18},
		{`{"":1,"":2}`, DuplicateKey, 6},
		{`[{"b":{"x":[{"a":1,"b":2,"a":3}]}}]`, DuplicateKey, 25},
		{deep(32), "", 0},
		{deep(33), TooDeep, 32},
		{strings.Repeat("[", 1_000_000), TooDeep, 32},
		{strings.Repeat(`{"a":`, 33), TooDeep, 160},
		{keys(500), "", 0},
		{`"` + strings.Repeat("x", 64<<10) + `"`, "", 0},
		{`"` + strings.Repeat("x", 64<<10+1) + `"`, StringTooLong, 0},
		{`{"` + strings.Repeat("x", 4<<10) + `":1}`, "", 0},
		{`{"` + strings.Repeat("x", 4<<10+1) + `":1}`, KeyTooLong, 1},
		{strings.Repeat("9", 64), "", 0},
		{strings.Repeat("9", 65), NumberTooLong, 0},
		{`1e308`, "", 0},
		{`1e309`, NumberRange, 0},
		{`1e999`, NumberRange, 0},
		{`-1.8e308`, NumberRange, 0},
		{`1e-999`, "", 0},
		{`0e999`, "", 0},
		{`0e99999999`, NumberRange, 0},
		{`1e-99999999999999999999`, NumberRange, 0},
		{`0.` + strings.Repeat("0", 40) + `1e340`, "", 0},
	} {
		err := NewScanner(Limits{}).Document([]byte(c.text))
		if code(err) != c.code {
			t.Errorf("%.60q: %v, want code %q", c.text, err, c.code)
			continue
		}
		if e, ok := errors.AsType[*Error](err); ok && e.Offset != c.offset {
			t.Errorf("%.60q: %s at %d, want %d", c.text, e.Code, e.Offset, c.offset)
		}
	}
}

func TestTooManyKeys(t *testing.T) {
	s := NewScanner(Limits{Keys: 3})
	if err := s.Document([]byte(`{"a":1,"b":{"a":1,"b":2,"c":3},"c":3}`)); err != nil {
		t.Error(err)
	}
	if err := s.Document([]byte(`[{"a":1,"b":2,"c":3,"d":4}]`)); code(err) != TooManyKeys {
		t.Error(err)
	}
}

func TestObjectAnswersOnlyObjects(t *testing.T) {
	s := NewScanner(Limits{})
	for text, want := range map[string]Code{`[]`: NotAnObject, `1`: NotAnObject, ``: Truncated, ` x`: NotAnObject} {
		if _, _, err := s.Object([]byte(text), 0, nil); code(err) != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestObjectHandsOutMembers(t *testing.T) {
	text := ` { "a" : 1 , "\u0062":"x\n","c":{"d":[]} } tail`
	members, end, err := NewScanner(Limits{}).Object([]byte(text), 0, nil)
	if err != nil || text[end:] != " tail" {
		t.Fatalf("end %d, %v", end, err)
	}
	var got []string
	for _, m := range members {
		got = append(got, string(m.Key)+"|"+string(m.Value)+"|"+string(m.Pair)+"|"+string(m.Kind))
	}
	want := []string{`a|1|"a" : 1|0`, `b|"x\n"|"\u0062":"x\n"|"`, `c|{"d":[]}|"c":{"d":[]}|{`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	if members[0].Escaped || !members[1].Escaped {
		t.Error("Escaped is wrong")
	}
}

func TestNaughtyStrings(t *testing.T) {
	data, err := os.ReadFile(recorded.Path(t, "strings", "blns.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := NewScanner(Limits{}).Document(data); err != nil {
		t.Fatal(err)
	}
	var texts []string
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		for _, quoted := range [][]byte{quote(t, text), escapeAll(text)} {
			if err := NewScanner(Limits{}).Document(quoted); err != nil {
				t.Errorf("%q: %v", quoted, err)
				continue
			}
			if got, _ := Unquote(quoted, nil); string(got) != text {
				t.Errorf("%q decodes to %q", quoted, got)
			}
		}
	}
}

func quote(t *testing.T, text string) []byte {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	return quoted
}

func TestNoAllocations(t *testing.T) {
	event := benchEvent(t)
	s := NewScanner(Limits{})
	s.Hashing = true
	var members []Member
	allocs := testing.AllocsPerRun(100, func() {
		members, _, _ = s.Object(event, 0, members[:0])
	})
	if allocs > 0 {
		t.Errorf("%v allocations for one event", allocs)
	}
}

// FuzzAgainstJSONText holds the scanner to the verdicts of jsontext, which is
// as strict, wherever no limit of ours is at work.
func FuzzAgainstJSONText(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,2.5e3,"x\u00e9\ud83c\udfb5"],"b":{"a":null}}`, `{"a":1,"\u0061":2}`, `"\ud800"`, "\"\xff\"", `01`, `1e999`, ` [ ] `,
		`[1,]`, `{"a"`, `"\`, `tru`, `-`, `{"":{"":{"":[]}}}`, "\"\xed\xa0\x80\"", `1E+2`, `"abcdefgh\nijklmnop"`,
	} {
		f.Add([]byte(text))
	}
	s := NewScanner(Limits{Depth: 5000})
	f.Fuzz(func(t *testing.T, data []byte) {
		ours := s.Document(data)
		switch code(ours) {
		case TooDeep, TooManyKeys, KeyTooLong, StringTooLong, NumberTooLong, NumberRange:
			return
		}
		theirs := jsontext.Value(data).IsValid()
		if (ours == nil) != theirs {
			t.Fatalf("%q: we say %v, jsontext says %v", data, ours, theirs)
		}
		if ours != nil {
			if e, _ := errors.AsType[*Error](ours); e.Offset < 0 || e.Offset > len(data) {
				t.Fatalf("%q: offset %d", data, e.Offset)
			}
			return
		}
		checkValid(t, s, data)
	})
}

// checkValid checks what must hold of any text found valid.
func checkValid(t *testing.T, s *Scanner, data []byte) {
	trimmed := bytes.TrimSpace(data)
	if end, ok := Skip(data, 0); !ok || end != bytes.Index(data, trimmed)+len(trimmed) {
		t.Fatalf("%q: Skip ends at %d, %v", data, end, ok)
	}
	if trimmed[0] == '"' {
		want, err := jsontext.AppendUnquote(nil, trimmed)
		if got, _ := Unquote(trimmed, nil); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q decodes to %q, want %q (%v)", trimmed, got, want, err)
		}
	}
	if trimmed[0] != '{' {
		return
	}
	members, _, err := s.Object(data, 0, nil)
	if err != nil {
		t.Fatalf("%q: Object says %v", data, err)
	}
	var parts [][]byte
	for i, m := range members {
		if err := s.Document(m.Value); err != nil {
			t.Fatalf("%q: member %d is %q: %v", data, i, m.Value, err)
		}
		parts = append(parts, m.Pair)
	}
	joined := append(append([]byte("{"), bytes.Join(parts, []byte(","))...), '}')
	if !sameCanonical(t, joined, data) {
		t.Fatalf("%q: its members make %q", data, joined)
	}
}

func FuzzSkip(f *testing.F) {
	f.Add([]byte(`{"a":"\"]}","b":[1,{"c":nul}]} x`))
	f.Add([]byte(`[{]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if end, ok := Skip(data, 0); ok && (end <= 0 || end > len(data)) {
			t.Fatalf("%q: end %d", data, end)
		}
		if at, ok := Find(data, 0, "a"); ok && (at <= 0 || at > len(data)) {
			t.Fatalf("%q: at %d", data, at)
		}
	})
}

func TestSkip(t *testing.T) {
	for text, rest := range map[string]string{
		`{"a":1,"a":2},x`:   `,x`,
		"{\"a\":\"\xff\"}]": `]`,
		`{"a":NaN,} ,{}`:    ` ,{}`,
		strings.Repeat("[", 99) + strings.Repeat("]", 99) + ",": `,`,
		`"x\"y",1`:    `,1`,
		`12,3`:        `,3`,
		` {"a":"}]"}`: ``,
	} {
		end, ok := Skip([]byte(text), 0)
		if !ok || text[end:] != rest {
			t.Errorf("%q: rest %q, %v; want %q", text, text[end:], ok, rest)
		}
	}
	for _, text := range []string{``, `{`, `[}`, `{"a":"`, `"\`, `]`, `,`, "{\"a\n\":1}", `{"a":[1}`} {
		if end, ok := Skip([]byte(text), 0); ok {
			t.Errorf("%q: ends at %d, want no end", text, end)
		}
	}
}

func TestFind(t *testing.T) {
	text := `{"a":{"batch":[1]},"s":"batch","batch" : [2]}`
	at, ok := Find([]byte(text), 0, "batch")
	if !ok || text[at:] != "[2]}" {
		t.Errorf("found %q, %v", text[at:], ok)
	}
	for _, text := range []string{``, `[]`, `{`, `{}`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{"a":[}`} {
		if _, ok := Find([]byte(text), 0, "batch"); ok {
			t.Errorf("%q: found", text)
		}
	}
}
