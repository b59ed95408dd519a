package sidecar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sort"

	"golang.org/x/sys/unix"
)

// ErrCorrupt says that bytes are not a whole sidecar of this version.
var ErrCorrupt = errors.New("not a whole sidecar")

// File is an open sidecar. It is read through a memory map, so it stays
// readable after its object was removed. One goroutine uses it at a time.
type File struct {
	data     []byte // the whole file
	entries  []byte // the part that holds entries
	sections []section
	verified []bool // by section: its CRC was checked since Open
	total    uint64
	mapped   bool
	touched  bool // pages were read since Forget
}

// Open maps a sidecar and checks its footer. The entries of a route are
// checked against their CRC when the route is first searched.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < headerSize+trailerSize {
		return nil, fmt.Errorf("sidecar %s: %w: only %d bytes", path, ErrCorrupt, info.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map sidecar %s: %w", path, err)
	}
	s, err := parse(data)
	if err != nil {
		_ = unix.Munmap(data)
		return nil, fmt.Errorf("sidecar %s: %w", path, err)
	}
	s.mapped = true
	return s, nil
}

// Close unmaps the file.
func (f *File) Close() error {
	if !f.mapped {
		return nil
	}
	f.mapped = false
	return unix.Munmap(f.data)
}

// residentBytes is how much of a file a pass over all of it keeps resident.
const residentBytes = 256 << 10

// Forget gives the pages that were read back to the system, so that a search
// over a long history does not stay in this process's resident memory.
func (f *File) Forget() {
	if f.mapped && f.touched {
		f.touched = false
		_ = unix.Madvise(f.data, unix.MADV_DONTNEED)
	}
}

// Entries is the number of keys.
func (f *File) Entries() int64 { return int64(f.total) }

// Size is the file's size in bytes.
func (f *File) Size() int64 { return int64(len(f.data)) }

func parse(data []byte) (*File, error) {
	if len(data) < headerSize+trailerSize {
		return nil, fmt.Errorf("%w: only %d bytes", ErrCorrupt, len(data))
	}
	if [8]byte(data[:8]) != headMagic || [8]byte(data[len(data)-8:]) != tailMagic {
		return nil, fmt.Errorf("%w: the magic bytes are missing", ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(data[8:]); v != Version {
		return nil, fmt.Errorf("%w: version %d, this program reads %d", ErrCorrupt, v, Version)
	}
	trailer := data[len(data)-trailerSize:]
	routes, total := binary.BigEndian.Uint64(trailer), binary.BigEndian.Uint64(trailer[8:])
	body := uint64(len(data) - headerSize - trailerSize)
	if routes > body/routeSize || total > body/entrySize || routes*routeSize+total*entrySize != body {
		return nil, fmt.Errorf("%w: %d routes and %d entries do not fill %d bytes", ErrCorrupt, routes, total, body)
	}
	end := headerSize + total*entrySize
	footer := data[end : len(data)-12]
	if crc32.Checksum(footer, castagno) != binary.BigEndian.Uint32(data[len(data)-12:]) {
		return nil, fmt.Errorf("%w: the footer's checksum differs", ErrCorrupt)
	}
	f := &File{data: data, entries: data[headerSize:end], total: total, verified: make([]bool, routes)}
	return f, f.readSections(footer, routes)
}

func (f *File) readSections(footer []byte, routes uint64) error {
	next := uint64(0)
	for i := range routes {
		b := footer[i*routeSize:]
		s := section{
			route: binary.BigEndian.Uint64(b),
			first: binary.BigEndian.Uint64(b[8:]),
			count: binary.BigEndian.Uint64(b[16:]),
			crc:   binary.BigEndian.Uint32(b[24:]),
		}
		if s.first != next || s.count == 0 || s.count > f.total-next || i > 0 && s.route <= f.sections[i-1].route {
			return fmt.Errorf("%w: route %d of %d is out of place", ErrCorrupt, i+1, routes)
		}
		next += s.count
		f.sections = append(f.sections, s)
	}
	if next != f.total {
		return fmt.Errorf("%w: the routes hold %d of %d entries", ErrCorrupt, next, f.total)
	}
	return nil
}

// Search adds to known[i] what this file knows of keys[i]. Keys are sorted.
// A page that cannot be read from the disk is an error, not a crash.
func (f *File) Search(keys []Key, known []Match) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault, ok := recover().(runtime.Error); ok {
			err = fmt.Errorf("read the sidecar's pages: %w", fault)
		}
	}()
	for start := 0; start < len(keys); {
		route := keys[start].Route
		end := start + sort.Search(len(keys)-start, func(i int) bool { return keys[start+i].Route > route })
		if at, ok := f.find(route); ok {
			f.touched = true
			if err := f.verify(at); err != nil {
				return err
			}
			f.searchRoute(f.sections[at], keys[start:end], known[start:end])
		}
		start = end
	}
	return nil
}

