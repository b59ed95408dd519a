package protocol

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// readSnowplow reads one payload of Snowplow's tracker protocol: a flat object
// of strings. docs/event.md says what each becomes.
func readSnowplow(d *Decoder, members []strictjson.Member) {
	e := &d.env
	var s snowplowEvent
	query := d.shared.observed.query.members
	for i := range members {
		m := &members[i]
		if len(query) > 0 && !isOwn(m) && slices.ContainsFunc(query, func(q strictjson.Member) bool { return bytes.Equal(q.Key, m.Key) }) {
			continue
		}
		d.snowplowField(&s, m)
	}
	for i := range query {
		switch q := &query[i]; {
		case !isOwn(q):
			d.snowplowField(&s, q)
		case !d.has(string(q.Key)):
			d.other(q)
		}
	}
	if !s.trueTime.IsZero() {
		e.Time = s.trueTime
	}
	d.snowplowKind(&s)
	if d.verdictOnly {
		return
	}
	d.snowplowPerson(&s)
	page := d.snowplowContext(&s)
	if s.kind == "pv" {
		e.Properties = page
	}
}

// isOwn tells what an event is from who sent it and where. The door judges an
// event by this, so a request's query does not change it.
func isOwn(m *strictjson.Member) bool {
	switch key := string(m.Key); key {
	case "e", "eid", "ue_pr", "ue_px", "co", "cx":
		return true
	default:
		return len(key) > 3 && slices.Contains([]string{"se_", "pp_", "tr_", "ti_"}, key[:3])
	}
}

// snowplowContext writes the context in the form other clients have it, and
// returns the page in it, nil if there is none.
func (d *Decoder) snowplowContext(s *snowplowEvent) (page []byte) {
	const names = len(`{"page":{"url":,"title":,"referrer":},"locale":,"timezone":,"userAgent":,"contexts":}`)
	size := names + len(s.url) + len(s.title) + len(s.referrer) + len(s.language) + len(s.zone) + len(s.agent) + len(s.contexts)
	if size == names {
		return nil
	}
	out := append(d.arena.room(size), `{"page":`...)
	from := len(out)
	out = field(out, `{"url":`, s.url)
	out = field(out, `,"title":`, s.title)
	out = field(out, `,"referrer":`, s.referrer)
	if len(out) > from {
		out[from] = '{' // the first may be any
		out = append(out, '}')
		page = out[from:len(out):len(out)]
	} else {
		out = out[:0]
	}
	out = field(out, `,"locale":`, s.language)
	out = field(out, `,"timezone":`, s.zone)
	out = field(out, `,"userAgent":`, s.agent)
	out = field(out, `,"contexts":`, s.contexts)
	if len(out) == 0 {
		return nil
	}
	out[0] = '{'
	d.env.Context = append(out, '}')
	return page
}

// field appends a member under a name with all its signs, if there is a value.
func field(out []byte, name string, value []byte) []byte {
	if len(value) == 0 || value[0] == 'n' { // null
		return out
	}
	return append(append(out, name...), value...)
}

// snowplowEvent is what is found on the way; JSON values are as written.
type snowplowEvent struct {
	kind                  string
	trueTime              time.Time
	ownNetwork            string // of the event itself
	url, title, referrer  []byte
	language, zone, agent []byte
	contexts              []byte // the array of self-describing entities
	schema, data          []byte // of a self-describing event
	action                string
	structured, of        pairs // properties of a structured event, and of others
	structuredAsSent      pairs
}

func (d *Decoder) snowplowField(s *snowplowEvent, m *strictjson.Member) {
	e := &d.env
	switch key := string(m.Key); key {
	case "e":
		d.required(&s.kind, m, CodeBadType)
	case "eid":
		d.required(&e.ID, m, CodeBadID)
	case "dtm":
		d.millis(&e.Time, m)
	case "ttm":
		d.millis(&s.trueTime, m)
	case "stm":
		d.millis(&e.SentAt, m)
	case "uid":
		d.optional(&e.UserID, m)
	case "duid":
		d.optional(&e.AnonymousID, m)
	case "sid":
		d.optional(&e.SessionID, m)
	case "nuid", "tnuid":
		d.optional(&s.ownNetwork, m)
		d.other(m)
	case "url":
		s.url = m.Value
	case "page":
		s.title = m.Value
	case "refr":
		s.referrer = m.Value
	case "lang":
		s.language = m.Value
	case "tz":
		s.zone = m.Value
	case "ua":
		s.agent = m.Value
	case "ue_pr", "ue_px":
		d.selfDescribing(s, m, key == "ue_px")
	case "co", "cx":
		d.snowplowContexts(s, m, key == "cx")
	case "aid":
		if m.Kind == strictjson.String {
			d.key = d.text(m)
		}
		d.other(m)
	default:
		d.snowplowProperty(s, m, key)
	}
}

// snowplowProperty sorts members that are properties of one kind of event.
func (d *Decoder) snowplowProperty(s *snowplowEvent, m *strictjson.Member, key string) {
	if len(key) < 4 {
		d.other(m)
		return
	}
	switch key[:3] {
	case "se_":
		d.structured(s, m, key)
	case "pp_", "tr_", "ti_":
		s.of = append(s.of, m.Pair)
	default:
		d.other(m)
	}
}

