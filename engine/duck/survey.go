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
	relation := ident(r.Survey.Name)
	q := d.questions(ctx, r.Survey)
	if len(q.exprs) > 0 {
		if values, err := d.row(ctx, relation, q.exprs...); err == nil {
			q.answered(values)
		} else {
			d.askEach(ctx, q, relation)
		}
	}
	f, err := d.fingerprint(ctx, r, files, q, "")
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
	copyTo := fmt.Sprintf("COPY (SELECT * FROM %s) TO %s (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE %d)", ident(t.Name), text(path), rowGroup)
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
func (d *DB) survey(ctx context.Context, r engine.Request, reply engine.Reply, q *questions) error {
	path := filepath.Join(d.cfg.Out, engine.RowsFile)
	with := "WITH " + ident(r.Survey.Name) + " AS (FROM read_parquet(" + text(path) + ")) "
	f, err := d.fingerprint(ctx, r, []string{path}, q, with)
	if err != nil {
		return err
	}
	if reply.Rejected != nil {
		f.Rejected = reply.Rejected.Rows
	}
	reply.Output.Fingerprint = f
	return nil
}

// fingerprint reads the statistics of columns from files, adds the answers of
// questions that were asked already, and asks the queries; with is the clause that
// names the rows for them, "" if they are a table of the job.
func (d *DB) fingerprint(ctx context.Context, r engine.Request, files []string, q *questions, with string) (*fingerprint.Fingerprint, error) {
	s := r.Survey
	f, err := scan.Files(files, scan.Options{Start: r.Start, End: r.End, Categories: s.Categories, Received: s.Received})
	if err != nil {
		return nil, err
	}
	for i, m := range s.Measures {
		n := q.answers[i]
		f.Measures = append(f.Measures, fingerprint.Measure{Name: m.Name, Rows: f.Rows, Value: n.value, Error: n.said()})
	}
	for i, v := range slices.Concat(s.Violations, s.Counts) {
		f.Checks = append(f.Checks, q.answers[len(s.Measures)+i].check(v.Name, i >= len(s.Violations)))
	}
	for _, rule := range s.Queries {
		f.Checks = append(f.Checks, d.ask(ctx, with, rule.SQL).check(rule.Name, true))
	}
	if s.Completeness != "" {
		if f.Completeness, err = d.completeness(ctx, with+s.Completeness); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(f.Measures, func(a, b fingerprint.Measure) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(f.Checks, func(a, b fingerprint.Check) int { return cmp.Compare(a.Name, b.Name) })
	return f, nil
}

// completeness asks rows that say how much arrived.
func (d *DB) completeness(ctx context.Context, query string) (*fingerprint.Completeness, error) {
	var c fingerprint.Completeness
	var sources string
	if err := d.conn.QueryRowContext(ctx, query).Scan(&c.Received, &c.Numbered, &c.InFlight, &c.AtClient, &sources); err != nil {
		return nil, translate(err, "")
	}
	if err := json.Unmarshal([]byte(sources), &c.Unnumbered); err != nil {
		return nil, fmt.Errorf("read the sources without numbers: %w", err)
	}
	return &c, nil
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

// questions are a survey's measures, then its violations and its counts, each as an
// aggregate that gives a DOUBLE; and their answers.
type questions struct {
	exprs   []string // of those that were admitted
	places  []int    // of each among the answers
	answers []number
}

// questions admits a survey's expressions. What is refused is answered so.
func (d *DB) questions(ctx context.Context, s *engine.Survey) *questions {
	all := slices.Concat(s.Measures, s.Violations, s.Counts)
	q := &questions{answers: make([]number, len(all))}
	for i, x := range all {
		theirs, ours := x.SQL, "CAST((\n"+x.SQL+"\n) AS DOUBLE)"
		if i >= len(s.Measures) && i < len(s.Measures)+len(s.Violations) {
			ours = "CAST(count(*) FILTER (WHERE ((\n" + theirs + "\n) IS TRUE)) AS DOUBLE)"
		}
		if err := d.admitExpression(ctx, theirs); err != nil {
			q.answers[i].err = err
			continue
		}
		q.exprs, q.places = append(q.exprs, ours), append(q.places, i)
	}
	return q
}

func (q *questions) answered(values []sql.NullFloat64) {
	for i, place := range q.places {
		q.answers[place] = finite(values[i])
	}
}

// askEach tells each mistake where it belongs.
func (d *DB) askEach(ctx context.Context, q *questions, relation string) {
	for i, place := range q.places {
		if values, err := d.row(ctx, relation, q.exprs[i]); err != nil {
			q.answers[place].err = err
		} else {
			q.answers[place] = finite(values[0])
		}
	}
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

// ask runs a SELECT that returns one number, behind a WITH of ours or "".
func (d *DB) ask(ctx context.Context, with, query string) number {
	if err := d.admit(ctx, query); err != nil {
		return number{err: err}
	}
	rows, err := d.conn.QueryContext(ctx, with+"SELECT CAST(COLUMNS(*) AS DOUBLE) FROM "+from(query)+" LIMIT 2")
	if err != nil {
		return number{err: translate(err, "")}
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
