package contract

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
)

func mustParse(t testing.TB, text string) Rules {
	t.Helper()
	f, problems := Parse("contracts/a.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return f.Contracts[0].Rules()
}

// terms is a contract over dataset d with the given lines.
func terms(lines ...string) string {
	return "owner: a\ndatasets:\n  d:\n    " + strings.Join(lines, "\n    ") + "\n"
}

// answered is a fingerprint with a count for what every rule asks.
func answered(r Rules, rows, count int64) *fingerprint.Fingerprint {
	f := &fingerprint.Fingerprint{Rows: rows}
	n := r.Needs()
	for _, e := range slices.Concat(n.Violations, n.Counts, n.Queries) {
		f.Checks = append(f.Checks, fingerprint.Check{Name: e.Name, Count: count})
	}
	for _, c := range n.Categories {
		f.Columns = append(f.Columns, fingerprint.Column{Name: c, Entropy: new(0.5), Distinct: 7})
	}
	return f
}

func words(broken []dataset.Broken) []string {
	out := []string{}
	for _, b := range broken {
		out = append(out, b.Rule+" "+b.At+" "+b.What)
	}
	return out
}

func TestJudge(t *testing.T) {
	half := new(0.5)
	for name, c := range map[string]struct {
		terms string
		with  func(*fingerprint.Fingerprint)
		facts Facts
		want  []string
	}{
		"rows that break a rule": {
			terms("columns: {c: {not_null: true}}"), func(f *fingerprint.Fingerprint) { f.Checks[0].Count = 12 },
			Facts{Open: true},
			[]string{"columns.c.not_null contracts/a.yaml:4 c is NULL in 12 of 1000 rows (1.2%); expected no row"},
		},
		"tolerated":         {terms("tolerance: 2%", "columns: {c: {not_null: true}}"), func(f *fingerprint.Fingerprint) { f.Checks[0].Count = 12 }, Facts{}, []string{}},
		"nothing breaks it": {terms("columns: {c: {min: 1, unique: true}}", "checks: [{name: x, sql: FROM d}]"), nil, Facts{}, []string{}},
		"a share": {
			terms("columns: {c: {nulls: {max: 1%}}}"), func(f *fingerprint.Fingerprint) { f.Checks[0].Count = 12 },
			Facts{},
			[]string{"columns.c.nulls contracts/a.yaml:4 c is NULL in 12 of 1000 rows (1.2%); expected at most 1% of the rows"},
		},
		"a band": {
			terms("columns: {c: {entropy: {min: 0.6}}}"), nil,
			Facts{},
			[]string{"columns.c.entropy contracts/a.yaml:4 the entropy of c is 0.5; expected at least 0.6"},
		},
		"a check that fails": {
			terms("checks: [{name: x, sql: SELECT y FROM d}]"), func(f *fingerprint.Fingerprint) {
				f.Checks[0] = fingerprint.Check{Name: f.Checks[0].Name, Error: "no column y"}
			},
			Facts{},
			[]string{"checks.x contracts/a.yaml:4 checks.x could not be looked at: no column y; expected: no row where check x finds something"},
		},
		"a check that gives a number": {
			terms("checks: [{name: x, why: sums agree, sql: SELECT sum(a) - sum(b) FROM d}]"), func(f *fingerprint.Fingerprint) { f.Checks[0].Count = 3 },
			Facts{},
			[]string{"checks.x contracts/a.yaml:4 check x (sums agree) gives 3; expected 0"},
		},
		"a check nobody looked at": {
			terms("checks: [{name: x, sql: FROM d}]"), func(f *fingerprint.Fingerprint) { f.Checks = nil },
			Facts{},
			[]string{"checks.x contracts/a.yaml:4 checks.x was not looked at; expected: no row where check x finds something"},
		},
		"a measure": {
			terms("measures: {m: {max: 20%}}"), func(f *fingerprint.Fingerprint) { f.Measures = []fingerprint.Measure{{Name: "m", Value: half}} },
			Facts{},
			[]string{"measures.m contracts/a.yaml:4 measure m is 0.5; expected at most 20%"},
		},
		"a measure that is missing": {
			terms("measures: {m: {max: 20%}}"), nil,
			Facts{},
			[]string{"measures.m contracts/a.yaml:4 measure m was not taken; expected: measure m is at most 20%"},
		},
		"a measure that is NULL": {
			terms("measures: {m: {max: 1}}"), func(f *fingerprint.Fingerprint) { f.Measures = []fingerprint.Measure{{Name: "m"}} },
			Facts{},
			[]string{"measures.m contracts/a.yaml:4 measure m is NULL; expected: measure m is at most 1"},
		},
		"a measure that failed": {
			terms("measures: {m: {max: 1}}"), func(f *fingerprint.Fingerprint) {
				f.Measures = []fingerprint.Measure{{Name: "m", Error: "division by zero"}}
			},
			Facts{},
			[]string{"measures.m contracts/a.yaml:4 measure m could not be taken: division by zero; expected: measure m is at most 1"},
		},
		"a measure that is no number": {
			terms("measures: {m: {max: 1}}"), func(f *fingerprint.Fingerprint) {
				f.Measures = []fingerprint.Measure{{Name: "m", Value: new(math.NaN())}}
			},
			Facts{},
			[]string{"measures.m contracts/a.yaml:4 measure m is not a number; expected: measure m is at most 1"},
		},
		"a column without entropy": {
			terms("columns: {c: {entropy: {min: 0.1}}}"), func(f *fingerprint.Fingerprint) { f.Columns[0].Entropy = nil },
			Facts{},
			[]string{"columns.c.entropy contracts/a.yaml:4 the entropy of c was not taken; expected: the entropy of c is at least 0.1"},
		},
		"rows": {terms("rows: {min: 2000}"), nil, Facts{}, []string{"rows contracts/a.yaml:4 the number of rows is 1000; expected at least 2000"}},
		"rows of an open partition": {
			terms("rows: {min: 2000}", "complete: {min: 99%}", "fresh: 1m"), nil, Facts{Open: true, Complete: half}, []string{},
		},
		"rejected": {
			terms("rejected: {max: 1%}"), func(f *fingerprint.Fingerprint) { f.Rejected = 1000 },
			Facts{},
			[]string{"rejected contracts/a.yaml:4 the share of rejected rows is 50%; expected at most 1%"},
		},
		"complete": {
			terms("complete: {min: 99%}"), nil,
			Facts{Complete: half},
			[]string{"complete contracts/a.yaml:4 the share of events that arrived is 50%; expected at least 99%"},
		},
		"complete or not, nobody knows": {
			terms("complete: {min: 99%}"), nil,
			Facts{Unmeasured: "not measured: source a does not number its events"},
			[]string{"complete contracts/a.yaml:4 nobody knows how much of what was sent arrived: not measured: source a does not number its events; expected: the share of events that arrived is at least 99%"},
		},
		"what is about no version": {terms("fresh: 15m"), nil, Facts{}, []string{}},
		"few rows of an open partition": {
			terms("columns: {c: {entropy: {min: 0.6}, nulls: {max: 1%}, min: 3}}", "measures: {m: {max: 1}}", "rejected: {max: 1%}"),
			func(f *fingerprint.Fingerprint) {
				f.Rows, f.Rejected = 90, 9
				for i := range f.Checks {
					f.Checks[i].Count = 45
				}
			},
			Facts{Open: true},
			[]string{"columns.c.min contracts/a.yaml:4 c is below 3 in 45 of 90 rows (50%); expected no row"},
		},
		"enough rows of an open partition": {
			terms("columns: {c: {entropy: {min: 0.6}}}"), func(f *fingerprint.Fingerprint) { f.Rows = EnoughRows },
			Facts{Open: true},
			[]string{"columns.c.entropy contracts/a.yaml:4 the entropy of c is 0.5; expected at least 0.6"},
		},
		"no rows at the close": {
			terms("columns: {c: {entropy: {min: 0.6}, distinct: {min: 8}, nulls: {min: 1%}}}", "measures: {m: {max: 1}}", "rows: {min: 1}"),
			func(f *fingerprint.Fingerprint) {
				*f = fingerprint.Fingerprint{Checks: f.Checks, Columns: []fingerprint.Column{{Name: "c"}}, Measures: []fingerprint.Measure{{Name: "m"}}}
			},
			Facts{},
			[]string{"rows contracts/a.yaml:6 the number of rows is 0; expected at least 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustParse(t, c.terms)
			f := answered(r, 1000, 0)
			if c.with != nil {
				c.with(f)
			}
			got := words(r.Judge(f, c.facts))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Being late is about no version: there is nothing to judge one by.
func TestFreshJudgesNoVersion(t *testing.T) {
	if r := mustParse(t, terms("fresh: 15m")); r.Judges() || r.Closes() || len(r.List) != 1 || r.List[0].Phase != OverTime {
		t.Errorf("%+v", r.List)
	}
	for _, b := range mustParse(t, terms("fresh: 15m", "rows: {min: 2000}")).Judge(answered(mustParse(t, terms()), 1000, 0), Facts{}) {
		if b.Warning || b.Rule != "rows" || b.Owner != "a" || b.Contract != "a" {
			t.Errorf("got %+v", b)
		}
	}
}

// A fingerprint that says all that is needed breaks nothing for want of knowledge,
// and one that lacks something is not taken for one that does.
func TestNeedsMet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := []string{"rows: {min: 0}"}
		for i, rule := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"not_null: true", "min: 1", "unique: true", "entropy: {min: 0}", "nulls: {max: 1}", "accepted: [x]", "distinct: {min: 1}",
		}), 1, 6, rapid.ID).Draw(t, "rules") {
			lines = append(lines, fmt.Sprintf("  c%d: {%s}", i, rule))
		}
		text := terms(slices.Insert(lines, 1, "columns:")...)
		file, problems := Parse("contracts/a.yaml", []byte(text))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		r := file.Contracts[0].Rules()
		f := answered(r, 1000, 0)
		for i := range lines {
			if name := fmt.Sprintf("c%d", i); f.Column(name) == nil {
				f.Columns = append(f.Columns, fingerprint.Column{Name: name, Distinct: 7})
			}
		}
		if !r.Needs().Met(f) || len(r.Judge(f, Facts{})) > 0 {
			t.Fatalf("%s\nneeds %+v, broken %v", text, r.Needs(), r.Judge(f, Facts{}))
		}
		if len(f.Checks) == 0 {
			return
		}
		f.Checks = slices.Delete(f.Checks, 0, 1)
		if r.Needs().Met(f) || len(r.Judge(f, Facts{})) != 1 {
			t.Errorf("%s\nlacks a check, and needs %+v, broken %v", text, r.Needs(), r.Judge(f, Facts{}))
		}
	})
}

