package load

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/dataset"
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

// form is how a column is stored: its type in SQL, the tag that makes the
// Parquet schema, and which of a cell's fields it takes.
type form struct {
	sql   string
	tag   string
	goes  reflect.Type
	kind  parquet.Kind
	null  bool
	dense bool // no bounds in the page index: nobody looks rows up by this
}

func (f form) orNull() form {
	f.null = true
	return f
}

var (
	text     = form{sql: "VARCHAR", goes: reflect.TypeFor[string](), kind: parquet.ByteArray, dense: true}
	name     = form{sql: "VARCHAR", goes: reflect.TypeFor[string](), kind: parquet.ByteArray}
	word     = form{sql: "VARCHAR", tag: ",dict", goes: reflect.TypeFor[string](), kind: parquet.ByteArray}
	json     = form{sql: "JSON", tag: ",json", goes: reflect.TypeFor[string](), kind: parquet.ByteArray, dense: true}
	blob     = form{sql: "BLOB", goes: reflect.TypeFor[[]byte](), kind: parquet.ByteArray, dense: true}
	instant  = form{sql: "TIMESTAMP WITH TIME ZONE", tag: ",timestamp(microsecond:utc),delta", goes: reflect.TypeFor[int64](), kind: parquet.Int64}
	integer  = form{sql: "BIGINT", tag: ",delta", goes: reflect.TypeFor[int64](), kind: parquet.Int64}
	unsigned = form{sql: "UBIGINT", goes: reflect.TypeFor[uint64](), kind: parquet.Int64, dense: true}
	boolean  = form{sql: "BOOLEAN", goes: reflect.TypeFor[bool](), kind: parquet.Boolean}
)

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
	writer  *parquet.Writer
	values  []parquet.Value
	buf     []byte
}

const (
	rowGroupRows = 20_000 // rows in memory at once as columns, and a reader's unit of skipping
	chunkRows    = 500    // rows whose columns are taken apart while they are in the processor's cache
	pageBytes    = 1 << 20
	wordsBytes   = 256 << 10 // a dictionary larger than this is worth nothing
)

func newTable[R any](columns []column[R]) *table[R] {
	return &table[R]{columns: columns, values: make([]parquet.Value, 0, chunkRows)}
}

// options are how the table's files are written.
func (t *table[R]) options() []parquet.WriterOption {
	options := []parquet.WriterOption{
		parquet.SchemaOf(reflect.New(t.shape()).Interface()),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.PageBufferSize(pageBytes),
		parquet.DictionaryMaxBytes(wordsBytes),
		parquet.MaxRowsPerRowGroup(rowGroupRows),
		parquet.CreatedBy("reedbed", layout, "loader"),
	}
	for _, c := range t.columns {
		if c.form.dense {
			options = append(options, parquet.SkipPageBounds(c.name))
		}
	}
	return options
}

// layout is the version of how the tables are laid out in Parquet. Files of
// one layout have the same columns, types and encodings.
//
// 1: first.
const layout = "1"

// createdBy is how files of this layout are told from others.
func createdBy() string { return "reedbed version " + layout + "(build loader)" }

// shape is the struct type that gives the Parquet library the schema with the
// columns in our order.
func (t *table[R]) shape() reflect.Type {
	fields := make([]reflect.StructField, len(t.columns))
	for i, c := range t.columns {
		tag := c.name + c.form.tag
		if c.form.null {
			tag += ",optional"
		}
		fields[i] = reflect.StructField{
			Name: fmt.Sprintf("C%02d", i),
			Type: c.form.goes,
			Tag:  reflect.StructTag(fmt.Sprintf("parquet:%q", tag)),
		}
	}
	return reflect.StructOf(fields)
}

func (t *table[R]) schema() []dataset.Column {
	out := make([]dataset.Column, len(t.columns))
	for i, c := range t.columns {
		out[i] = dataset.Column{Name: c.name, Type: c.form.sql}
	}
	return out
}

// write writes rows, in the order given, as one Parquet file.
func (t *table[R]) write(w io.Writer, rows []*R) error {
	if t.writer == nil {
		t.writer = parquet.NewWriter(w, t.options()...)
	}
	t.writer.Reset(w)
	for len(rows) > 0 {
		n := min(len(rows), rowGroupRows)
		if err := t.writeGroup(rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	if err := t.writer.Close(); err != nil {
		return fmt.Errorf("finish the Parquet file: %w", err)
	}
	return nil
}

func (t *table[R]) writeGroup(rows []*R) error {
	writers := t.writer.ColumnWriters()
	for from := 0; from < len(rows); from += chunkRows {
		chunk := rows[from:min(from+chunkRows, len(rows))]
		for i := range t.columns {
			t.gather(i, chunk)
			if _, err := writers[i].WriteRowValues(t.values); err != nil {
				return fmt.Errorf("write Parquet column %s: %w", t.columns[i].name, err)
			}
		}
	}
	if err := t.writer.Flush(); err != nil {
		return fmt.Errorf("write Parquet row group: %w", err)
	}
	return nil
}

// gather puts one column of rows into t.values.
func (t *table[R]) gather(i int, rows []*R) {
	c := &t.columns[i]
	level := 0
	if c.form.null {
		level = 1
	}
	t.values = t.values[:len(rows)]
	null := parquet.NullValue().Level(0, 0, i)
	for at, r := range rows {
		if v := c.cell(r); v.null {
			t.values[at] = null
		} else {
			t.values[at] = c.form.value(v).Level(0, level, i)
		}
	}
}

func (f *form) value(v cell) parquet.Value {
	switch f.kind {
	case parquet.ByteArray:
		return parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(v.s), len(v.s)))
	case parquet.Boolean:
		return parquet.BooleanValue(v.n != 0)
	}
	return parquet.Int64Value(v.n)
}

// The seeds of the four lanes of a content hash: arbitrary and fixed for ever.
var laneSeeds = dataset.ContentHash{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93}

// hash is the content hash of one row: each lane is a seeded xxh3 over all its
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
		case c.form.kind == parquet.ByteArray:
			b = append(b, 1)
			b = binary.LittleEndian.AppendUint64(b, uint64(len(v.s)))
			b = append(b, v.s...)
		default:
			b = append(b, 1)
			b = binary.LittleEndian.AppendUint64(b, uint64(v.n))
		}
	}
	t.buf = b
	var h dataset.ContentHash
	for i, seed := range laneSeeds {
		h[i] = xxh3.HashSeed(b, seed)
	}
	return h
}
