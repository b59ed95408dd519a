package protocol

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// Request is what a body held. Everything in it aliases the body or belongs to
// the Decoder, and is valid until the Decoder's next call.
type Request struct {
	Shared []byte       // for event.Batch.Shared
	Items  []event.Item // every byte of the body that is not framing is in one of them or in Shared
	IDs    []string     // the client's id of each item, "" if it has none or it could not be read
	Key    string       // the write key in the body, "" if there is none
}

// Split takes a body apart into events and gives a verdict on each. typ is the
// type the request's path implies for events that name none, or "".
//
// A body is one event, an array of events, events on lines of their own or,
// unless typ is given, an object with an array of events in the member the
// protocol names. An event that does not decode becomes an item with its exact bytes and the reason; so does, as one item, all that follows a
// place from which no further event can be found. An empty body has no items.
func (d *Decoder) Split(body []byte, typ string) *Request {
	d.verdictOnly = true
	d.outlines = d.outlines[:0]
	d.body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	d.shared = sharedFields{typ: typ}
	d.request = Request{Items: d.request.Items[:0], IDs: d.request.IDs[:0]}
	if typ != "" {
		d.request.Shared = []byte(`{"` + impliedType + `":"` + typ + `"}`)
	}
	at := strictjson.Space(d.body, 0)
	switch {
	case d.peek(at) == '[':
		if end, ok := d.array(at); ok {
			d.rest(end, strictjson.InvalidJSON, "something follows the array of events")
		}
	case typ == "" && d.isEnvelope(at):
		d.envelope(at)
	default:
		d.lines(at)
	}
	d.body = nil
	return &d.request
}

func (d *Decoder) isEnvelope(at int) bool {
	if d.protocol.batch == "" {
		return false
	}
	events, ok := strictjson.Find(d.body, at, d.protocol.batch)
	return ok && d.peek(events) == '['
}

func (d *Decoder) peek(i int) byte {
	if uint(i) < uint(len(d.body)) {
		return d.body[i]
	}
	return 0
}

// array splits the elements of the array that starts at body[at] and returns
// the offset behind it. It reports false when the body was used up.
func (d *Decoder) array(at int) (end int, ok bool) {
	i := strictjson.Space(d.body, at+1)
	if d.peek(i) == ']' {
		return i + 1, true
	}
	for {
		if d.full(i) {
			return 0, false
		}
		end, ok := d.element(i)
		if !ok {
			return 0, false
		}
		j := strictjson.Space(d.body, end)
		switch d.peek(j) {
		case ',':
			i = strictjson.Space(d.body, j+1)
		case ']':
			return j + 1, true
		default:
			d.rest(j, strictjson.InvalidJSON, "a comma or the end of the array is expected")
			return 0, false
		}
	}
}

// element decodes the array element at body[i]. If its JSON is refused it is
// cut out by its brackets; failing that, the rest of the body is one item.
func (d *Decoder) element(i int) (end int, ok bool) {
	if end, ok = d.decodeAt(d.body, i); ok {
		d.item(i, end)
		return end, true
	}
	if end, ok = strictjson.Skip(d.body, i); ok {
		d.item(i, end)
		return end, true
	}
	if i < len(d.body) {
		d.item(i, len(d.body))
	}
	return 0, false
}

// lines splits events separated by line breaks. One that is broken ends where
// a line begins with a brace.
func (d *Decoder) lines(i int) {
	for i < len(d.body) && !d.full(i) {
		end, ok := d.decodeAt(d.body, i)
		if ok && !d.endsLine(end) {
			d.refuse(string(strictjson.InvalidJSON), "something follows the event on its line")
			ok = false
		}
		if !ok {
			end = d.nextLine(i)
		}
		d.item(i, end)
		i = strictjson.Space(d.body, end)
	}
}

func (d *Decoder) endsLine(end int) bool {
	next := strictjson.Space(d.body, end)
	return next == len(d.body) || bytes.IndexByte(d.body[end:next], '\n') >= 0
}

func (d *Decoder) nextLine(i int) int {
	if n := bytes.Index(d.body[i:], []byte("\n{")); n >= 0 {
		return i + n
	}
	return len(d.body)
}

