package tracker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// disk is a queue in the files of a folder:
//
//	lock            held by the process that uses it
//	end             where the newest stream ended, in one write of 512 bytes
//	00000001.events one event a line, oldest first, behind 8 hex digits of its CRC-32C
//	00000002.events and so on, each begun when the one before it has a megabyte
//
// A file goes when all of it is answered. A crash before that sends it again, which
// is at most a megabyte; a crash within a write leaves a line without an end, which
// nobody was promised.
type disk struct {
	dir  string
	max  int64
	sync bool

	lock, ends *os.File
	files      []*segment // oldest first
	open       *os.File   // of the newest, or nil: the next event begins one
	number     int        // of the newest
	bytes      int64      // in all files
	after      []int64    // where each event ends that next returned last

	end   end   // of the newest stream, when it was opened
	found int64 // events in it when it was opened
}

type segment struct {
	path   string
	size   int64 // of its whole lines
	events int   // that are not answered
	read   int64 // up to where it is answered
}

const (
	segmentBytes = 1 << 20
	endBytes     = 512
	crcDigits    = 8
	lineExtra    = crcDigits + 2 // CRC, space, line end
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openDisk opens the queue in dir. The error names what to do if another process has it.
func openDisk(dir string, limit int64, sync bool) (_ *disk, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &disk{dir: dir, max: limit, sync: sync}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.lock, err = lock(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	if d.ends, err = os.OpenFile(filepath.Join(dir, "end"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if d.end, err = readEnd(d.ends); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries { // in order of name
		if filepath.Ext(e.Name()) != ".events" {
			continue
		}
		if err := d.find(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *disk) close() error {
	var err error
	for _, f := range []*os.File{d.open, d.ends, d.lock} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// find takes over a file of an earlier process.
func (d *disk) find(path string) error {
	var number int
	if _, err := fmt.Sscanf(filepath.Base(path), "%d.events", &number); err != nil {
		return fmt.Errorf("%s is not a file of the queue; move it away: %w", path, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	s := &segment{path: path, size: int64(len(b))}
	for line := range bytes.Lines(b) {
		s.events++
		if e, ok := content(line); ok {
			d.end = later(d.end, e)
		}
	}
	d.found += int64(s.events)
	d.files = append(d.files, s)
	d.number, d.bytes = number, d.bytes+int64(len(b))
	return nil
}

// later is the end that an event on file shows, if that comes after e. UUIDv7 order
// is that of time.
func later(e end, event []byte) end {
	var seen end
	if json.Unmarshal(event, &seen) != nil || seen.StreamID < e.StreamID || seen.StreamID == "" {
		return e
	}
	if seen.StreamID == e.StreamID && seen.Seq <= e.Seq {
		return e
	}
	return seen
}

func (d *disk) add(event []byte) error {
	line := fmt.Appendf(make([]byte, 0, len(event)+lineExtra), "%08x %s\n", crc32.Checksum(event, castagnoli), event)
	if d.bytes+int64(len(line)) > d.max {
		return ErrFull
	}
	if err := d.begin(); err != nil {
		return err
	}
	s := d.files[len(d.files)-1]
	_, err := d.open.WriteAt(line, s.size)
	if err == nil && d.sync {
		err = d.open.Sync()
	}
	if err != nil { // what is told of as dropped is not to be sent by the next process
		return errors.Join(err, d.open.Truncate(s.size))
	}
	s.size += int64(len(line))
	s.events++
	d.bytes += int64(len(line))
	return nil
}

// begin sees to it that there is a file to write to.
func (d *disk) begin() error {
	if d.open != nil && d.files[len(d.files)-1].size < segmentBytes {
		return nil
	}
	path := filepath.Join(d.dir, fmt.Sprintf("%08d.events", d.number+1))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if d.sync {
		if err := syncDir(d.dir); err != nil {
			return errors.Join(err, f.Close(), os.Remove(path))
		}
	}
	if d.open != nil {
		err = d.open.Close()
	}
	d.open, d.number = f, d.number+1
	d.files = append(d.files, &segment{path: path})
	return err
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// next reads on in the oldest file. A batch ends with its file, and before a line
// that is damaged; damaged lines at its beginning are passed over for good. It holds
// what is left of a file in memory, two megabytes at most.
func (d *disk) next(events, most int) (batch [][]byte, damaged int, err error) {
	for len(d.files) > 0 {
		s := d.files[0]
		b, err := readAt(s.path, s.read, s.size-s.read)
		if errors.Is(err, fs.ErrNotExist) { // somebody removed it, and what it held
			damaged += s.events
			if err := d.drop(s); err != nil {
				return nil, damaged, err
			}
			continue
		}
		if err != nil {
			return nil, damaged, err
		}
		d.after = d.after[:0]
		for at := s.read; len(batch) < events; {
			line, rest, whole := bytes.Cut(b, []byte("\n"))
			if !whole {
				break
			}
			at += int64(len(line)) + 1
			e, ok := content(line)
			if !ok && len(batch) > 0 || ok && len(batch) > 0 && most < len(e) {
				break
			}
			b = rest
			if !ok {
				damaged, s.read = damaged+1, at
				s.events--
				continue
			}
			batch, d.after, most = append(batch, e), append(d.after, at), most-len(e)
		}
		if len(batch) > 0 || s.read < s.size {
			return batch, damaged, nil
		}
		if err := d.drop(s); err != nil {
			return nil, damaged, err
		}
	}
	return nil, damaged, nil
}

func readAt(path string, at, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	_, err = io.ReadFull(io.NewSectionReader(f, at, n), b)
	return b, err
}

// content is the event of a line, if the line is whole.
func content(line []byte) (event []byte, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	sum, event, ok := bytes.Cut(line, []byte(" "))
	return event, ok && string(sum) == fmt.Sprintf("%08x", crc32.Checksum(event, castagnoli))
}

func (d *disk) done(n int) error {
	s := d.files[0]
	s.read = d.after[n-1]
	s.events -= n
	if s.read < s.size {
		return nil
	}
	return d.drop(s)
}

// drop removes the oldest file, which is answered.
func (d *disk) drop(s *segment) error {
	if len(d.files) == 1 && d.open != nil {
		err := d.open.Close()
		if d.open = nil; err != nil {
			return err
		}
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	d.files, d.bytes = d.files[1:], d.bytes-s.size
	return nil
}

// remember writes where the stream ends, in one write to one page: a process that is
// killed leaves the old or the new.
func (d *disk) remember(e end) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%08x %s", crc32.Checksum(b, castagnoli), b)
	_, err = fmt.Fprintf(io.NewOffsetWriter(d.ends, 0), "%-*s\n", endBytes-1, line)
	return err
}

// readEnd reads what remember wrote; what is damaged, as by a power cut, says nothing.
func readEnd(f *os.File) (e end, err error) {
	b, err := io.ReadAll(io.LimitReader(f, endBytes))
	if err != nil {
		return e, err
	}
	if text, ok := content([]byte(strings.TrimRight(string(b), " \n"))); ok {
		err = json.Unmarshal(text, &e)
	}
	return e, err
}
