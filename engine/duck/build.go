package duck

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// rowGroup is how many rows a row group holds: ten DuckDB vectors, few enough
// that a reader of one row group needs little memory.
const rowGroup = 20480

// Build runs a SELECT once and stores its rows, those that the rejects rule
// names apart. Without such a rule rows go straight into the sorted file; with
// one they are held in a temporary table, which spills, so that both files come
// from the same single run.
func (d *DB) Build(ctx context.Context, r engine.Request) (reply engine.Reply, err error) {
	cells, err := d.prepare(ctx, r)
	if err != nil {
		return reply, err
	}
	order, err := totalOrder(stored(cells), r.OrderBy)
	if err != nil {
		return reply, err
	}
	if err := hasKey(stored(cells), r.Key); err != nil {
		return reply, err
	}
	began := CPUTime()
	w := writer{d: d, columns: stored(cells), order: order, key: r.Key, limit: r.Limits.Output}
	if r.Survey != nil {
		w.asked = d.questions(ctx, r.Survey)
	}
	rows := "SELECT " + selection(cells) + " FROM " + from(r.SQL)
	if r.Rejects != "" {
		reply.Output, reply.Rejected, err = d.split(ctx, w, rows, r.Rejects)
	} else {
		if asIs(cells) {
			w.source = r.SQL
		}
		reply.Output, err = w.write(ctx, rows, engine.RowsFile)
	}
	reply.SQL = CPUTime() - began
	if err == nil && r.Survey != nil {
		err = d.survey(ctx, r, reply, w.asked)
	}
	return reply, err
}

// prepare makes ready what a build reads and finds out what it will store.
func (d *DB) prepare(ctx context.Context, r engine.Request) ([]cell, error) {
	if err := d.limitMemory(ctx, r.Limits.Memory); err != nil {
		return nil, err
	}
	if err := d.setPartition(ctx, r.Start, r.End); err != nil {
		return nil, err
	}
	if err := d.open(ctx, r.Tables); err != nil {
		return nil, err
	}
	columns, err := d.rebind(ctx, r)
	if err != nil {
		return nil, err
	}
	return project(columns, r.Equal)
}

