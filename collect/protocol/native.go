package protocol

import "github.com/reedbed/reedbed/internal/strictjson"

// readNative reads Reedbed's own event form. docs/event.md lists its fields.
func readNative(d *Decoder, members []strictjson.Member) {
	e := &d.env
	for i := range members {
		m := &members[i]
		switch string(m.Key) {
		case "id":
			d.required(&e.ID, m, CodeBadID)
		case "type":
			d.eventType(m)
		case "name":
			d.required(&e.Name, m, CodeBadName)
		case "time":
			d.clock(&e.Time, m)
		case "sent_at":
			d.clock(&e.SentAt, m)
		case "user_id":
			d.optional(&e.UserID, m)
		case "anonymous_id":
			d.optional(&e.AnonymousID, m)
		case "session_id":
			d.optional(&e.SessionID, m)
		case "stream_id":
			d.optional(&e.StreamID, m)
		case "seq":
			d.sequence(&e.Seq, m)
		case "properties":
			d.object(&e.Properties, m)
		case "context":
			d.object(&e.Context, m)
		case "writeKey":
			d.writeKey(m)
		default:
			d.other(m)
		}
	}
	if e.Type == "" {
		e.Type = "track"
	}
}

// writeKey takes the key out of the event: it is the door's, not data.
func (d *Decoder) writeKey(m *strictjson.Member) {
	if m.Kind == strictjson.String {
		d.key = d.text(m)
		return
	}
	d.other(m)
}
