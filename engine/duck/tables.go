package duck

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// Names of ours that live beside a job's tables.
const (
	rowsTable = "__reedbed_rows" // a SELECT's rows, when they must be held
	rejectCol = "__reedbed_rejected"
)

// open makes a view for each table of a job and drops those of earlier jobs. A
// view that would be made as it is stays: files have the same names for every
// job, and DuckDB binds a view anew wherever it is used.
func (d *DB) open(ctx context.Context, tables []engine.Table) error {
	wanted := make(map[string]string, len(tables))
	for _, t := range tables {
		wanted[t.Name] = d.relation(t)
	}
	for name, relation := range d.views {
		if wanted[name] == relation {
			continue
		}
		if err := d.exec(ctx, "DROP VIEW "+ident(name)); err != nil {
			return fmt.Errorf("close the table %s of an earlier job: %w", ident(name), err)
		}
		delete(d.views, name)
	}
	for _, t := range tables {
		if _, stands := d.views[t.Name]; stands {
			continue
		}
		if err := d.exec(ctx, "CREATE TEMP VIEW "+ident(t.Name)+" AS "+wanted[t.Name]); err != nil {
			return fmt.Errorf("open the table %s: %w", ident(t.Name), translate(err, ""))
		}
		d.views[t.Name] = wanted[t.Name]
	}
	return d.openSchemas(ctx, tables)
}

// relation is the SELECT behind a table's view. With files and columns, the
// files may lack some of the columns: an empty relation of the declared shape
// joined by name supplies them.
func (d *DB) relation(t engine.Table) string {
	switch {
	case len(t.Rows) > 0:
		return values(t)
	case len(t.Files) == 0:
		return shape(t.Columns)
	case len(t.Columns) == 0:
		return "SELECT * FROM " + d.reader(t)
	default:
		return shape(t.Columns) + " UNION ALL BY NAME SELECT * FROM " + d.reader(t)
	}
}

func (d *DB) reader(t engine.Table) string {
	quoted := make([]string, len(t.Files))
	for i, path := range d.paths(t) {
		quoted[i] = text(path)
	}
	files := "[" + strings.Join(quoted, ", ") + "]"
	if t.Format == "csv" {
		return "read_csv(" + files + ", header = true, union_by_name = true)"
	}
	return "read_parquet(" + files + ", union_by_name = true)"
}

func (d *DB) paths(t engine.Table) []string {
	paths := make([]string, len(t.Files))
	for i, f := range t.Files {
		paths[i] = filepath.Join(d.cfg.In, filepath.Base(f))
	}
	return paths
}

// shape is an empty relation with the given columns.
func shape(columns []dataset.Column) string {
	if len(columns) == 0 {
		return "SELECT NULL::INTEGER AS nothing WHERE false"
	}
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = "NULL::" + c.Type + " AS " + ident(c.Name)
	}
	return "SELECT " + strings.Join(list, ", ") + " WHERE false"
}

// bind returns the columns of a person's text as DuckDB types them. With them
// from(query) can be read.
func (d *DB) bind(ctx context.Context, query string) ([]dataset.Column, error) {
	if err := d.admit(ctx, query); err != nil {
		return nil, err
	}
	columns, err := d.columns(ctx, "SELECT column_name, column_type FROM (DESCRIBE FROM "+from(query)+")")
	if err != nil {
		return nil, d.explain(ctx, query, err)
	}
	return columns, nil
}

// from is a person's text as a relation. It must have been admitted. It is handed
// over as a value, so that no text can end our statement and begin its own.
func from(query string) string { return "query(" + text(query) + ")" }

// admit refuses what Parse refuses. Texts that passed are remembered: a stage's
// comes again with every partition.
func (d *DB) admit(ctx context.Context, query string) error {
	if d.admitted[query] {
		return nil
	}
	if _, err := d.Parse(ctx, query); err != nil {
		return err
	}
	d.remember(query)
	return nil
}

func (d *DB) remember(query string) {
	const many = 256
	if len(d.admitted) >= many {
		clear(d.admitted)
	}
	d.admitted[query] = true
}

// explain binds a text that failed inside our query once more by itself, because
// only then its errors carry positions within the text.
func (d *DB) explain(ctx context.Context, query string, failed error) error {
	stmt, err := d.conn.PrepareContext(ctx, query)
	if err != nil {
		return translate(err, query)
	}
	defer stmt.Close() //nolint:errcheck // it ran nothing
	return translate(failed, "")
}

// columns runs a query of ours that returns names and types.
func (d *DB) columns(ctx context.Context, query string) ([]dataset.Column, error) {
	rows, err := d.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	var columns []dataset.Column
	for rows.Next() {
		var c dataset.Column
		if err := rows.Scan(&c.Name, &c.Type); err != nil {
			return nil, err
		}
		if c.Type == `"NULL"` { // the type of a bare NULL, which a table would make INTEGER
			c.Type = "INTEGER"
		}
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

// Describe binds a text against its tables and returns the columns a Build of
// it would store.
func (d *DB) Describe(ctx context.Context, query string, tables []engine.Table) ([]dataset.Column, error) {
	if err := d.setPartition(ctx, time.Time{}, time.Time{}); err != nil {
		return nil, err
	}
	if err := d.open(ctx, tables); err != nil {
		return nil, err
	}
	columns, err := d.bind(ctx, query)
	if err != nil {
		return nil, err
	}
	cells, err := project(columns, nil)
	if err != nil {
		return nil, err
	}
	return stored(cells), nil
}
