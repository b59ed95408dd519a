package enrich

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	for u, want := range map[string]URLParts{
		"https://www.Example.org:8443/a/b?x=1&y=2#z": {"https", "www.example.org", "/a/b", "x=1&y=2"},
		"HTTP://user:pass@EXAMPLE.org.":              {"http", "example.org", "", ""},
		"//cdn.example.org/x":                        {"", "cdn.example.org", "/x", ""},
		"/only/a/path?q=1":                           {"", "", "/only/a/path", "q=1"},
		"https://example.org?x=1":                    {"https", "example.org", "", "x=1"},
		"https://example.org/100%-sure":              {"https", "example.org", "/100%-sure", ""},
		"https://[2001:db8::1]:443/":                 {"https", "2001:db8::1", "/", ""},
		"https://münchen.example/":                   {"https", "münchen.example", "/", ""},
		`https://example.org\@evil.example/`:         {"https", "example.org", `\@evil.example/`, ""},
		"https://evil.example@example.org/":          {"https", "example.org", "/", ""},
		"https://a b/":                               {"https", "", "/", ""},
		"https://a\x00b/":                            {"https", "", "/", ""},
		"https:///path":                              {"https", "", "/path", ""},
		"mailto:a@example.org":                       {"mailto", "", "a@example.org", ""},
		"android-app://com.example.player/":          {"android-app", "com.example.player", "/", ""},
		"example.org/path":                           {"", "", "example.org/path", ""},
		"not a url":                                  {"", "", "not a url", ""},
		"  https://example.org/  ":                   {"https", "example.org", "/", ""},
		"#frag":                                      {},
		"":                                           {},
		"https://" + strings.Repeat("a", 300) + "/":  {"https", "", "/", ""},
	} {
		if diff := cmp.Diff(want, ParseURL(u)); diff != "" {
			t.Errorf("ParseURL(%.80q) (-want +got):\n%s", u, diff)
		}
	}
}

func TestParseURLLooksAtABoundedPart(t *testing.T) {
	got := ParseURL("https://example.org/" + strings.Repeat("a", 1<<20))
	if n := len(got.Path); n > maxURL {
		t.Errorf("the path has %d bytes, want at most %d", n, maxURL)
	}
}

func TestParam(t *testing.T) {
	const u = "https://example.org/?utm_source=news+letter&a=&a=2&bad=%zz&bytes=%ff&na%6De=x&plain#utm_source=no"
	for name, want := range map[string]string{
		"utm_source": "news letter",
		"a":          "",
		"bad":        "%zz",
		"bytes":      "\uFFFD",
		"name":       "x",
		"plain":      "",
		"missing":    "",
		"":           "",
	} {
		if got := Param(u, name); got != want {
			t.Errorf("Param(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestReferrerHost(t *testing.T) {
	for u, want := range map[string]string{
		"https://www.google.com/":           "google.com",
		"https://NEWS.example.org:443/x":    "news.example.org",
		"android-app://com.google.android/": "com.google.android",
		"//www.example.org/":                "example.org",
		"about:blank":                       "",
		"data:text/html,hello":              "",
		"file:///etc/passwd":                "",
		"javascript://example.org/%0aalert": "",
		"":                                  "",
	} {
		if got := ReferrerHost(u); got != want {
			t.Errorf("ReferrerHost(%q) = %q, want %q", u, got, want)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"https://u:p@example.org:1/a?b=c#d", "//x", "[::1", "https://[", "?a=%", "a:b"} {
		f.Add(s, "b")
	}
	f.Fuzz(func(t *testing.T, u, name string) {
		parts := ParseURL(u)
		if parts.Host != strings.ToLower(parts.Host) || strings.ContainsAny(parts.Host, "/?#@ \x00") {
			t.Errorf("ParseURL(%q).Host = %q", u, parts.Host)
		}
		if n := len(parts.Scheme) + len(parts.Path) + len(parts.Query); n > maxURL {
			t.Errorf("ParseURL kept %d bytes", n)
		}
		if v := Param(u, name); !utf8.ValidString(v) {
			t.Errorf("Param(%q, %q) = %q is not UTF-8", u, name, v)
		}
	})
}

func BenchmarkURL(b *testing.B) {
	const u = "https://www.example.org/charts/2026/november?utm_source=newsletter&utm_medium=mail&page=2"
	b.Run("host", func(b *testing.B) {
		for b.Loop() {
			ParseURL(u)
		}
	})
	b.Run("param", func(b *testing.B) {
		for b.Loop() {
			Param(u, "page")
		}
	})
	b.Run("hostile", func(b *testing.B) {
		hostile := "?" + strings.Repeat("%61&", 1<<16)
		for b.Loop() {
			Param(hostile, "z")
		}
	})
}
