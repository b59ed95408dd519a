package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// A worker that has done other jobs answers as one that has done none, whatever
// those had open under the same names.
func TestWarmWorkerAnswersAsNewOne(t *testing.T) {
	warm := newPool(t, engine.Options{StageWorkers: 1, QueryWorkers: -1})
	table := func(name, sql string, declared ...dataset.Column) engine.Table {
		return engine.Table{Name: name, Columns: declared, Files: []string{build(t, warm, engine.BuildJob{SQL: sql}).Output.Path}}
	}
	v := dataset.Column{Name: "v", Type: "INTEGER"}
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	one := table("t", "SELECT 1 AS v", v)
	jobs := []engine.BuildJob{
		{SQL: "SELECT sum(v) AS s FROM t", Tables: []engine.Table{one}},
		{SQL: "SELECT sum(v) AS s FROM t", Tables: []engine.Table{table("t", "SELECT 2 AS v", v)}},
		{SQL: "SELECT sum(v) AS s FROM t", Tables: []engine.Table{table("t", "SELECT 2.5::DOUBLE AS v", v)}},
		{SQL: "SELECT * FROM t", Tables: []engine.Table{table("t", "SELECT 'new' AS w, 3 AS v", v)}},
		{SQL: "SELECT * FROM t", Tables: []engine.Table{table("t", "SELECT 3 AS v", v)}},
		{SQL: "SELECT * FROM t", Tables: []engine.Table{table("t", "SELECT 'new' AS w, 3 AS v")}},
		{SQL: "SELECT * FROM t", Tables: []engine.Table{table("t", "SELECT 3 AS v, 'new' AS w")}},
		{SQL: "SELECT * FROM t", Tables: []engine.Table{{Name: "t", Columns: []dataset.Column{v}}}},
		{SQL: "SELECT * FROM t", Tables: []engine.Table{one, table("u", "SELECT 4 AS v", v)}, Rejects: "v > 0"},
		{SQL: "SELECT * FROM t", Tables: []engine.Table{{Name: "t", Columns: one.Columns, Files: append(one.Files[:1:1], one.Files...)}}},
		{SQL: "SELECT v FROM t JOIN u USING (v)", Tables: []engine.Table{table("u", "SELECT 1 AS v", v), one}},
		{SQL: "SELECT getvariable('partition_start') AS at FROM t", Tables: []engine.Table{one}, Start: day, End: day.AddDate(0, 0, 1)},
		{SQL: "SELECT getvariable('partition_start') AS at FROM t", Tables: []engine.Table{one}},
	}
	for i, job := range jobs {
		got, want := build(t, warm, job), build(t, newPool(t, engine.Options{StageWorkers: 1, QueryWorkers: -1}), job)
		for _, r := range []*engine.BuildResult{&got, &want} {
			r.Usage, r.Output.Path = engine.Usage{}, ""
			if r.Rejected != nil {
				r.Rejected.Path = ""
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("job %d, %s: a new worker and a warm one differ: %s", i, job.SQL, d)
		}
	}
	_, err := warm.Build(t.Context(), engine.BuildJob{SQL: "SELECT * FROM u", Tables: []engine.Table{one}})
	if wrong, ok := errors.AsType[*engine.SQLError](err); !ok || !strings.Contains(wrong.Message, "u does not exist") {
		t.Errorf("a table of an earlier job is still there: %v", err)
	}
}
