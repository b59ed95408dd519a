package load

import (
	"encoding/binary"
	"io"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/load/flat"
)

// cell is one value on its way to a file and to the content hash: text and
// bytes in s, everything else in n.
type cell struct {
	s    string
	n    int64
	null bool
}

func textOrNull(s string) cell  { return cell{s: s, null: s == ""} }
func bytesOrNull(b []byte) cell { return cell{s: alias(b), null: b == nil} }
func number(n int64) cell       { return cell{n: n, null: n == absent} }

func truth(b bool) cell {
	if b {
		return cell{n: 1}
	}
	return cell{}
}

// alias views bytes that nobody changes any more as text.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// form is how a column is stored: its type in SQL and in Parquet.
type form struct {
	sql    string
	column flat.Column
}

func (f form) orNull() form {
	f.column.Null = true
	return f
}

// bounded keeps the least and greatest value of each row group for readers.
func (f form) bounded() form {
	f.column.Bounds = true
	return f
}

var (
	text     = form{"VARCHAR", flat.Column{Type: flat.Text}}
	word     = form{"VARCHAR", flat.Column{Type: flat.Text, Dict: true, Bounds: true}}
	json     = form{"JSON", flat.Column{Type: flat.JSON}}
	blob     = form{"BLOB", flat.Column{Type: flat.Blob}}
	instant  = form{"TIMESTAMP WITH TIME ZONE", flat.Column{Type: flat.Timestamp, Bounds: true}}
	integer  = form{"BIGINT", flat.Column{Type: flat.Int}}
	unsigned = form{"UBIGINT", flat.Column{Type: flat.Uint}}
	boolean  = form{"BOOLEAN", flat.Column{Type: flat.Bool, Bounds: true}}
)

func (f form) textual() bool { return f.column.Type <= flat.Blob }

// column is one column of a table whose rows are R.
type column[R any] struct {
	name string
	form form
	cell func(*R) cell
}

// table writes rows R as Parquet and hashes them. It keeps one writer's
// buffers for all its files; one goroutine uses it at a time.
type table[R any] struct {
	columns []column[R]
	writer  *flat.Writer
	buf     []byte
}

// rowGroupRows is how many rows are in memory as columns at once, and a
// reader's unit of skipping.
const rowGroupRows = 20_000

// createdBy is how files of this layout are told from an engine's. Files of
// one layout have the same columns, types and encodings.
//
// 1: first.
const createdBy = "reedbed version 1(build loader)"

func newTable[R any](columns []column[R]) *table[R] { return &table[R]{columns: columns} }

// file is the table's Parquet writer, made when it is first needed.
func (t *table[R]) file() (*flat.Writer, error) {
	if t.writer != nil {
		return t.writer, nil
	}
	columns := make([]flat.Column, len(t.columns))
	for i, c := range t.columns {
		columns[i] = c.form.column
		columns[i].Name = c.name
	}
	var err error
	t.writer, err = flat.NewWriter(columns, createdBy)
	return t.writer, err
}

func (t *table[R]) schema() []dataset.Column {
	out := make([]dataset.Column, len(t.columns))
	for i, c := range t.columns {
		out[i] = dataset.Column{Name: c.name, Type: c.form.sql}
	}
	return out
}

// write writes rows, in the order given, as one Parquet file.
func (t *table[R]) write(out io.Writer, rows []*R) error {
	w, err := t.file()
	if err != nil {
		return err
	}
	if err := w.Begin(out); err != nil {
		return err
	}
	for i, r := range rows {
		if err := t.writeRow(w, r); err != nil {
			return err
		}
		if (i+1)%rowGroupRows == 0 {
			if err := w.EndGroup(); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

func (t *table[R]) writeRow(w *flat.Writer, r *R) error {
	for i := range t.columns {
		c := &t.columns[i]
		switch v := c.cell(r); {
		case v.null:
			w.Absent(i)
		case c.form.textual():
			w.Text(i, v.s)
		default:
			w.Number(i, v.n)
		}
	}
	return w.EndRow()
}

// The seeds of the two hashes whose halves are the four lanes of a content
// hash: arbitrary and fixed for ever.
const (
	laneSeed1 = 0x9e3779b97f4a7c15
	laneSeed2 = 0xbf58476d1ce4e5b9
)

// hash is the content hash of one row: two seeded 128-bit xxh3 over all its
// columns, each written as a null flag and, unless null, eight bytes of number
// or of length before the text, so that no two rows share an encoding.
func (t *table[R]) hash(r *R) dataset.ContentHash {
	b := t.buf[:0]
	for i := range t.columns {
		c := &t.columns[i]
		v := c.cell(r)
		switch {
		case v.null:
			b = append(b, 0)
		case c.form.textual():
			b = append(b, 1)
			b = binary.LittleEndian.AppendUint64(b, uint64(len(v.s)))
			b = append(b, v.s...)
		default:
			b = append(b, 1)
			b = binary.LittleEndian.AppendUint64(b, uint64(v.n))
		}
	}
	t.buf = b
	first, second := xxh3.Hash128Seed(b, laneSeed1), xxh3.Hash128Seed(b, laneSeed2)
	return dataset.ContentHash{first.Hi, first.Lo, second.Hi, second.Lo}
}
