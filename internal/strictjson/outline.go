package strictjson

import (
	"encoding/binary"
	"math/bits"
)

// AppendOutline appends to dst what Outlined needs to find the members of an
// object again without reading all of it: the lengths of those values that are
// objects or arrays, in order, as varints.
func AppendOutline(dst []byte, members []Member) []byte {
	for i := range members {
		if m := &members[i]; m.Kind == Object || m.Kind == Array {
			dst = binary.AppendUvarint(dst, uint64(len(m.Value)))
		}
	}
	return dst
}

// Outlined appends to dst the members of an object that was validated before,
// by the outline made of it then. Their hashes are 0. It reports false when the
// two do not fit together, when data is more than the object, or when a name
// is spelt with escapes: then the object must be read in full. It checks what
// it passes over and nothing else.
func Outlined(data, outline []byte, dst []Member) (members []Member, ok bool) {
	i := 0
	if len(data) < 2 || data[0] != '{' {
		return dst, false
	}
	if i = Space(data, 1); i < len(data) && data[i] == '}' {
		return dst, i+1 == len(data) && len(outline) == 0
	}
	for {
		m := Member{}
		start := i
		if i, m.Escaped = quoted(data, i); i < 0 || m.Escaped {
			return dst, false
		}
		m.Key = data[start+1 : i-1 : i-1]
		if i = Space(data, i); i >= len(data) || data[i] != ':' {
			return dst, false
		}
		from := Space(data, i+1)
		if i, outline, m.Escaped = outlinedValue(data, from, outline); i < 0 {
			return dst, false
		}
		m.Value, m.Pair, m.Kind = data[from:i:i], data[start:i:i], kindOf(data[from])
		dst = append(dst, m)
		if i = Space(data, i); i >= len(data) {
			return dst, false
		}
		switch data[i] {
		case ',':
			i = Space(data, i+1)
		case '}':
			return dst, i+1 == len(data) && len(outline) == 0
		default:
			return dst, false
		}
	}
}

// outlinedValue returns the offset behind the value at data[i], bad if it has
// none, and the outline of what follows.
func outlinedValue(data []byte, i int, outline []byte) (end int, rest []byte, escaped bool) {
	if i >= len(data) {
		return bad, outline, false
	}
	switch c := data[i]; c {
	case '"':
		end, escaped = quoted(data, i)
		return end, outline, escaped
	case '{', '[':
		n, size := binary.Uvarint(outline)
		if size <= 0 || n < 2 || n > uint64(len(data)-i) || data[i+int(n)-1] != c+2 { // in ASCII the bracket that closes c
			return bad, outline, false
		}
		return i + int(n), outline[size:], false
	}
	if end = skipBare(data, i); end == i {
		return bad, outline, false
	}
	return end, outline, false
}

// quoted returns the offset behind the string at data[i], bad if there is
// none, and whether it holds escapes.
func quoted(data []byte, i int) (end int, escaped bool) {
	if i >= len(data) || data[i] != '"' {
		return bad, false
	}
	for i++; ; {
		if i = delimiter(data, i); i >= len(data) {
			return bad, escaped
		}
		if data[i] == '"' {
			return i + 1, escaped
		}
		escaped = true
		i += 2
	}
}

// delimiter returns the offset of the first quote or backslash from data[i]
// on, or one that is not below len(data).
func delimiter(data []byte, i int) int {
	for ; i+8 <= len(data); i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		quote, escape := w^ones*'"', w^ones*'\\'
		if m := ((quote-ones)&^quote | (escape-ones)&^escape) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(data); i++ {
		if data[i] == '"' || data[i] == '\\' {
			return i
		}
	}
	return i
}
