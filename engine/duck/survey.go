package duck

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/fingerprint/scan"
)

// Survey takes the fingerprint of the rows of one of a job's tables.
func (d *DB) Survey(ctx context.Context, r engine.Request) (*fingerprint.Fingerprint, error) {
	i := slices.IndexFunc(r.Tables, func(t engine.Table) bool { return t.Name == r.Survey.Name })
	if i < 0 {
		return nil, fmt.Errorf("the survey is of %s, which is no table of the job", ident(r.Survey.Name))
	}
	if err := d.limitMemory(ctx, r.Limits.Memory); err != nil {
		return nil, err
	}
	if err := d.setPartition(ctx, r.Start, r.End); err != nil {
		return nil, err
	}
	if err := d.open(ctx, r.Tables); err != nil {
		return nil, err
	}
	files, err := d.surveyed(ctx, r.Tables[i])
	if err != nil {
		return nil, err
	}
	f, err := d.fingerprint(ctx, r, files, ident(r.Survey.Name))
	if err == nil {
		f.Bytes, err = sizes(d.paths(r.Tables[i]))
	}
	return f, err
}

// surveyed are Parquet files that hold a table's rows, as its view shows them: its
// own, or else one that is made for it.
func (d *DB) surveyed(ctx context.Context, t engine.Table) ([]string, error) {
	same, err := d.likeFiles(ctx, t)
	if err != nil || same {
		return d.paths(t), err
	}
	path := filepath.Join(d.cfg.Out, engine.RowsFile)
	copyTo := fmt.Sprintf("COPY (SELECT * FROM %s) TO %s (FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE %d)", ident(t.Name), text(path), rowGroup)
	if err := d.exec(ctx, copyTo); err != nil {
		return nil, translate(err, "")
	}
	return []string{path}, nil
}

// likeFiles reports that a table's files, one by one, have the columns of its view.
func (d *DB) likeFiles(ctx context.Context, t engine.Table) (bool, error) {
	if len(t.Files) == 0 || t.Format == "csv" {
		return false, nil
	}
	var first []byte
	for i, path := range d.paths(t) {
		schema, err := schemaOf(path)
		if err != nil || i > 0 && string(schema) != string(first) {
			return false, nil //nolint:nilerr // DuckDB will say what is wrong with the file
		}
		first = schema
	}
	if len(t.Columns) == 0 {
		return true, nil
	}
	const describe = "SELECT column_name, column_type FROM (DESCRIBE FROM "
	view, err := d.columns(ctx, describe+ident(t.Name)+")")
	if err != nil {
		return false, translate(err, "")
	}
	file, err := d.columns(ctx, describe+d.reader(t)+")")
	if err != nil {
		return false, translate(err, "")
	}
	return slices.Equal(byName(view), byName(file)), nil
}

func sizes(paths []string) (sum int64, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return sum, nil
}

// survey takes the fingerprint of an output while its file is still there.
func (d *DB) survey(ctx context.Context, r engine.Request, reply engine.Reply) error {
	path := filepath.Join(d.cfg.Out, engine.RowsFile)
	relation := "read_parquet(" + text(path) + ")"
	if len(r.Survey.Queries) > 0 {
		// A view replaces the job's table of that name; the next job finds what is behind it.
		behind := "SELECT * FROM " + relation
		relation = ident(r.Survey.Name)
		if err := d.exec(ctx, "CREATE OR REPLACE TEMP VIEW "+relation+" AS "+behind); err != nil {
			return fmt.Errorf("open the output as %s: %w", relation, translate(err, ""))
		}
		d.views[r.Survey.Name] = behind
	}
	f, err := d.fingerprint(ctx, r, []string{path}, relation)
	if err != nil {
		return err
	}
	if reply.Rejected != nil {
		f.Rejected = reply.Rejected.Rows
	}
	reply.Output.Fingerprint = f
	return nil
}

