package strictjson

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/zeebo/xxh3"
)

// name is a member name seen in an open object.
type name struct {
	sum        uint64
	start, end int
	escaped    bool // the offsets are into Scanner.text
}

// openObject is what telling its names apart needs of an object being read.
type openObject struct {
	first int    // of its names in Scanner.names
	seen  uint64 // one bit for each name's sum: most objects never compare names
	large bool   // it has a set in Scanner.large
}

// fewNames is how many names are compared one by one. More go to a set, whose
// keyed hash nobody can prepare collisions for.
const fewNames = 32

// enter remembers a name of the innermost open object and returns its sum, and
// whether the object had no such name yet.
func (s *Scanner) enter(o *openObject, start, end int, escaped bool) (sum uint64, fresh bool) {
	if escaped {
		from := len(s.text)
		s.text = unescape(s.text, s.data[start:end])
		start, end = from, len(s.text)
	}
	s.names = append(s.names, name{start: start, end: end, escaped: escaped})
	n := &s.names[len(s.names)-1]
	if text := s.nameText(n); s.Hashing {
		n.sum = xxh3.HashSeed(text, s.Seed^saltName)
	} else {
		n.sum = quickSum(text)
	}
	if len(s.names)-o.first > fewNames {
		return n.sum, s.enterLarge(o)
	}
	bit := uint64(1) << (n.sum >> 58)
	fresh = o.seen&bit == 0 || !s.repeated(o.first)
	o.seen |= bit
	return n.sum, fresh
}

// leave forgets the names of an object and returns how many it had.
func (s *Scanner) leave(o *openObject) int {
	n := len(s.names) - o.first
	s.names = s.names[:o.first]
	if o.large {
		s.largeOpen--
		clear(s.large[s.largeOpen])
	}
	return n
}

func (s *Scanner) nameText(n *name) []byte {
	if n.escaped {
		return s.text[n.start:n.end:n.end]
	}
	return s.data[n.start:n.end:n.end]
}

// repeated says whether the name entered last is among those from first on.
func (s *Scanner) repeated(first int) bool {
	last := &s.names[len(s.names)-1]
	for i := first; i < len(s.names)-1; i++ {
		n := &s.names[i]
		if n.sum == last.sum && bytes.Equal(s.nameText(n), s.nameText(last)) {
			return true
		}
	}
	return false
}

// enterLarge puts the name entered last into the set of its object, and
// reports whether it is new there.
func (s *Scanner) enterLarge(o *openObject) bool {
	if !o.large {
		o.large = true
		if s.largeOpen++; s.largeOpen > len(s.large) {
			s.large = append(s.large, make(map[string]struct{}, 128))
		}
		for i := o.first; i < len(s.names)-1; i++ {
			s.large[s.largeOpen-1][s.alias(i)] = struct{}{}
		}
	}
	set := s.large[s.largeOpen-1]
	before := len(set)
	set[s.alias(len(s.names)-1)] = struct{}{}
	return len(set) > before
}

// alias returns names[i] as text that shares memory with the data being read.
// The sets are cleared before that memory can change.
func (s *Scanner) alias(i int) string {
	text := s.nameText(&s.names[i])
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// quickSum is a weak hash that tells most names of one object apart.
func quickSum(p []byte) uint64 {
	n := len(p)
	var a, b uint64
	switch {
	case n >= 8:
		a, b = binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[n-8:])
	case n >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(p)), uint64(binary.LittleEndian.Uint32(p[n-4:]))
	case n > 0:
		a, b = uint64(p[0])|uint64(p[n/2])<<8, uint64(p[n-1])
	}
	return (a ^ bits.RotateLeft64(b, 29) ^ uint64(n)<<56) * 0x9e3779b97f4a7c15
}
