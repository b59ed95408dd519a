// Package scan takes fingerprints of Parquet files. It reads the pages of one
// column after the other as they are stored: what a page says with a dictionary
// is counted by its entries. That costs a tenth of what the file cost to make,
// and next to nothing for a small one, where SQL of as many aggregates takes
// longer to plan than to run.
//
// It knows files and their columns. What is not in them, such as rejected rows
// or the measures of a stage, others add.
package scan

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/reedbed/reedbed/fingerprint"
)

// Options say what to look for beside what every fingerprint has.
type Options struct {
	// Start and End bound the partition in time.
	Start, End time.Time
	// Categories are columns whose entropy and most frequent values are of interest.
	// What is no column, or has nested values or bytes, is passed over.
	Categories []string
	// Received is the column with the time a row was received, "" if there is none.
	Received string
}

// Files takes the fingerprint of the rows of all files together. Rows of a file
// that lacks a column of the others read NULL. A column that has kinds of values
// that differ is of kind Other.
func Files(paths []string, o Options) (f *fingerprint.Fingerprint, err error) {
	f = &fingerprint.Fingerprint{Start: o.Start, End: o.End}
	var files []*parquet.File
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close() // opened for reading
		p, bytes, err := open(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		f.Rows += p.NumRows()
		f.Bytes += bytes
		files = append(files, p)
	}
	f.Together = f.Rows
	var room scratch
	for _, parts := range columns(files) {
		c := newColumn(parts, f.Rows, o, &room)
		if err := c.read(parts); err != nil {
			return nil, fmt.Errorf("take the fingerprint of the column %q: %w", c.out.Name, err)
		}
		f.Columns = append(f.Columns, c.finish())
		if c.late != nil {
			f.Late = c.late
		}
	}
	return f, nil
}

func open(file *os.File) (*parquet.File, int64, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	p, err := parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.SkipMagicBytes(true))
	return p, info.Size(), err
}

// part is a column in one file.
type part struct {
	file   *parquet.File
	column *parquet.Column
}

// columns are those of all files by name, which is their order, and in each the
// files that have it. Names that differ in case only are one to DuckDB.
func columns(files []*parquet.File) (out [][]part) {
	byName := map[string]int{}
	for _, file := range files {
		for _, c := range file.Root().Columns() {
			name := strings.ToLower(c.Name())
			i, ok := byName[name]
			if !ok {
				i = len(out)
				byName[name], out = i, append(out, nil)
			}
			out[i] = append(out[i], part{file, c})
		}
	}
	slices.SortFunc(out, func(a, b []part) int { return cmp.Compare(a[0].column.Name(), b[0].column.Name()) })
	return out
}

// read goes through the pages of a column in all files.
func (c *column) read(parts []part) error {
	for _, p := range parts {
		leaf := p.column
		for !leaf.Leaf() {
			leaf = leaf.Columns()[0] // a row that has no value has none in any part of it
		}
		c.nested = leaf != p.column || leaf.Repeated()
		_, c.decode = reading(p.column)
		for _, group := range p.file.RowGroups() {
			if err := c.chunk(group.ColumnChunks()[leaf.Index()]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *column) chunk(chunk parquet.ColumnChunk) (err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	c.dictionary = nil
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		c.page(page)
		parquet.Release(page)
	}
}
