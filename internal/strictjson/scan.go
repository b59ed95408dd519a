package strictjson

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// Scanner validates values. It is reused from value to value so that it does
// not allocate, and belongs to one goroutine.
type Scanner struct {
	// Hashing makes every value be hashed with Seed on the way. Different
	// seeds give independent hashes.
	Hashing bool
	Seed    uint64

	lim  Limits
	data []byte
	err  Error

	// names are those of all objects open now, outermost first; text holds the
	// decoded spelling of those written with escapes. large has a set for each
	// open object with many names, and spare sets behind those.
	names     []name
	text      []byte
	large     []map[string]struct{}
	largeOpen int

	members []Member
	collect bool   // the outermost object's members go to members
	sum     uint64 // hash of the value read last
	escaped bool   // whether the string read last holds escapes
}

// bad is the offset after an error.
const bad = -1

// NewScanner returns a Scanner; zero limits take their defaults.
func NewScanner(lim Limits) *Scanner {
	return &Scanner{lim: lim.OrDefault()}
}

// Value validates the value that starts at data[at], after optional space, and
// returns the offset just behind it.
func (s *Scanner) Value(data []byte, at int) (end int, err error) {
	s.begin(data, false)
	return s.finish(s.value(s.space(at), 0))
}

// Object is Value for an object; it appends the object's own members to dst,
// in order. After an error the members read so far are returned.
func (s *Scanner) Object(data []byte, at int, dst []Member) (members []Member, end int, err error) {
	s.begin(data, true)
	s.members = dst
	at = s.space(at)
	switch {
	case s.peek(at) == '{':
		end = s.object(at, 1)
	case at >= len(data):
		end = s.fail(Truncated, at)
	default:
		end = s.fail(NotAnObject, at)
	}
	members, s.members = s.members, nil
	end, err = s.finish(end)
	return members, end, err
}

// String validates the string that starts exactly at data[at], as a name.
func (s *Scanner) String(data []byte, at int) (end int, escaped bool, err error) {
	s.begin(data, false)
	if s.peek(at) != '"' {
		s.unexpected(at)
		return at, false, s.failure()
	}
	end, escaped = s.str(at, s.lim.Key, KeyTooLong)
	end, err = s.finish(end)
	return end, escaped, err
}

// Document validates data as one value with nothing but space around it.
func (s *Scanner) Document(data []byte) error {
	end, err := s.Value(data, 0)
	if err != nil {
		return err
	}
	if end = s.space(end); end < len(data) {
		s.unexpected(end)
		return s.failure()
	}
	return nil
}

// Sum returns the hash of the value read last, if the Scanner hashes. Values
// with the same meaning have the same sum: the order of members, space, the
// spelling of strings and of numbers (1, 1.0 and 1e0; -0 and 0) do not matter,
// and numbers are compared as exact decimals.
func (s *Scanner) Sum() uint64 { return s.sum }

func (s *Scanner) begin(data []byte, collect bool) {
	s.data, s.collect = data, collect
	s.names, s.text = s.names[:0], s.text[:0]
	for ; s.largeOpen > 0; s.largeOpen-- {
		clear(s.large[s.largeOpen-1])
	}
}

func (s *Scanner) finish(end int) (int, error) {
	if end < 0 {
		return s.err.Offset, s.failure()
	}
	return end, nil
}

func (s *Scanner) failure() error {
	err := s.err
	return &err
}

func (s *Scanner) fail(code Code, at int) int {
	s.err = Error{Code: code, Offset: at}
	return bad
}

// unexpected fails because of the byte at data[at], or because there is none.
func (s *Scanner) unexpected(at int) int {
	if at >= len(s.data) {
		return s.fail(Truncated, len(s.data))
	}
	return s.fail(InvalidJSON, at)
}

// peek returns the byte at data[i], or 0, which begins nothing in JSON.
func (s *Scanner) peek(i int) byte {
	if uint(i) < uint(len(s.data)) {
		return s.data[i]
	}
	return 0
}

func (s *Scanner) space(i int) int { return Space(s.data, i) }

