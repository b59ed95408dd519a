package web_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/web"
)

func TestReadDashboards(t *testing.T) {
	boards, problems := web.ReadDashboards(fstest.MapFS{
		"b.yaml":    {Data: []byte("cards:\n  - title: Plays\n    kind: number\n    sql: SELECT 1 AS value\n")},
		"a.yaml":    {Data: []byte("title: First\ncards:\n  - {title: Top, kind: ranked, sql: SELECT 1, limit: 3}\n")},
		"notes.txt": {Data: []byte("not a dashboard")},
	}, "dashboards")
	want := []web.Dashboard{
		{Title: "First", Cards: []web.Card{{Title: "Top", Kind: web.Ranked, SQL: "SELECT 1", Limit: 3}}},
		{Title: "b", Cards: []web.Card{{Title: "Plays", Kind: web.Number, SQL: "SELECT 1 AS value"}}},
	}
	if diff := cmp.Diff(want, boards); diff != "" || len(problems) > 0 {
		t.Errorf("boards (-want +got):\n%s\nproblems: %v", diff, problems)
	}
}

func TestDashboardProblems(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		good int // cards kept
		want []stage.Problem
	}{
		"misspelt key": {"title: X\ncards:\n  - titel: Y\n", 0, []stage.Problem{
			{File: "dashboards/x.yaml", Line: 3, What: `unknown field "titel"`, Fix: "a dashboard has title and cards; a card has title, kind, sql and limit"},
		}},
		"wrong type": {"cards: 7\n", 0, []stage.Problem{
			{File: "dashboards/x.yaml", Line: 1, What: "int was used where sequence is expected", Fix: "correct the YAML at this place"},
		}},
		"empty": {"", 0, []stage.Problem{
			{File: "dashboards/x.yaml", What: "there are no cards", Fix: "add a card with title, kind and sql"},
		}},
		"every rule": {"cards:\n- title: A\n  kind: pie\n  sql: SELECT 1\n- kind: number\n  sql: ' '\n  limit: -1\n- {title: B, kind: number, sql: SELECT 1}\n- {title: B, kind: number, sql: SELECT 2}\n", 1, []stage.Problem{
			{File: "dashboards/x.yaml", Line: 2, What: `card A has the kind "pie", which there is not`, Fix: "use ranked, series or number"},
			{File: "dashboards/x.yaml", Line: 5, What: "card number 2 has no title", Fix: "say what the card shows"},
			{File: "dashboards/x.yaml", Line: 5, What: "card number 2 has no sql", Fix: "add sql: with one SELECT"},
			{File: "dashboards/x.yaml", Line: 5, What: "card number 2 has a limit of -1", Fix: "use 1 to 1000, or leave it out"},
			{File: "dashboards/x.yaml", Line: 9, What: `two cards are called "B"`, Fix: "give each card its own title"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			boards, problems := web.ReadDashboards(fstest.MapFS{"x.yaml": {Data: []byte(c.text)}}, "dashboards")
			if diff := cmp.Diff(c.want, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			kept := 0
			for _, b := range boards {
				kept += len(b.Cards)
			}
			if kept != c.good {
				t.Errorf("%d cards kept, want %d", kept, c.good)
			}
		})
	}
}

func FuzzReadDashboards(f *testing.F) {
	f.Add("title: X\ncards:\n  - {title: A, kind: ranked, sql: SELECT 1}\n")
	f.Add("cards: [&a {title: x}, *a]\n---\n")
	f.Add("cards:\n- 7\n- {}\n")
	f.Add("008: 0\ncards:\n  ! 00000000000000000000000000000000") // made the decoder panic
	f.Fuzz(func(t *testing.T, text string) {
		boards, problems := web.ReadDashboards(fstest.MapFS{"x.yaml": {Data: []byte(text)}}, "dashboards")
		if len(boards) == 0 && len(problems) == 0 {
			t.Error("a file gives neither cards nor a problem")
		}
	})
}
