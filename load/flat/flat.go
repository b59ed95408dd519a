// Package flat writes Parquet files of flat tables, fast: rows are taken apart
// one by one while they are in the processor's cache, values are copied once,
// and all buffers are used again.
//
// It knows column types and bytes. It never knows what a row means, nor where
// a file goes. It writes a small part of the format (one level, zstd, data
// pages version 1); the encodings, the metadata's structure and the schema
// come from the Parquet library, whose reader is the oracle of the tests.
package flat

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Column is one column of a table.
type Column struct {
	Name string
	Type Type
	Null bool // values may be absent
	Dict bool // few distinct values in neighbouring rows; text only
	// Bounds keeps the least and greatest value of each row group, for readers
	// that look rows up by this column. Uint columns keep none.
	Bounds bool
}

// Type is what a column's values are.
type Type uint8

// The types. Text, JSON and Blob take text, the others numbers.
const (
	Text Type = iota
	JSON
	Blob
	Timestamp // microseconds since 1970, UTC
	Int
	Uint
	Bool // 0 or 1
)

func (t Type) textual() bool { return t <= Blob }

const (
	pageBytes = 1 << 20   // values of a page before compression, about
	dictBytes = 256 << 10 // a dictionary larger than this is given up
)

// Writer writes one file after the other with the same columns. One goroutine
// uses it at a time.
type Writer struct {
	columns   []Column
	schema    []format.SchemaElement
	createdBy string
	pack      packer

	chunks []chunk
	out    io.Writer
	at     int64 // bytes written
	rows   int64 // in the row group under way
	meta   format.FileMetaData
}

// NewWriter makes a writer; createdBy is noted in every file.
func NewWriter(columns []Column, createdBy string) (*Writer, error) {
	// One block after the other at the cheapest level: segments are young, and
	// compaction by the engine compresses better. A window of a page is enough
	// and keeps the encoder small.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(pageBytes), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	schema, err := schemaOf(columns)
	if err != nil {
		return nil, err
	}
	w := &Writer{columns: columns, schema: schema, createdBy: createdBy, pack: packer{encoder: encoder}, chunks: make([]chunk, len(columns))}
	for i := range w.chunks {
		w.chunks[i] = newChunk(columns[i])
	}
	return w, nil
}

var magic = []byte("PAR1")

// Begin starts a file. What an earlier file left unfinished is dropped.
func (w *Writer) Begin(out io.Writer) error {
	w.out, w.at, w.rows = out, 0, 0
	w.meta = format.FileMetaData{Version: 2, Schema: w.schema, CreatedBy: w.createdBy, RowGroups: w.meta.RowGroups[:0]}
	for i := range w.columns {
		w.chunks[i].reset()
		w.meta.ColumnOrders = append(w.meta.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	return w.put(magic)
}

// Text adds a value to column i of the row under way. s is copied.
func (w *Writer) Text(i int, s string) { w.chunks[i].text(s) }

// Number adds a value to column i of the row under way.
func (w *Writer) Number(i int, n int64) { w.chunks[i].number(n) }

// Absent adds no value to column i of the row under way.
func (w *Writer) Absent(i int) { w.chunks[i].absent() }

// EndRow ends a row, to every column of which one value was added.
func (w *Writer) EndRow() error {
	w.rows++
	for i := range w.chunks {
		if c := &w.chunks[i]; len(c.plain) >= pageBytes {
			if err := c.flush(&w.pack); err != nil {
				return err
			}
		}
	}
	return nil
}

// EndGroup ends a row group and writes it.
func (w *Writer) EndGroup() error {
	if w.rows == 0 {
		return nil
	}
	group := format.RowGroup{NumRows: w.rows, FileOffset: w.at, Ordinal: int16(len(w.meta.RowGroups))}
	for i := range w.chunks {
		c := &w.chunks[i]
		if err := c.finish(&w.pack); err != nil {
			return fmt.Errorf("encode column %s: %w", c.column.Name, err)
		}
		meta := c.metadata(w.at)
		group.Columns = append(group.Columns, format.ColumnChunk{MetaData: meta})
		group.TotalByteSize += meta.TotalUncompressedSize
		group.TotalCompressedSize += meta.TotalCompressedSize
		if err := w.put(c.dictPage); err != nil {
			return err
		}
		if err := w.put(c.pages); err != nil {
			return err
		}
		c.reset()
	}
	w.meta.RowGroups = append(w.meta.RowGroups, group)
	w.meta.NumRows += w.rows
	w.rows = 0
	return nil
}

// Close ends the last row group and the file. It does not close out.
func (w *Writer) Close() error {
	if err := w.EndGroup(); err != nil {
		return err
	}
	return w.footer()
}

func (w *Writer) footer() error {
	b, err := thrift.Marshal(new(thrift.CompactProtocol), &w.meta)
	if err != nil {
		return fmt.Errorf("encode the footer: %w", err)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(b)))
	return w.put(append(b, magic...))
}

func (w *Writer) put(b []byte) error {
	n, err := w.out.Write(b)
	w.at += int64(n)
	if err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}
