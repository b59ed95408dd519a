// Package sidecar knows the file that remembers which ids are already loaded:
// one immutable, sorted list of (route, id hash, payload hash) per load commit,
// merged over time into few larger ones.
//
// It knows hashes and file bytes. It never knows events, the catalog, or which
// sidecars are live. docs/format/sidecar.md gives the byte tables.
package sidecar

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
)

// Key is one id that was loaded. Keys are ordered by Route, then ID, then
// Payload; a file holds each Key at most once.
type Key struct {
	Route   uint64 // where copies of the event are looked for
	ID      ID     // hash of source and event id
	Payload uint64 // hash of what the client sent
}

// ID is a 16-byte hash as two numbers, most significant first.
type ID struct{ Hi, Lo uint64 }

// Compare orders keys as they lie in a file.
func (k Key) Compare(o Key) int {
	if c := cmp.Compare(k.Route, o.Route); c != 0 {
		return c
	}
	return k.compareInRoute(o)
}

func (k Key) compareInRoute(o Key) int {
	if c := k.ID.Compare(o.ID); c != 0 {
		return c
	}
	return cmp.Compare(k.Payload, o.Payload)
}

// Compare orders ids as numbers.
func (a ID) Compare(b ID) int {
	if c := cmp.Compare(a.Hi, b.Hi); c != 0 {
		return c
	}
	return cmp.Compare(a.Lo, b.Lo)
}

// Match is what is known of a key.
type Match uint8

// The matches, as bits.
const (
	SameID    Match = 1 << iota // the id is known, with whatever payload
	SameEvent                   // the id is known with exactly this payload
)

// Version is the format this package writes and the only one it reads.
//
// 1: first.
const Version = 1

// Ext is how the store names these objects.
const Ext = "sidecar"

const (
	headerSize  = 16
	entrySize   = 24
	routeSize   = 32
	trailerSize = 32
)

var (
	headMagic = [8]byte{'R', 'E', 'E', 'D', 'I', 'D', 'S', '\n'}
	tailMagic = [8]byte{'S', 'D', 'I', 'D', 'E', 'E', 'R', '\n'}
	castagno  = crc32.MakeTable(crc32.Castagnoli)
)

// section is where one route's entries lie.
type section struct {
	route uint64
	first uint64 // index of the first entry
	count uint64
	crc   uint32 // CRC-32C of the entries' bytes
}

func appendEntry(b []byte, k Key) []byte {
	b = binary.BigEndian.AppendUint64(b, k.ID.Hi)
	b = binary.BigEndian.AppendUint64(b, k.ID.Lo)
	return binary.BigEndian.AppendUint64(b, k.Payload)
}

func readEntry(b []byte, route uint64) Key {
	_ = b[entrySize-1]
	return Key{
		Route:   route,
		ID:      ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])},
		Payload: binary.BigEndian.Uint64(b[16:]),
	}
}

// IDFrom reads an id from the bytes of a hash.
func IDFrom(h [16]byte) ID {
	return ID{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:])}
}
