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
	sqlView   = "__reedbed_sql"  // the person's SELECT
	rowsTable = "__reedbed_rows" // its rows, when they must be held
	rejectCol = "__reedbed_rejected"
)

// open makes a view for each table of a job.
func (d *DB) open(ctx context.Context, tables []engine.Table) error {
	for _, t := range tables {
		if err := d.create(ctx, "VIEW", t.Name, d.relation(t)); err != nil {
			return fmt.Errorf("open the table %s: %w", ident(t.Name), translate(err, ""))
		}
	}
	return nil
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

// bind makes sqlView from a person's text and returns its columns as DuckDB
// types them. The text must have passed Parse. It is handed over as a value, so
// that no text can end our statement and begin its own.
func (d *DB) bind(ctx context.Context, query string) ([]dataset.Column, error) {
	if _, err := d.Parse(ctx, query); err != nil {
		return nil, err
	}
	if err := d.create(ctx, "VIEW", sqlView, "SELECT * FROM query("+text(query)+")"); err != nil {
		return nil, d.explain(ctx, query, err)
	}
	// The view knows its columns already; DESCRIBE would bind it once more.
	columns, err := d.columns(ctx, "SELECT name, type FROM pragma_table_info("+text(sqlView)+")")
	return columns, translate(err, query)
}

// explain binds a text that failed inside our view once more by itself, because
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
