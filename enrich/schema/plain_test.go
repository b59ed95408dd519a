package schema

import "testing"

// agrees checks that nothing is surely right that the library finds wrong, and
// reports whether a text was surely right.
func agrees(t testing.TB, s *Set, c *compiled, text string) bool {
	t.Helper()
	if !s.reader.surely(c.plain, []byte(text)) {
		return false
	}
	doc, wrong := decode([]byte(text))
	if wrong != nil {
		t.Fatalf("%s\n%s: surely right, but it %s", c.file.Text, text, wrong.what)
	}
	if reason := s.check(c.schema, doc); reason != "" {
		t.Fatalf("%s\n%s: surely right, but %s", c.file.Text, text, reason)
	}
	return true
}

// What events mostly are is found to be right without the library.
func TestPlain(t *testing.T) {
	s := newSet(t, map[string]string{"e/1-0-0.json": `{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "e", "type": "object", "required": ["id", "ms"],
		"properties": {"id": {"type": "string", "pattern": "^t[0-9]+$", "maxLength": 8}, "ms": {"type": "integer", "minimum": 0, "maximum": 100},
			"q": {"enum": ["high", "löw", 3]}, "x": {"type": ["number", "null"]}, "odd": {"format": "uuid"},
			"tags": {"type": "array", "items": {"type": "string", "minLength": 1}}, "in": {"properties": {"y": {"type": "boolean"}}, "additionalProperties": {"type": "object"}}}}`})
	if m := s.Mistakes(); len(m) > 0 {
		t.Fatal(m)
	}
	for text, want := range map[string]bool{
		`{"id": "t1", "ms": 0}`: true, ` {"ms": 100, "id": "t1234567", "q": "löw", "x": 1.5, "tags": ["a", "é"], "in": {"y": true, "z": {}}, "else": {"a": [1, {"b": null}]}} `: true,
		`{"id": "t1", "ms": 0, "x": null, "tags": []}`: true,
		`{"id": "t1"}`: false, `{"id": "t1", "ms": 1e1}`: false, `{"id": "t1", "ms": 1.0}`: false, `{"id": "t1", "ms": 101}`: false, `{"id": "t1", "ms": -1}`: false,
		`{"id": "\u00741", "ms": 1}`: false, `{"id": "t12345678", "ms": 1}`: false, `{"id": "x", "ms": 1}`: false, `{"id": "t1", "ms": 1, "q": 3}`: false,
		`{"id": "t1", "ms": 1, "q": "mid"}`: false, `{"id": "t1", "ms": 1, "x": "1"}`: false, `{"id": "t1", "ms": 1, "x": 1e9999}`: false, `{"id": "t1", "ms": 1, "tags": [""]}`: false,
		`{"id": "t1", "ms": 1, "in": {"z": 1}}`: false, `{"id": "t1", "ms": 1, "odd": "x"}`: false, `{"id": "t1", "ms": 1, "id": "t1"}`: false, `{"id": "t1", "ms": 1`: false,
		`{"id": "t1", "ms": 1}]`: false, `{"id": "t1", "ms": 1,}`: false, ``: false, `null`: false, `{"id": "t1", "ms": 1, "tags": [1}`: false,
	} {
		if got := agrees(t, s, s.events["e"][0], text); got != want {
			t.Errorf("%s: surely right: %v", text, got)
		}
	}
}