// Space returns the offset of the first byte from data[i] on that is not space.
func Space(data []byte, i int) int {
	for uint(i) < uint(len(data)) && isSpace(data[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

func (s *Scanner) value(i, depth int) int {
	switch s.peek(i) {
	case '"':
		return s.stringValue(i)
	case '{':
		return s.object(i, depth+1)
	case '[':
		return s.array(i, depth+1)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number(i)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	}
	return s.unexpected(i)
}

func (s *Scanner) literal(i int, word string) int {
	for k := range len(word) {
		if s.peek(i+k) != word[k] {
			return s.unexpected(i + k)
		}
	}
	if s.Hashing {
		s.sum = mix(s.Seed^saltLiteral, uint64(word[0]))
	}
	return i + len(word)
}

func (s *Scanner) stringValue(i int) int {
	end, escaped := s.str(i, s.lim.String, StringTooLong)
	s.escaped = escaped
	if end >= 0 && s.Hashing {
		s.sum = s.hashText(s.data[i+1:end-1], escaped)
	}
	return end
}

func (s *Scanner) array(i, depth int) int {
	if depth > s.lim.Depth {
		return s.fail(TooDeep, i)
	}
	sum, n := s.Seed^saltArray, uint64(0)
	i = s.space(i + 1)
	if s.peek(i) == ']' {
		return s.closed(i, sum, n)
	}
	for {
		if i = s.value(i, depth); i < 0 {
			return bad
		}
		sum = mix(sum, s.sum)
		n++
		i = s.space(i)
		switch s.peek(i) {
		case ',':
			i = s.space(i + 1)
		case ']':
			return s.closed(i, sum, n)
		default:
			return s.unexpected(i)
		}
	}
}

// closed ends an array or object whose last byte is data[i].
func (s *Scanner) closed(i int, sum, n uint64) int {
	if s.Hashing {
		s.sum = mix(sum, n)
	}
	return i + 1
}

func (s *Scanner) object(i, depth int) int {
	if depth > s.lim.Depth {
		return s.fail(TooDeep, i)
	}
	o := openObject{first: len(s.names)}
	sum := s.Seed ^ saltObject
	i = s.space(i + 1)
	if s.peek(i) == '}' {
		return s.closed(i, sum, 0)
	}
	for {
		start := i
		if s.peek(i) != '"' {
			return s.unexpected(i)
		}
		end, escaped := s.str(i, s.lim.Key, KeyTooLong)
		if end < 0 {
			return bad
		}
		nameSum, fresh := s.enter(&o, start+1, end-1, escaped)
		if !fresh {
			return s.fail(DuplicateKey, start)
		}
		if len(s.names)-o.first > s.lim.Keys {
			return s.fail(TooManyKeys, start)
		}
		if i = s.space(end); s.peek(i) != ':' {
			return s.unexpected(i)
		}
		from := s.space(i + 1)
		if i = s.value(from, depth); i < 0 {
			return bad
		}
		pair := uint64(0)
		if s.Hashing {
			pair = mix(nameSum, s.sum)
			sum += pair
		}
		if depth == 1 && s.collect {
			s.keep(start, from, i, pair)
		}
		i = s.space(i)
		switch s.peek(i) {
		case ',':
			i = s.space(i + 1)
		case '}':
			return s.closed(i, sum, uint64(s.leave(&o)))
		default:
			return s.unexpected(i)
		}
	}
}

// keep hands out the member whose name was entered last.
func (s *Scanner) keep(start, from, to int, pair uint64) {
	s.members = append(s.members, Member{})
	m := &s.members[len(s.members)-1]
	m.Key = s.nameText(&s.names[len(s.names)-1])
	m.Value = s.data[from:to:to]
	m.Pair = s.data[start:to:to]
	m.Hash = pair
	m.Kind = kindOf(s.data[from])
	m.Escaped = m.Kind == String && s.escaped
}

// Salts keep values of different kinds apart.
const (
	saltLiteral = 0x8ebc6af09c88c6e3
	saltString  = 0x589965cc75374cc3
	saltNumber  = 0x1d8e4e27c47d124f
	saltArray   = 0xeb44accab455d165
	saltObject  = 0x9ae16a3b2f90404f
	saltName    = 0xc949c7defebce35d
)

// mix folds two words into one; the order of the two matters.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	return hi ^ lo
}

func (s *Scanner) hashText(text []byte, escaped bool) uint64 {
	if !escaped {
		return xxh3.HashSeed(text, s.Seed^saltString)
	}
	from := len(s.text)
	s.text = unescape(s.text, text)
	sum := xxh3.HashSeed(s.text[from:], s.Seed^saltString)
	s.text = s.text[:from]
	return sum
}

// Fold returns the hash of the object with the given members, without those
// named in except. With nothing excepted it is the object's Sum.
func (s *Scanner) Fold(members []Member, except []string) uint64 {
	sum, n := s.Seed^saltObject, uint64(0)
next:
	for i := range members {
		for _, name := range except {
			if string(members[i].Key) == name {
				continue next
			}
		}
		sum += members[i].Hash
		n++
	}
	return mix(sum, n)
}