// What a measure gave by other SQL is not what it gives.
func TestMeasureOfOtherSQL(t *testing.T) {
	was, is := Profile{Measures: []Formula{{"m", "avg(x)", 1}}}, Profile{Measures: []Formula{{"m", "avg(y)", 1}}}
	f := &fingerprint.Fingerprint{Measures: []fingerprint.Measure{{Name: "m", Value: new(1.0)}}}
	for _, e := range was.Needs().Violations {
		f.Checks = append(f.Checks, fingerprint.Check{Name: e.Name})
	}
	if !was.Needs().Met(f) || is.Needs().Met(f) {
		t.Errorf("met by the same SQL: %v, by other SQL: %v", was.Needs().Met(f), is.Needs().Met(f))
	}
}

// The identity is of what is judged.
func TestIdentity(t *testing.T) {
	base := mustParse(t, terms("columns: {c: {min: 1, not_null: true}}", "rows: {min: 1}"))
	for text, same := range map[string]bool{
		terms("rows:", "  min: 1", "columns:", "  c: {not_null: true, min: 1}"):                                                    true,
		strings.Replace(terms("columns: {c: {min: 1, not_null: true}}", "rows: {min: 1}"), "owner: a", "owner: b\nname: z", 1):     true,
		strings.Replace(terms("columns: {c: {min: 1, not_null: true}}", "rows: {min: 1}"), "owner: a", "owner: a\nconsumer: x", 1): false,
		terms("columns: {c: {min: 1, not_null: true}}", "rows: {min: 2}"):                                                          false,
		terms("columns: {c: {min: 2, not_null: true}}", "rows: {min: 1}"):                                                          false,
		terms("columns: {c: {min: 1, not_null: true}}"):                                                                            false,
		terms("columns: {c: {min: 1, not_null: true}}", "rows: {min: 1}", "tolerance: 1%"):                                         false,
		terms("columns: {d: {min: 1, not_null: true}}", "rows: {min: 1}"):                                                          false,
		terms("columns: {c: {min: 1, not_null: true}}", "rows: {max: 1}"):                                                          false,
		terms("columns: {c: {min: 1, not_null: true}}", "rows: {min: 1}", "checks: [{name: x, sql: FROM d}]"):                      false,
	} {
		r := mustParse(t, text)
		if got := string(r.Identity()) == string(base.Identity()); got != same {
			t.Errorf("%s\nsame: %v", text, got)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	f, problems := Parse("contracts/a.yaml", []byte(wellFormed))
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	r := f.Contracts[0].Rules()
	f1000 := answered(r, 1000, 0)
	for b.Loop() {
		r.Judge(f1000, Facts{})
	}
}
