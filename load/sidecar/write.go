package sidecar

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// Writer writes one sidecar. Keys are added in ascending order, each once;
// Close writes the footer. It does not close or sync what it writes to.
type Writer struct {
	out      *bufio.Writer
	sections []section
	last     Key
	entries  uint64
	buf      []byte
}

// NewWriter starts a sidecar on w.
func NewWriter(w io.Writer) (*Writer, error) {
	s := &Writer{out: bufio.NewWriterSize(w, 256<<10)}
	header := append([]byte(nil), headMagic[:]...)
	header = binary.BigEndian.AppendUint32(header, Version)
	header = binary.BigEndian.AppendUint32(header, 0)
	if _, err := s.out.Write(header); err != nil {
		return nil, fmt.Errorf("write the sidecar's header: %w", err)
	}
	return s, nil
}

// Add appends a key, which must be greater than the one before.
func (s *Writer) Add(k Key) error {
	if s.entries > 0 && s.last.Compare(k) >= 0 {
		return fmt.Errorf("sidecar keys out of order at entry %d: this is a fault of the program", s.entries)
	}
	if s.entries == 0 || k.Route != s.last.Route {
		s.sections = append(s.sections, section{route: k.Route, first: s.entries})
	}
	sec := &s.sections[len(s.sections)-1]
	s.buf = appendEntry(s.buf[:0], k)
	sec.count++
	sec.crc = crc32.Update(sec.crc, castagno, s.buf)
	s.entries++
	s.last = k
	if _, err := s.out.Write(s.buf); err != nil {
		return fmt.Errorf("write sidecar entry %d: %w", s.entries-1, err)
	}
	return nil
}

// Entries is the number of keys added.
func (s *Writer) Entries() int64 { return int64(s.entries) }

// Close writes the footer; the file is complete when it returns nil.
func (s *Writer) Close() error {
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
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("write the sidecar: %w", err)
	}
	return nil
}