// fingerprint reads the statistics of columns from files, and runs a survey's SQL
// over the relation that they are.
func (d *DB) fingerprint(ctx context.Context, r engine.Request, files []string, relation string) (*fingerprint.Fingerprint, error) {
	s := r.Survey
	f, err := scan.Files(files, scan.Options{Start: r.Start, End: r.End, Categories: s.Categories, Received: s.Received})
	if err != nil {
		return nil, err
	}
	numbers := d.aggregates(ctx, slices.Concat(measures(s.Measures), violations(s.Violations)), relation)
	for i, m := range s.Measures {
		measured := fingerprint.Measure{Name: m.Name, Rows: f.Rows, Value: numbers[i].value, Error: numbers[i].said()}
		f.Measures = append(f.Measures, measured)
	}
	for i, v := range s.Violations {
		f.Checks = append(f.Checks, numbers[len(s.Measures)+i].check(v.Name, false))
	}
	for _, q := range s.Queries {
		f.Checks = append(f.Checks, d.ask(ctx, q.SQL).check(q.Name, true))
	}
	slices.SortStableFunc(f.Measures, func(a, b fingerprint.Measure) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(f.Checks, func(a, b fingerprint.Check) int { return cmp.Compare(a.Name, b.Name) })
	return f, nil
}

// number is what an expression gave: a finite number, nil for NULL, or an error.
type number struct {
	value *float64
	err   error
}

func (n number) said() string {
	if n.err == nil {
		return ""
	}
	return n.err.Error()
}

// check is the number as rows that break a rule; NULL, as a sum over no rows is, as none.
func (n number) check(name string, whole bool) fingerprint.Check {
	c := fingerprint.Check{Name: name, Error: n.said(), Whole: whole}
	switch {
	case n.err != nil || n.value == nil:
	case *n.value < 0 || *n.value > math.MaxInt64/2:
		c.Error = fmt.Sprintf("the SQL gives %g, which is no number of rows", *n.value)
	default:
		c.Count = int64(math.Round(*n.value))
	}
	return c
}

// aggregate is a person's expression within the one of ours that is asked for.
type aggregate struct{ theirs, ours string }

func measures(list []engine.Expr) (out []aggregate) {
	for _, m := range list {
		out = append(out, aggregate{m.SQL, "CAST((\n" + m.SQL + "\n) AS DOUBLE)"})
	}
	return out
}

func violations(list []engine.Expr) (out []aggregate) {
	for _, v := range list {
		out = append(out, aggregate{v.SQL, "CAST(count(*) FILTER (WHERE ((\n" + v.SQL + "\n) IS TRUE)) AS DOUBLE)"})
	}
	return out
}

// aggregates computes all in one statement. Only when that fails they are computed
// one by one, so that each mistake is told where it belongs.
func (d *DB) aggregates(ctx context.Context, list []aggregate, relation string) []number {
	out := make([]number, len(list))
	var exprs []string
	var places []int
	for i, a := range list {
		if out[i].err = d.admitExpression(ctx, a.theirs); out[i].err == nil {
			exprs, places = append(exprs, a.ours), append(places, i)
		}
	}
	if len(exprs) == 0 {
		return out
	}
	values, err := d.row(ctx, relation, exprs...)
	for j, i := range places {
		if err == nil {
			out[i] = finite(values[j])
		} else if alone, failed := d.row(ctx, relation, exprs[j]); failed != nil {
			out[i].err = failed
		} else {
			out[i] = finite(alone[0])
		}
	}
	return out
}

// admitExpression admits a text that is one expression and nothing else.
func (d *DB) admitExpression(ctx context.Context, expr string) error {
	known := "one expression: " + expr // no SELECT begins so
	if d.admitted[known] {
		return nil
	}
	parsed, err := d.Parse(ctx, "SELECT (\n"+expr+"\n)")
	if err != nil {
		return err
	}
	var statement struct {
		Node struct {
			Type       string            `json:"type"`
			SelectList []json.RawMessage `json:"select_list"`
			From       struct {
				Type string `json:"type"`
			} `json:"from_table"`
		} `json:"node"`
	}
	if err := json.Unmarshal([]byte(parsed.AST), &statement); err != nil {
		return fmt.Errorf("read the parsed expression: %w", err)
	}
	n := statement.Node
	if n.Type != "SELECT_NODE" || len(n.SelectList) != 1 || n.From.Type != "EMPTY" {
		return fmt.Errorf("%w: exactly one expression is needed", engine.ErrNotSelect)
	}
	d.remember(known)
	return nil
}

// ask runs a SELECT that returns one number.
func (d *DB) ask(ctx context.Context, query string) number {
	if err := d.admit(ctx, query); err != nil {
		return number{err: err}
	}
	rows, err := d.conn.QueryContext(ctx, "SELECT CAST(COLUMNS(*) AS DOUBLE) FROM "+from(query)+" LIMIT 2")
	if err != nil {
		return number{err: d.explain(ctx, query, err)}
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	columns, err := rows.Columns()
	if err != nil {
		return number{err: err}
	}
	var value sql.NullFloat64
	got := 0
	for ; rows.Next(); got++ {
		if len(columns) == 1 && got == 0 {
			if err := rows.Scan(&value); err != nil {
				return number{err: err}
			}
		}
	}
	if err := rows.Err(); err != nil {
		return number{err: translate(err, "")}
	}
	if got != 1 || len(columns) != 1 {
		return number{err: &engine.SQLError{
			Message: "the SELECT returns more or less than one number",
			Hint:    "count the rows that break the rule: SELECT count(*) FROM (...)",
		}}
	}
	return finite(value)
}

// row computes numbers over a relation. Beside a count nothing else but an aggregate binds.
func (d *DB) row(ctx context.Context, relation string, exprs ...string) ([]sql.NullFloat64, error) {
	var rows int64
	values := make([]sql.NullFloat64, len(exprs))
	into := []any{&rows}
	for i := range values {
		into = append(into, &values[i])
	}
	query := "SELECT count(*), " + strings.Join(exprs, ", ") + " FROM " + relation
	return values, translate(d.conn.QueryRowContext(ctx, query).Scan(into...), "")
}

func finite(value sql.NullFloat64) number {
	switch {
	case !value.Valid:
		return number{}
	case math.IsNaN(value.Float64) || math.IsInf(value.Float64, 0):
		return number{err: &engine.SQLError{Message: fmt.Sprintf("the SQL gives %g, which is no number", value.Float64)}}
	}
	return number{value: &value.Float64}
}
