package strictjson

// Skip returns the offset behind the value at data[at] by its quotes and
// brackets alone, so that a value which is refused can be cut out of the text
// around it. It reports false when they do not match up: then nobody can say
// where the value ends.
func Skip(data []byte, at int) (end int, ok bool) {
	var room [64]byte
	open := room[:0] // the closing brackets to come
	i := Space(data, at)
	for i < len(data) {
		switch c := data[i]; c {
		case '"':
			if i = skipString(data, i); i < 0 {
				return at, false
			}
		case '{', '[':
			open = append(open, c+2) // in ASCII the bracket that closes c
			i++
			continue
		case '}', ']':
			if len(open) == 0 || open[len(open)-1] != c {
				return at, false
			}
			open = open[:len(open)-1]
			i++
		case ' ', '\n', '\t', '\r', ',', ':':
			if len(open) == 0 {
				return at, false
			}
			i++
			continue
		default:
			i = skipBare(data, i)
		}
		if len(open) == 0 {
			return i, true
		}
	}
	return at, false
}

// skipString returns the offset behind the string at data[i], or bad when it
// does not end before a line break.
func skipString(data []byte, i int) int {
	for j := i + 1; ; {
		j = plain(data, j)
		if j >= len(data) {
			return bad
		}
		switch data[j] {
		case '"':
			return j + 1
		case '\\':
			j += 2
		case '\n':
			return bad
		default:
			j++
		}
	}
}

// skipBare passes over anything that is not structure: numbers, words, rubbish.
func skipBare(data []byte, i int) int {
	for ; i < len(data); i++ {
		switch data[i] {
		case ' ', '\n', '\t', '\r', ',', ':', '"', '{', '}', '[', ']':
			return i
		}
	}
	return i
}

// Find returns the offset of the value of the first member called key of the
// object at data[at], looking at quotes and brackets alone. The answer is a
// guess to choose a way of reading by; it validates nothing.
func Find(data []byte, at int, key string) (value int, ok bool) {
	i := Space(data, at)
	if i >= len(data) || data[i] != '{' {
		return 0, false
	}
	for {
		i = Space(data, i+1)
		if i >= len(data) || data[i] != '"' {
			return 0, false
		}
		end := skipString(data, i)
		if end < 0 {
			return 0, false
		}
		colon := Space(data, end)
		if colon >= len(data) || data[colon] != ':' {
			return 0, false
		}
		value := Space(data, colon+1)
		if string(data[i+1:end-1]) == key {
			return value, true
		}
		if i, ok = Skip(data, value); !ok {
			return 0, false
		}
		if i = Space(data, i); i >= len(data) || data[i] != ',' {
			return 0, false
		}
	}
}
