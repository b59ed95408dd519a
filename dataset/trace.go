package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// identityScheme names the way code identities and trace keys are hashed; a
// change of the way is a new scheme.
const identityScheme = "reedbed identity 2"

// Fields is a list of fields to be hashed, so written that no two lists give the
// same bytes: each field is its length in 8 bytes, little endian, and its bytes.
type Fields struct{ buf []byte }

// NewFields begins a list with the scheme and with what is hashed.
func NewFields(what string) *Fields { return &Fields{buf: begin(nil, what)} }

// Text adds a field.
func (f *Fields) Text(s string) { f.buf = field(f.buf, s) }

// Bytes adds a field.
func (f *Fields) Bytes(b []byte) { f.buf = field(f.buf, b) }

// Number adds a field with the decimal digits of n.
func (f *Fields) Number(n int64) { f.buf = number(f.buf, n) }

// Hash is the SHA-256 of the list.
func (f *Fields) Hash() []byte {
	h := sha256.Sum256(f.buf)
	return h[:]
}

// What appends to a list returns it, so that the lists of a million leaves and
// keys can be on the stack; through a pointer to Fields they would not be.

func begin(list []byte, what string) []byte { return field(field(list, identityScheme), what) }

func field[T string | []byte](list []byte, content T) []byte {
	list = binary.LittleEndian.AppendUint64(list, uint64(len(content)))
	return append(list, content...)
}

func number(list []byte, n int64) []byte {
	var digits [20]byte
	return field(list, strconv.AppendInt(digits[:0], n, 10))
}

// Sum stands for the exact content of a set of promoted partitions of one
// dataset: how many there are, and the sum modulo 2^256 of a hash of each, its
// leaf. The partition's name is in the leaf, so contents that change places
// change the sum. Sums of disjoint sets add up, and the sum of a range is the
// difference of two prefix sums.
type Sum struct {
	Count  int64
	leaves [4]uint64 // least significant first
}

// Leaf is the Sum of one partition's promoted version, zero if it is ABSENT. The
// version's number is not in it: rewriting equal rows changes nothing.
func Leaf(q Promoted) Sum {
	if q.Version == 0 {
		return Sum{}
	}
	var space [192]byte
	list := field(begin(space[:0], "leaf"), string(q.Partition))
	list = field(number(list, q.Rows), q.Hash.Bytes())
	h := sha256.Sum256(list)
	return SumFromBytes(1, h[:])
}

// SumFromBytes reads a sum of count leaves from 32 bytes, big endian.
func SumFromBytes(count int64, b []byte) Sum {
	s := Sum{Count: count}
	for i := range s.leaves {
		s.leaves[i] = binary.BigEndian.Uint64(b[24-8*i:])
	}
	return s
}

// Bytes are the 32 bytes of the leaves' sum, big endian; the count is not in them.
func (s Sum) Bytes() []byte {
	b := make([]byte, 32)
	for i, limb := range s.leaves {
		binary.BigEndian.PutUint64(b[24-8*i:], limb)
	}
	return b
}

// Add returns the sum of the union of two disjoint sets.
func (s Sum) Add(o Sum) Sum {
	s.Count += o.Count
	var carry uint64
	for i := range s.leaves {
		s.leaves[i], carry = bits.Add64(s.leaves[i], o.leaves[i], carry)
	}
	return s
}

// Sub returns the sum of a set without those of its subset o.
func (s Sum) Sub(o Sum) Sum {
	s.Count -= o.Count
	var borrow uint64
	for i := range s.leaves {
		s.leaves[i], borrow = bits.Sub64(s.leaves[i], o.leaves[i], borrow)
	}
	return s
}

// Read is what one run reads of one input; a Sum of nothing is ABSENT.
type Read struct {
	Input string
	Sum   Sum
}

// Reads sums up a pointer vector, input by input in order of name.
func Reads(inputs []Promoted) []Read {
	var out []Read
	for _, q := range inputs {
		i, found := slices.BinarySearchFunc(out, q.Dataset, func(r Read, name string) int { return strings.Compare(r.Input, name) })
		if !found {
			out = slices.Insert(out, i, Read{Input: q.Dataset})
		}
		out[i].Sum = out[i].Sum.Add(Leaf(q))
	}
	return out
}

// TraceKey hashes what a run depends on: the stage's code identity, the
// partition, and the exact content of every input read. Reads come in order of
// name.
func TraceKey(stage string, p Partition, codeIdentity []byte, reads []Read) []byte {
	var space [512]byte
	list := field(field(begin(space[:0], "trace"), stage), string(p))
	list = number(field(list, codeIdentity), int64(len(reads)))
	for _, r := range reads {
		list = number(field(list, r.Input), r.Sum.Count)
		list = field(list, r.Sum.Bytes())
	}
	h := sha256.Sum256(list)
	return h[:]
}
