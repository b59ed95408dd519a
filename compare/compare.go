// Package compare says how two versions differ: in their columns, in their rows,
// row by row where there is a key, and in what each column holds.
//
// It reads versions whether or not readers see them, in a worker made for the
// comparison, and changes nothing. What a difference means is for people to say.
package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// Engine runs the comparison's SQL.
type Engine interface {
	// Describe gives the columns of a SELECT without running it.
	Describe(ctx context.Context, sql string, tables []engine.Table) ([]dataset.Column, error)
	// Query streams the answer to w, from a worker made for this query.
	Query(ctx context.Context, job engine.QueryJob, w io.Writer) (engine.QueryResult, error)
}

// Service compares versions. It is safe for concurrent use.
type Service struct {
	Catalog *sqlite.Catalog
	Engine  Engine
	Store   *store.Store
	Limits  engine.Limits
}

// Request names two versions. Limit is how many rows of each kind of difference
// are shown.
type Request struct {
	A, B  dataset.Reference
	Limit int
}

// Result is how two versions differ. Values are as the engine writes JSON.
type Result struct {
	A       Version  `json:"a"`
	B       Version  `json:"b"`
	Equal   bool     `json:"equal"` // the same columns, and the same rows as often
	Schema  Schema   `json:"schema"`
	Rows    Rows     `json:"rows"`
	ByKey   *ByKey   `json:"by_key,omitempty"`
	NoKey   string   `json:"no_key,omitempty"` // why rows were not joined by a key
	Columns []Column `json:"columns"`
	Samples Samples  `json:"samples"`
}

// Version is what was compared.
type Version struct {
	Dataset   string            `json:"dataset"`
	Partition dataset.Partition `json:"partition"`
	Version   int64             `json:"version"`
	Rows      int64             `json:"rows"`
}

// Schema is how the columns differ. Columns of one name and two types are
// compared by their text.
type Schema struct {
	OnlyA   []dataset.Column `json:"only_a,omitempty"`
	OnlyB   []dataset.Column `json:"only_b,omitempty"`
	Retyped []Retyped        `json:"retyped,omitempty"`
}

// Same reports whether the columns have the same names and types.
func (s Schema) Same() bool { return len(s.OnlyA)+len(s.OnlyB)+len(s.Retyped) == 0 }

// Retyped is a column whose type differs.
type Retyped struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Rows counts whole rows, in the columns both have: a row that A has three times
// and B once is once in both and twice only in A.
type Rows struct {
	OnlyA int64 `json:"only_a"`
	OnlyB int64 `json:"only_b"`
	Both  int64 `json:"both"`
}

// ByKey counts rows by their key. A key joins rows if it is not NULL in any
// column and comes at most once on each side; Unkeyed are the other rows, which
// are compared as a whole.
type ByKey struct {
	Key     []string `json:"key"`
	OnlyA   int64    `json:"only_a"`
	OnlyB   int64    `json:"only_b"`
	Matched int64    `json:"matched"` // keys on both sides
	Changed int64    `json:"changed"` // of these, with other values
	Unkeyed Unkeyed  `json:"unkeyed"`
}

// Unkeyed counts the rows that no key joins.
type Unkeyed struct {
	A     int64 `json:"a"`
	B     int64 `json:"b"`
	OnlyA int64 `json:"only_a"`
	OnlyB int64 `json:"only_b"`
}

// Column is one column of either version.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // in B, or in A if B lacks it
	// Equal counts the matched keys with equal values; nil without a key, for
	// columns of the key, and for columns that one side lacks.
	Equal *int64      `json:"equal,omitempty"`
	A     *Statistics `json:"a,omitempty"`
	B     *Statistics `json:"b,omitempty"`
}

// Statistics are what a column holds. Least and Most are left out for nested
// values, Mean for all but numbers; all three are null when there is no value.
type Statistics struct {
	Nulls    int64 `json:"nulls"`
	Distinct int64 `json:"distinct"`
	// Estimated says that Distinct is an estimate, for there are many rows.
	Estimated bool            `json:"estimated,omitempty"`
	Least     json.RawMessage `json:"min,omitempty"`
	Most      json.RawMessage `json:"max,omitempty"`
	Mean      json.RawMessage `json:"mean,omitempty"`
}

// Samples are some of the rows that differ, by column.
type Samples struct {
	Changed []Change `json:"changed,omitempty"`
	OnlyA   []Row    `json:"only_a,omitempty"`
	OnlyB   []Row    `json:"only_b,omitempty"`
}

// Change is a key with other values.
type Change struct {
	Key     map[string]json.RawMessage    `json:"key"`
	Columns map[string][2]json.RawMessage `json:"columns"` // those that differ: in A, in B
}

// Row is a row that one side has Times more often than the other.
type Row struct {
	Values map[string]json.RawMessage `json:"values"`
	Times  int64                      `json:"times"`
}

