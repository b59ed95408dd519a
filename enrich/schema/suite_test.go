package schema

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/internal/recorded"
)

// drafts are the folders of the suite and how a schema names its draft.
var drafts = map[string]string{
	"draft4": "http://json-schema.org/draft-04/schema#", "draft6": "http://json-schema.org/draft-06/schema#",
	"draft7": "http://json-schema.org/draft-07/schema#", "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}

// group is some tests of one schema.
type group struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// The mandatory tests of JSON Schema's own suite. Left out is what asks for less
// than is done here (formats are rules), and what needs other files than schemas
// of a project.
func TestSuite(t *testing.T) {
	root := recorded.Path(t, "json-schema-test-suite", "tests")
	for draft, url := range drafts {
		files, err := filepath.Glob(filepath.Join(root, draft, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		ran, left, sure := 0, 0, 0
		for _, file := range files {
			if name := filepath.Base(file); name == "format.json" || name == "vocabulary.json" {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var groups []group
			if err := json.Unmarshal(text, &groups); err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				s := NewSet([]File{{Event: "e", Version: "1-0-0", Text: named(g.Schema, url)}})
				if m := s.Mistakes(); len(m) > 0 {
					if !strings.Contains(m[0].What, "it refers to") {
						t.Errorf("%s: %s: %+v", file, g.Description, m)
					}
					left += len(g.Tests)
					continue
				}
				for _, x := range g.Tests {
					reason, err := s.Check("e", "", string(x.Data))
					if err != nil || (reason == "") != x.Valid {
						t.Errorf("%s: %s: %s: %q, %v", file, g.Description, x.Description, reason, err)
					}
					if ran++; agrees(t, s, s.events["e"][0], string(x.Data)) {
						sure++
					}
				}
			}
		}
		t.Logf("%s: %d tests, %d surely right; %d of schemas that refer to files of the suite left out", draft, ran, sure, left)
		if ran < 500 || left > ran/10 {
			t.Errorf("%s: only %d tests ran and %d did not", draft, ran, left)
		}
	}
}

// named is a schema that names its draft.
func named(schema json.RawMessage, url string) string {
	text := strings.TrimSpace(string(schema))
	if !strings.HasPrefix(text, "{") || strings.Contains(text, `"$schema"`) {
		return text
	}
	link, _ := json.Marshal(url)
	comma := ","
	if strings.TrimSpace(text[1:len(text)-1]) == "" {
		comma = ""
	}
	return `{"$schema":` + string(link) + comma + text[1:]
}

// Real schemas in many versions fit the bounds and compile, with JSON Schema's own
// metaschema in place of theirs.
func TestIgluCentral(t *testing.T) {
	root := recorded.Path(t, "snowplow", "iglu-central")
	var files []File
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		parts := strings.Split(filepath.ToSlash(path), "/")
		if err != nil || d.IsDir() || len(parts) < 4 || parts[len(parts)-2] != "jsonschema" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(text, &doc); err != nil {
			return err
		}
		doc["$schema"] = json.RawMessage(`"` + drafts["draft4"] + `"`)
		if text, err = json.Marshal(doc); err != nil {
			return err
		}
		vendor, name, version := parts[len(parts)-4], parts[len(parts)-3], parts[len(parts)-1]
		f, wrong := parse(Snake(vendor+" "+name)+"/"+version+".json", text)
		if wrong == nil {
			files = append(files, f)
		} else if !strings.Contains(wrong.What, "duplicate object member name") { // two of them have
			t.Errorf("%s: %+v", path, wrong)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := NewSet(files)
	mistakes := s.Mistakes()
	mistakes = slices.DeleteFunc(mistakes, func(m Mistake) bool { return strings.HasPrefix(m.What, "it refers to http://iglucentral.com") })
	if len(files) < 600 || len(mistakes) > 0 {
		t.Errorf("%d of %d schemas do not compile: %+v", len(mistakes), len(files), mistakes[:min(3, len(mistakes))])
	}
	if several := slices.IndexFunc(files, func(f File) bool { return len(s.events[f.Event]) > 3 }); several < 0 {
		t.Error("no event has several versions")
	}
}

func BenchmarkCheck(b *testing.B) {
	s := newSet(b, map[string]string{
		"track_played/1-0-0.json": `{"type": "object", "properties": {"track_id": {"type": "string", "pattern": "^trk_[0-9]{6}$"},
			"played_ms": {"type": "integer", "minimum": 0, "maximum": 86400000}, "position_ms": {"type": "integer", "minimum": 0}, "site": {"type": "string"}}}`,
	})
	for name, properties := range map[string]string{
		"valid":   `{"track_id":"trk_000042","played_ms":183000,"position_ms":183000,"quality":"high","shuffle":false,"source":"playlist"}`,
		"invalid": `{"track_id":"trk_42","played_ms":-1,"position_ms":"183000","quality":"high","shuffle":false,"source":"playlist"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				check(b, s, "Track Played", "", properties)
			}
		})
	}
	b.Run("no schema", func(b *testing.B) {
		for b.Loop() {
			check(b, s, "Search Performed", "", `{}`)
		}
	})
}
