package schema

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// double is a schema that looks at each value twice as often as at the one around
// it, in one of several ways.
func double(how string) string {
	return strings.ReplaceAll(how, "SELF", `{"$ref": "#"}`)
}

// Schemas that would take longer than the universe, or more memory than there is,
// are answered.
func TestSchemasThatWouldNotEnd(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	lists := strings.Repeat("[", 40) + "1" + strings.Repeat("]", 40)
	chain := func(n int) string {
		var defs []string
		for i := range n {
			defs = append(defs, fmt.Sprintf(`"d%d": {"allOf": [{"$ref": "#/$defs/d%d"}, {"$ref": "#/$defs/d%d"}]}`, i, i+1, i+1))
		}
		return fmt.Sprintf(`{"$ref": "#/$defs/d0", "$defs": {%s, "d%d": {"minimum": 3}}}`, strings.Join(defs, ","), n)
	}
	for name, x := range map[string][2]string{
		"twice as often in objects":      {double(`{"allOf": [{"properties": {"a": SELF}}, {"properties": {"a": SELF}}]}`), deep},
		"alternatives":                   {double(`{"type": "object", "anyOf": [{"properties": {"a": SELF}, "required": ["b"]}, {"properties": {"a": SELF}, "required": ["c"]}]}`), deep},
		"behind not":                     {double(`{"not": {"type": ["object", "integer"], "patternProperties": {"a": SELF, ".": SELF}}}`), deep},
		"lists and one of them":          {double(`{"items": SELF, "contains": SELF}`), lists},
		"behind not, in lists":           {double(`{"type": "array", "not": {"items": SELF, "contains": SELF, "unevaluatedItems": SELF}}`), lists},
		"dynamic anchors":                {`{"$dynamicRef": "#n", "$defs": {"x": {"$dynamicAnchor": "n", "allOf": [{"properties": {"a": {"$dynamicRef": "#n"}}}, {"properties": {"a": {"$dynamicRef": "#n"}}}]}}}`, deep},
		"chains of references":           {chain(40), "1"},
		"a pattern with a large machine": {`{"pattern": "((x{30}){30}y)?$"}`, `"` + strings.Repeat("x", 1<<19) + `"`},
		"patterns over lists":            {`{"items": {"pattern": "(a?){500}a{500}"}}`, "[" + strings.Repeat(`"`+strings.Repeat("a", 400)+`",`, 2000) + `""]`},
	} {
		s := newSet(t, map[string]string{"e/1-0-0.json": x[0]})
		if m := s.Mistakes(); len(m) > 0 {
			t.Errorf("%s: %v", name, m)
			continue
		}
		if got := check(t, s, "e", "", x[1]); got != "checking it takes too much work" {
			t.Errorf("%s: %.300q with %d left", name, got, s.meter.left)
		}
		if got := check(t, s, "e", "", "[1"); !strings.Contains(got, "not JSON") { // it goes on after that
			t.Errorf("%s: then %q", name, got)
		}
	}
}

func TestSchemaThatIsItself(t *testing.T) {
	s := newSet(t, map[string]string{"e/1-0-0.json": `{"$ref": "#"}`, "f/1-0-0.json": `{"$ref": "../g/1-0-0.json"}`, "g/1-0-0.json": `{"$ref": "../f/1-0-0.json"}`})
	for _, name := range []string{"e", "f", "g"} {
		if got := check(t, s, name, "", "{}"); !strings.Contains(got, "refers to itself") {
			t.Error(got)
		}
	}
}

func TestEventsThatAreTooMuch(t *testing.T) {
	s := newSet(t, map[string]string{"e/1-0-0.json": `{"properties": {"a": {"items": {"type": "string"}, "uniqueItems": true}}}`})
	for name, properties := range map[string]string{
		"deep":   strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2),
		"many":   `{"a": [` + strings.Repeat("0,", maxValues) + "0]}",
		"long":   `{"a": "` + strings.Repeat("x", maxText) + `"}`,
		"digits": `{"a": ` + strings.Repeat("9", maxDigits+1) + "}",
	} {
		if got := check(t, s, "e", "", properties); !strings.HasPrefix(got, "the text ") {
			t.Errorf("%s: %.200q", name, got)
		}
	}
	if got := check(t, s, "e", "", `{"a": [`+strings.Repeat("0,", maxValues/2)+"0]}"); !strings.HasPrefix(got, "/a must not have an item twice; /a/0 must be string") {
		t.Errorf("many wrong items: %.200q", got)
	}
}

// FuzzCheck: whatever the schema and the event, there is an answer, short and the
// same each time, and nothing is opened.
func FuzzCheck(f *testing.F) {
	for _, schema := range []string{
		`{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 0}}}`,
		`{"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}], "$defs": {"x": {"items": {"$ref": "#"}}}}`,
		`{"$schema": "http://json-schema.org/draft-04/schema#", "id": "x", "dependencies": {"a": ["b"]}, "minimum": 1, "exclusiveMinimum": true}`,
		`{"$dynamicRef": "#n", "$defs": {"x": {"$dynamicAnchor": "n", "not": {"const": {"a": [1.0]}}}}}`,
		`{"patternProperties": {"^a": {"format": "regex"}}, "propertyNames": {"maxLength": 3}, "unevaluatedProperties": false}`,
		`{"if": {"required": ["a"]}, "then": {"minProperties": 2}, "else": false, "contentMediaType": "application/json"}`,
		`{"properties": {"a": {"type": ["integer", "null"], "minimum": -1}, "b": {"items": {"enum": ["x", 1], "maxLength": 3}}}, "additionalProperties": {"pattern": "^x"}}`,
		`{"multipleOf": 1e-300, "maximum": 1e300}`, `false`, `{"$ref": "file:///etc/passwd"}`, `{"$id": "https://e.com/a", "$ref": "b"}`,
	} {
		for _, properties := range []string{`{}`, `{"a": 1e400, "b": [null, {"a": -0.0}]}`, `{"a": "(((", "abc": {}}`, `[[[]]]`, `{"a":`, ``} {
			f.Add(schema, "Some Event", properties)
		}
	}
	f.Fuzz(func(t *testing.T, text, name, properties string) {
		files, mistakes, err := Read(folder(map[string]string{"e/1-0-0.json": text, "f/1-0-0.json": `{"type": "string"}`}))
		if err != nil || len(files)+len(mistakes) != 2 {
			t.Fatal(files, mistakes, err)
		}
		s := NewSet(files)
		wrong := s.Mistakes()
		for _, m := range wrong {
			if m.What == "" || m.Fix == "" || strings.Contains(m.What, "root:") {
				t.Fatalf("%+v", m)
			}
		}
		if len(mistakes) == 0 && len(wrong) == 0 {
			agrees(t, s, s.events["e"][0], properties)
		}
		reason, err := s.Check("e", "", properties)
		if len(mistakes) == 0 && (err == nil) != (len(wrong) == 0) {
			t.Fatalf("%v, but %+v", err, wrong)
		}
		if len(reason) > maxReason+len("the text ") || utf8.ValidString(text) && utf8.ValidString(properties) && !utf8.ValidString(reason) {
			t.Fatalf("%q", reason)
		}
		if again, _ := s.Check("e", "", properties); again != reason && !strings.Contains(again+reason, "too much work") {
			t.Fatalf("%q, then %q", reason, again)
		}
		if snake := Snake(name); Snake(snake) != snake {
			t.Fatalf("%q", name)
		}
	})
}