// item adds the event decoded last, which is body[from:to].
func (d *Decoder) item(from, to int) {
	raw := bytes.TrimRight(d.body[from:to:to], " \t\r\n")
	d.request.Items = append(d.request.Items, event.Item{Refusal: d.refusal, Raw: raw, Outline: d.outline()})
	d.request.IDs = append(d.request.IDs, d.env.ID)
	if d.key != "" {
		d.request.Key = d.key
	}
}

// full reports that the request has all the events it may have, and makes the
// rest one item.
func (d *Decoder) full(i int) bool {
	if len(d.request.Items) < d.lim.Events {
		return false
	}
	d.rest(i, CodeTooManyEvents, fmt.Sprintf("a request may have %d events; these follow", d.lim.Events))
	return true
}

// rest makes one refused item of everything from body[i] on, if that is more
// than space.
func (d *Decoder) rest(i int, code strictjson.Code, reason string) {
	if i = strictjson.Space(d.body, i); i < len(d.body) {
		d.refused(i, len(d.body), refusal(string(code), reason))
	}
}

func (d *Decoder) refused(from, to int, r event.Refusal) {
	d.env.ID, d.key, d.refusal = "", "", r
	d.item(from, to)
}

// envelope splits {"batch":[...], ...} at body[at], however the protocol calls it. Its other members become
// Shared; one that is refused becomes an item, so that nothing is lost and the
// events live.
func (d *Decoder) envelope(at int) {
	d.names = d.names[:0]
	var pairs [][]byte
	i := strictjson.Space(d.body, at+1)
	for more := true; more; {
		end, pair, ok := d.envelopeMember(i)
		if pair != nil {
			pairs = append(pairs, pair)
		}
		if !ok {
			break
		}
		i = strictjson.Space(d.body, end)
		switch d.peek(i) {
		case ',':
			i = strictjson.Space(d.body, i+1)
		case '}':
			d.rest(i+1, strictjson.InvalidJSON, "something follows the batch")
			more = false
		default:
			d.rest(i, strictjson.InvalidJSON, "a comma or the end of the batch is expected")
			more = false
		}
	}
	if len(pairs) > 0 {
		d.request.Shared = d.join(pairs)
	}
}

// envelopeMember reads the envelope's member at body[i] and returns the offset
// behind it, and the member if it is to be shared. It reports false when the
// body was used up.
func (d *Decoder) envelopeMember(i int) (end int, pair []byte, ok bool) {
	end, _, err := d.scan.String(d.body, i)
	if err != nil {
		d.restOf(i, err)
		return 0, nil, false
	}
	if len(d.names) == d.lim.JSON.Keys {
		d.rest(i, strictjson.TooManyKeys, "the batch has too many fields beside its events")
		return 0, nil, false
	}
	text, _ := strictjson.Unquote(d.body[i:end], nil)
	name := string(text)
	value := strictjson.Space(d.body, end)
	if d.peek(value) != ':' {
		d.rest(i, strictjson.InvalidJSON, "a colon is expected")
		return 0, nil, false
	}
	value = strictjson.Space(d.body, value+1)
	repeated := slices.Contains(d.names, name)
	d.names = append(d.names, name)
	if name == d.protocol.batch && !repeated && d.peek(value) == '[' {
		end, ok = d.array(value)
		return end, nil, ok
	}
	end, err = d.scan.Value(d.body, value)
	if err == nil && repeated {
		err = &strictjson.Error{Code: strictjson.DuplicateKey, Offset: i}
	}
	if err == nil {
		if slices.Contains(d.protocol.keys, name) && d.peek(value) == '"' {
			text, _ := strictjson.Unquote(d.body[value:end], nil)
			d.request.Key = string(text)
			return end, nil, true
		}
		return end, d.body[i:end:end], true
	}
	if end, ok = strictjson.Skip(d.body, value); !ok {
		d.restOf(i, err)
		return 0, nil, false
	}
	d.refused(i, end, refusalOf(err, i))
	return end, nil, true
}

// restOf is rest with the reason of an error of strictjson.
func (d *Decoder) restOf(i int, err error) {
	if i < len(d.body) {
		d.refused(i, len(d.body), refusalOf(err, i))
	}
}
