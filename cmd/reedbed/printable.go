package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// forPeople writes text without what a terminal would obey: names, values and the
// errors of engines quote events, and what those hold is for their senders to choose.
// Lines and tabs stay. Each Write is of whole characters.
type forPeople struct{ w io.Writer }

// Write implements io.Writer. It returns len(text) if all of it was written, however
// long that became.
func (f forPeople) Write(text []byte) (int, error) {
	var shown strings.Builder
	for rest := string(text); rest != ""; {
		end := strings.IndexAny(rest, "\n\t")
		if end < 0 {
			shown.WriteString(printable(rest))
			break
		}
		shown.WriteString(printable(rest[:end]) + rest[end:end+1])
		rest = rest[end+1:]
	}
	if _, err := io.WriteString(f.w, shown.String()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// printable is the text with control characters and broken UTF-8 escaped, and
// quotes as they are.
func printable(text string) string {
	var b strings.Builder
	for i, c := range text {
		switch {
		case c == utf8.RuneError && text[i] != 0xef:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(c):
			b.WriteRune(c)
		default:
			quoted := fmt.Sprintf("%q", string(c))
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
