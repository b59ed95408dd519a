package protocol

import (
	"bytes"
	"encoding/base64"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// embedded returns the JSON object that a text member holds, checked by the
// rules of events. Without one, the event is refused and ok is false.
func (d *Decoder) embedded(m *strictjson.Member, encoded bool) (object []byte, ok bool) {
	if m.Kind != strictjson.String {
		d.refuse(CodeBadEmbedded, "`"+string(m.Key)+"` must be a string")
		return nil, false
	}
	text := d.unquoted(m)
	if encoded {
		if text, ok = d.base64(text); !ok {
			d.refuse(CodeBadEmbedded, "`"+string(m.Key)+"` is not base64")
			return nil, false
		}
	}
	text = bytes.TrimSpace(text)
	err := d.side.Document(text)
	if err != nil {
		d.refuse(CodeBadEmbedded, "`"+string(m.Key)+"` holds no valid JSON: "+err.Error())
		return nil, false
	}
	if text[0] != '{' {
		d.refuse(CodeBadEmbedded, "`"+string(m.Key)+"` must hold a JSON object")
		return nil, false
	}
	return text, true
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
	if bytes.ContainsAny(text, "+/") {
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
