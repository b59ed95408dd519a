package journal

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
)

// Layout of a segment: two copies of the header, then records.
const (
	headerBytes = 64
	secondCopy  = 4096
	dataStart   = 8192

	formatVersion = 1
	segmentMagic  = "reedjrnl"
)

// header says which stretch of the journal a segment file holds. A file that
// is used again gets a new generation and a new salt.
type header struct {
	generation uint64   // grows with every segment begun
	base       Position // of the first record
	salt       uint64   // random
}

// seal is what makes the records of one generation of one segment file tell
// themselves from any other bytes.
type seal struct {
	seed           uint32 // of every checksum
	record, marked uint32 // tags
}

func newHeader(generation uint64, base Position) header {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails: the program ends instead
		h := header{generation: generation, base: base, salt: le.Uint64(b[:])}
		if s := h.seal(); s.record != 0 && s.marked != 0 && s.record != s.marked {
			return h
		}
	}
}

func (h header) seal() seal {
	return seal{seed: crc32.Checksum(h.encode(), castagnoli), record: uint32(h.salt), marked: uint32(h.salt >> 32)}
}

func (h header) encode() []byte {
	b := make([]byte, headerBytes)
	copy(b, segmentMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint64(b[16:], h.generation)
	le.PutUint64(b[24:], h.base.Record)
	le.PutUint64(b[32:], h.base.Event)
	le.PutUint64(b[40:], h.salt)
	le.PutUint32(b[headerBytes-4:], crc32.Checksum(b[:headerBytes-4], castagnoli))
	return b
}

// copies is what stands before the records: both copies of the header, or
// none in a blank segment.
func (h header) copies() []byte {
	b := make([]byte, dataStart)
	copy(b, h.encode())
	copy(b[secondCopy:], h.encode())
	return b
}

var (
	errBlank  = errors.New("no header")
	errDamage = errors.New("both copies of the header are damaged")
)

// readHeader returns the header of a segment file, errBlank for a file that
// holds nothing yet, errDamage for one whose header cannot be read.
func readHeader(r io.ReaderAt) (header, error) {
	b := make([]byte, dataStart)
	_, err := r.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return header{}, err
	}
	first, err1 := decodeHeader(b[:headerBytes])
	second, err2 := decodeHeader(b[secondCopy : secondCopy+headerBytes])
	switch {
	case err1 == nil && err2 == nil && second.generation > first.generation:
		return second, nil
	case err1 == nil:
		return first, nil
	case err2 == nil:
		return second, nil
	case err1 == errBlank || err2 == errBlank: //nolint:errorlint // never wrapped
		// The one that is not blank is half of a header being written, or
		// being wiped: neither file holds anything of use.
		return header{}, errBlank
	}
	return header{}, err1
}

func decodeHeader(b []byte) (header, error) {
	if !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
		return header{}, errBlank
	}
	if string(b[:8]) != segmentMagic || crc32.Checksum(b[:headerBytes-4], castagnoli) != le.Uint32(b[headerBytes-4:]) {
		return header{}, errDamage
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return header{}, fmt.Errorf("journal format version %d, this program reads version %d: use the program that wrote it, or a newer one",
			v, formatVersion)
	}
	return header{
		generation: le.Uint64(b[16:]),
		base:       Position{le.Uint64(b[24:]), le.Uint64(b[32:])},
		salt:       le.Uint64(b[40:]),
	}, nil
}

// segment is an open segment file.
type segment struct {
	name string
	file disk.File
	size int64
	header
	seal seal

	// Guarded by Journal.mu.
	end      Position  // after the last record; not set while it is the tail
	synced   int64     // offset up to which it was synced; size if unknown
	refs     int       // readers inside
	released time.Time // when it was no longer needed
	index    []indexEntry
}

// indexEntry remembers where a record starts, so that reads from the middle
// need not scan from the start.
type indexEntry struct {
	at  Position
	off int64
}

const indexEvery = 256 << 10

// remember notes a record for later reads, if it is not near another one.
func (s *segment) remember(at Position, off int64) {
	i, found := s.indexOf(at.Record)
	if found || i > 0 && off-s.index[i-1].off < indexEvery || i < len(s.index) && s.index[i].off-off < indexEvery {
		return
	}
	s.index = slices.Insert(s.index, i, indexEntry{at, off})
}

// before is where to scan from when looking for record.
func (s *segment) before(record uint64) indexEntry {
	i, found := s.indexOf(record)
	switch {
	case found:
		return s.index[i]
	case i > 0:
		return s.index[i-1]
	}
	return indexEntry{s.base, dataStart}
}

func (s *segment) indexOf(record uint64) (int, bool) {
	return slices.BinarySearchFunc(s.index, record, func(e indexEntry, r uint64) int {
		switch {
		case e.at.Record < r:
			return -1
		case e.at.Record > r:
			return 1
		}
		return 0
	})
}

// use turns a blank file into a segment with this header; nothing is written.
func (s *segment) use(h header) {
	s.header, s.seal = h, h.seal()
	s.end, s.synced, s.released, s.index = Position{}, dataStart, time.Time{}, nil
}

func byGeneration(a, b *segment) int { return cmp.Compare(a.generation, b.generation) }

func segmentName(slot int) string { return fmt.Sprintf("%08d.seg", slot) }

// openBlank makes a segment file of size bytes, zeroed and durable, name
// included. A crash before the end leaves a file without a header, which the
// next start uses or removes.
func openBlank(fsys disk.FS, name string, size int64, pause func(took time.Duration) error) (*segment, error) {
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	err = zero(f, size, pause)
	if err == nil {
		err = fsys.SyncDir(".")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), fsys.Remove(name))
	}
	return &segment{name: name, file: f, size: size}, nil
}

// zero fills a file with zero bytes so that later writes only overwrite:
// neither blocks nor size change then, and a sync is as cheap as it gets. It
// syncs in small steps and lets the caller pause after each, because the disk
// makes everyone's syncs wait for its own queue.
func zero(f disk.File, size int64, pause func(took time.Duration) error) error {
	chunk := make([]byte, min(size, 1<<20))
	for off := int64(0); off < size; off += int64(len(chunk)) {
		began := time.Now()
		if _, err := f.WriteAt(chunk[:min(int64(len(chunk)), size-off)], off); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if err := pause(time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// noPause is for when nobody else needs the disk.
func noPause(time.Duration) error { return nil }
