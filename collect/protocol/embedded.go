package protocol

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// embedded returns the JSON value that a text member holds under the names,
// each inside the one before; without names, all of it. It is checked by the
// rules of events, in one pass, unless checked says that the door did. why says
// why there is none.
func (d *Decoder) embedded(m *strictjson.Member, encoded, checked bool, kind strictjson.Kind, names ...string) (text, value []byte, why string) {
	if m.Kind != strictjson.String {
		return nil, nil, "must be a string"
	}
	text = d.unquoted(m)
	if encoded {
		var ok bool
		if text, ok = d.base64(text); !ok {
			return nil, nil, "is not base64"
		}
	}
	text = bytes.Trim(text, " \t\r\n")
	at, found := 0, true
	for _, name := range names {
		if at, found = strictjson.Find(text, at, name); !found {
			break
		}
	}
	var end int
	var err error
	switch {
	case !found:
		err = d.side.Document(text)
	case checked:
		end, found = strictjson.Skip(text, at)
	default:
		end, err = d.checked(text, at)
	}
	switch {
	case err != nil:
		return nil, nil, "holds no valid JSON: " + err.Error()
	case !found || at == end || strictjson.MemberOf(text[at:end]).Kind != kind:
		return nil, nil, strings.TrimSuffix("holds no "+kindName(kind)+" under "+strings.Join(names, "."), " under ")
	}
	return text, text[at:end:end], ""
}

// checked checks a JSON text by checking the value at text[at], whose end it
// returns, and what is around it with another in its place.
func (d *Decoder) checked(text []byte, at int) (end int, err error) {
	if end, err = d.side.Value(text, at); err != nil {
		return 0, err
	}
	d.frame = append(append(append(d.frame[:0], text[:at]...), "null"...), text[end:]...)
	return end, d.side.Document(d.frame)
}

func kindName(k strictjson.Kind) string {
	if k == strictjson.Array {
		return "array"
	}
	return "object"
}

func (d *Decoder) badEmbedded(m *strictjson.Member, why string) {
	d.refuse(CodeBadEmbedded, "`"+string(m.Key)+"` "+why)
}

// space returns an empty slice with room for n bytes that live as long as the
// envelope of this event does.
func (d *Decoder) space(n int) []byte {
	if !d.verdictOnly {
		return d.arena.room(n)
	}
	if cap(d.scratch)-len(d.scratch) < n {
		d.scratch = make([]byte, 0, 2*cap(d.scratch)+n) // what is in the old one stays there for whoever refers to it
	}
	from := len(d.scratch)
	d.scratch = d.scratch[:from+n]
	return d.scratch[from:from:len(d.scratch)]
}

func (d *Decoder) unquoted(m *strictjson.Member) []byte {
	if !m.Escaped {
		return m.Value[1 : len(m.Value)-1]
	}
	text, _ := strictjson.Unquote(m.Value, d.space(len(m.Value)))
	return text
}

// base64 decodes either alphabet, padded or not: clients write all four.
func (d *Decoder) base64(text []byte) ([]byte, bool) {
	text = bytes.TrimRight(text, "=")
	alphabet := base64.RawURLEncoding
	if bytes.IndexByte(text, '+') >= 0 || bytes.IndexByte(text, '/') >= 0 {
		alphabet = base64.RawStdEncoding
	}
	decoded, err := alphabet.AppendDecode(d.space(alphabet.DecodedLen(len(text))), text)
	return decoded, err == nil
}

// inside returns the value of a member of a valid object, and its kind.
func inside(object []byte, name string) (value []byte, kind strictjson.Kind) {
	at, ok := strictjson.Find(object, 0, name)
	if !ok {
		return nil, 0
	}
	end, ok := strictjson.Skip(object, at)
	if !ok {
		return nil, 0
	}
	value = object[at:end:end]
	return value, strictjson.MemberOf(value).Kind
}

// pairs collects members for an object of the envelope.
type pairs [][]byte

// add adds a value as written, if there is one.
func (p *pairs) add(name string, value []byte) {
	if len(value) > 0 && string(value) != "null" {
		*p = append(*p, labelled(name, value))
	}
}

// as returns the object of the pairs, nil when there are none.
func (d *Decoder) as(p pairs) []byte {
	if len(p) == 0 {
		return nil
	}
	return d.join(p)
}
