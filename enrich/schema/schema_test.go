package schema

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func folder(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func newSet(t testing.TB, files map[string]string) *Set {
	t.Helper()
	read, mistakes, err := Read(folder(files))
	if err != nil || len(mistakes) > 0 {
		t.Fatal(mistakes, err)
	}
	return NewSet(read)
}

func check(t testing.TB, s *Set, name, version, properties string) string {
	t.Helper()
	reason, err := s.Check(name, version, properties)
	if err != nil {
		t.Fatal(err)
	}
	return reason
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"Track Played": "track_played", "trackPlayed": "track_played", "track_played": "track_played", "TRACK PLAYED": "track_played",
		"  Order: Completed! ": "order_completed", "v2Step3Done": "v2_step3_done", "": "", "!?": "", "Titel Gehört": "titel_gehört",
		"../../etc/passwd": "etc_passwd", "a\xff\xfeb": "a_b", "日本の曲": "日本の曲",
	} {
		if got := Snake(name); got != want || Snake(got) != got {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// The newest is that of the highest number, not of the greatest text.
func TestVersions(t *testing.T) {
	s := newSet(t, map[string]string{
		"play/1-0-2.json":  `{"required": ["v1_0_2"]}`,
		"play/1-0-10.json": `{"required": ["v1_0_10"]}`,
		"play/2-0-0.json":  `{"required": ["v2_0_0"]}`,
		"play/10-0-0.json": `{"required": ["v10_0_0"]}`,
		"like/1-0-0.json":  `true`,
		"never/1-0-0.json": `false`,
	})
	for _, x := range []struct{ name, version, want string }{
		{"Play", "", "/v10_0_0 is missing"},
		{"Play", "1-0-2", "/v1_0_2 is missing"},
		{"Play", "1-0-10", "/v1_0_10 is missing"},
		{"Play", "3-0-0", "there is no schema 3-0-0 of play"},
		{"Play", "latest", "there is no schema latest of play"},
		{"Like", "", ""},
		{"Never", "", "the whole is not allowed"},
		{"Pause", "", ""},
		{"Pause", "1-0-0", ""},
		{"", "", ""},
	} {
		if got := check(t, s, x.name, x.version, ""); got != x.want {
			t.Errorf("%s %s: %q, want %q", x.name, x.version, got, x.want)
		}
	}
}

// Reasons say what and where, always in the same words, and repeat nothing that
// was sent but names.
func TestReasons(t *testing.T) {
	s := newSet(t, map[string]string{
		"play/1-0-0.json": `{
			"type": "object", "required": ["track_id", "ms"], "additionalProperties": false,
			"properties": {
				"track_id": {"type": "string", "pattern": "^trk_[0-9]+$", "maxLength": 8},
				"ms": {"type": "integer", "minimum": 0, "exclusiveMaximum": 1e3, "multipleOf": 0.5},
				"quality": {"enum": ["high", "low", 3]},
				"at": {"type": "string", "format": "date-time"},
				"tags": {"type": "array", "uniqueItems": true, "minItems": 1, "maxItems": 3, "items": {"$ref": "../tag/1-0-0.json"}},
				"who": {"anyOf": [{"type": "string"}, {"type": "object", "required": ["id"]}]},
				"a/b~c": {"const": 1}, "no": false
			}}`,
		"tag/1-0-0.json": `{"type": ["string", "null"], "minLength": 2}`,
	})
	for properties, want := range map[string]string{
		`{"track_id": "trk_1", "ms": 10, "quality": 3.0, "at": "2026-05-01T12:00:00Z", "tags": ["ab", null], "who": {"id": 1}, "a/b~c": 1}`: "",
		``:                                  "/ms is missing; /track_id is missing",
		`{"track_id": "secret", "ms": 1}`:   "/track_id must match ^trk_[0-9]+$",
		`{"track_id": null, "ms": "9"}`:     "/ms must be integer, is string; /track_id must be string, is null",
		`{"track_id": "trk_1", "ms": -1}`:   "/ms must be at least 0",
		`{"track_id": "trk_1", "ms": 1000}`: "/ms must be less than 1000",
		`{"track_id": "trk_1", "ms": 1, "x": 1, "y": {"z": 2}, "quality": "mid"}`: `/quality must be one of "high", "low", 3; /x is not in the schema; /y is not in the schema`,
		`{"track_id": "trk_1", "ms": 1, "at": "noon", "a/b~c": 2, "no": 0}`:       "/at must have the format date-time; /a~1b~0c must be 1; /no is not allowed",
		`{"track_id": "trk_1", "ms": 1, "tags": ["ab", "ab", "x", 1]}`:            "/tags must have at most 3 items; /tags must not have an item twice; /tags/2 must have at least 2 characters; /tags/3 must be null or string, is number",
		`{"track_id": "trk_1", "ms": 1, "who": {}}`:                               "/who fits none of anyOf (/who must be string, is object | /who/id is missing)",
		`[1]`:                      "the whole must be object, is array",
		`{"track_id": "trk_1"`:     "the text is not JSON: it ends too early",
		`{"ms": 1, "ms": 2}`:       "the text is not JSON: duplicate object member name",
		`{} {}`:                    "the text goes on after its end",
		`{"ms": 1e9999999}`:        "the text has a number with an exponent beyond 400",
		`{"ms": 1e-99999}`:         "the text has a number with an exponent beyond 400",
		"{\"track_id\": \"\xff\"}": "the text is not JSON: invalid UTF-8",
	} {
		for range 5 { // the library goes through members as they come
			if got := check(t, s, "Play", "", properties); got != want {
				t.Fatalf("%s:\n%q, want\n%q", properties, got, want)
			}
		}
	}
}

func TestReasonsAreShort(t *testing.T) {
	s := newSet(t, map[string]string{"play/1-0-0.json": `{"additionalProperties": false}`})
	var many strings.Builder
	for i := range 500 {
		many.WriteString(`,"` + strings.Repeat("é", 400) + strings.Repeat("x", i) + `": 1`)
	}
	got := check(t, s, "play", "", "{"+many.String()[1:]+"}")
	if len(got) > maxReason || !strings.HasSuffix(got, "...") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	got = check(t, s, "play", "", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1}`)
	if !strings.HasSuffix(got, "; and 2 more") {
		t.Error(got)
	}
}

func TestFilesThatAreWrong(t *testing.T) {
	for name, x := range map[string]struct {
		text      string
		line      int
		what, fix string
	}{
		"loose.json":              {`{}`, 0, "lies in a folder", "schemas/EVENT/1-0-0.json"},
		"Track Played/1-0-0.json": {`{}`, 0, `"Track Played"`, "track_played"},
		"play/1.0.json":           {`{}`, 0, `"1.0" is no SchemaVer`, "1-0-0.json"},
		"play/0-1-0.json":         {`{}`, 0, "no SchemaVer", ""},
		"play/1-0-0.json":         {"{\n\"type\": \"object\",\n}", 2, "not JSON", ""},
		"play/1-0-1.json":         {"[]", 1, "a schema is an object", ""},
		"play/1-0-2.json":         {strings.Repeat(" ", maxFile+1), 0, "more than 65536", "$ref"},
		"play/1-0-3.json":         {"{\n\n\"minimum\": 1e999999999}", 3, "exponent", ""},
		"play/1-0-4.json":         {"{\"a\": 1,\n\"a\": 2}", 2, "duplicate", ""},
		"play/1-0-5.json":         {"{\"type\": \"object\",\n\"properties\": {\n\"ms\": {\n\"type\": \"number of ms\"}}}", 4, "/properties/ms/type", ""},
		"play/1-0-6.json":         {"{\n\"properties\": {\"ms\":\n{\"pattern\": \"(?=x)\"}}}", 3, "(?=x)", "RE2"},
		"play/1-0-7.json":         {`{"$ref": "file:///etc/passwd"}`, 0, "it refers to file:///etc/passwd", "../EVENT/1-0-0.json"},
		"play/1-0-8.json":         {`{"$ref": "https://example.com/x.json"}`, 0, "it refers to https://example.com/x.json", ""},
		"play/1-0-9.json":         {`{"$ref": "#/$defs/none"}`, 0, "play/1-0-9.json#/$defs/none, which is not there", "$ref"},
		"play/1-1-0.json":         {`{"$schema": "http://iglucentral.com/schema#", "type": "object"}`, 0, "iglucentral", "$schema"},
		"play/1-1-1.json":         {`{"pattern": "` + strings.Repeat("a", maxPattern+1) + `"}`, 1, "more than 1000 bytes", ""},
		"play/1-1-2.json":         {`{"$ref": "../like/1-0-0.json"}`, 0, "refers to like/1-0-0.json: it is not one of the project's schemas", "schemas/"},
	} {
		files, found, err := Read(folder(map[string]string{name: x.text}))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, NewSet(files).Mistakes()...)
		if len(found) != 1 {
			t.Errorf("%s: %+v", name, found)
			continue
		}
		m := found[0]
		if m.Path != name || m.Line != x.line || !strings.Contains(m.What, x.what) || !strings.Contains(m.Fix, x.fix) || m.Fix == "" {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// A schema that refers to a wrong one says so, and the others go on.
func TestMistakesStayWithTheirFile(t *testing.T) {
	s := newSet(t, map[string]string{
		"bad/1-0-0.json": "{\n\"type\": 3}", "good/1-0-0.json": `{"required": ["x"]}`,
		"reads/1-0-0.json": `{"properties": {"a": {"$ref": "../bad/1-0-0.json"}}}`,
	})
	var got []string
	for _, m := range s.Mistakes() {
		got = append(got, m.Path)
	}
	if d := cmp.Diff([]string{"bad/1-0-0.json", "reads/1-0-0.json"}, got); d != "" {
		t.Error(d)
	}
	if got := check(t, s, "good", "", ""); got != "/x is missing" {
		t.Error(got)
	}
	if reason, err := s.Check("bad", "", ""); err == nil || !strings.Contains(err.Error(), "schemas/bad/1-0-0.json") {
		t.Errorf("a broken schema answers %q, %v", reason, err)
	}
}

func TestReferences(t *testing.T) {
	s := newSet(t, map[string]string{
		"play/1-0-0.json": `{"properties": {"a": {"$ref": "https://example.com/id"}, "b": {"$ref": "/schemas/id/1-0-0.json#/$defs/short"}, "s": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}}`,
		"id/1-0-0.json":   `{"$id": "https://example.com/id", "type": "string", "$defs": {"short": {"maxLength": 2}}}`,
	})
	if m := s.Mistakes(); len(m) > 0 {
		t.Fatal(m)
	}
	if got := check(t, s, "play", "", `{"a": 1, "b": "abc", "s": {"type": 1}}`); !strings.HasPrefix(got, "/a must be string, is number; /b must have at most 2 characters; /s/type fits none of anyOf") {
		t.Error(got)
	}
}

func TestCompact(t *testing.T) {
	f := File{Text: "{\n  \"a\" : [ 1.50, \"x y\" ]\n}\n"}
	if got := f.Compact(); got != `{"a":[1.50,"x y"]}` {
		t.Error(got)
	}
}
