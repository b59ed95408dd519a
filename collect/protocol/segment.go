package protocol

import (
	"time"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// readSegment reads a message of Segment's tracking API. `event` is the name
// of a track call and `name` that of a page or screen; the traits of identify
// and group are their properties; what has no place stays in extra.
func readSegment(d *Decoder, members []strictjson.Member) {
	e := &d.env
	for i := range members {
		if string(members[i].Key) == "type" {
			d.eventType(&members[i])
		}
	}
	if e.Type == "" {
		d.refuse(CodeMissingType, "the message has no `type`, and its path gives none")
	}
	name, properties := segmentFields(e.Type)
	var original time.Time
	for i := range members {
		m := &members[i]
		switch string(m.Key) {
		case "type":
		case name:
			d.required(&e.Name, m, CodeBadName)
		case properties:
			d.object(&e.Properties, m)
		case "messageId":
			d.required(&e.ID, m, CodeBadID)
		case "timestamp":
			d.clock(&e.Time, m)
		case "originalTimestamp":
			d.clock(&original, m)
		case "sentAt":
			d.clock(&e.SentAt, m)
		case "userId":
			d.optional(&e.UserID, m)
		case "anonymousId":
			d.optional(&e.AnonymousID, m)
		case "context":
			d.object(&e.Context, m)
		case "integrations":
			if m.Kind != strictjson.Null {
				d.integrations = m.Value
			}
		case "writeKey":
			d.writeKey(m)
		default:
			d.other(m)
		}
	}
	// A message that passed through a Segment-like server carries the client's
	// own clock as originalTimestamp; its timestamp is already corrected.
	if !original.IsZero() {
		e.Time = original
	}
}

// segmentFields returns the members that hold the name and the properties of a
// message of one type.
func segmentFields(typ string) (name, properties string) {
	switch typ {
	case "track":
		return "event", "properties"
	case "page", "screen":
		return "name", "properties"
	case "identify", "group":
		return "", "traits"
	}
	return "", "properties"
}
