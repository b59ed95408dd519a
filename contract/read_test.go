package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

const wellFormed = `name: royalties-need
owner: finance
consumer: royalties
description: What is paid depends on it.
datasets:
  plays:
    tolerance: 0.1%
    columns:
      country: {type: text, not_null: true, accepted: [SE, DE], matches: "[A-Z]{2}", entropy: {min: 0.3}}
      played_ms: {min: 0, max: 86400000, nulls: {max: 5%}}
      play_id: {unique: true}
      track_id: {relation: {dataset: tracks, column: id}, distinct: {min: 2}}
      at: {min: 2020-01-01}
      site:
    rows: {min: 1, max: 1000}
    rejected: {max: 0.01}
    complete: {min: 99%}
    fresh: 15m
    measures:
      spam_rate: {max: 20%}
    checks:
      - name: no_ghosts
        sql: SELECT * FROM plays WHERE listener_id = 'ghost';
        why: nobody pays them
      - {name: sums, sql: SELECT sum(played_ms) - 5 FROM plays}
`

func TestParse(t *testing.T) {
	f, problems := Parse("contracts/royalties.yaml", []byte(wellFormed))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c := f.Contracts[0]
	if f.Name != "royalties-need" || c.Owner != "finance" || c.Consumer != "royalties" || c.Dataset != "plays" || c.Producer || c.Line != 6 {
		t.Errorf("got %+v", c)
	}
	terms := c.Terms
	if n := terms.Tolerance.Value; n != 0.001 {
		t.Errorf("0.1%% is %v", n)
	}
	if terms.Complete.Min.Value != 0.99 || terms.Rejected.Max.Value != 0.01 || terms.Fresh.Time != 15*time.Minute || terms.Rows.Max.Value != 1000 {
		t.Errorf("bands are %+v", terms)
	}
	want := Column{
		Name: "country", Line: 9, Type: &Literal{"text", 9}, NotNull: 9, Accepted: []Literal{{"SE", 9}, {"DE", 9}},
		Matches: &Literal{"[A-Z]{2}", 9}, Entropy: Band{Min: &Number{0.3, "0.3", 9}},
	}
	if d := cmp.Diff(want, terms.Columns[0]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Check{Name: "no_ghosts", SQL: "SELECT * FROM plays WHERE listener_id = 'ghost'", Why: "nobody pays them", Line: 23}, terms.Checks[0]); d != "" {
		t.Error(d)
	}
	if len(terms.Columns) != 6 || terms.Columns[5].Name != "site" {
		t.Errorf("columns are %+v", terms.Columns)
	}
}

func TestParseProblems(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"misspelt key":           {"owner:", "owners:", `1: the contract has no owner`},
		"misspelt key, too":      {"owner:", "ownr:", "2: the contract: unknown key \"ownr\"; did you mean `owner`?"},
		"misspelt rule":          {"not_null", "notnull", "9: country: unknown key \"notnull\"; did you mean `not_null`?"},
		"misspelt bound":         {"{min: 1, max: 1000}", "{mim: 1}", "15: rows: unknown key \"mim\"; did you mean `min`?"},
		"no dataset":             {wellFormed[strings.Index(wellFormed, "datasets:"):], "", "names no dataset"},
		"empty band":             {"rows: {min: 1, max: 1000}", "rows: {}", "15: rows has neither min nor max"},
		"contradicting band":     {"min: 1, max: 1000", "min: 10, max: 5", "15: rows: min 10 is above max 5"},
		"contradicting range":    {"min: 0, max: 86400000", "min: 5, max: 4", "10: played_ms: min 5 is above max 4"},
		"contradicting times":    {"{min: 2020-01-01}", "{min: 2020-01-01, max: 2019-01-01}", "13: at: min 2020-01-01 is above max 2019-01-01"},
		"entropy outside 0..1":   {"entropy: {min: 0.3}", "entropy: {min: 3}", "9: country.entropy.min is a share and 3 is not between 0 and 1"},
		"share above 1":          {"rejected: {max: 0.01}", "rejected: {max: 5}", "16: rejected.max is a share and 5 is not between 0 and 1; write a percentage"},
		"negative rows":          {"rows: {min: 1,", "rows: {min: -1,", "15: rows.min is a number of things and cannot be -1"},
		"accepted outside range": {"{min: 0, max: 86400000,", "{min: 0, max: 5, accepted: [1, 7],", "10: played_ms: 7 is accepted and lies outside"},
		"accepted and matches":   {"[SE, DE]", "[SE, Deu]", `9: country: "Deu" is accepted and does not match`},
		"accepted twice":         {"[SE, DE]", "[SE, SE]", `9: country.accepted: "SE" is there twice`},
		"too few accepted":       {"entropy: {min: 0.3}", "distinct: {min: 3}", "9: country: 2 values are accepted, and distinct wants 3"},
		"nulls and not_null":     {"entropy: {min: 0.3}", "nulls: {max: 1%}", "9: country: not_null allows no NULL, and nulls allows 1%"},
		"NULL accepted":          {"[SE, DE]", "[SE, null]", "NULL is kept out by `not_null: true`"},
		"bad expression":         {`"[A-Z]{2}"`, `"[A-Z"`, "9: country.matches: error parsing regexp"},
		"column twice":           {"site:", "PLAY_ID:", "14: column PLAY_ID is there twice"},
		"key twice":              {"rejected: {max: 0.01}", "rows: {max: 3}", "16: "},
		"check twice":            {"name: sums", "name: no_ghosts", `25: two checks are called "no_ghosts"`},
		"check without sql":      {", sql: SELECT sum(played_ms) - 5 FROM plays", "", "25: a check has a name and sql"},
		"no time":                {"15m", "soon", "18: fresh must be a time; write it as 30s"},
		"no number":              {"99%", "most", "17: complete.min must be a number; such as 1% or 0.01"},
		"not a map":              {"rows: {min: 1, max: 1000}", "rows: 5", "15: rows must be a map"},
		"not a list":             {"[SE, DE]", "SE", "9: country.accepted must be a list"},
		"half a relation":        {", column: id", "", "12: track_id.relation has a dataset and a column"},
		"neither true nor false": {"unique: true", "unique: yes please", "11: play_id.unique is true or false"},
		"no YAML":                {"columns:", "columns: [", "contracts/a.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(wellFormed, c.old, c.new, 1)
			if text == wellFormed {
				t.Fatalf("%q is not in the text", c.old)
			}
			f, problems := Parse("contracts/a.yaml", []byte(text))
			if f != nil || len(problems) == 0 {
				t.Fatal("no problem found")
			}
			var all []string
			for _, p := range problems {
				all = append(all, p.Error())
			}
			if got := strings.Join(all, "\n"); !strings.Contains(got, c.says) {
				t.Errorf("got\n%s\nwant %q", got, c.says)
			}
		})
	}
}

