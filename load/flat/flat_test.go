package flat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
)

// value is what a test puts into a column.
type value struct {
	absent bool
	text   string
	number int64
}

func drawColumns(t *rapid.T) []Column {
	columns := make([]Column, rapid.IntRange(1, 6).Draw(t, "columns"))
	for i := range columns {
		c := Column{
			Name: fmt.Sprintf("c%d", i), Type: Type(rapid.IntRange(int(Text), int(Bool)).Draw(t, "type")),
			Null: rapid.Bool().Draw(t, "null"), Bounds: rapid.Bool().Draw(t, "bounds"),
		}
		c.Dict = c.Type == Text && rapid.Bool().Draw(t, "dict")
		columns[i] = c
	}
	return columns
}

func drawValue(t *rapid.T, c Column) value {
	if c.Null && rapid.IntRange(0, 2).Draw(t, "absent") == 0 {
		return value{absent: true}
	}
	switch {
	case c.Type == Bool:
		return value{number: int64(rapid.IntRange(0, 1).Draw(t, "bool"))}
	case !c.Type.textual():
		return value{number: rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 9)).Draw(t, "number")}
	}
	word := rapid.SampledFrom([]string{"", "a", "b", "ab", "\x00\xff", "long"}).Draw(t, "word")
	if word == "long" { // these few fill a page, and end a dictionary
		word = string(bytes.Repeat([]byte{byte('a' + rapid.IntRange(0, 9).Draw(t, "letter"))}, rapid.SampledFrom([]int{300, 70_000}).Draw(t, "length")))
	}
	return value{text: word}
}

func add(w *Writer, i int, c Column, v value) {
	switch {
	case v.absent:
		w.Absent(i)
	case c.Type.textual():
		w.Text(i, v.text)
	default:
		w.Number(i, v.number)
	}
}

// What is written is what the Parquet library reads, whatever the columns and
// wherever row groups end, and the bounds hold.
func TestLibraryReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := drawColumns(t)
		w, err := NewWriter(columns, "test")
		if err != nil {
			t.Fatal(err)
		}
		var files []*parquet.File
		var all [][]value
		for range rapid.IntRange(1, 3).Draw(t, "files") {
			rows, data := drawFile(t, w, columns)
			f := open(t, data)
			check(t, f, columns, rows)
			files, all = append(files, f), append(all, rows...)
		}
		var joined bytes.Buffer
		if err := w.Join(&joined, files); err != nil {
			t.Fatal(err)
		}
		check(t, open(t, joined.Bytes()), columns, all)
	})
}

func drawFile(t *rapid.T, w *Writer, columns []Column) (rows [][]value, data []byte) {
	var out bytes.Buffer
	if err := w.Begin(&out); err != nil {
		t.Fatal(err)
	}
	for range rapid.IntRange(0, 40).Draw(t, "rows") {
		row := make([]value, len(columns))
		for i, c := range columns {
			row[i] = drawValue(t, c)
			add(w, i, c, row[i])
		}
		rows = append(rows, row)
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
		if rapid.IntRange(0, 9).Draw(t, "end group") == 0 {
			if err := w.EndGroup(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return rows, out.Bytes()
}

func open(t *rapid.T, data []byte) *parquet.File {
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func check(t *rapid.T, f *parquet.File, columns []Column, want [][]value) {
	if f.NumRows() != int64(len(want)) {
		t.Fatalf("%d rows, want %d", f.NumRows(), len(want))
	}
	at := 0
	for g, group := range f.RowGroups() {
		rows := group.Rows()
		buf := make([]parquet.Row, 7)
		for {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				for i, c := range columns {
					checkValue(t, f, g, c, row[i], want[at][i])
				}
				at++
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func checkValue(t *rapid.T, f *parquet.File, group int, c Column, got parquet.Value, want value) {
	if got.IsNull() != want.absent {
		t.Fatalf("%s: null is %v, want %v", c.Name, got.IsNull(), want.absent)
	}
	if want.absent {
		return
	}
	switch {
	case c.Type.textual():
		if string(got.ByteArray()) != want.text {
			t.Fatalf("%s: got %.20q, want %.20q", c.Name, got.ByteArray(), want.text)
		}
	case c.Type == Bool:
		if got.Boolean() != (want.number == 1) {
			t.Fatalf("%s: got %v, want %d", c.Name, got, want.number)
		}
	case got.Int64() != want.number:
		t.Fatalf("%s: got %d, want %d", c.Name, got.Int64(), want.number)
	}
	chunk := f.RowGroups()[group].ColumnChunks()[got.Column()].(*parquet.FileColumnChunk)
	least, most, ok := chunk.Bounds()
	kept := c.Bounds && c.Type != Uint
	// A chunk with an empty text has no least value on record.
	if ok && !kept || !ok && kept && !c.Type.textual() {
		t.Fatalf("%s: has bounds: %v", c.Name, ok)
	}
	if typ := chunk.Type(); ok && (typ.Compare(least, got) > 0 || typ.Compare(got, most) > 0) {
		t.Fatalf("%s: %v is outside its bounds %v and %v", c.Name, got, least, most)
	}
}

// A file that broke off half-way leaves nothing in the next one.
func TestBeginForgetsABrokenFile(t *testing.T) {
	w, err := NewWriter([]Column{{Name: "a", Dict: true, Null: true}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(io.Discard); err != nil {
		t.Fatal(err)
	}
	w.Text(0, "left over")
	if err := w.EndRow(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := w.Begin(&out); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRows() != 0 || len(f.RowGroups()) != 0 {
		t.Errorf("%d rows in %d row groups, want none", f.NumRows(), len(f.RowGroups()))
	}
}

// More values in a page than there is room for their levels before them.
func TestPageOfManyAbsentValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := []Column{{Name: "a", Null: true}}
		w, err := NewWriter(columns, "test")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := w.Begin(&out); err != nil {
			t.Fatal(err)
		}
		every := rapid.IntRange(2, 5).Draw(t, "every")
		rows := make([][]value, rapid.SampledFrom([]int{levelRoom, levelRoom*8 - 40, levelRoom * 8, levelRoom * 9}).Draw(t, "rows"))
		for i := range rows {
			rows[i] = []value{{absent: i%every > 0}}
			if i%every == 0 {
				rows[i][0].text = "x"
			}
			add(w, 0, columns[0], rows[i][0])
			if err := w.EndRow(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, open(t, out.Bytes()), columns, rows)
	})
}