func (d *Decoder) structured(s *snowplowEvent, m *strictjson.Member, key string) {
	s.structuredAsSent = append(s.structuredAsSent, m.Pair)
	switch key {
	case "se_ac":
		d.optional(&s.action, m)
		s.structured.add("action", m.Value)
	case "se_ca":
		s.structured.add("category", m.Value)
	case "se_la":
		s.structured.add("label", m.Value)
	case "se_pr":
		s.structured.add("property", m.Value)
	case "se_va":
		s.structured.add("value", m.Value)
	default:
		s.structured = append(s.structured, m.Pair)
	}
}

// snowplowKind gives the event its type, name and properties. What belongs to
// another kind of event stays in extra.
func (d *Decoder) snowplowKind(s *snowplowEvent) {
	e := &d.env
	e.Type = "track"
	var properties pairs
	switch s.kind {
	case "pv":
		e.Type = "page"
	case "pp":
		e.Name = "page_ping"
		properties, s.of = s.of, nil
	case "tr":
		e.Name = "transaction"
		properties, s.of = s.of, nil
	case "ti":
		e.Name = "transaction_item"
		properties, s.of = s.of, nil
	case "se":
		e.Name = s.action
		properties, s.structuredAsSent = s.structured, nil
	case "ue":
		d.schemaEvent(s)
	default:
		d.refuse(CodeBadType, "`e` must be one of pv, pp, ue, se, tr, ti")
	}
	d.extra = append(append(d.extra, s.of...), s.structuredAsSent...)
	d.note("data", s.data)
	if len(properties) > 0 && !d.verdictOnly {
		e.Properties = d.join(properties)
	}
}

// schemaEvent names a self-describing event after its schema.
func (d *Decoder) schemaEvent(s *snowplowEvent) {
	if s.schema == nil {
		d.refuse(CodeBadEmbedded, "a self-describing event needs `ue_pr` or `ue_px`")
		return
	}
	d.env.Name, d.env.Properties = d.schemaName(s.schema), s.data
	s.data = nil
	d.note("schema", s.schema)
}

// note keeps a value in extra under a name of ours, unless the client uses it.
func (d *Decoder) note(name string, value []byte) {
	named := func(m strictjson.Member) bool { return string(m.Key) == name }
	if d.verdictOnly || value == nil || d.has(name) || slices.ContainsFunc(d.shared.observed.query.members, named) {
		return
	}
	d.extra = append(d.extra, labelled(name, value))
}

// selfDescribing unwraps an event from the schema around it.
func (d *Decoder) selfDescribing(s *snowplowEvent, m *strictjson.Member, encoded bool) {
	text, data, why := d.embedded(m, encoded, d.followed, strictjson.Object, "data", "data")
	if why != "" {
		d.badEmbedded(m, why)
		return
	}
	inner, _ := strictjson.Find(text, 0, "data")
	at, ok := strictjson.Find(text, inner, "schema")
	if !ok || at == len(text) || text[at] != '"' {
		d.badEmbedded(m, "holds an event without a `schema`")
		return
	}
	end, _ := strictjson.Skip(text, at)
	s.schema, s.data = text[at:end:end], data
}

// schemaName is the third part of iglu:vendor/name/format/version.
func (d *Decoder) schemaName(schema []byte) string {
	m := strictjson.MemberOf(schema)
	_, rest, found := strings.Cut(alias(d.unquoted(&m)), "/")
	name, _, more := strings.Cut(rest, "/")
	if !found || !more || name == "" {
		d.refuse(CodeBadEmbedded, "the schema of a self-describing event must be like iglu:com.acme/name/jsonschema/1-0-0")
	}
	return name
}

// snowplowContexts reads what an event happened in. Contexts that cannot be
// read do not cost the event; they stay in extra.
func (d *Decoder) snowplowContexts(s *snowplowEvent, m *strictjson.Member, encoded bool) {
	if d.verdictOnly {
		return
	}
	_, list, why := d.embedded(m, encoded, false, strictjson.Array, "data")
	if why != "" {
		d.other(m)
		return
	}
	s.contexts = list
}

// snowplowPerson takes the network's user for a client without one of its own.
func (d *Decoder) snowplowPerson(s *snowplowEvent) {
	e := &d.env
	network := s.ownNetwork
	if network == "" {
		network = d.shared.observed.network
		if network != "" {
			quoted, _ := jsontext.AppendQuote(nil, network)
			d.note("nuid", quoted)
		}
	}
	if e.AnonymousID == "" && network != AnonymousNetwork {
		e.AnonymousID = network
	}
}

// AnonymousNetwork is the network user id of a client that asks not to be told
// from others.
const AnonymousNetwork = "00000000-0000-0000-0000-000000000000"

// millis reads Unix milliseconds up to the year 9999, which come as text.
func (d *Decoder) millis(dst *time.Time, m *strictjson.Member) {
	if d.verdictOnly {
		return
	}
	digits := m.Value
	if m.Kind == strictjson.String {
		digits = digits[1 : len(digits)-1]
	}
	n, err := strconv.ParseInt(alias(digits), 10, 64)
	if err != nil || n < 0 || n >= 253402300800e3 {
		d.other(m)
		return
	}
	*dst = time.UnixMilli(n).UTC()
}
