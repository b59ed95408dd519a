package strictjson

import (
	"strconv"

	"github.com/zeebo/xxh3"
)

// number validates the number that starts at data[i].
func (s *Scanner) number(i int) int {
	j, exponent := i, 0 // exponent is the offset of the written one, if any
	if s.peek(j) == '-' {
		j++
	}
	whole := j
	if j = s.digits(j); j == whole {
		return s.unexpected(j)
	}
	if s.data[whole] == '0' {
		j = whole + 1
	}
	if s.peek(j) == '.' {
		from := j + 1
		if j = s.digits(from); j == from {
			return s.unexpected(j)
		}
	}
	if c := s.peek(j); c == 'e' || c == 'E' {
		exponent = j + 1
		if j = s.exponent(exponent); j < 0 {
			return bad
		}
	}
	if j-i > s.lim.Number {
		return s.fail(NumberTooLong, i)
	}
	if exponent > 0 && !representable(s.data[i:j], s.data[exponent:j]) {
		return s.fail(NumberRange, i)
	}
	if s.Hashing {
		s.sum = s.hashNumber(s.data[i:j])
	}
	return j
}

func (s *Scanner) digits(j int) int {
	for j < len(s.data) && s.data[j]-'0' <= 9 {
		j++
	}
	return j
}

func (s *Scanner) exponent(j int) int {
	if c := s.peek(j); c == '+' || c == '-' {
		j++
	}
	end := s.digits(j)
	if end == j {
		return s.unexpected(j)
	}
	return end
}

// maxExponent bounds a written exponent, so that the hash can count with it.
const maxExponent = 99_999

// representable says whether a double can hold the number, whose exponent is
// given as written, rounded if need be (1e-400 rounds to zero; 1e400 is out of
// range).
func representable(number, exponent []byte) bool {
	written, ok := writtenExponent(exponent)
	if !ok {
		return false
	}
	if written+len(number) < 300 { // 1e308 is in range
		return true
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return err == nil
}

// decimal appends the significant digits of a valid number to dst, without
// leading and trailing zeros, and returns the power of ten they are to be
// multiplied with. Zero has no digits and exponent 0. It fails when the
// exponent is written beyond maxExponent.
func decimal(dst, number []byte) (digits []byte, exponent int, ok bool) {
	from := len(dst)
	i, point := 0, false
	if number[0] == '-' {
		i++
	}
scan:
	for ; i < len(number); i++ {
		switch c := number[i]; c {
		case '.':
			point = true
			continue
		case 'e', 'E':
			break scan
		default:
			if c != '0' || len(dst) > from {
				dst = append(dst, c)
			}
		}
		if point {
			exponent--
		}
	}
	for len(dst) > from && dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
		exponent++
	}
	if i < len(number) {
		written, ok := writtenExponent(number[i+1:])
		if !ok {
			return dst, 0, false
		}
		exponent += written
	}
	if len(dst) == from {
		exponent = 0
	}
	return dst, exponent, true
}

func writtenExponent(text []byte) (int, bool) {
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		text = text[1:]
	}
	n := 0
	for _, c := range text {
		if n = n*10 + int(c-'0'); n > maxExponent {
			return 0, false
		}
	}
	if negative {
		n = -n
	}
	return n, true
}

// hashNumber hashes the exact decimal value of a number. Numbers of at most 19
// significant digits, which are nearly all, are hashed as integers.
func (s *Scanner) hashNumber(number []byte) uint64 {
	var buf [72]byte
	digits, exponent, _ := decimal(buf[:0], number)
	sign := uint64(0)
	if number[0] == '-' && len(digits) > 0 {
		sign = 1
	}
	seed := s.Seed ^ saltNumber
	scale := uint64(int64(exponent))<<1 | sign
	if len(digits) > 19 {
		return mix(mix(seed, xxh3.HashSeed(digits, seed)), scale)
	}
	var m uint64
	for _, c := range digits {
		m = m*10 + uint64(c-'0')
	}
	return mix(mix(seed, m), scale)
}
