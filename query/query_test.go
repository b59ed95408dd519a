package query

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/store"
)

// recorder is an engine that knows one syntax tree and keeps the jobs it gets.
type recorder struct {
	ast  string
	err  error
	jobs []engine.QueryJob
	warm int // of the jobs, those that ran beside stages
}

func (r *recorder) Parse(context.Context, string) (engine.Parsed, error) {
	return engine.Parsed{AST: r.ast}, r.err
}

func (r *recorder) Query(_ context.Context, job engine.QueryJob, w io.Writer) (engine.QueryResult, error) {
	r.jobs = append(r.jobs, job)
	_, err := io.WriteString(w, "rows")
	return engine.QueryResult{Rows: 1}, err
}

func (r *recorder) Report(ctx context.Context, job engine.QueryJob, w io.Writer) (engine.QueryResult, error) {
	r.warm++
	return r.Query(ctx, job, w)
}

// reading is the syntax tree of a SELECT from these tables.
func reading(tables ...string) string {
	from := `{"type":"EMPTY"}`
	for _, t := range tables {
		from = `{"type":"JOIN","left":` + from + `,"right":{"type":"BASE_TABLE","table_name":"` + t + `"}}`
	}
	return `{"node":{"type":"SELECT_NODE","from_table":` + from + `}}`
}

// newService has raw with two versions of one hour, of which the second is
// promoted, and an empty quarantine.
func newService(t *testing.T, e Engine) *Service {
	t.Helper()
	ctx := t.Context()
	catalog, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(t.TempDir(), "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = catalog.Close() })
	for _, name := range []string{dataset.Raw, dataset.Quarantine} {
		spec := dataset.Spec{Name: name, Kind: dataset.Builtin, Grain: dataset.Hour, Columns: []dataset.Column{{Name: "event_id", Type: "VARCHAR"}}}
		if err := catalog.EnsureDataset(ctx, spec, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for i, object := range []string{"aa.parquet", "bb.parquet"} {
		from := dataset.Cursor{Record: uint64(i), Event: uint64(i)}
		err := catalog.CommitLoad(ctx, dataset.LoadCommit{
			From: from, To: dataset.Cursor{Record: from.Record + 1, Event: from.Event + 1}, Loaded: 1,
			Segments: []dataset.NewSegment{{Dataset: dataset.Raw, Partition: "2026-05-01T12", Object: strings.Repeat(object[:2], 32) + ".parquet", Rows: 1}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return &Service{Catalog: catalog, Engine: e, Store: store.OpenReadOnly(root), Limits: engine.Limits{Rows: 7}}
}

func TestRunReadsWhatIsPromoted(t *testing.T) {
	e := &recorder{ast: reading("raw", "quarantine")}
	s := newService(t, e)
	var out bytes.Buffer
	res, err := s.Run(t.Context(), "SELECT 1", "csv", &out)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != "rows" || res.Rows != 1 || res.Revision < 2 {
		t.Errorf("got %q, %+v", out.String(), res)
	}
	job := e.jobs[0]
	if job.Format != "csv" || job.Limits.Rows != 7 || job.SQL != "SELECT 1" {
		t.Errorf("job %+v", job)
	}
	files := map[string]int{}
	for _, table := range job.Tables {
		files[table.Name] = len(table.Files)
		if len(table.Columns) == 0 {
			t.Errorf("%s has no columns: an empty dataset could not be bound", table.Name)
		}
	}
	if d := cmp.Diff(map[string]int{"raw": 2, "quarantine": 0}, files); d != "" {
		t.Error(d)
	}
}

func TestReportRunsBesideStages(t *testing.T) {
	e := &recorder{ast: reading("raw")}
	if _, err := newService(t, e).Report(t.Context(), "SELECT 1", io.Discard); err != nil {
		t.Fatal(err)
	}
	if e.warm != 1 || e.jobs[0].Format != "ndjson" {
		t.Errorf("warm %d, jobs %+v", e.warm, e.jobs)
	}
}

func TestRunRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		engine recorder
		format string
		is     error
		says   string
	}{
		"format":  {recorder{ast: reading("raw")}, "xml", ErrFormat, "ndjson"},
		"not one": {recorder{err: engine.ErrNotSelect}, "csv", engine.ErrNotSelect, ""},
		"bad SQL": {recorder{err: &engine.SQLError{Line: 2, Message: "no"}}, "csv", nil, "line 2"},
		"unknown": {recorder{ast: reading("plas", "raw")}, "csv", nil, "quarantine, raw"},
		"no tree": {recorder{ast: "{"}, "csv", engine.ErrNotSelect, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			_, err := newService(t, &c.engine).Run(t.Context(), "SELECT 1", c.format, &out)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if out.Len() > 0 || len(c.engine.jobs) > 0 {
				t.Errorf("wrote %q, ran %d jobs", out.String(), len(c.engine.jobs))
			}
			if u, ok := errors.AsType[*UnknownTable](err); name == "unknown" && (!ok || u.Name != "plas") {
				t.Errorf("got %#v", err)
			}
		})
	}
}
