package importer

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/reedbed/reedbed/event"
)

// csvFile is comma-separated values (RFC 4180) under a line of names.
//
// It reads by itself because what does not decode must be kept as it was
// written, and because one quote too many must cost one line, not all that
// follow.
type csvFile struct {
	lines
	mapping *Mapping
	names   []string
	row     csvRow
	raw     []byte // the record as in the file, without its end
	problem string // why the record is none
	key     []byte
}

func newCSV(r io.Reader, m *Mapping) (*csvFile, error) {
	if m == nil {
		m = &Mapping{Constants: map[string]string{"name": "Row"}}
	}
	f := &csvFile{lines: newLines(r), mapping: m}
	_, err := f.next()
	if err == io.EOF { //nolint:errorlint // readers return io.EOF itself
		return f, nil
	}
	if err == nil && (f.cut || f.problem != "") {
		err = &Problem{What: "the first line does not name the columns: " + f.problem, Line: 1, Fix: "begin the file with a line of column names"}
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, v := range f.row.values {
		name := text(v)
		if seen[name] {
			return nil, &Problem{What: fmt.Sprintf("the first line names the column %q twice", name), Line: 1, Fix: "rename one of them"}
		}
		seen[name] = true
		f.names = append(f.names, name)
	}
	return f, nil
}

// next reads one record. Its original is its values with their lengths, so
// that it does not matter how they are quoted.
func (f *csvFile) next() ([]byte, error) {
	for {
		if err := f.lines.next(); err != nil {
			return nil, err
		}
		if f.cut || len(trimEnd(f.line)) > 0 {
			break
		}
	}
	f.raw, f.problem = append(f.raw[:0], f.line...), ""
	if f.cut {
		return f.raw, nil
	}
	first := len(f.raw)
	f.row.begin()
	f.row.feed(f.line)
	for f.row.open() && len(f.raw) < maxLine {
		err := f.lines.next()
		if err == io.EOF { //nolint:errorlint // readers return io.EOF itself
			break
		}
		if err != nil {
			return nil, err
		}
		f.raw = append(f.raw, f.line...)
		if f.cut {
			break
		}
		f.row.feed(f.line)
	}
	f.judge(first)
	f.raw = trimEnd(f.raw)
	return f.original(), nil
}

// judge gives back all lines but the first if the record is broken: a quote
// that was opened by mistake swallows nothing.
func (f *csvFile) judge(first int) {
	f.problem = f.row.problem
	switch {
	case f.problem != "":
	case f.row.open():
		f.problem = "a quoted value does not end"
	case f.names != nil && len(f.row.values) != len(f.names):
		f.problem = fmt.Sprintf("the record has %d values, the first line names %d columns", len(f.row.values), len(f.names))
		return
	default:
		return
	}
	if first < len(f.raw) && !f.cut {
		f.unread(f.raw[first:])
		f.raw = f.raw[:first]
	}
}

func (f *csvFile) original() []byte {
	if f.problem != "" {
		return f.raw
	}
	f.key = f.key[:0]
	for _, v := range f.row.values {
		f.key = strconv.AppendInt(f.key, int64(len(v)), 10)
		f.key = append(append(f.key, ':'), v...)
	}
	return f.key
}

func (f *csvFile) events(id func() string) ([]byte, []event.Item) {
	if f.problem != "" {
		return nil, refused(bytes.Clone(f.raw), "bad_csv", f.problem)
	}
	rec := map[string]any{}
	for i, v := range f.row.values {
		rec[f.names[i]] = text(v)
	}
	return nil, []event.Item{{Raw: f.mapping.apply(rec, id)}}
}

// csvRow takes one record apart, line by line.
type csvRow struct {
	values  [][]byte
	state   csvState
	problem string
}

type csvState int

const (
	csvStart  csvState = iota // of a value
	csvPlain                  // in a value without quotes
	csvQuoted                 // in a quoted value
	csvQuote                  // behind a quote in a quoted value: its end, or half of a quote
)

func (r *csvRow) begin() {
	r.values, r.state, r.problem = append(r.values[:0], nil), csvStart, ""
}

// open reports that the record goes on with the next line.
func (r *csvRow) open() bool { return r.state == csvQuoted && r.problem == "" }

// feed reads one line with its end.
func (r *csvRow) feed(line []byte) {
	content := trimEnd(line)
	for i := 0; i < len(content) && r.problem == ""; i++ {
		r.step(content[i], i)
	}
	if r.state == csvQuoted {
		r.add(line[len(content):]...)
	}
}

func (r *csvRow) step(c byte, at int) {
	switch {
	case c == ',' && r.state != csvQuoted:
		r.values, r.state = append(r.values, nil), csvStart
	case c == '"' && r.state == csvStart:
		r.state = csvQuoted
	case c == '"' && r.state == csvQuoted:
		r.state = csvQuote
	case c == '"' && r.state == csvQuote:
		r.add(c)
		r.state = csvQuoted
	case c == '"':
		r.problem = fmt.Sprintf("there is a quote within the value without quotes at byte %d", at)
	case r.state == csvQuote:
		r.problem = fmt.Sprintf("the value goes on behind its closing quote at byte %d", at)
	case r.state == csvStart:
		r.state = csvPlain
		r.add(c)
	default:
		r.add(c)
	}
}

func (r *csvRow) add(c ...byte) {
	last := len(r.values) - 1
	r.values[last] = append(r.values[last], c...)
}
