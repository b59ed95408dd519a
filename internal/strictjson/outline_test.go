package strictjson

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withoutHashes is members as Outlined hands them out.
func withoutHashes(members []Member) []Member {
	for i := range members {
		members[i].Hash = 0
	}
	return members
}

func TestOutlined(t *testing.T) {
	for _, text := range []string{
		`{}`, `{ }`, `{"a":1}`, `{"a":{}}`, `{"a":[{"b":"]}"}],"c":"\"","d":{"e":1}}`, "{ \"a\" :\t-1.5e3 ,\n\"b\" : null }",
		`{"":"","ä":"öü","x":true,"y":false,"long name of a member":"a text that is longer than eight bytes \\ and \" on"}`,
	} {
		members, _, err := NewScanner(Limits{}).Object([]byte(text), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := Outlined([]byte(text), AppendOutline(nil, members), nil)
		if !ok {
			t.Errorf("%s: does not fit its own outline", text)
		}
		if diff := cmp.Diff(withoutHashes(members), got); diff != "" {
			t.Errorf("%s (-in full +outlined)\n%s", text, diff)
		}
	}
}

func TestOutlinedFallsBack(t *testing.T) {
	for _, c := range []struct{ text, outline string }{
		{``, ""},
		{`{`, ""},
		{`[]`, ""},
		{`1`, ""},
		{`{}x`, ""},
		{` {}`, ""},
		{`{"a":1} `, ""},
		{`{"a":1`, ""},
		{`{"a":`, ""},
		{`{"a"`, ""},
		{`{"a`, ""},
		{`{"a":"\`, ""},
		{`{"a":1,}`, ""},
		{`{"a":1 2}`, ""},
		{`{"a":,"b":1}`, ""},
		{`{a:1}`, ""},
		{`{"\u0061":1}`, ""},  // an escaped name
		{`{"a":1}`, "\x02"},   // more in the outline
		{`{}`, "\x02"},        //
		{`{"a":[]}`, ""},      // less
		{`{"a":[]}`, "\x01"},  // no value is that short
		{`{"a":[]}`, "\x09"},  // beyond the end
		{`{"a":[1]}`, "\x02"}, // no bracket there
		{`{"a":[1]}`, "\x04"}, // the other bracket
		{`{"a":[1]}`, "\x80"}, // half a varint
	} {
		if members, ok := Outlined([]byte(c.text), []byte(c.outline), nil); ok {
			t.Errorf("%q by %q: %v", c.text, c.outline, members)
		}
	}
}

func FuzzOutlined(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":"]}"}],"c":"\"","d":{"e":1}}`), []byte("\x0d\x07"))
	f.Add([]byte(`{"a":"\\`), []byte{})
	f.Fuzz(func(t *testing.T, text, outline []byte) {
		text = slices.Clip(text)
		Outlined(text, outline, nil) // must not leave text
		s := NewScanner(Limits{})
		members, end, err := s.Object(text, 0, nil)
		if err != nil || end != len(text) || text[0] != '{' {
			return
		}
		got, ok := Outlined(text, AppendOutline(nil, members), nil)
		if !ok {
			for i := range members {
				if len(members[i].Pair) > 0 && string(members[i].Pair[1:1+min(len(members[i].Key), len(members[i].Pair)-1)]) != string(members[i].Key) {
					return // a name with escapes
				}
			}
			t.Fatalf("%q does not fit its own outline", text)
		}
		if diff := cmp.Diff(withoutHashes(members), got); diff != "" {
			t.Fatalf("%q (-in full +outlined)\n%s", text, diff)
		}
	})
}
