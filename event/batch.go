package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"
)

// batchVersion is the first byte of an encoded batch. docs/format/batch.md is
// the byte table; a reader refuses versions it does not know.
const batchVersion = 2

const flagHistorical = 1

// EncodeBatch appends the encoded batch to dst. ReceivedAt is kept to the
// microsecond.
func EncodeBatch(dst []byte, b *Batch) []byte {
	var flags byte
	if b.Historical {
		flags |= flagHistorical
	}
	dst = append(dst, batchVersion, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(b.ReceivedAt.UnixMicro()))
	for _, s := range []string{b.Source, b.Protocol, b.ClientIP, b.UserAgent} {
		dst = appendText(dst, s)
	}
	dst = appendBytes(dst, b.Shared)
	dst = binary.AppendUvarint(dst, uint64(len(b.Items)))
	for i := range b.Items {
		dst = appendItem(dst, &b.Items[i])
	}
	return dst
}

// appendItem writes the verdict's code first: an empty code is an accepted
// item, which has an outline instead of a reason.
func appendItem(dst []byte, item *Item) []byte {
	dst = appendText(dst, item.Refusal.Code)
	if item.Refusal.Code != "" {
		dst = appendText(dst, item.Refusal.Reason)
	} else {
		dst = appendBytes(dst, item.Outline)
	}
	return appendBytes(dst, item.Raw)
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendBytes(dst, p []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p)))
	return append(dst, p...)
}

// ErrBatch says that bytes are no batch this program can read.
var ErrBatch = errors.New("not an event batch this version can read")

// DecodeBatch reads an encoded batch. All its text and bytes alias p, so p must
// live, unchanged, as long as the batch does. Empty text decodes as "" and
// empty bytes as nil.
func DecodeBatch(p []byte) (Batch, error) {
	d := batchDecoder{rest: p, size: len(p)}
	var b Batch
	if v := d.byte(); v != batchVersion && !d.failed {
		return Batch{}, fmt.Errorf("%w: version %d, this program knows %d", ErrBatch, v, batchVersion)
	}
	flags := d.byte()
	b.Historical = flags&flagHistorical != 0
	b.ReceivedAt = time.UnixMicro(int64(d.uint64())).UTC()
	for _, s := range []*string{&b.Source, &b.Protocol, &b.ClientIP, &b.UserAgent} {
		*s = d.text()
	}
	b.Shared = d.bytes()
	b.Items = d.items()
	switch {
	case d.failed:
		return Batch{}, fmt.Errorf("%w: it ends or breaks at byte %d of %d", ErrBatch, d.size-len(d.rest), d.size)
	case flags&^flagHistorical != 0:
		return Batch{}, fmt.Errorf("%w: unknown flags %#x", ErrBatch, flags)
	case len(d.rest) > 0:
		return Batch{}, fmt.Errorf("%w: %d bytes follow its end", ErrBatch, len(d.rest))
	}
	return b, nil
}

// batchDecoder reads from the front of rest. After the first failure every
// read returns a zero value.
type batchDecoder struct {
	rest   []byte
	size   int
	failed bool
}

func (d *batchDecoder) items() []Item {
	n := d.uvarint()
	// An item takes three bytes at least, so that a wrong count cannot make us
	// allocate beyond a multiple of the input.
	if n > uint64(len(d.rest)/3) {
		d.failed = true
	}
	if d.failed || n == 0 {
		return nil
	}
	items := make([]Item, n)
	for i := range items {
		item := &items[i]
		if item.Refusal.Code = d.text(); item.Refusal.Code != "" {
			item.Refusal.Reason = d.text()
		} else {
			item.Outline = d.bytes()
		}
		item.Raw = d.bytes()
		if d.failed {
			return nil
		}
	}
	return items
}

func (d *batchDecoder) take(n uint64) []byte {
	if d.failed || n > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	p := d.rest[:n:n]
	d.rest = d.rest[n:]
	return p
}

func (d *batchDecoder) byte() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *batchDecoder) uint64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (d *batchDecoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if d.failed || size <= 0 || n > math.MaxInt32 {
		d.failed = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *batchDecoder) bytes() []byte {
	p := d.take(d.uvarint())
	if len(p) == 0 {
		return nil
	}
	return p
}

func (d *batchDecoder) text() string { return textOf(d.bytes()) }

// textOf returns a string that shares p's memory.
func textOf(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }
