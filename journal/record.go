package journal

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Layout of a record: head, payload, zero bytes up to a multiple of 8.
const (
	recordHead = 40
	align      = 8

	atCRC     = 0 // CRC32C of the rest of head and payload, seeded by the segment
	atTag     = 4 // the segment's tag for records or for marks
	atLength  = 8
	atInto    = 12 // bytes from the start of the batch to this record
	atRecord  = 16
	atEvent   = 24
	atEvents  = 32
	atRefused = 36
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// recordBytes is the room a record with this payload takes.
func recordBytes(payload int) int { return (recordHead + payload + align - 1) &^ (align - 1) }

// appendRecord encodes what is known before the record has a place.
func appendRecord(buf []byte, r Record) []byte {
	var head [recordHead]byte
	le.PutUint32(head[atLength:], uint32(len(r.Payload)))
	le.PutUint32(head[atInto:], uint32(len(buf)))
	le.PutUint32(head[atEvents:], r.Events)
	le.PutUint32(head[atRefused:], r.Refused)
	buf = append(buf, head[:]...)
	buf = append(buf, r.Payload...)
	var pad [align]byte
	return append(buf, pad[:recordBytes(len(r.Payload))-recordHead-len(r.Payload)]...)
}

// stamp gives the records of an encoded batch their numbers and checksums and
// returns the position after them.
func (s seal) stamp(buf []byte, at Position) Position {
	for len(buf) > 0 {
		length := int(le.Uint32(buf[atLength:]))
		s.finish(buf[:recordHead+length], s.record, at)
		at.Record++
		at.Event += uint64(le.Uint32(buf[atEvents:]))
		buf = buf[recordBytes(length):]
	}
	return at
}

// mark is a batch of its own that says: all before me was synced.
func (s seal) mark(at Position) []byte {
	buf := make([]byte, recordHead)
	s.finish(buf, s.marked, at)
	return buf
}

func (s seal) finish(record []byte, tag uint32, at Position) {
	le.PutUint32(record[atTag:], tag)
	le.PutUint64(record[atRecord:], at.Record)
	le.PutUint64(record[atEvent:], at.Event)
	le.PutUint32(record[atCRC:], crc32.Update(s.seed, castagnoli, record[atTag:]))
}

// item is a valid record or mark found in a segment.
type item struct {
	Entry
	off, end int64 // its bytes in the segment
	batch    int64 // where its batch starts
	mark     bool
}

// scanner reads the items of one segment through a window, so that memory is
// bounded by the largest record that fits in the segment.
type scanner struct {
	r    io.ReaderAt
	seal seal
	end  int64 // nothing at or after this offset is looked at

	buf []byte
	off int64 // of buf in the segment

	tagged int64 // end of the last thing that carried a tag, valid or not
}

const windowBytes = 256 << 10

// bytes returns n bytes at off, or fewer where the segment ends. They are
// valid until the next call.
func (s *scanner) bytes(off int64, n int) ([]byte, error) {
	if off < s.off || off+int64(n) > s.off+int64(len(s.buf)) {
		if err := s.fill(off, n); err != nil {
			return nil, err
		}
	}
	have := s.buf[off-s.off:]
	return have[:min(n, len(have))], nil
}

func (s *scanner) fill(off int64, n int) error {
	want := int(min(max(int64(n), windowBytes), s.end-off))
	if want <= 0 {
		s.buf, s.off = s.buf[:0], off
		return nil
	}
	if cap(s.buf) < want {
		s.buf = make([]byte, want)
	}
	s.buf, s.off = s.buf[:want], off
	got, err := s.r.ReadAt(s.buf, off)
	s.buf = s.buf[:got]
	if err == io.EOF {
		err = nil
	}
	return err
}

// at decodes what starts at off; ok is false if nothing valid does. The
// payload is valid until the next call.
func (s *scanner) at(off int64) (it item, ok bool, err error) {
	head, err := s.bytes(off, recordHead)
	if err != nil || len(head) < recordHead {
		return item{}, false, err
	}
	tag, length := le.Uint32(head[atTag:]), int64(le.Uint32(head[atLength:]))
	if tag != s.seal.record && tag != s.seal.marked {
		return item{}, false, nil
	}
	s.tagged = max(s.tagged, min(s.end, off+recordHead+length))
	if length > s.end-off-recordHead || tag == s.seal.marked && length > 0 {
		return item{}, false, nil
	}
	whole, err := s.bytes(off, recordHead+int(length))
	if err != nil || len(whole) < recordHead+int(length) {
		return item{}, false, err
	}
	if crc32.Update(s.seal.seed, castagnoli, whole[atTag:]) != le.Uint32(whole[atCRC:]) {
		return item{}, false, nil
	}
	return decode(whole, off, tag == s.seal.marked), true, nil
}

func decode(b []byte, off int64, mark bool) item {
	it := item{
		off:   off,
		end:   off + int64(recordBytes(len(b)-recordHead)),
		batch: off - int64(le.Uint32(b[atInto:])),
		mark:  mark,
	}
	it.At = Position{le.Uint64(b[atRecord:]), le.Uint64(b[atEvent:])}
	it.Next = it.At
	if mark {
		return it
	}
	it.Record = Record{Events: le.Uint32(b[atEvents:]), Refused: le.Uint32(b[atRefused:]), Payload: b[recordHead:]}
	it.Next = Position{it.At.Record + 1, it.At.Event + uint64(it.Events)}
	return it
}

// find returns the first valid item at or after off. The tag, which is random
// per segment, rejects nearly every offset without a checksum.
func (s *scanner) find(off int64) (it item, ok bool, err error) {
	for ; off+recordHead <= s.end; off += align {
		head, err := s.bytes(off, recordHead)
		if err != nil || len(head) < recordHead {
			return item{}, false, err
		}
		if tag := le.Uint32(head[atTag:]); tag != s.seal.record && tag != s.seal.marked {
			continue
		}
		if it, ok, err := s.at(off); ok || err != nil {
			return it, ok, err
		}
	}
	return item{}, false, nil
}
