// Package importer turns files people have into batches of events: lines of
// JSON, CSV, web server logs and Segment payloads, mapped where names differ.
//
// It knows formats and how a record becomes an event. It never opens the
// journal, never judges more than the decoder of the protocol does, and never
// drops a line: what does not decode goes on as a refused item, whole.
package importer

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

const (
	// batchItems and batchBytes bound one batch, which is one journal record.
	batchItems = 1000
	batchBytes = 1 << 20
)

// Options of one file's import.
type Options struct {
	Format  string   // ndjson, csv, combined or segment
	Mapping *Mapping // nil: records are native events already (ndjson), or all properties
	// Skip is how many lines an earlier import of the same file sent: they are
	// read, so that derived ids come out the same, and not sent.
	Skip int64
	// KeepIP is the source's policy for addresses found in records.
	KeepIP func(string) string
	// Send delivers a batch and returns when it is durable.
	Send func(context.Context, *event.Batch) error
	// Sent is called after each delivered batch with the bytes and lines of the
	// file that are done; nil: nobody asks.
	Sent func(offset, lines int64) error
}

// Result counts an import.
type Result struct {
	Lines   int64 // records of the file, empty lines apart
	Sent    int64 // events and refused records delivered
	Refused int64 // of these, records that do not decode
	Bytes   int64
}

// record is one record of a file: native or Segment JSON, or why it is none.
type record struct {
	raw     []byte // the event, or the original bytes when refused
	refusal event.Refusal
}

// format reads the records of one file.
type format interface {
	// next returns the next record's original bytes, valid until the call after.
	// io.EOF ends the file.
	next() (original []byte, err error)
	// events makes events of the record read last. id is what to use for an
	// event that has none.
	events(id string) []record
	// offset is the position in the file after the record read last.
	offset() int64
}

// Formats lists the names of the formats.
func Formats() []string { return []string{"ndjson", "csv", "combined", "segment"} }

func open(r io.Reader, o Options) (format, string, error) {
	switch o.Format {
	case "ndjson":
		return &ndjson{lines: newLines(r), mapping: o.Mapping}, protocol.Native, nil
	case "csv":
		f, err := newCSV(r, o.Mapping)
		return f, protocol.Native, err
	case "combined":
		return &combined{lines: newLines(r), keepIP: o.KeepIP}, protocol.Native, nil
	case "segment":
		return &segment{lines: newLines(r)}, protocol.Segment, nil
	}
	return nil, "", fmt.Errorf("format %q is not one of ndjson, csv, combined, segment", o.Format)
}

// File imports one file. Memory is bounded by one batch, plus 24 bytes for
// every distinct record, which tell the n-th of equal records from the first.
func File(ctx context.Context, r io.Reader, o Options) (Result, error) {
	f, protocolName, err := open(r, o)
	if err != nil {
		return Result{}, err
	}
	i := importing{o: o, format: f, protocol: protocolName, seen: map[uint64]uint32{}}
	p, _ := protocol.ByName(protocolName)
	i.decoder = protocol.NewDecoder(p, protocol.Limits{})
	for {
		original, err := f.next()
		if err == io.EOF { //nolint:errorlint // readers return io.EOF itself
			break
		}
		if err != nil {
			return i.result, fmt.Errorf("record %d: %w", i.result.Lines+1, err)
		}
		if err := i.add(ctx, original); err != nil {
			return i.result, err
		}
	}
	return i.result, i.flush(ctx)
}

// importing is one File at work.
type importing struct {
	o        Options
	format   format
	protocol string
	decoder  *protocol.Decoder
	seen     map[uint64]uint32
	result   Result

	items []event.Item
	bytes int
}

func (i *importing) add(ctx context.Context, original []byte) error {
	i.result.Lines++
	i.result.Bytes = i.format.offset()
	id := i.derivedID(original)
	if i.result.Lines <= i.o.Skip {
		return nil
	}
	i.decoder.Begin(nil)
	for _, r := range i.format.events(id) {
		if r.refusal == (event.Refusal{}) {
			if _, err := i.decoder.Decode(r.raw); err != nil {
				r.refusal = refusalOf(err)
			}
		}
		i.items = append(i.items, event.Item{Raw: r.raw, Refusal: r.refusal})
		i.bytes += len(r.raw)
	}
	if len(i.items) < batchItems && i.bytes < batchBytes {
		return nil
	}
	return i.flush(ctx)
}

// flush delivers what has gathered. A crash after it repeats nothing that is
// not removed as a duplicate: ids depend on the file alone.
func (i *importing) flush(ctx context.Context) error {
	if len(i.items) > 0 {
		b := &event.Batch{Protocol: i.protocol, Historical: true, Items: i.items}
		if err := i.o.Send(ctx, b); err != nil {
			return err
		}
		for _, item := range i.items {
			i.result.Sent++
			if item.Refusal != (event.Refusal{}) {
				i.result.Refused++
			}
		}
		i.items, i.bytes = nil, 0
	}
	if i.o.Sent == nil {
		return nil
	}
	return i.o.Sent(i.result.Bytes, i.result.Lines)
}

// derivedID is the id of a record that has none: its bytes, and how many equal
// records of the file came before it. Importing the file again gives the same.
func (i *importing) derivedID(original []byte) string {
	sum := xxh3.Hash128(original)
	nth := i.seen[sum.Lo]
	i.seen[sum.Lo]++
	var b [20]byte
	binary.BigEndian.PutUint64(b[:], sum.Hi)
	binary.BigEndian.PutUint64(b[8:], sum.Lo)
	binary.BigEndian.PutUint32(b[16:], nth)
	return "i_" + hex.EncodeToString(b[:])
}

func refusalOf(err error) event.Refusal {
	if r, ok := err.(event.Refusal); ok { //nolint:errorlint // decoders return it unwrapped
		return r
	}
	return event.Refusal{Code: "undecodable", Reason: err.Error()}
}
