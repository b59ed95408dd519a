package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
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
		var shown bytes.Buffer
		if n, err := fmt.Fprint(forPeople{&shown}, raw); n != len(raw) || err != nil {
			t.Fatal(n, err)
		}
		var want strings.Builder
		for rest := raw; rest != ""; {
			_, n := utf8.DecodeRuneInString(rest)
			if one := rest[:n]; one == "\n" || one == "\t" {
				want.WriteString(one)
			} else {
				want.WriteString(printable(one))
			}
			rest = rest[n:]
		}
		if shown.String() != want.String() {
			t.Fatalf("%q is written as %q, want %q", raw, shown.String(), want.String())
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

// Answers and errors show what a terminal would obey; JSON keeps its own escapes.
func TestAnswersDoNotMoveTheCursor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a\x1b[2J\u009bé")
	answer := func(args ...string) (out, err string) {
		var said, told bytes.Buffer
		run(t.Context(), append(args, "-C", dir), strings.NewReader(""), &said, &told)
		return said.String(), told.String()
	}
	if _, err := answer("lint"); !strings.Contains(err, `a\x1b[2J\u009bé`) {
		t.Errorf("an error reads %q", err)
	}
	if code := run(t.Context(), []string{"init", "-q", "--template", "empty", dir}, strings.NewReader(""), io.Discard, io.Discard); code != exitFine {
		t.Fatal(code)
	}
	if out, err := answer("lint"); !strings.Contains(out, `a\x1b[2J\u009bé/reedbed.yaml: no problems`+"\n") {
		t.Errorf("an answer reads %q, %q", out, err)
	}
	var said bytes.Buffer
	run(t.Context(), []string{"init", "--json", "--template", "empty", dir + "2"}, strings.NewReader(""), &said, io.Discard)
	if !strings.Contains(said.String(), "a\\u001b[2J\u009bé2") {
		t.Errorf("JSON reads %q", said.String())
	}
}
