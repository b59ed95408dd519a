// Package query answers people's SQL over promoted versions: one SELECT, read
// from one consistent snapshot, in a sandboxed worker that lives for that query
// only, under a deadline and limits on rows and bytes.
//
// It never writes, never sees a version that is not promoted, and never lets
// SQL name a file.
package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// Engine runs one SELECT in a worker made for it.
type Engine interface {
	// Parse gives the syntax tree of exactly one SELECT, or engine.ErrNotSelect.
	Parse(ctx context.Context, sql string) (engine.Parsed, error)
	// Query streams the answer to w, from a worker made for this query.
	Query(ctx context.Context, job engine.QueryJob, w io.Writer) (engine.QueryResult, error)
	// Report is Query for SQL of the project itself, in a warm worker.
	Report(ctx context.Context, job engine.QueryJob, w io.Writer) (engine.QueryResult, error)
}

// Service answers queries. It is safe for concurrent use.
type Service struct {
	Catalog *sqlite.Catalog
	Engine  Engine
	Store   *store.Store
	Limits  engine.Limits
}

// Result says what a query returned; the rows went to the writer.
type Result struct {
	engine.QueryResult
	Revision int64 // of the catalog that was read
}

// UnknownTable says that the SQL reads something that is not a dataset.
type UnknownTable struct {
	Name  string
	Known []string
}

func (e *UnknownTable) Error() string {
	return fmt.Sprintf("there is no dataset %q; there are: %s", e.Name, strings.Join(e.Known, ", "))
}

// Formats are the output formats a query can be answered in.
func Formats() []string { return []string{"table", "csv", "json", "ndjson", "parquet"} }

// ErrFormat says that an output format is not known.
var ErrFormat = errors.New("unknown output format")

// Run answers one SELECT. Errors are *engine.SQLError, *UnknownTable,
// engine.ErrNotSelect, ErrFormat, engine.ErrLimit, engine.ErrDeadline, or ours.
// Nothing is written to w before the first row is known.
func (s *Service) Run(ctx context.Context, sql, format string, w io.Writer) (Result, error) {
	if !slices.Contains(Formats(), format) {
		return Result{}, fmt.Errorf("%w %q: use one of %s", ErrFormat, format, strings.Join(Formats(), ", "))
	}
	tables, revision, err := s.Tables(ctx, sql)
	if err != nil {
		return Result{}, err
	}
	res, err := s.Engine.Query(ctx, engine.QueryJob{SQL: sql, Tables: tables, Format: format, Limits: s.Limits}, w)
	return Result{QueryResult: res, Revision: revision}, err
}

// Report answers one SELECT of the project's own files, such as a dashboard's
// card, as lines of JSON. It skips the one-shot worker, not the other limits.
func (s *Service) Report(ctx context.Context, sql string, w io.Writer) (Result, error) {
	tables, revision, err := s.Tables(ctx, sql)
	if err != nil {
		return Result{}, err
	}
	res, err := s.Engine.Report(ctx, engine.QueryJob{SQL: sql, Tables: tables, Format: "ndjson", Limits: s.Limits}, w)
	return Result{QueryResult: res, Revision: revision}, err
}

// Tables resolves the datasets a SELECT reads to their promoted files, all from
// one snapshot.
func (s *Service) Tables(ctx context.Context, sql string) ([]engine.Table, int64, error) {
	parsed, err := s.Engine.Parse(ctx, sql)
	if err != nil {
		return nil, 0, err
	}
	a, err := stage.Analyse(parsed.AST)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", engine.ErrNotSelect, err)
	}
	names, err := s.known(ctx, a.Tables)
	if err != nil {
		return nil, 0, err
	}
	snapshot, err := s.Catalog.Snapshot(ctx, names)
	if err != nil {
		return nil, 0, err
	}
	var tables []engine.Table
	for _, t := range snapshot.Tables {
		table := engine.Table{Name: t.Dataset.Name, Columns: t.Dataset.Columns}
		for _, object := range t.Objects {
			table.Files = append(table.Files, s.Store.Path(object))
		}
		tables = append(tables, table)
	}
	return tables, snapshot.Revision, nil
}

// known checks the tables of a query against the datasets on record.
func (s *Service) known(ctx context.Context, tables []string) ([]string, error) {
	on, err := s.Catalog.Datasets(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, d := range on {
		all = append(all, d.Spec.Name)
	}
	for _, t := range tables {
		if !slices.Contains(all, t) {
			return nil, &UnknownTable{Name: t, Known: all}
		}
	}
	return tables, nil
}