// Run compares two versions. What does not exist, or is not there to be read any
// more, is a *dataset.Refusal; what is too much for the limits is engine.ErrLimit
// or engine.ErrDeadline.
func (s *Service) Run(ctx context.Context, r Request) (Result, error) {
	a, tableA, err := s.open(ctx, "a", r.A)
	if err != nil {
		return Result{}, err
	}
	b, tableB, err := s.open(ctx, "b", r.B)
	if err != nil {
		return Result{}, err
	}
	out := Result{A: versionOf(a), B: versionOf(b)}
	p, err := s.plan(ctx, a, b, tableA, tableB)
	if err != nil {
		return out, err
	}
	return out, s.compare(ctx, p, r.Limit, &out)
}

// compare asks what p asks and says the answers in out.
func (s *Service) compare(ctx context.Context, p *plan, limit int, out *Result) error {
	out.Schema, out.NoKey = p.schema, p.noKey
	row, err := s.query(ctx, p, p.summary())
	if err != nil {
		return err
	}
	if len(row) != 1 {
		return fmt.Errorf("compare: %d rows of figures", len(row))
	}
	if err := p.read(row[0], out); err != nil {
		return err
	}
	out.Equal = out.Schema.Same() && out.Rows.OnlyA == 0 && out.Rows.OnlyB == 0
	if out.Equal || limit <= 0 || len(p.shared) == 0 {
		return nil
	}
	rows, err := s.query(ctx, p, p.samples(limit))
	if err != nil {
		return err
	}
	return p.readSamples(rows, &out.Samples)
}

func versionOf(c sqlite.Content) Version {
	return Version{Dataset: c.Dataset, Partition: c.Partition, Version: c.Version, Rows: c.Rows}
}

// open finds a version's files. They say themselves what their columns are;
// without files the definition does.
func (s *Service) open(ctx context.Context, name string, r dataset.Reference) (sqlite.Content, engine.Table, error) {
	c, err := s.Catalog.Content(ctx, r)
	if err != nil {
		return c, engine.Table{}, err
	}
	t := engine.Table{Name: name, Columns: c.Columns}
	for _, object := range c.Objects {
		t.Files, t.Columns = append(t.Files, s.Store.Path(object)), nil
	}
	return c, t, nil
}

func (s *Service) plan(ctx context.Context, a, b sqlite.Content, tableA, tableB engine.Table) (*plan, error) {
	p := &plan{tables: []engine.Table{tableA, tableB}, many: max(a.Rows, b.Rows) > exactRows}
	var err error
	if p.a, err = s.Engine.Describe(ctx, "SELECT * FROM a", []engine.Table{tableA}); err != nil {
		return nil, fmt.Errorf("read %s: %w", a.Reference, err)
	}
	if p.b, err = s.Engine.Describe(ctx, "SELECT * FROM b", []engine.Table{tableB}); err != nil {
		return nil, fmt.Errorf("read %s: %w", b.Reference, err)
	}
	p.match()
	p.useKey(keyOf(b))
	return p, nil
}

// keyOf is the key a version's rows are told apart by, nil if none is declared.
func keyOf(c sqlite.Content) []string {
	if c.Dataset == dataset.Raw {
		return []string{"source", "event_id", "payload_hash"}
	}
	if c.Text == "" {
		return nil
	}
	s, _ := stage.Parse(c.Dataset, c.Dataset+".sql", c.Text)
	if s == nil {
		return nil
	}
	return s.Header.Key
}

func (s *Service) query(ctx context.Context, p *plan, sql string) ([]map[string]json.RawMessage, error) {
	var answer bytes.Buffer
	_, err := s.Engine.Query(ctx, engine.QueryJob{SQL: sql, Tables: p.tables, Format: "ndjson", Limits: s.Limits}, &answer)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	var out []map[string]json.RawMessage
	for d := json.NewDecoder(&answer); ; {
		var row map[string]json.RawMessage
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the comparison: %w", err)
		}
		out = append(out, row)
	}
}

// match finds the columns both sides have.
func (p *plan) match() {
	for _, c := range p.a {
		i := slices.IndexFunc(p.b, func(d dataset.Column) bool { return d.Name == c.Name })
		if i < 0 {
			p.schema.OnlyA = append(p.schema.OnlyA, c)
			continue
		}
		if p.b[i].Type != c.Type {
			p.schema.Retyped = append(p.schema.Retyped, Retyped{c.Name, c.Type, p.b[i].Type})
		}
		p.shared = append(p.shared, shared{c.Name, c.Type == p.b[i].Type})
	}
	for _, c := range p.b {
		if !slices.ContainsFunc(p.a, func(d dataset.Column) bool { return d.Name == c.Name }) {
			p.schema.OnlyB = append(p.schema.OnlyB, c)
		}
	}
}

// useKey joins rows by a key, or notes why not.
func (p *plan) useKey(key []string) {
	if len(key) == 0 {
		p.noKey = "no key is declared"
		return
	}
	var at []int
	for _, name := range key {
		i := slices.IndexFunc(p.shared, func(c shared) bool { return c.name == name })
		if i < 0 {
			p.noKey = fmt.Sprintf("%s, of the key, is not a column of both", name)
			return
		}
		at = append(at, i)
	}
	p.key = at
}
