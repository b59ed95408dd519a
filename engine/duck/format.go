package duck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// formatter turns rows of texts into one format. Each call's bytes are valid
// until the next. head sees the first page of rows.
type formatter interface {
	head(rows [][]*string) []byte
	row(cells []*string, n int64) []byte // n rows went before
	tail() []byte
}

func newFormatter(name string, columns []dataset.Column) (formatter, error) {
	switch name {
	case "csv":
		return &csvFormat{columns: columns}, nil
	case "json":
		return newJSON(columns, "[", ",\n ", "]\n"), nil
	case "ndjson":
		return newJSON(columns, "", "\n", "\n"), nil
	case "table", "":
		return &tableFormat{columns: columns}, nil
	}
	return nil, &engine.SQLError{Message: fmt.Sprintf("there is no format %q", name), Hint: "use table, csv, json, ndjson or parquet"}
}

// kind is what a column's texts are in JSON.
type kind int

const (
	kindText   kind = iota
	kindBare        // numbers and booleans
	kindNested      // JSON already
)

func kindOf(c dataset.Column) kind {
	switch {
	case nested(c.Type), c.Type == "JSON", c.Type == "VARIANT":
		return kindNested
	case c.Type == "BOOLEAN", c.Type == "FLOAT", c.Type == "DOUBLE", strings.HasPrefix(c.Type, "DECIMAL("),
		strings.HasSuffix(c.Type, "INT"), c.Type == "INTEGER", c.Type == "UINTEGER":
		return kindBare
	}
	return kindText
}

// jsonFormat writes each row as an object, its keys in the order of the SELECT.
type jsonFormat struct {
	open, between, shut string

	keys  []string // `"name":` each
	kinds []kind
	buf   bytes.Buffer
	rows  bool // a row was written
}

func newJSON(columns []dataset.Column, open, between, shut string) *jsonFormat {
	f := &jsonFormat{open: open, between: between, shut: shut}
	for _, c := range columns {
		f.keys = append(f.keys, quoteJSON(c.Name)+":")
		f.kinds = append(f.kinds, kindOf(c))
	}
	return f
}

func (f *jsonFormat) head([][]*string) []byte { return []byte(f.open) }

func (f *jsonFormat) tail() []byte {
	if f.open == "" && !f.rows {
		return nil
	}
	return []byte(f.shut)
}

func (f *jsonFormat) row(cells []*string, n int64) []byte {
	f.rows = true
	f.buf.Reset()
	if n > 0 {
		f.buf.WriteString(f.between)
	}
	f.buf.WriteByte('{')
	for i, cell := range cells {
		if i > 0 {
			f.buf.WriteByte(',')
		}
		f.buf.WriteString(f.keys[i])
		f.value(f.kinds[i], cell)
	}
	f.buf.WriteByte('}')
	return f.buf.Bytes()
}

// value writes one cell. What claims to be a number or JSON and is not, such as
// NaN or damaged text from a file, becomes a string, so that the answer as a
// whole stays JSON.
func (f *jsonFormat) value(k kind, cell *string) {
	if cell == nil {
		f.buf.WriteString("null")
		return
	}
	if k != kindText {
		start := f.buf.Len()
		if json.Compact(&f.buf, []byte(*cell)) == nil {
			return
		}
		f.buf.Truncate(start)
	}
	f.buf.WriteString(quoteJSON(*cell))
}

func quoteJSON(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// csvFormat writes RFC 4180 with a header, but for the line ends: shells and
// scripts expect a bare line feed. NULL is an empty field, an empty
// string a quoted one.
type csvFormat struct {
	columns []dataset.Column
	buf     bytes.Buffer
}

func (f *csvFormat) head([][]*string) []byte {
	f.buf.Reset()
	for i, c := range f.columns {
		f.field(i, c.Name)
	}
	f.buf.WriteByte('\n')
	return f.buf.Bytes()
}

func (f *csvFormat) tail() []byte { return nil }

func (f *csvFormat) row(cells []*string, _ int64) []byte {
	f.buf.Reset()
	for i, cell := range cells {
		switch {
		case cell == nil && i > 0:
			f.buf.WriteByte(',')
		case cell == nil:
		case kindOf(f.columns[i]) == kindText:
			f.field(i, unarmed(*cell))
		default:
			f.field(i, *cell)
		}
	}
	f.buf.WriteByte('\n')
	return f.buf.Bytes()
}

func (f *csvFormat) field(i int, s string) {
	if i > 0 {
		f.buf.WriteByte(',')
	}
	if s != "" && !strings.ContainsAny(s, "\",\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' {
		f.buf.WriteString(s)
		return
	}
	f.buf.WriteByte('"')
	f.buf.WriteString(strings.ReplaceAll(s, `"`, `""`))
	f.buf.WriteByte('"')
}

// unarmed puts an apostrophe before a text that a spreadsheet would run as a
// formula. Anybody may send events, so any text in them may be such a trap.
func unarmed(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// tableFormat writes aligned columns for people. Widths come from the first
// page; a wider cell further down pushes its line out instead of being cut.
type tableFormat struct {
	columns []dataset.Column
	widths  []int
	buf     strings.Builder
}

func (f *tableFormat) head(rows [][]*string) []byte {
	f.widths = make([]int, len(f.columns))
	for i, c := range f.columns {
		f.widths[i] = runewidth.StringWidth(printable(c.Name))
	}
	for _, row := range rows {
		for i, cell := range row {
			f.widths[i] = max(f.widths[i], runewidth.StringWidth(shown(cell)))
		}
	}
	names := make([]*string, len(f.columns))
	rule := make([]*string, len(f.columns))
	for i := range f.columns {
		names[i] = &f.columns[i].Name
		rule[i] = new(strings.Repeat("-", f.widths[i]))
	}
	return append(f.row(names, 0), f.row(rule, 0)...)
}

func (f *tableFormat) tail() []byte { return nil }

func (f *tableFormat) row(cells []*string, _ int64) []byte {
	f.buf.Reset()
	for i, cell := range cells {
		if i > 0 {
			f.buf.WriteString("  ")
		}
		s := shown(cell)
		pad := strings.Repeat(" ", max(0, f.widths[i]-runewidth.StringWidth(s)))
		if kindOf(f.columns[i]) == kindBare {
			f.buf.WriteString(pad + s)
		} else {
			f.buf.WriteString(s + pad)
		}
	}
	return []byte(strings.TrimRight(f.buf.String(), " ") + "\n")
}

func shown(cell *string) string {
	if cell == nil {
		return "NULL"
	}
	return printable(*cell)
}

// printable writes control characters visibly: a text of an event must not be
// able to move the cursor of whoever looks at it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20:
			return 0x2400 + r // the pictures of the control characters
		case r == 0x7f:
			return 0x2421
		case r >= 0x80 && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return 0xfffd
		}
		return r
	}, s)
}
