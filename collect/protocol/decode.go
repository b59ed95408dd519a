package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// Decoder reads events of one protocol. It keeps its working memory from call
// to call and belongs to one goroutine.
//
// The front door calls Split once per request. The loader calls Begin once per
// batch, then Read for every accepted item, each followed, where wanted, by
// PayloadHash and ID.
type Decoder struct {
	protocol Protocol
	lim      Limits
	scan     *strictjson.Scanner
	side     *strictjson.Scanner // for reading a part of an event while scan holds the whole

	// Of the batch begun last.
	shared sharedFields
	seen   map[[16]byte]int // content hashes of events without an id

	// Of the event decoded last.
	raw          []byte
	members      []strictjson.Member
	env          event.Envelope
	extra        [][]byte // members as written that the envelope has no place for
	integrations []byte   // a Segment message's own, or nil
	refusal      event.Refusal
	key          string // the write key in the event, if any
	payload      uint64 // its payload hash
	hashed       bool   // payload is known; else the members' hashes say it
	sideMembers  []strictjson.Member
	pairs        [][]byte
	verdictOnly  bool   // nobody reads Context and Extra: do not assemble them
	scratch      []byte // JSON out of text fields, while verdictOnly
	frame        []byte // what is around JSON in a text field
	followed     bool   // the event is read by the outline of a door that accepted it

	arena arena

	// Of the request being split; see Split.
	body     []byte
	names    []string // of the envelope's members so far
	request  Request
	outlines []byte // of the request's items
}

// NewDecoder returns a Decoder for one protocol.
func NewDecoder(p Protocol, lim Limits) *Decoder {
	lim = lim.orDefault()
	return &Decoder{
		protocol: p,
		lim:      lim,
		scan:     strictjson.NewScanner(lim.JSON),
		side:     strictjson.NewScanner(lim.JSON),
	}
}

// Begin starts a batch, whose shared fields apply to every Decode after it.
func (d *Decoder) Begin(shared []byte) {
	clear(d.seen)
	d.shared = d.readShared(shared)
}

// Decode returns the envelope of one event, or an event.Refusal if it does not
// decode. The envelope aliases raw and memory that is never reused.
func (d *Decoder) Decode(raw []byte) (event.Envelope, error) {
	d.verdictOnly = false
	end, ok := d.decodeAt(raw, 0)
	if trailing := strictjson.Space(raw, end); ok && trailing < len(raw) {
		d.refuse(string(strictjson.InvalidJSON), "something follows the event, at byte "+strconv.Itoa(trailing))
	}
	return d.answer()
}

// Read is Decode for an item that a door accepted. By the item's outline it
// reads only what the envelope needs, with the same result.
func (d *Decoder) Read(item *event.Item) (event.Envelope, error) {
	if !d.follow(item) {
		return d.Decode(item.Raw)
	}
	d.verdictOnly, d.followed = false, true
	d.envelopeOf(item.Raw)
	return d.answer()
}

func (d *Decoder) answer() (event.Envelope, error) {
	if d.refusal != (event.Refusal{}) {
		return d.env, d.refusal
	}
	return d.env, nil
}

// PayloadHash returns the hash of the content of the event decoded last: its
// raw JSON without the protocol's transport fields. It equals
// event.PayloadHash.
func (d *Decoder) PayloadHash() uint64 {
	if !d.hashed {
		d.payload, d.hashed = d.fold(), true
	}
	return d.payload
}

// fold is the hash, under the seed they were read with, of the members that
// are no transport fields.
func (d *Decoder) fold() uint64 { return d.scan.Fold(d.members, d.protocol.TransportFields) }

// ID returns the id of the event decoded last: the client's, or one derived
// from its content. It must be called once for every event of a batch, in
// order, because events with equal content are told apart by their number.
func (d *Decoder) ID(receivedAt time.Time) string {
	if d.env.ID != "" {
		return d.env.ID
	}
	content := d.shared.observed.apart(d.contentHash())
	if d.seen == nil {
		d.seen = make(map[[16]byte]int)
	}
	nth := d.seen[content]
	d.seen[content]++
	return event.DerivedID(content, d.env.Time, receivedAt, nth)
}

// contentHash reads the event again for the second half of the hash; few
// clients send no id.
func (d *Decoder) contentHash() (sum [16]byte) {
	binary.BigEndian.PutUint64(sum[:8], d.PayloadHash())
	d.scan.Hashing, d.scan.Seed = true, event.ContentSeed
	d.members, _, _ = d.scan.Object(d.raw, 0, d.members[:0])
	binary.BigEndian.PutUint64(sum[8:], d.fold())
	return sum
}

// decodeAt decodes the event that starts at data[at]. It reports false when
// the JSON is refused, so that where it ends is not known; all other refusals
// leave ok true.
func (d *Decoder) decodeAt(data []byte, at int) (end int, ok bool) {
	var err error
	d.forget()
	d.scan.Hashing, d.scan.Seed = true, event.PayloadSeed
	d.members, end, err = d.scan.Object(data, at, d.members[:0])
	if err != nil {
		d.refusal = refusalOf(err, at)
		return at, false
	}
	d.envelopeOf(data[at:end:end])
	return end, true
}

// forget drops what is known of the event before.
func (d *Decoder) forget() {
	d.env = event.Envelope{Seq: -1}
	d.extra, d.integrations = d.extra[:0], nil
	d.refusal, d.key = event.Refusal{}, ""
	d.hashed, d.followed, d.scratch = false, false, d.scratch[:0]
}

