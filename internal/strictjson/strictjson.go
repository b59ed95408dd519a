// Package strictjson knows the grammar of JSON, strictly: RFC 8259 text in
// valid UTF-8, with no name twice in one object, inside stated limits. One
// pass over the bytes validates a value, hands out the members of the object
// being read and, if asked, hashes what the value means rather than how it is
// spelt.
//
// It never builds a tree, never changes or keeps the bytes it reads, and never
// knows what an event is.
package strictjson

import (
	"bytes"
	"strconv"
)

// Limits bound one value. A zero field takes the value of DefaultLimits.
type Limits struct {
	Depth  int // arrays and objects open at once
	Keys   int // members of one object
	String int // bytes of a string as written, without its quotes
	Key    int // the same for a member's name
	Number int // bytes of a number as written; at most 250
}

// DefaultLimits returns the limits events are held to.
func DefaultLimits() Limits {
	return Limits{Depth: 32, Keys: 500, String: 64 << 10, Key: 4 << 10, Number: 64}
}

// OrDefault returns the limits with zero fields replaced by their defaults.
func (l Limits) OrDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct {
		got  *int
		want int
	}{
		{&l.Depth, d.Depth},
		{&l.Keys, d.Keys},
		{&l.String, d.String},
		{&l.Key, d.Key},
		{&l.Number, d.Number},
	} {
		if *f.got == 0 {
			*f.got = f.want
		}
	}
	l.Number = min(l.Number, 250)
	return l
}

// Code is a short stable word for what is wrong with a text.
type Code string

// The codes. Those of broken grammar are InvalidJSON and Truncated; all others
// say that a well-formed text is refused, and Skip can find its end.
const (
	InvalidJSON   Code = "invalid_json"
	Truncated     Code = "truncated"
	InvalidUTF8   Code = "invalid_utf8"
	DuplicateKey  Code = "duplicate_key"
	NotAnObject   Code = "not_an_object"
	TooDeep       Code = "too_deep"
	TooManyKeys   Code = "too_many_keys"
	KeyTooLong    Code = "key_too_long"
	StringTooLong Code = "string_too_long"
	NumberTooLong Code = "number_too_long"
	NumberRange   Code = "number_range"
)

// Explain returns what the code means, for people.
func (c Code) Explain() string {
	switch c {
	case InvalidJSON:
		return "not valid JSON"
	case Truncated:
		return "the JSON text ends too early"
	case InvalidUTF8:
		return "a string is not valid Unicode (bad UTF-8 or half of a surrogate pair)"
	case DuplicateKey:
		return "an object has the same key twice"
	case NotAnObject:
		return "a JSON object is expected"
	case TooDeep:
		return "arrays and objects are nested too deeply"
	case TooManyKeys:
		return "an object has too many keys"
	case KeyTooLong:
		return "a key is too long"
	case StringTooLong:
		return "a string is too long"
	case NumberTooLong:
		return "a number has too many digits"
	case NumberRange:
		return "a number is too large for a double"
	}
	return string(c)
}

// Error says what is wrong and where.
type Error struct {
	Code   Code
	Offset int // bytes from the start of the data handed in
}

func (e *Error) Error() string {
	return e.Code.Explain() + ", at byte " + strconv.Itoa(e.Offset)
}

// Kind is the sort of a JSON value.
type Kind byte

// The kinds, by the first byte of their spelling. Number stands for the minus
// sign and all digits.
const (
	Null   Kind = 'n'
	True   Kind = 't'
	False  Kind = 'f'
	Number Kind = '0'
	String Kind = '"'
	Object Kind = '{'
	Array  Kind = '['
)

func kindOf(c byte) Kind {
	if c == '-' || '0' <= c && c <= '9' {
		return Number
	}
	return Kind(c)
}

// Member is one member of an object: its decoded name, its value as written,
// and the whole of it as written. All alias the data they were read from,
// except a Key that is spelt with escapes, which the Scanner owns until its
// next call.
type Member struct {
	Key   []byte
	Value []byte
	Pair  []byte
	// Hash covers name and value; 0 unless the Scanner hashes.
	Hash uint64
	Kind Kind
	// Escaped says that a string value holds escapes, so that Unquote must
	// decode it.
	Escaped bool
}

// MemberOf returns a valid value as a member without a name.
func MemberOf(value []byte) Member {
	m := Member{Value: value, Kind: kindOf(value[0])}
	m.Escaped = m.Kind == String && bytes.IndexByte(value, '\\') >= 0
	return m
}