// All that is wrong is told at once.
func TestParseTellsAll(t *testing.T) {
	_, problems := Parse("contracts/a.yaml", []byte("owner: a\ndatasets:\n  plays:\n    rows: {min: x}\n    fresh: y\n  other: {measures: {z: {}}}\n"))
	if len(problems) != 3 || problems[0].Line != 4 || problems[1].Line != 5 || problems[2].Line != 6 {
		t.Errorf("got %v", problems)
	}
}

func TestIsODCS(t *testing.T) {
	for text, want := range map[string]bool{
		"apiVersion: v3.1.0\nkind: DataContract\nid: a\n": true, wellFormed: false, "kind: [": false, "": false,
	} {
		if got := IsODCS([]byte(text)); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

// FuzzParse feeds files to the parser: it answers with a contract that can be
// judged, or with problems that say where.
func FuzzParse(f *testing.F) {
	f.Add(wellFormed)
	f.Add("owner: a\ndatasets: {b: {columns: {c: {min: 1e999, accepted: [.nan, 0x1F]}}}}")
	f.Add("owner: &a [*a]\ndatasets: {<<: *a}")
	f.Add("- a\n- b")
	f.Fuzz(func(t *testing.T, text string) {
		file, problems := Parse("contracts/a.yaml", []byte(text))
		if (file == nil) == (len(problems) == 0) {
			t.Fatalf("contract %v with problems %v", file, problems)
		}
		lines := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.What == "" || p.Line < 0 || p.Line > lines {
				t.Errorf("problem %+v in a file of %d lines", p, lines)
			}
		}
		if file == nil {
			return
		}
		for _, c := range file.Contracts {
			for _, x := range c.Rules().List {
				if x.ID == "" || x.Says == "" || x.Line < 1 || x.Line > lines {
					t.Errorf("rule %+v", x)
				}
			}
		}
	})
}

// FuzzProfile feeds headers to the reader of what fingerprints hold.
func FuzzProfile(f *testing.F) {
	f.Add("entropy: [a, b]\nmeasures: {c: avg(d)}")
	f.Add("entropy: {a: 1}\nmeasures: [x]")
	f.Fuzz(func(t *testing.T, text string) {
		var doc strictyaml.Value
		if strictyaml.Decode([]byte(text), &doc) != nil {
			return
		}
		p, problems := ReadProfile("stages/a.sql", doc)
		needs := p.Needs()
		if len(problems) == 0 && (len(needs.Categories) != len(p.Entropy) || len(needs.Measures) != len(p.Measures)) {
			t.Errorf("%+v needs %+v", p, needs)
		}
	})
}
