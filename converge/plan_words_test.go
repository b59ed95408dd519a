package converge

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/stage"
)

func parsed(t *testing.T, text string) *stage.Stage {
	t.Helper()
	s, problems := stage.Parse("s", "stages/s.sql", text)
	if s == nil {
		t.Fatal(problems)
	}
	return s
}

// TestHeaderWords changes one thing of a header at a time.
func TestHeaderWords(t *testing.T) {
	const before = `/* @stage
owner: a
partition: hour
inputs:
  raw: {window: same}
key: [id]
late: {debounce: 30s}
*/
SELECT 1`
	for _, c := range []struct {
		name, after string
		want        []string
	}{
		{"nothing", before, nil},
		{"comment", `/* @stage
owner: a   # a team
partition: hour
inputs: {raw: {window: same}}
key: [id]
late: {debounce: 30s}
*/
SELECT 1`, []string{"only comments or formatting of the header changed"}},
		{"everything", `/* @stage
owner: b
description: of b
partition: hour
inputs:
  raw: {window: -1h..+1h}
  rates: {window: latest}
rejects: "id IS NULL"
key: [id, name]
late: {debounce: 1m, allowance: 1h}
equal: {price: 2}
contract: {rows: {min: 1}}
release: r
volatile: true
*/
SELECT 1`, []string{
			"owner: was a, is b", "description: was none, is of b", "rejects: was none, is id IS NULL",
			`key: was ["id"], is ["id","name"]`, "late.debounce: was 30s, is 1m",
			"late.allowance: was none, is 1h", `equal: was none, is {"price":2}`, "release: was none, is r", "volatile: was none, is true",
			"reads rates (window latest)", "window of raw: was same, is -1h..+1h", "contract.rows: new: the number of rows is at least 1",
		}},
		{"another day", `/* @stage
owner: a
partition: hour
inputs:
  raw: {window: same}
  rates: {window: latest, from: 2026-01-02}
key: [id]
late: {debounce: 30s}
*/
SELECT 1`, []string{"reads rates (window latest from 2026-01-02)"}},
		{"another input", `/* @stage
owner: a
partition: hour
inputs:
  plays: {window: same}
key: []
late: {debounce: 30s}
*/
SELECT 1`, []string{`key: was ["id"], is none`, "reads plays (window same)", "no longer reads raw"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, headerWords(parsed(t, before), parsed(t, c.after))); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestDateWords moves the day from which on an input is followed.
func TestDateWords(t *testing.T) {
	for _, c := range []struct{ was, is, want string }{
		{"2026-01-02", "2026-01-01", "was latest from 2026-01-02, is latest from 2026-01-01; closed partitions from 2026-01-01 until 2026-01-02 would follow it"},
		{"2026-01-01", "2026-01-02", "was latest from 2026-01-01, is latest from 2026-01-02; closed partitions from 2026-01-01 until 2026-01-02 would read it as of their close"},
		{"", "2026-01-02", "was latest, is latest from 2026-01-02; closed partitions before 2026-01-02 would read it as of their close"},
		{"2026-01-02", "", "was latest from 2026-01-02, is latest; closed partitions before 2026-01-02 would follow it"},
	} {
		got := inputWords(map[string]stage.Input{"rates": {Window: "latest", From: c.was}}, map[string]stage.Input{"rates": {Window: "latest", From: c.is}})
		if d := cmp.Diff([]string{"window of rates: " + c.want}, got); d != "" {
			t.Errorf("%q to %q: %s", c.was, c.is, d)
		}
	}
	other := inputWords(map[string]stage.Input{"rates": {Window: "as-of"}}, map[string]stage.Input{"rates": {Window: "latest", From: "2026-01-02"}})
	if d := cmp.Diff([]string{"window of rates: was as-of, is latest from 2026-01-02"}, other); d != "" {
		t.Error(d)
	}
}

func TestColumnWords(t *testing.T) {
	was := []dataset.Column{{Name: "a", Type: "BIGINT"}, {Name: "b", Type: "VARCHAR"}, {Name: "c", Type: "JSON"}}
	is := []dataset.Column{{Name: "c", Type: "JSON"}, {Name: "d", Type: "DATE"}, {Name: "a", Type: "DOUBLE"}}
	want := []string{"column d is new (DATE)", "column a is DOUBLE, was BIGINT", "column b is gone"}
	if d := cmp.Diff(want, columnWords(was, is)); d != "" {
		t.Error(d)
	}
}

func TestContractsNameTheirDatasets(t *testing.T) {
	for text, want := range map[string]Contract{
		"name: wants\nowner: finance\ndataset: sums\n":                                            {Name: "wants", Owner: "finance", Datasets: []string{"dataset", "finance", "name", "owner", "sums", "wants"}},
		"name: odcs\nteam: {name: charts}\nschema: [{name: sums, properties: [{name: total}]}]\n": {Name: "odcs", Owner: "charts", Datasets: []string{"charts", "name", "odcs", "properties", "schema", "sums", "team", "total"}},
		"not: [yaml": {},
	} {
		if d := cmp.Diff(want, readContract([]byte(text))); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

// FuzzContract reads what people wrote; whatever it is, nothing may break.
func FuzzContract(f *testing.F) {
	f.Add([]byte("name: a\nteam: {name: b}\ndataset: [x, y]\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(_ *testing.T, text []byte) { readContract(text) })
}
