package collect

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/reedbed/reedbed/event"
)

// queryBody is the event in a query: an object of its parameters, in their
// order, as strings. The write key is none of them.
func queryBody(r *http.Request, _ []byte) ([]byte, error) {
	body := make([]byte, 0, len(r.URL.RawQuery)+64)
	open := byte('{')
	for rest := r.URL.RawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, badQuery(err)
		}
		if name == "key" || name == "writeKey" {
			continue
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, badQuery(err)
		}
		body = append(body, open)
		body = appendString(body, name)
		body = append(body, ':')
		body = appendString(body, value)
		open = ','
	}
	if len(body) == 0 {
		return nil, nil
	}
	return append(body, '}'), nil
}

func badQuery(err error) error {
	return event.Refusal{Code: "bad_query", Reason: "the query does not decode: " + err.Error()}
}

// appendString writes a JSON string with every byte of s in it, even those
// that are no UTF-8, so that what is refused for them is kept as it was.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, '\\', c)
	}
	return append(append(b, s[from:]...), '"')
}
