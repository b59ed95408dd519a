package main

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// What came from outside reaches a terminal as text that it does not obey.
func TestRefusedBytesAreEscaped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		for _, shown := range []string{printable(raw), plain(raw, rapid.IntRange(1, 40).Draw(t, "most"))} {
			if !utf8.ValidString(shown) || strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q is shown as %q", raw, shown)
			}
		}
	})
	for raw, want := range map[string]string{
		`{"a":"b\n"}`: `{"a":"b\n"}`, "a\x1b[2Jé\n": `a\x1b[2Jé\n`, "\xff\uFFFD\u202e": `\xff` + "\uFFFD" + `\u202e`,
	} {
		if got := printable(raw); got != want {
			t.Errorf("%q: %s, want %s", raw, got, want)
		}
	}
}
