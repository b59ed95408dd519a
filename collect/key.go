package collect

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// authenticate looks for the write key everywhere but in the body. final says
// that the request names a key, so that the body need not be looked at: not so
// for a bearer token, which may be meant for someone else, nor for what may be
// a key in the path, which may be a name.
func (s *sources) authenticate(r *http.Request, inPath string) (src *source, final bool) {
	if k := r.Header["X-Write-Key"]; len(k) > 0 {
		name, _, _ := strings.Cut(k[0], ":") // Jitsu's keys have a second half
		if src := s.find([]byte(name)); src != nil {
			return src, true
		}
		final = true
	}
	if a := r.Header["Authorization"]; len(a) > 0 {
		key, bearer := authorization(a[0])
		if src := s.find(key); src != nil {
			return src, true
		}
		final = final || !bearer && len(key) > 0
	}
	if r.URL.RawQuery != "" {
		key := queryKey(r.URL.RawQuery)
		if src := s.find([]byte(key)); src != nil {
			return src, true
		}
		final = final || key != ""
	}
	return s.find([]byte(inPath)), final
}

// authorization returns the user name of HTTP Basic, with or without the
// colon that some clients forget, or the bearer token.
func authorization(v string) (key []byte, bearer bool) {
	scheme, rest, _ := strings.Cut(v, " ")
	switch {
	case strings.EqualFold(scheme, "bearer"):
		return []byte(strings.TrimSpace(rest)), true
	case strings.EqualFold(scheme, "basic") && len(rest) <= 4*maxKey:
		return basicUser(strings.TrimSpace(rest)), false
	}
	return nil, false
}

func basicUser(encoded string) []byte {
	b, err := base64.RawStdEncoding.AppendDecode(nil, []byte(strings.TrimRight(encoded, "=")))
	if err != nil {
		return nil
	}
	for i, c := range b {
		if c == ':' {
			return b[:i]
		}
	}
	return b
}

// queryKey returns the value of key, else of writeKey.
func queryKey(query string) (key string) {
	for rest := query; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		if name, _ = url.QueryUnescape(name); name != "key" && name != "writeKey" {
			continue
		}
		value, err := url.QueryUnescape(value)
		if err != nil || value == "" {
			continue
		}
		if name == "key" {
			return value
		}
		key = cmp.Or(key, value)
	}
	return key
}