// CPUTime is what this process has used so far, in user and kernel mode.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// setPartition gives the SQL the bounds of the partition it computes.
func (d *DB) setPartition(ctx context.Context, start, end time.Time) error {
	for name, at := range map[string]time.Time{"partition_start": start, "partition_end": end} {
		value := sql.NullTime{Time: at.UTC(), Valid: !at.IsZero()}
		if _, err := d.bounds[name].ExecContext(ctx, value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// asIs reports that nothing of ours is computed over the SELECT's columns, so
// that the place of an error at run time is a place in its text.
func asIs(cells []cell) bool {
	return !slices.ContainsFunc(cells, func(c cell) bool { return c.expr != ident(c.Name) })
}

// split stores the rows that a rule rejects apart, with the rule as the reason.
func (d *DB) split(ctx context.Context, w writer, rows, rejects string) (out, rejected *engine.Output, err error) {
	if slices.ContainsFunc(w.columns, func(c dataset.Column) bool { return strings.EqualFold(c.Name, engine.ReasonColumn) }) {
		return nil, nil, &engine.SQLError{
			Message: "the SELECT returns a column " + engine.ReasonColumn + ", which rejected rows have already",
			Hint:    "give it another name",
		}
	}
	if err := d.holdRows(ctx, rows, rejects); err != nil {
		return nil, nil, err
	}
	var held int64
	if err := d.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+ident(rowsTable)).Scan(&held); err != nil {
		return nil, nil, err
	}
	from := "SELECT * EXCLUDE (" + rejectCol + ") FROM " + ident(rowsTable) + " WHERE "
	if out, err = w.write(ctx, from+"NOT "+rejectCol, engine.RowsFile); err != nil {
		return nil, nil, err
	}
	w.key, w.asked = nil, nil
	w.columns = append(slices.Clone(w.columns), dataset.Column{Name: engine.ReasonColumn, Type: "VARCHAR"})
	why := "SELECT * EXCLUDE (" + rejectCol + "), " + text(rejects) + " AS " + engine.ReasonColumn +
		" FROM " + ident(rowsTable) + " WHERE " + rejectCol
	if rejected, err = w.write(ctx, why, engine.RejectedFile); err != nil {
		return nil, nil, err
	}
	if out.Rows+rejected.Rows != held {
		return nil, nil, fmt.Errorf("the SELECT returned %d rows but %d were stored and %d rejected", held, out.Rows, rejected.Rows)
	}
	return out, rejected, nil
}

// holdRows stores a SELECT's rows in a temporary table with the verdict of the
// rejects rule; NULL is not a rejection.
func (d *DB) holdRows(ctx context.Context, rows, rejects string) error {
	if err := d.admit(ctx, "SELECT (\n"+rejects+"\n)"); err != nil {
		return aboutRejects(err)
	}
	failed := d.hold(ctx, "SELECT *, ((\n"+rejects+"\n) IS TRUE) AS "+rejectCol+" FROM ("+rows+")")
	if failed == nil {
		return nil
	}
	// Bound once more over no rows, the rule's mistakes are told from those of the SELECT.
	trial := "SELECT ((\n" + rejects + "\n) IS TRUE) FROM (" + rows + ") LIMIT 0"
	if err := d.exec(ctx, trial); err != nil {
		return aboutRejects(translate(err, ""))
	}
	return translate(failed, "")
}

func aboutRejects(err error) error {
	if e, ok := errors.AsType[*engine.SQLError](err); ok {
		return &engine.SQLError{Message: "rejects: " + e.Message, Hint: e.Hint}
	}
	return fmt.Errorf("rejects: %w", err)
}

func hasKey(columns []dataset.Column, key []string) error {
	for _, name := range key {
		if !slices.ContainsFunc(columns, func(c dataset.Column) bool { return c.Name == name }) {
			return missing("key", name, columns)
		}
	}
	return nil
}

// totalOrder sorts by the wanted columns first and then by all others, so that
// two runs over equal rows write equal bytes.
func totalOrder(columns []dataset.Column, wanted []string) (string, error) {
	list := slices.Clone(wanted)
	for _, name := range wanted {
		if !slices.ContainsFunc(columns, func(c dataset.Column) bool { return c.Name == name }) {
			return "", missing("order by", name, columns)
		}
	}
	for _, c := range columns {
		if !slices.Contains(wanted, c.Name) {
			list = append(list, c.Name)
		}
	}
	return orderBy(list), nil
}

func orderBy(names []string) string {
	if len(names) == 0 {
		return ""
	}
	keys := make([]string, len(names))
	for i, n := range names {
		keys[i] = ident(n) + " ASC NULLS LAST"
	}
	return " ORDER BY " + strings.Join(keys, ", ")
}

// writer stores relations of one shape as Parquet files.
type writer struct {
	d       *DB
	columns []dataset.Column
	order   string // an ORDER BY clause, or ""
	key     []string
	source  string     // the person's text, where errors can be placed in it; or ""
	limit   int64      // bytes a file may have; 0 for any
	asked   *questions // answered over the rows; or nil
}

// write stores a SELECT's rows under a name in the out folder. It then reads the
// file back to count and hash it: what is hashed is what readers will get.
func (w writer) write(ctx context.Context, rows, name string) (*engine.Output, error) {
	path := filepath.Join(w.d.cfg.Out, name)
	copyTo := fmt.Sprintf("COPY (SELECT * FROM (%s)%s) TO %s (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE %d)",
		rows, w.order, text(path), rowGroup)
	var wrote int64
	if err := w.d.conn.QueryRowContext(ctx, copyTo).Scan(&wrote); err != nil {
		return nil, w.explain(translate(err, w.source))
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if w.limit > 0 && info.Size() > w.limit {
		return nil, fmt.Errorf("%w: output: the rows need %d bytes, %d are allowed", engine.ErrLimit, info.Size(), w.limit)
	}
	m, err := w.measure(ctx, "read_parquet("+text(path)+")")
	if err != nil {
		return nil, err
	}
	if m.rows != wrote {
		return nil, fmt.Errorf("%d rows were written but %d can be read back", wrote, m.rows)
	}
	return &engine.Output{Bytes: info.Size(), Columns: w.columns, Rows: m.rows, Hash: m.hash, Keyed: m.keyed}, nil
}

// measure answers what is asked in the pass that hashes. A mistake in a question
// costs a second pass, and one for each question.
func (w writer) measure(ctx context.Context, relation string) (measured, error) {
	if w.asked == nil || len(w.asked.exprs) == 0 {
		return w.d.measure(ctx, relation, w.columns, w.key, nil)
	}
	m, err := w.d.measure(ctx, relation, w.columns, w.key, w.asked.exprs)
	if err == nil {
		w.asked.answered(m.asked)
		return m, nil
	}
	w.d.askEach(ctx, w.asked, relation)
	return w.d.measure(ctx, relation, w.columns, w.key, nil)
}

// explain names the reason behind errors whose own words do not: the system's
// for a file past RLIMIT_FSIZE, and DuckDB's for a sum that storedType narrows.
func (w writer) explain(err error) error {
	if strings.Contains(strings.ToLower(err.Error()), "file too large") {
		return fmt.Errorf("%w: output: a file would grow past %d bytes", engine.ErrLimit, w.limit)
	}
	if e, ok := errors.AsType[*engine.SQLError](err); ok && e.Hint == "" && strings.Contains(e.Message, "INT128") {
		e.Hint = "a sum of integers is stored as BIGINT; cast this one to DOUBLE or DECIMAL(38,0)"
	}
	return err
}

// Compact rewrites files of one shape into one. Rows are carried over as they
// are; that none is lost is checked by counting both sides.
func (d *DB) Compact(ctx context.Context, r engine.Request) (*engine.Output, error) {
	if err := d.limitMemory(ctx, r.Limits.Memory); err != nil {
		return nil, err
	}
	from := "SELECT * FROM " + d.reader(r.Tables[0])
	columns, err := d.columns(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+from+")")
	if err != nil {
		return nil, translate(err, "")
	}
	// Files carry a key in their order already; sorting wide rows by every column costs several times as much.
	order, err := totalOrder(columns, r.OrderBy)
	if err != nil {
		return nil, err
	}
	if len(r.OrderBy) > 0 {
		order = orderBy(r.OrderBy)
	}
	var before int64
	if err := d.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+d.reader(r.Tables[0])).Scan(&before); err != nil {
		return nil, translate(err, "")
	}
	w := writer{d: d, columns: columns, order: order, limit: r.Limits.Output}
	out, err := w.write(ctx, from, engine.RowsFile)
	if err != nil {
		return nil, err
	}
	if out.Rows != before {
		return nil, fmt.Errorf("compaction read %d rows and wrote %d", before, out.Rows)
	}
	return out, nil
}
