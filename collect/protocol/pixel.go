package protocol

import (
	"strconv"
	"time"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// readPixel reads an event out of the query of an image: an object of strings.
// Those the envelope has no place for are its properties.
func readPixel(d *Decoder, members []strictjson.Member) {
	e := &d.env
	var properties pairs
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
			d.textClock(&e.Time, m)
		case "sent_at":
			d.textClock(&e.SentAt, m)
		case "user_id":
			d.optional(&e.UserID, m)
		case "anonymous_id":
			d.optional(&e.AnonymousID, m)
		case "session_id":
			d.optional(&e.SessionID, m)
		case "stream_id":
			d.optional(&e.StreamID, m)
		case "seq":
			d.textSequence(&e.Seq, m)
		default:
			properties = append(properties, m.Pair)
		}
	}
	if e.Type == "" {
		e.Type = "track"
	}
	if e.AnonymousID == "" && e.UserID == "" {
		e.AnonymousID = d.shared.observed.visitor
	}
	if len(properties) > 0 && !d.verdictOnly {
		e.Properties = d.join(properties)
	}
}

// textClock reads RFC 3339 or a Unix time, both written as text.
func (d *Decoder) textClock(dst *time.Time, m *strictjson.Member) {
	if m.Kind == strictjson.String {
		if t, ok := event.ParseUnix(d.text(m)); ok {
			*dst = t
			return
		}
	}
	d.clock(dst, m)
}

func (d *Decoder) textSequence(dst *int64, m *strictjson.Member) {
	if m.Kind == strictjson.String {
		if n, err := strconv.ParseInt(d.text(m), 10, 64); err == nil && n >= 0 {
			*dst = n
			return
		}
	}
	d.sequence(dst, m)
}
