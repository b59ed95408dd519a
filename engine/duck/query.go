package duck

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// page is how many rows of a result are in Go's memory at once.
const page = 16384

// Query runs a person's SELECT and leaves its rows, formatted, in the out
// folder. It shuts and locks the database first, so it is the last call a
// database gets. The rows are held in a temporary table, which spills, and read
// back in pages: neither the rows nor the text need fit in memory.
func (d *DB) Query(ctx context.Context, r engine.Request) (engine.Reply, error) {
	if err := d.limitMemory(ctx, r.Limits.Memory); err != nil {
		return engine.Reply{}, err
	}
	if err := d.shutFor(ctx, d.reachable(r.Tables)); err != nil {
		return engine.Reply{}, err
	}
	return d.answer(ctx, r)
}

// Report is Query in a database that was shut for stages and goes on being used.
func (d *DB) Report(ctx context.Context, r engine.Request) (engine.Reply, error) {
	if err := d.limitMemory(ctx, r.Limits.Memory); err != nil {
		return engine.Reply{}, err
	}
	return d.answer(ctx, r)
}

func (d *DB) answer(ctx context.Context, r engine.Request) (engine.Reply, error) {
	if err := d.open(ctx, r.Tables); err != nil {
		return engine.Reply{}, err
	}
	columns, err := d.bind(ctx, r.SQL)
	if err != nil {
		return engine.Reply{}, err
	}
	take := "SELECT * FROM " + from(r.SQL)
	if r.Limits.Rows > 0 {
		take += fmt.Sprintf(" LIMIT %d", r.Limits.Rows+1) // one more tells a full answer from a cut one
	}
	if err := d.hold(ctx, take); err != nil {
		return engine.Reply{}, translate(err, r.SQL)
	}
	if r.Format == "parquet" {
		return d.exportParquet(ctx, r, columns)
	}
	return d.exportText(ctx, r, columns)
}

// reachable lists every path the SQL of a query may cause to be opened.
func (d *DB) reachable(tables []engine.Table) []string {
	paths := []string{filepath.Join(d.cfg.Out, engine.ResultFile)}
	for _, t := range tables {
		paths = append(paths, d.paths(t)...)
	}
	return paths
}

func (d *DB) exportParquet(ctx context.Context, r engine.Request, columns []dataset.Column) (engine.Reply, error) {
	cells, err := project(columns, nil)
	if err != nil {
		return engine.Reply{}, err
	}
	var held int64
	if err := d.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+ident(rowsTable)).Scan(&held); err != nil {
		return engine.Reply{}, err
	}
	rows := "SELECT " + selection(cells) + " FROM " + ident(rowsTable)
	reply := engine.Reply{Columns: stored(cells), Rows: held}
	if r.Limits.Rows > 0 && held > r.Limits.Rows {
		rows += fmt.Sprintf(" LIMIT %d", r.Limits.Rows)
		reply.Rows, reply.Truncated = r.Limits.Rows, true
	}
	w := writer{d: d, columns: reply.Columns, limit: r.Limits.Output}
	_, err = w.write(ctx, rows, engine.ResultFile)
	return reply, err
}

// exportText writes the rows held in rowsTable in one of the text formats.
func (d *DB) exportText(ctx context.Context, r engine.Request, columns []dataset.Column) (reply engine.Reply, err error) {
	file, err := os.Create(filepath.Join(d.cfg.Out, engine.ResultFile))
	if err != nil {
		return reply, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffered := bufio.NewWriterSize(file, 64<<10)
	out, err := newFormatter(r.Format, columns)
	if err != nil {
		return reply, err
	}
	reply.Columns = columns
	budget := &budget{w: buffered, left: r.Limits.Output, unbounded: r.Limits.Output <= 0}
	if err := d.format(ctx, budget, out, r.Limits.Rows, &reply); err != nil {
		return reply, err
	}
	return reply, buffered.Flush()
}

func (d *DB) format(ctx context.Context, w *budget, out formatter, limit int64, reply *engine.Reply) error {
	list := cellTexts(reply.Columns)
	started := false
	for from := int64(0); ; from += page {
		rows, err := d.page(ctx, list, len(reply.Columns), from)
		if err != nil {
			return err
		}
		if !started {
			started = true
			if err := w.must(out.head(rows)); err != nil {
				return err
			}
			w.reserve(len(out.tail()))
		}
		for _, row := range rows {
			if limit > 0 && reply.Rows == limit || !w.fits(out.row(row, reply.Rows)) {
				reply.Truncated = true
				break
			}
			reply.Rows++
		}
		if w.err != nil {
			return w.err
		}
		if reply.Truncated || len(rows) < page {
			return w.must(out.tail())
		}
	}
}

// page reads some rows of rowsTable as texts, nil for NULL.
func (d *DB) page(ctx context.Context, list string, width int, from int64) ([][]*string, error) {
	query := fmt.Sprintf("SELECT %s FROM %s WHERE rowid >= %d AND rowid < %d", list, ident(rowsTable), from, from+page)
	rows, err := d.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, translate(err, "")
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	var out [][]*string
	for rows.Next() {
		row := make([]*string, width)
		into := make([]any, width)
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// cellTexts is the SELECT list that turns every column into text. DuckDB writes
// the texts, so that decimals, times and nested values keep every digit.
func cellTexts(columns []dataset.Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		name := ident(c.Name)
		switch {
		case nested(c.Type) || c.Type == "VARIANT":
			list[i] = "to_json(" + name + ")::VARCHAR"
		case strings.HasPrefix(c.Type, "TIMESTAMP"):
			list[i] = rfc3339(name, c.Type)
		default:
			list[i] = name + "::VARCHAR"
		}
	}
	return strings.Join(list, ", ")
}

// rfc3339 writes an instant in UTC with as many decimals as it has, as DuckDB
// itself writes it but for the T and the Z. A timestamp without zone is UTC here,
// as every clock of a project is.
func rfc3339(name, typ string) string {
	plain := name + "::TIMESTAMP"
	if typ == "TIMESTAMP_NS" {
		plain = name
	}
	return "replace(" + plain + "::VARCHAR, ' ', 'T') || CASE WHEN isfinite(" + name + "::TIMESTAMP) THEN 'Z' ELSE '' END"
}

// budget writes whole pieces while they fit into a number of bytes.
type budget struct {
	w         io.Writer
	left      int64
	unbounded bool
	err       error // the first failed write
}

// fits writes a piece, or reports that there is no room for it.
func (b *budget) fits(piece []byte) bool {
	if !b.unbounded && int64(len(piece)) > b.left {
		return false
	}
	b.left -= int64(len(piece))
	_, b.err = b.w.Write(piece)
	return b.err == nil
}

// reserve keeps room for a piece that must be written later.
func (b *budget) reserve(n int) { b.left -= int64(n) }

// must writes a piece that the result is not valid without.
func (b *budget) must(piece []byte) error {
	if b.err == nil {
		_, b.err = b.w.Write(piece)
		b.left -= int64(len(piece))
	}
	return b.err
}
