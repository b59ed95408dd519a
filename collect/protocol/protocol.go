// Package protocol knows the wire formats clients speak: how a request body
// falls into events, and how one event's JSON maps to the envelope.
//
// It is pure. It never does I/O, never reads a clock, and never knows HTTP,
// write keys' meaning or where events are stored. The front door asks it for
// verdicts and the loader for envelopes, through the same code, so that the
// two can never disagree.
package protocol

import (
	"crypto/sha256"
	"fmt"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// Names of the protocols, as they stand in event.Batch. The journal holds them,
// so a name is never given another meaning.
const (
	Native      = "native"
	Segment     = "segment"
	Jitsu       = "jitsu"
	Snowplow    = "snowplow"
	PostHog     = "posthog"
	CloudEvents = "cloudevents"
	Plausible   = "plausible"
	Pixel       = "pixel"
)

// Protocol is one wire format.
type Protocol struct {
	Name string
	// TransportFields are the top-level members of an event that a client may
	// change when it sends the event again. They are no part of the payload
	// hash. Stored hashes depend on this list: adding to it makes old copies
	// look different.
	TransportFields []string

	batch    string   // the member of a body that holds the events, "" if none does
	sentAt   string   // the batch-level member that holds the send time
	keys     []string // the batch-level members that may hold the write key
	segment  bool     // a message of Segment's form: integrations are merged, a session may be in the context
	observed bool     // the door says in Shared what it saw of the request; see Observe
	// read maps the members of one event to d.env.
	read func(d *Decoder, members []strictjson.Member)
}

// All returns every protocol.
func All() []Protocol {
	segment := Protocol{
		Name:            Segment,
		TransportFields: []string{"sentAt", "receivedAt", "writeKey", "_metadata"},
		batch:           "batch",
		sentAt:          "sentAt",
		keys:            []string{"writeKey"},
		segment:         true,
		read:            readSegment,
	}
	jitsu := segment
	jitsu.Name = Jitsu
	return []Protocol{
		{
			Name:            Native,
			TransportFields: []string{"sent_at", "writeKey"},
			batch:           "batch",
			sentAt:          "sent_at",
			keys:            []string{"writeKey"},
			read:            readNative,
		},
		segment,
		jitsu,
		{Name: Snowplow, TransportFields: []string{"stm"}, batch: "data", observed: true, read: readSnowplow},
		{
			Name:            PostHog,
			TransportFields: []string{"sent_at", "offset", "api_key", "token"},
			batch:           "batch",
			sentAt:          "sent_at",
			keys:            []string{"api_key", "token"},
			read:            readPostHog,
		},
		{Name: CloudEvents, read: readCloudEvent},
		{Name: Plausible, observed: true, read: readPlausible},
		{Name: Pixel, TransportFields: []string{"sent_at"}, observed: true, read: readPixel},
	}
}

// ByName returns the protocol of that name.
func ByName(name string) (Protocol, bool) {
	for _, p := range All() {
		if p.Name == name {
			return p, true
		}
	}
	return Protocol{}, false
}

// Limits bound a request's events. A zero field takes its default.
type Limits struct {
	JSON       strictjson.Limits
	Events     int // events of one request, default 10,000
	EventBytes int // bytes of one event as written, default 1 MiB
}

func (l Limits) orDefault() Limits {
	l.JSON = l.JSON.OrDefault()
	if l.Events == 0 {
		l.Events = 10_000
	}
	if l.EventBytes == 0 {
		l.EventBytes = 1 << 20
	}
	return l
}

// decoding is bumped by hand whenever bytes that were refused may decode now,
// under the same limits.
const decoding = 1

// Identity tells decoders apart by what they refuse in one event: what one of
// another identity refused is worth trying again.
func (l Limits) Identity() []byte {
	l = l.orDefault()
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %+v", decoding, l.EventBytes, l.JSON))
	return sum[:]
}

// OfEvent reports whether a refusal's code is one a Decoder gives to an event.
// What was refused for other reasons, such as a piece of a body or a line of a
// file, may look like an event and was never sent as one.
func OfEvent(code string) bool {
	switch code {
	case CodeTooLarge, CodeBadType, CodeMissingType, CodeBadName, CodeMissingName, CodeNameTooLong, CodeBadID, CodeIDTooLong, CodeBadShared,
		CodeBadEmbedded, CodeMissingAttribute:
		return true
	}
	switch strictjson.Code(code) {
	case strictjson.InvalidJSON, strictjson.Truncated, strictjson.InvalidUTF8, strictjson.DuplicateKey, strictjson.NotAnObject, strictjson.TooDeep,
		strictjson.TooManyKeys, strictjson.KeyTooLong, strictjson.StringTooLong, strictjson.NumberTooLong, strictjson.NumberRange:
		return true
	}
	return false
}

// Codes of refusals that are not about JSON itself; those are strictjson's.
const (
	CodeTooLarge      = "too_large"
	CodeTooManyEvents = "too_many_events"
	CodeBadType       = "bad_type"
	CodeMissingType   = "missing_type"
	CodeBadName       = "bad_name"
	CodeMissingName   = "missing_name"
	CodeNameTooLong   = "name_too_long"
	CodeBadID         = "bad_id"
	CodeIDTooLong     = "id_too_long"
	CodeBadShared     = "bad_shared"
	// CodeBadEmbedded is of JSON inside a text field that does not decode.
	CodeBadEmbedded      = "bad_embedded"
	CodeMissingAttribute = "missing_attribute" // of a CloudEvent
)

func refusal(code, reason string) event.Refusal {
	return event.Refusal{Code: code, Reason: reason}
}
