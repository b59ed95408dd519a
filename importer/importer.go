// Package importer turns files people have into batches of events: lines of
// JSON, CSV, web server logs and Segment payloads, mapped where names differ.
//
// It knows formats and how a record becomes an event. It never opens the
// journal, never judges more than the decoder of the protocol does, and never
// drops a record: what does not decode goes on as a refused item, whole.
package importer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

const (
	// batchItems and batchBytes bound one batch, which is one journal record;
	// one file's record may exceed them on its own.
	batchItems = 1000
	batchBytes = 1 << 20
)

// Options of one file's import.
type Options struct {
	Format  string   // one of Formats
	Mapping *Mapping // nil: records are native events already (ndjson), or rows (csv)
	// Limits are those of the front door and the loader; zero takes defaults.
	Limits protocol.Limits
	// Skip is how many records an earlier import of the same file sent: they are
	// read, so that derived ids come out the same, and not sent.
	Skip int64
	// KeepIP is the source's policy for addresses found in logs; nil keeps all.
	KeepIP func(string) string
	// Send delivers a batch and returns when it is durable.
	Send func(context.Context, *event.Batch) error
	// Sent is called after each delivered batch with the bytes and records of
	// the file that are done; nil: nobody asks.
	Sent func(offset, records int64) error
}

// Result counts an import.
type Result struct {
	Records int64 // of the file
	Sent    int64 // events and refused records delivered
	Refused int64 // of these, records that do not decode
	Bytes   int64 // of the file, after expansion
}

// Problem is why a file or a mapping cannot be imported at all.
type Problem struct {
	What string
	Line int // 0: unknown
	Fix  string
}

func (p *Problem) Error() string { return p.What }

// format reads the records of one file.
type format interface {
	// next returns the next record's original bytes, valid until the call after.
	// io.EOF ends the file.
	next() (original []byte, err error)
	// tooLong says that these are a piece of a line that is too long to read.
	tooLong() bool
	// events makes items of the record read last, and the fields they share. id
	// gives an id to an event that has none.
	events(id func() string) (shared []byte, items []event.Item)
	// offset is the position in the file after the record read last.
	offset() int64
}

// Formats lists the names of the formats.
func Formats() []string { return []string{"ndjson", "csv", "combined", "segment"} }

func open(r io.Reader, o Options) (format, protocol.Protocol, error) {
	native, _ := protocol.ByName(protocol.Native)
	switch o.Format {
	case "ndjson":
		return newNDJSON(r, o.Mapping), native, nil
	case "csv":
		f, err := newCSV(r, o.Mapping)
		return f, native, err
	case "combined":
		return newCombined(r, o.KeepIP), native, nil
	case "segment":
		p, _ := protocol.ByName(protocol.Segment)
		return newSegment(r, protocol.NewDecoder(p, o.Limits)), p, nil
	}
	return nil, native, fmt.Errorf("format %q is not one of %q", o.Format, Formats())
}

// File imports one file. Memory is bounded by one batch and one record, plus
// some 40 bytes for every distinct record without an id, which tell the n-th of
// equal records from the first.
//
// When reading fails, what was read before is delivered first.
func File(ctx context.Context, r io.Reader, o Options) (Result, error) {
	f, p, err := open(r, o)
	if err != nil {
		return Result{}, err
	}
	i := importing{o: o, format: f, protocol: p.Name, decoder: protocol.NewDecoder(p, o.Limits), seen: map[uint64]uint32{}}
	for {
		original, err := f.next()
		if err == io.EOF { //nolint:errorlint // readers return io.EOF itself
			return i.result, i.flush(ctx)
		}
		if err != nil {
			if sendErr := i.flush(ctx); sendErr != nil {
				return i.result, sendErr
			}
			return i.result, fmt.Errorf("after record %d: %w", i.result.Records, err)
		}
		if err := i.add(ctx, original); err != nil {
			return i.result, err
		}
	}
}

// importing is one File at work.
type importing struct {
	o        Options
	format   format
	protocol string
	decoder  *protocol.Decoder
	seen     map[uint64]uint32
	result   Result

	// The batch that gathers.
	shared []byte
	items  []event.Item
	bytes  int
}

// add puts the items of the record read last into a batch, all into one.
func (i *importing) add(ctx context.Context, original []byte) error {
	shared, items := i.read(original)
	if i.result.Records >= i.o.Skip && len(items) > 0 {
		size := 0
		for _, item := range items {
			size += len(item.Raw)
		}
		full := len(i.items)+len(items) > batchItems || i.bytes+size > batchBytes
		if len(i.items) > 0 && (full || !bytes.Equal(shared, i.shared)) {
			if err := i.flush(ctx); err != nil {
				return err
			}
		}
		i.shared, i.items, i.bytes = shared, append(i.items, items...), i.bytes+size
	}
	i.result.Records++
	i.result.Bytes = i.format.offset()
	return nil
}

// read makes items of the record read last, with the decoder's verdict on each.
func (i *importing) read(original []byte) (shared []byte, items []event.Item) {
	if i.format.tooLong() {
		return nil, refused(bytes.Clone(original), "line_too_long", fmt.Sprintf("a piece of a line of more than %d bytes", maxLine))
	}
	nth := 0
	id := ""
	shared, items = i.format.events(func() string {
		if id == "" {
			id = i.derivedID(original)
		}
		if nth++; nth > 1 {
			return id + "_" + strconv.Itoa(nth)
		}
		return id
	})
	i.decoder.Begin(shared)
	for n := range items {
		item := &items[n]
		if item.Refusal != (event.Refusal{}) {
			continue
		}
		// What is refused keeps the id it was given: when it decodes one day it is
		// the event that importing the file again would give.
		if _, err := i.decoder.Decode(item.Raw); err != nil {
			item.Refusal = refusalOf(err)
		}
	}
	return shared, items
}

// flush delivers what has gathered. A crash after it repeats nothing that is
// not removed as a duplicate: ids depend on the file alone.
func (i *importing) flush(ctx context.Context) error {
	if len(i.items) == 0 {
		return nil
	}
	b := &event.Batch{Protocol: i.protocol, Historical: true, Shared: i.shared, Items: i.items}
	if err := i.o.Send(ctx, b); err != nil {
		return err
	}
	for _, item := range i.items {
		i.result.Sent++
		if item.Refusal != (event.Refusal{}) {
			i.result.Refused++
		}
	}
	i.shared, i.items, i.bytes = nil, nil, 0
	if i.o.Sent == nil {
		return nil
	}
	return i.o.Sent(i.result.Bytes, i.result.Records)
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