// envelopeOf reads the envelope of an event whose members are known, and
// judges it.
func (d *Decoder) envelopeOf(raw []byte) {
	d.raw = raw
	if len(raw) > d.lim.EventBytes {
		d.refuse(CodeTooLarge, fmt.Sprintf("the event has %d bytes; the limit is %d", len(raw), d.lim.EventBytes))
		return
	}
	if d.shared.err != nil {
		d.refuse(CodeBadShared, "the fields its batch shares do not decode: "+d.shared.err.Error())
		return
	}
	d.env.Type = d.shared.typ
	d.env.SentAt = d.shared.sentAt
	d.protocol.read(d, d.members)
	d.judge()
	if !d.verdictOnly && d.refusal.Code == "" {
		d.assemble()
	}
}

// refusalOf says of an error of strictjson where in the event it is.
func refusalOf(err error, at int) event.Refusal {
	e, ok := errors.AsType[*strictjson.Error](err)
	if !ok {
		return refusal(string(strictjson.InvalidJSON), err.Error())
	}
	relative := strictjson.Error{Code: e.Code, Offset: e.Offset - at}
	return refusal(string(e.Code), relative.Error())
}

// refuse keeps the first reason.
func (d *Decoder) refuse(code, reason string) {
	if d.refusal.Code == "" {
		d.refusal = refusal(code, reason)
	}
}

// judge applies what is asked of an event whatever its protocol.
func (d *Decoder) judge() {
	e := &d.env
	switch {
	case e.Type == "track" && e.Name == "":
		d.refuse(CodeMissingName, "a track event needs a name")
	case len(e.Name) > event.MaxName:
		d.refuse(CodeNameTooLong, fmt.Sprintf("the name has %d bytes; the limit is %d", len(e.Name), event.MaxName))
	case len(e.ID) > event.MaxID:
		d.refuse(CodeIDTooLong, fmt.Sprintf("the id has %d bytes; the limit is %d", len(e.ID), event.MaxID))
	}
}

// text returns the text of a string member.
func (d *Decoder) text(m *strictjson.Member) string {
	if !m.Escaped {
		return alias(m.Value[1 : len(m.Value)-1])
	}
	text, _ := strictjson.Unquote(m.Value, d.arena.room(len(m.Value)))
	return alias(text)
}

// alias returns a string that shares p's memory.
func alias(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }

// required reads a string without which, or with another kind in its place,
// the event means nothing. Null counts as absent.
func (d *Decoder) required(dst *string, m *strictjson.Member, code string) {
	switch m.Kind {
	case strictjson.String:
		*dst = d.text(m)
	case strictjson.Null:
	default:
		d.refuse(code, "`"+string(m.Key)+"` must be a string")
	}
}

// optional reads a string; a number is taken as written, since ids of people
// and sessions often are numbers. Null counts as absent; what does not fit
// stays in extra.
func (d *Decoder) optional(dst *string, m *strictjson.Member) {
	switch m.Kind {
	case strictjson.String:
		*dst = d.text(m)
	case strictjson.Number:
		*dst = alias(m.Value)
	case strictjson.Null:
	default:
		d.other(m)
	}
}

// clock reads a time: RFC 3339 text or a Unix time. What is neither stays in
// extra.
func (d *Decoder) clock(dst *time.Time, m *strictjson.Member) {
	if m.Kind == strictjson.Null {
		return
	}
	t, ok := d.time(m)
	if !ok {
		d.other(m)
		return
	}
	*dst = t
}

func (d *Decoder) time(m *strictjson.Member) (time.Time, bool) {
	switch m.Kind {
	case strictjson.String:
		return event.ParseTime(d.text(m))
	case strictjson.Number:
		return event.ParseUnix(alias(m.Value))
	}
	return time.Time{}, false
}

// object reads a JSON object as written; what is none stays in extra.
func (d *Decoder) object(dst *[]byte, m *strictjson.Member) {
	switch m.Kind {
	case strictjson.Object:
		*dst = m.Value
	case strictjson.Null:
	default:
		d.other(m)
	}
}

// sequence reads a whole number from 0 on; what is none stays in extra.
func (d *Decoder) sequence(dst *int64, m *strictjson.Member) {
	n, err := strconv.ParseInt(alias(m.Value), 10, 64)
	switch {
	case m.Kind == strictjson.Number && err == nil && n >= 0:
		*dst = n
	case m.Kind == strictjson.Null:
	default:
		d.other(m)
	}
}

// other keeps a member the envelope has no place for.
func (d *Decoder) other(m *strictjson.Member) { d.extra = append(d.extra, m.Pair) }

// typeOf returns the constant for an event type, so that no envelope keeps a
// request alive for its type.
func typeOf(s string) (string, bool) {
	switch s {
	case "track":
		return "track", true
	case "page":
		return "page", true
	case "screen":
		return "screen", true
	case "identify":
		return "identify", true
	case "group":
		return "group", true
	case "alias":
		return "alias", true
	}
	return "", false
}

// eventType reads the member that holds the event's type.
func (d *Decoder) eventType(m *strictjson.Member) {
	if m.Kind == strictjson.Null {
		return
	}
	if m.Kind == strictjson.String {
		if t, ok := typeOf(d.text(m)); ok {
			d.env.Type = t
			return
		}
	}
	d.refuse(CodeBadType, "`type` must be one of track, page, screen, identify, group, alias")
}
