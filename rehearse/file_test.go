package rehearse

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/stage"
)

func TestReadFolder(t *testing.T) {
	files, problems := ReadFolder(fstest.MapFS{
		"a.yaml":   {Data: []byte("stage: plays\ncases: [{name: x, expect: []}]\n")},
		"b.yaml":   {Data: []byte("stages: plays\n")},
		"notes.md": {},
	}, "tests")
	if len(files) != 1 || files[0].path != "tests/a.yaml" || files[0].cases[0].Name.Text != "x" || files[0].cases[0].Name.Line != 2 {
		t.Errorf("files %+v", files)
	}
	if len(problems) != 1 || problems[0].Error() != "tests/b.yaml:1: unknown field \"stages\"; did you mean `stage`?" {
		t.Errorf("problems %q", problems)
	}
	if files, problems := ReadFolder(os.DirFS(t.TempDir()+"/none"), "tests"); len(files)+len(problems) > 0 {
		t.Errorf("a folder that is not there: %v, %v", files, problems)
	}
}

// No file of cases stops the program, and what becomes a trial can be run: its
// rows have a cell for every column.
func FuzzPlan(f *testing.F) {
	s, problems := stage.Parse("plays", "stages/plays.sql", "/* @stage\nowner: a\npartition: hour\ninputs:\n  raw: {window: same}\nrejects: n < 0\n*/\nSELECT 1 AS n FROM raw")
	if s == nil {
		f.Fatal(problems)
	}
	columns := []dataset.Column{{Name: "n", Type: "BIGINT"}, {Name: "j", Type: "JSON"}}
	project := Project{Stages: []*stage.Stage{s}, Columns: map[string][]dataset.Column{"raw": columns, "plays": columns, "plays_rejected": columns}}
	f.Add([]byte("stage: plays\ncases:\n  - name: a\n    partition: 2026-05-01T12\n    given: {raw: [{n: 1, j: {a: [1, x]}}]}\n    expect: [{n: ~}]\n    rejected: []\n"))
	f.Add([]byte("stage: [plays]\ncases: [{given: raw, expect: {}}, ~, {name: [], given: {raw: [[]]}}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, problem := decode("tests/a.yaml", text)
		if problem != nil {
			return
		}
		trials, _ := plan(project, []File{file})
		for _, x := range trials {
			for _, table := range x.tables {
				for _, cells := range table.Rows {
					if len(cells) != len(table.Columns) {
						t.Fatalf("%d cells for %d columns", len(cells), len(table.Columns))
					}
				}
			}
		}
	})
}
