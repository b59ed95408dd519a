package flat

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Join writes the row groups of files that this writer's like wrote, in order,
// as one file. It copies bytes and shifts offsets; nothing is decoded.
func (w *Writer) Join(out io.Writer, files []*parquet.File) error {
	if err := w.Begin(out); err != nil {
		return err
	}
	for i, f := range files {
		if !w.Joins(f) {
			return fmt.Errorf("file %d of %d to join has other columns or another writer", i+1, len(files))
		}
		if err := w.copyGroups(f); err != nil {
			return err
		}
	}
	return w.footer()
}

// Joins reports whether f was written by a writer like this one.
func (w *Writer) Joins(f *parquet.File) bool {
	m := f.Metadata()
	return m.CreatedBy == w.createdBy && len(m.Schema) == len(w.schema)
}

func (w *Writer) copyGroups(f *parquet.File) error {
	m := f.Metadata()
	for _, g := range m.RowGroups {
		begins := g.Columns[0].MetaData.DataPageOffset
		if at := g.Columns[0].MetaData.DictionaryPageOffset; at > 0 {
			begins = at
		}
		shift := w.at - begins
		n, err := io.Copy(w.out, io.NewSectionReader(f, begins, g.TotalCompressedSize))
		w.at += n
		if err != nil {
			return fmt.Errorf("copy a row group: %w", err)
		}
		w.meta.RowGroups = append(w.meta.RowGroups, shifted(g, shift, len(w.meta.RowGroups)))
		w.meta.NumRows += g.NumRows
	}
	return nil
}

// shifted is the description of a row group that was moved.
func shifted(g format.RowGroup, by int64, ordinal int) format.RowGroup {
	columns := g.Columns
	g.Columns = make([]format.ColumnChunk, len(columns))
	g.FileOffset += by
	g.Ordinal = int16(ordinal)
	for i, c := range columns {
		c.MetaData.DataPageOffset += by
		if c.MetaData.DictionaryPageOffset > 0 {
			c.MetaData.DictionaryPageOffset += by
		}
		g.Columns[i] = c
	}
	return g
}
