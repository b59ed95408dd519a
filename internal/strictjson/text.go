package strictjson

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, in the top bit of each byte, the bytes of w a string cannot
// pass over blindly: control characters, quote, backslash and all beyond
// ASCII. Above the lowest mark there may be false ones.
func special(w uint64) uint64 {
	control := w - ones*0x20
	quote := (w ^ ones*'"') - ones
	escape := (w ^ ones*'\\') - ones
	return (control | quote | escape | w) & highs
}

// plain returns the offset of the first special byte from data[i] on, or
// len(data).
func plain(data []byte, i int) int {
	for ; i+8 <= len(data); i += 8 {
		if m := special(binary.LittleEndian.Uint64(data[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(data); i++ {
		if c := data[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return i
		}
	}
	return i
}

// str validates the string whose opening quote is data[i] and returns the
// offset behind its closing quote, and whether it holds escapes.
func (s *Scanner) str(i, limit int, tooLong Code) (end int, escaped bool) {
	data, j := s.data, i+1
	for j+8 <= len(data) {
		m := special(binary.LittleEndian.Uint64(data[j:]))
		if m == 0 {
			j += 8
			continue
		}
		j += bits.TrailingZeros64(m) / 8
		if data[j] == '"' && j-i-1 <= limit {
			return j + 1, false
		}
		break
	}
	return s.mixedStr(i, j, limit, tooLong)
}

// mixedStr goes on from data[j] with a string that is not all plain ASCII.
func (s *Scanner) mixedStr(i, j, limit int, tooLong Code) (end int, escaped bool) {
	data := s.data
	for {
		j = plain(data, j)
		if j >= len(data) {
			return s.fail(Truncated, len(data)), escaped
		}
		switch c := data[j]; {
		case c == '"':
			if j-i-1 > limit {
				return s.fail(tooLong, i), escaped
			}
			return j + 1, escaped
		case c == '\\':
			escaped = true
			if j = s.escape(j); j < 0 {
				return bad, escaped
			}
		case c < ' ':
			return s.fail(InvalidJSON, j), escaped
		default:
			if j = s.runes(j); j < 0 {
				return bad, escaped
			}
		}
	}
}

// runes passes over a run of characters beyond ASCII.
func (s *Scanner) runes(j int) int {
	for j < len(s.data) && s.data[j] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(s.data[j:])
		if r == utf8.RuneError && size == 1 {
			return s.fail(InvalidUTF8, j)
		}
		j += size
	}
	return j
}

// escape validates the escape at data[j] and returns the offset behind it. A
// surrogate must be the first of a pair, written as two escapes.
func (s *Scanner) escape(j int) int {
	switch s.peek(j + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return j + 2
	case 'u':
	default:
		return s.unexpected(j + 1)
	}
	r, ok := hex4(s.data, j+2)
	if !ok {
		return s.unexpected(notHex(s.data, j+2))
	}
	if !utf16.IsSurrogate(r) {
		return j + 6
	}
	if s.peek(j+6) == '\\' && s.peek(j+7) == 'u' {
		low, ok := hex4(s.data, j+8)
		if !ok {
			return s.unexpected(notHex(s.data, j+8))
		}
		if utf16.DecodeRune(r, low) != utf8.RuneError {
			return j + 12
		}
	}
	return s.fail(InvalidUTF8, j)
}

func hex4(data []byte, i int) (rune, bool) {
	if i+4 > len(data) {
		return 0, false
	}
	var r rune
	for _, c := range data[i : i+4] {
		v, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	return r, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// notHex returns the offset of the first byte from data[i] on that is no hex
// digit.
func notHex(data []byte, i int) int {
	for i < len(data) {
		if _, ok := hexDigit(data[i]); !ok {
			break
		}
		i++
	}
	return i
}

// Unquote returns the text of a valid string, given with its quotes. Without
// escapes it aliases raw; else the text is appended to buf, and the grown
// buf returned for the next call.
func Unquote(raw, buf []byte) (text, grown []byte) {
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, buf
	}
	from := len(buf)
	buf = unescape(buf, raw)
	return buf[from:len(buf):len(buf)], buf
}

// unescape appends the decoded inside of a valid string to dst. What is decoded
// is never longer than what was written.
func unescape(dst, raw []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, len(raw))[:n+len(raw)]
	for i := 0; i < len(raw); {
		k := unescaped(dst[n:], raw[i:])
		n, i = n+k, i+k
		if i == len(raw) {
			break
		}
		if raw[i+1] != 'u' {
			dst[n] = short(raw[i+1])
			n, i = n+1, i+2
			continue
		}
		r, _ := hex4(raw, i+2)
		i += 6
		if utf16.IsSurrogate(r) {
			low, _ := hex4(raw, i+2)
			r = utf16.DecodeRune(r, low)
			i += 6
		}
		n += utf8.EncodeRune(dst[n:], r)
	}
	return dst[:n]
}

// unescaped copies raw up to its first backslash, and returns how many bytes
// that are. It may write beyond them.
func unescaped(dst, raw []byte) (n int) {
	for ; n+8 <= len(raw); n += 8 {
		w := binary.LittleEndian.Uint64(raw[n:])
		binary.LittleEndian.PutUint64(dst[n:], w)
		x := w ^ ones*'\\'
		if found := (x - ones) &^ x & highs; found != 0 {
			return n + bits.TrailingZeros64(found)>>3
		}
	}
	for ; n < len(raw) && raw[n] != '\\'; n++ {
		dst[n] = raw[n]
	}
	return n
}

// short returns what the one-letter escape c stands for.
func short(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
