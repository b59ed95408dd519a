package converge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/engine"
)

// sqlBackend says programs in SQL and has the real engine compute them.
type sqlBackend struct{ *engine.Pool }

// column is the column of numbers that a table of the tests has.
func column(table string) string {
	if strings.HasPrefix(table, "side") {
		return "v"
	}
	return "value"
}

// text says p in SQL.
func (sqlBackend) text(p program) string {
	var cut, side []string
	for _, in := range p.Inputs {
		if strings.HasPrefix(in, "side") || p.Whole[in] {
			side = append(side, fmt.Sprintf("SELECT %s AS value FROM %s", column(in), in))
		} else {
			cut = append(cut, "SELECT hour, value FROM "+in)
		}
	}
	rows := strings.Join(cut, " UNION ALL ")
	if p.Op == "map" {
		var extra strings.Builder
		extra.WriteString("0")
		for _, s := range side {
			fmt.Fprintf(&extra, " + (SELECT COALESCE(SUM(value), 0) FROM (%s))", s)
		}
		return fmt.Sprintf("SELECT hour, (value * %d + %s)::BIGINT AS value FROM %s WHERE value %% 5 <> %d", p.K, extra.String(), strings.TrimPrefix(rows, "SELECT hour, value FROM "), p.K%5)
	}
	var values []string
	for _, s := range append(cut, side...) {
		values = append(values, "SELECT value FROM ("+s+")")
	}
	some := "true"
	if len(cut) > 0 {
		some = "EXISTS (SELECT 1 FROM (" + rows + "))"
	}
	return fmt.Sprintf("SELECT (value %% 3 + 3) %% 3 AS hour, SUM(value // 7 + %d)::BIGINT AS value FROM (%s) WHERE %s GROUP BY 1",
		p.K, strings.Join(values, " UNION ALL "), some)
}

// rule says `mod 3` in SQL.
func (sqlBackend) rule(rejects string) string {
	return "value % " + strings.TrimPrefix(rejects, "mod ") + " = 0"
}

func (b sqlBackend) write(rows []row) (engine.Output, error) {
	var values []string
	for _, r := range rows {
		values = append(values, fmt.Sprintf("(%d::BIGINT, %d::BIGINT)", r.Hour, r.Value))
	}
	res, err := b.Build(context.Background(), engine.BuildJob{SQL: "SELECT * FROM (VALUES " + strings.Join(values, ", ") + ") t(hour, value)"})
	return res.Output, err
}

func (b sqlBackend) read(sets [][]string) ([][]row, error) {
	out := make([][]row, len(sets))
	if len(sets) == 0 {
		return out, nil
	}
	var job engine.QueryJob
	var parts []string
	for i, files := range sets {
		name := fmt.Sprint("t", i)
		job.Tables = append(job.Tables, engine.Table{Name: name, Files: files})
		parts = append(parts, fmt.Sprintf("SELECT %d AS i, hour, value FROM %s", i, name))
	}
	job.SQL, job.Format = strings.Join(parts, " UNION ALL "), "ndjson"
	var text bytes.Buffer
	if _, err := b.Query(context.Background(), job, &text); err != nil {
		return nil, err
	}
	for d := json.NewDecoder(&text); ; {
		var r struct {
			I int
			row
		}
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out[r.I] = append(out[r.I], r.row)
	}
}

func (b sqlBackend) join(files []string) (engine.Output, error) {
	out, _, err := b.Compact(context.Background(), engine.CompactJob{Files: files})
	return out, err
}

// TestConvergesOnTheRealEngine is TestConvergesToWhatScratchGives with DuckDB in
// workers, in real time.
func TestConvergesOnTheRealEngine(t *testing.T) {
	dir, err := os.MkdirTemp(inMemory(), "reedbed-workers-") //nolint:usetesting // in memory, where there is such a folder
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	pool, err := engine.NewPool(engine.Options{Dir: dir, StageWorkers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	catalog := newCatalog(t)
	shards(t, 50, func(t *testing.T, check func(*testing.T, func(*rapid.T))) {
		check(t, func(t *rapid.T) { live(t, sqlBackend{pool}, catalog) })
	})
}
