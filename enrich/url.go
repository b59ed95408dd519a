package enrich

import (
	"net/url"
	"strings"
)

// maxURL is how many bytes of a URL are considered; what comes after is cut off.
const maxURL = 8 << 10

// maxHost is the longest name DNS allows.
const maxHost = 253

// URLParts are the parts of a URL as written, except that scheme and host are
// lower-cased. The host has no port, no user name, no brackets and no final
// dot; "www." stays, because it is part of the name. Parts that are missing or
// make no sense are "".
type URLParts struct {
	Scheme string
	Host   string
	Path   string
	Query  string // without the question mark
}

// ParseURL takes a URL apart. Unlike net/url it refuses nothing: trackers send
// what the page had, and a stray percent sign must not hide the host. A text
// without scheme and without a leading // is a path.
func ParseURL(u string) URLParts {
	u = strings.TrimSpace(clip(u, maxURL))
	u, _, _ = strings.Cut(u, "#")
	rest, query, _ := strings.Cut(u, "?")
	scheme, rest, ok := cutAuthority(rest)
	if !ok {
		return URLParts{Scheme: scheme, Path: rest, Query: query}
	}
	path := ""
	if i := strings.IndexAny(rest, `/\`); i >= 0 {
		rest, path = rest[:i], rest[i:]
	}
	return URLParts{Scheme: scheme, Host: hostOf(rest), Path: path, Query: query}
}

// cutAuthority splits "scheme://rest" and "//rest". With ok false there is no
// authority and rest is a path (of "mailto:a@b" the part after the colon).
func cutAuthority(u string) (scheme, rest string, ok bool) {
	if rest, ok := strings.CutPrefix(u, "//"); ok {
		return "", rest, true
	}
	scheme, rest, found := strings.Cut(u, ":")
	if !found || !isScheme(scheme) {
		return "", u, false
	}
	rest, ok = strings.CutPrefix(rest, "//")
	return strings.ToLower(scheme), rest, ok
}

func isScheme(s string) bool {
	if s == "" || len(s) > 32 || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// hostOf returns the host of an authority: "user@EXAMPLE.org:8080" is
// "example.org".
func hostOf(authority string) string {
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, _, _ = strings.Cut(inner, "]")
	} else {
		host, _, _ = strings.Cut(host, ":")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if len(host) > maxHost || strings.ContainsFunc(host, notHost) {
		return ""
	}
	return host
}

// notHost reports what no host has. Letters beyond ASCII stay: browsers show
// such names, and trackers send them.
func notHost(r rune) bool {
	if r >= 0x80 {
		return r == '\uFFFD' || r < 0xA0
	}
	c := byte(r)
	return !isLetter(c) && !isDigit(c) && !strings.ContainsRune(".-_:", r)
}

// Param returns the first value of a query parameter, decoded; "" when it is
// missing or empty. A value with a broken percent escape is returned as written.
// The result is always valid UTF-8.
func Param(u, name string) string {
	query := ParseURL(u).Query
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if key == name || decodeQuery(key) == name {
			return decodeQuery(value)
		}
	}
	return ""
}

func decodeQuery(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		s = decoded
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// ReferrerHost returns the host that sent a visitor, for grouping: lower-cased,
// without port and without a leading "www.". It is "" for a direct visit and
// for schemes that name no site (about:, data:, file:).
func ReferrerHost(u string) string {
	parts := ParseURL(u)
	switch parts.Scheme {
	case "http", "https", "android-app", "ios-app", "":
		return strings.TrimPrefix(parts.Host, "www.")
	default:
		return ""
	}
}
