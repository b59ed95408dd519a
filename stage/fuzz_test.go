package stage

import (
	"strings"
	"testing"

	"github.com/reedbed/reedbed/dataset"
)

// FuzzParse feeds files to the parser: it answers with a stage that is complete
// or with problems that say where.
func FuzzParse(f *testing.F) {
	f.Add(wellFormed)
	f.Add("/* @stage\n*/")
	f.Add("\n\n/* @stage\nowner: a\npartition: day\ninputs: {raw: {window: -27d..0d}}\nequal: {x: 3}\n*/\n\n;SELECT 1;")
	f.Add("/* @stage\nowner: a\npartition: day\ninputs: {raw: {window: same}}\ncontract: {columns: {a: {min: 1}}, checks: [{name: b, sql: SELECT 1}]}\nfingerprint: {entropy: [a]}\n*/ SELECT 1 AS a")
	f.Add("/* @stage\ninputs: [1, 2]\n*/ SELECT 1")
	f.Add("/* @stage\nowner: &a [*a]\n*/ SELECT 1")
	f.Add("/* @stage\nwindow: \x00\xff\n*/ SELECT '*/'")
	f.Fuzz(func(t *testing.T, text string) {
		s, problems := Parse("plays", "stages/plays.sql", text)
		if (s == nil) == (len(problems) == 0) {
			t.Fatalf("stage %v with problems %v", s, problems)
		}
		lines := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.What == "" || p.Line < 0 || p.Line > lines {
				t.Errorf("problem %+v in a file of %d lines", p, lines)
			}
		}
		if s == nil {
			return
		}
		if s.SQL == "" || s.SQLLine < 1 || s.SQLLine > lines || !s.Header.Partition.Valid() || len(s.InputNames()) == 0 {
			t.Errorf("incomplete stage %+v", s)
		}
		// A deployed stage is parsed again from what the catalog keeps of it.
		again, problems := Parse("plays", "stages/plays.sql", "/* @stage"+s.HeaderText+"*/\n"+s.SQL)
		if again == nil || again.SQL != s.SQL {
			t.Errorf("does not survive the catalog: %v", problems)
		}
	})
}

// FuzzAnalyse feeds trees that are no trees of a SELECT.
func FuzzAnalyse(f *testing.F) {
	f.Add(`{"node":{"type":"SELECT_NODE","from_table":{"type":"BASE_TABLE","table_name":"d"},"select_list":[]}}`)
	f.Add(`{"node":{"cte_map":{"map":[{"key":"a","value":{"query":{"node":{"type":"SELECT_NODE","from_table":{"type":"BASE_TABLE","table_name":"a"}}}}}]},"type":"SELECT_NODE","from_table":{"type":"BASE_TABLE","table_name":"a"}}}`)
	f.Add(`{"node":{}}`)
	f.Fuzz(func(t *testing.T, ast string) {
		a, err := Analyse(ast)
		if err != nil {
			return
		}
		if _, err := a.WithRejects(ast); err != nil {
			t.Errorf("read once and not twice: %v", err)
		}
		a.RowWise("d")
		a.RowWise("a")
		columns := []dataset.Column{{Name: "b"}, {Name: "c"}}
		if seen, all := a.Sees("raw", columns); all && seen != nil || len(seen) > len(columns) {
			t.Errorf("sees %q of %v", seen, columns)
		}
	})
}