func (f *File) find(route uint64) (int, bool) {
	return slices.BinarySearchFunc(f.sections, route, func(s section, r uint64) int {
		switch {
		case s.route < r:
			return -1
		case s.route > r:
			return 1
		}
		return 0
	})
}

func (f *File) bytesOf(s section) []byte {
	return f.entries[s.first*entrySize : (s.first+s.count)*entrySize]
}

// verify checks a section's CRC once per opening: a flipped bit would let a
// copy of an event in, so it must not pass in silence. Pages are given back on
// the way, so that a large section does not pass through resident memory.
func (f *File) verify(at int) error {
	if f.verified[at] {
		return nil
	}
	s := f.sections[at]
	crc := uint32(0)
	for part := range slices.Chunk(f.bytesOf(s), residentBytes) {
		crc = crc32.Update(crc, castagno, part)
		if f.touched = true; len(part) == residentBytes {
			f.Forget()
		}
	}
	if crc != s.crc {
		return fmt.Errorf("%w: the entries of route %d do not match their checksum", ErrCorrupt, s.route)
	}
	f.verified[at] = true
	return nil
}

// searchRoute goes through a route once, from front to back, and gives pages
// back on the way like verify: many keys touch all of a route, however long.
func (f *File) searchRoute(s section, keys []Key, known []Match) {
	r := run{b: f.bytesOf(s), n: s.count}
	at, kept := uint64(0), uint64(0)
	for i, k := range keys {
		at = r.seek(at, k.ID)
		if (at-kept)*entrySize >= residentBytes {
			f.Forget()
			f.touched, kept = true, at
		}
		for j := at; j < r.n; j++ {
			e := readEntry(r.b[j*entrySize:], s.route)
			if e.ID != k.ID {
				break
			}
			known[i] |= SameID
			if e.Payload == k.Payload {
				known[i] |= SameEvent
			}
		}
	}
}

// run is the entries of one route: ids in ascending order, spread evenly over
// all 64-bit numbers because they are hashes.
type run struct {
	b []byte
	n uint64
}

func (r run) id(i uint64) ID {
	b := r.b[i*entrySize : i*entrySize+16]
	return ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// seek returns the first entry at or after from whose id is not below want.
// It guesses the place from the id's value, gallops away from the guess until
// the place is bracketed, and ends with a binary search: a handful of probes
// whether the batch is dense or sparse in the run.
func (r run) seek(from uint64, want ID) uint64 {
	if from >= r.n || r.id(from).Compare(want) >= 0 {
		return from
	}
	if from+1 == r.n {
		return r.n
	}
	guess, _ := bits.Mul64(want.Hi, r.n)
	lo, hi := r.bracket(from, min(max(guess, from+1), r.n-1), want)
	for lo+1 < hi { // id(lo) < want <= id(hi)
		if mid := lo + (hi-lo)/2; r.id(mid).Compare(want) < 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// bracket widens from guess until id(lo) < want and (hi == n or id(hi) >= want).
// from must be below want.
func (r run) bracket(from, guess uint64, want ID) (lo, hi uint64) {
	step := uint64(8)
	if guess > from && r.id(guess).Compare(want) < 0 {
		for lo = guess; ; step *= 2 {
			if lo+step >= r.n {
				return lo, r.n
			}
			if hi = lo + step; r.id(hi).Compare(want) >= 0 {
				return lo, hi
			}
			lo = hi
		}
	}
	for hi = guess; ; step *= 2 {
		if hi <= from+step {
			return from, hi
		}
		if lo = hi - step; r.id(lo).Compare(want) < 0 {
			return lo, hi
		}
		hi = lo
	}
}
