package sidecar

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// Writer writes one sidecar. Keys are added in ascending order, each once;
// Close writes the footer. It does not close or sync what it writes to.
type Writer struct {
	out      io.Writer
	sections []section
	last     Key
	entries  uint64
	buf      []byte // not yet written
	summed   int    // of buf: what the last section's checksum covers, or is no entry
}

const writeBytes = 64 << 10

// NewWriter starts a sidecar on w.
func NewWriter(w io.Writer) *Writer {
	s := &Writer{out: w, buf: make([]byte, 0, writeBytes+entrySize)}
	s.buf = append(s.buf, headMagic[:]...)
	s.buf = binary.BigEndian.AppendUint32(s.buf, Version)
	s.buf = binary.BigEndian.AppendUint32(s.buf, 0)
	s.summed = len(s.buf)
	return s
}

// Add appends a key, which must be greater than the one before.
func (s *Writer) Add(k Key) error {
	if s.entries > 0 && s.last.Compare(k) >= 0 {
		return fmt.Errorf("sidecar keys out of order at entry %d: this is a fault of the program", s.entries)
	}
	if s.entries == 0 || k.Route != s.last.Route {
		s.sum()
		s.sections = append(s.sections, section{route: k.Route, first: s.entries})
	}
	s.buf = appendEntry(s.buf, k)
	s.sections[len(s.sections)-1].count++
	s.entries++
	s.last = k
	if len(s.buf) < writeBytes {
		return nil
	}
	return s.flush()
}

// sum brings the last section's checksum up to date.
func (s *Writer) sum() {
	if len(s.sections) > 0 {
		last := &s.sections[len(s.sections)-1]
		last.crc = crc32.Update(last.crc, castagno, s.buf[s.summed:])
	}
	s.summed = len(s.buf)
}

func (s *Writer) flush() error {
	s.sum()
	_, err := s.out.Write(s.buf)
	s.buf, s.summed = s.buf[:0], 0
	if err != nil {
		return fmt.Errorf("write the sidecar, up to entry %d: %w", s.entries, err)
	}
	return nil
}

// Entries is the number of keys added.
func (s *Writer) Entries() int64 { return int64(s.entries) }

// Close writes the footer; the file is complete when it returns nil.
func (s *Writer) Close() error {
	if err := s.flush(); err != nil {
		return err
	}
	var b []byte
	for _, sec := range s.sections {
		b = binary.BigEndian.AppendUint64(b, sec.route)
		b = binary.BigEndian.AppendUint64(b, sec.first)
		b = binary.BigEndian.AppendUint64(b, sec.count)
		b = binary.BigEndian.AppendUint32(b, sec.crc)
		b = binary.BigEndian.AppendUint32(b, 0)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.sections)))
	b = binary.BigEndian.AppendUint64(b, s.entries)
	b = binary.BigEndian.AppendUint32(b, Version)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagno))
	b = append(b, tailMagic[:]...)
	if _, err := s.out.Write(b); err != nil {
		return fmt.Errorf("write the sidecar's footer: %w", err)
	}
	return nil
}
