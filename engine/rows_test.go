package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// Rows given in place of files have the types of their columns.
func TestGivenRows(t *testing.T) {
	p := newPool(t, engine.Options{QueryWorkers: -1})
	table := engine.Table{
		Name: "given",
		Columns: []dataset.Column{
			{Name: "n", Type: "BIGINT"},
			{Name: `t"x`, Type: "VARCHAR"},
			{Name: "at", Type: "TIMESTAMP WITH TIME ZONE"},
			{Name: "d", Type: "DECIMAL(12,6)"},
			{Name: "j", Type: "JSON"},
			{Name: "l", Type: "INTEGER[]"},
			{Name: "s", Type: "STRUCT(a VARCHAR, b BOOLEAN)"},
			{Name: "m", Type: "MAP(VARCHAR, BIGINT)"},
			{Name: "none", Type: "DATE"},
		},
		Rows: [][]*string{
			{
				new("7"), new("it's; --"), new("2026-05-01T12:00:00+02:00"), new("0.0043"), new(`{"a": [1]}`), new("[1, null]"),
				new(`{"a":"x, y","b":true}`), new(`{"k":2}`), nil,
			},
			{nil, nil, nil, nil, nil, nil, nil, nil, nil},
		},
	}
	var got strings.Builder
	job := engine.QueryJob{SQL: "SELECT * FROM given", Tables: []engine.Table{table}, Format: "ndjson"}
	if _, err := p.Report(t.Context(), job, &got); err != nil {
		t.Fatal(err)
	}
	want := `{"n":7,"t\"x":"it's; --","at":"2026-05-01T10:00:00Z","d":0.004300,"j":{"a":[1]},"l":[1,null],"s":{"a":"x, y","b":true},"m":{"k":2},"none":null}
{"n":null,"t\"x":null,"at":null,"d":null,"j":null,"l":null,"s":null,"m":null,"none":null}
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
	table.Rows = [][]*string{{new("seven"), nil, nil, nil, nil, nil, nil, nil, nil}}
	_, err := p.Report(t.Context(), engine.QueryJob{SQL: "SELECT n FROM given", Tables: []engine.Table{table}, Format: "ndjson"}, &got)
	if e, ok := errors.AsType[*engine.SQLError](err); !ok || !strings.Contains(e.Message, "seven") {
		t.Errorf("text that is no number: %v", err)
	}
}
