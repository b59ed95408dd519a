package converge

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// strict holds rows to one rule of every kind.
const strict = `/* @stage
owner: t
partition: hour
inputs: {raw: {window: same}, names: {window: latest}}
contract:
  columns:
    id: {type: bigint, not_null: true, unique: true, min: 0, max: 9.5, accepted: [1, 2, 3, 4]}
    name: {matches: "[A-Z]+", relation: {dataset: names, column: name}, nulls: {max: 20%}}
    at: {min: 2026-01-01, max: "2026-12-31 23:59:59Z"}
    amount: {type: decimal, min: 0.5, accepted: [1.5, 2, 3.25]}
    sure: {accepted: [true]}
  checks:
    - {name: rows, sql: SELECT id FROM s WHERE id = 12}
    - {name: number, sql: "SELECT sum(amount) - 8.5 FROM s"}
    - {name: fails, sql: SELECT id FROM s WHERE name::BIGINT = 1}
fingerprint: {measures: {mean: avg(amount)}}
*/
SELECT a AS id, name, at, amount, sure FROM raw, names`

// What a contract asks is counted by the engine as the rule says it.
func TestContractIsCounted(t *testing.T) {
	pool := newPool(t)
	s, problems := stage.Parse("s", "stages/s.sql", strict)
	if s == nil {
		t.Fatal(problems)
	}
	columns := []dataset.Column{{Name: "id", Type: "BIGINT"}, {Name: "name", Type: "VARCHAR"}, {Name: "at", Type: "TIMESTAMP WITH TIME ZONE"}, {Name: "amount", Type: "DECIMAL(9,2)"}, {Name: "sure", Type: "BOOLEAN"}}
	names := []dataset.Column{{Name: "name", Type: "VARCHAR"}}
	d := (&Converger{o: Options{Engine: pool}}).newDeployment()
	d.columns["raw"], d.columns["names"] = nil, names
	if found, err := d.checkPromises(t.Context(), s, columns); err != nil || len(found) > 0 {
		t.Fatal(found, err)
	}
	r := s.Contract().Rules()
	n := r.Needs()
	f, _, err := pool.Survey(t.Context(), engine.SurveyJob{
		Tables: []engine.Table{
			{Name: "s", Columns: columns, Rows: [][]*string{
				{new("1"), new("A"), new("2026-05-01T12:00:00Z"), new("1.50"), new("true")},
				{new("1"), new("B"), new("2025-05-01T12:00:00Z"), new("2"), new("false")},
				{new("-3"), new("c"), new("2027-05-01T12:00:00Z"), new("0.25"), nil},
				{new("12"), nil, nil, nil, nil},
				{nil, nil, nil, new("3.25"), new("true")},
			}},
			{Name: "names", Columns: names, Rows: [][]*string{{new("A")}, {nil}}},
		},
		Survey: engine.Survey{Name: "s", Violations: expressions(n.Violations), Counts: expressions(n.Counts), Queries: expressions(n.Queries)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{
		"columns.id.not_null": 1, "columns.id.unique": 1, "columns.id.min": 1, "columns.id.max": 1, "columns.id.accepted": 2,
		"columns.name.matches": 1, "columns.name.relation": 2, "columns.name.nulls": 2, "columns.at.min": 1, "columns.at.max": 1,
		"columns.amount.min": 1, "columns.amount.accepted": 1, "columns.sure.accepted": 1, "checks.rows": 1, "checks.number": 2,
	}
	got := map[string]int64{}
	for _, x := range r.List {
		c := f.Check(x.Asks.Name)
		switch {
		case x.Asks.Name == "":
		case c == nil:
			t.Errorf("%s was not counted", x.ID)
		case x.ID == "checks.fails":
			if c.Error == "" {
				t.Errorf("a check that fails has no error: %+v", c)
			}
		case c.Error != "":
			t.Errorf("%s failed: %s", x.ID, c.Error)
		default:
			got[x.ID] = c.Count
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if broken := r.Judge(f, contract.Facts{}); len(broken) != len(want)+1 {
		t.Errorf("%d rules are broken, want all %d: %+v", len(broken), len(want)+1, broken)
	}
}

// A consumer's file that is wrong says nothing of the others.
func TestPromises(t *testing.T) {
	pool := newPool(t)
	p := Project{
		Stages: fstest.MapFS{"s.sql": {Data: []byte(header("") + "SELECT a FROM raw")}},
		Contracts: fstest.MapFS{
			"good.yaml":   {Data: []byte("owner: x\nconsumer: s\ndatasets: {raw: {columns: {a: {}}}}")},
			"twin.yaml":   {Data: []byte("owner: x\nname: good\ndatasets: {s: {rows: {min: 1}}}")},
			"sql.yaml":    {Data: []byte("owner: x\ndatasets:\n  s:\n    checks: [{name: c, sql: SELECT b FROM s}]")},
			"syntax.yaml": {Data: []byte("owner: x\nfor: s")},
			"odcs.yaml":   {Data: []byte("kind: DataContract\nname: s")},
		},
	}
	out, problems, err := Lint(t.Context(), pool, stage.Semantics{Engine: 1}, builtins(), p)
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	for _, p := range problems {
		wrong = append(wrong, p.File)
		if p.Fix == "" || p.Line == 0 {
			t.Errorf("%v says not where or how to mend it", p)
		}
	}
	if d := cmp.Diff([]string{"contracts/syntax.yaml", "contracts/sql.yaml", "contracts/twin.yaml"}, wrong); d != "" {
		t.Error(d)
	}
	if len(out.Consumed) != 1 || out.Consumed[0].Path != "contracts/good.yaml" || len(out.About("raw")) != 1 || len(out.About("s")) != 0 {
		t.Errorf("got %+v", out)
	}
	if d := cmp.Diff([]string{"contracts/odcs.yaml"}, out.Others); d != "" {
		t.Error(d)
	}
}
