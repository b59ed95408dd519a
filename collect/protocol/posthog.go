package protocol

import (
	"strconv"
	"time"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// readPostHog reads an event of PostHog's capture API.
func readPostHog(d *Decoder, members []strictjson.Member) {
	e := &d.env
	var p postHogEvent
	for i := range members {
		m := &members[i]
		switch string(m.Key) {
		case "event":
			d.required(&e.Name, m, CodeBadName)
		case "uuid":
			d.required(&e.ID, m, CodeBadID)
		case "distinct_id":
			d.optional(&p.distinct, m)
		case "session_id":
			d.optional(&e.SessionID, m)
		case "timestamp":
			d.clock(&e.Time, m)
		case "sent_at":
			d.clock(&e.SentAt, m)
		case "offset":
			p.offset = m
		case "properties":
			d.object(&e.Properties, m)
		case "api_key", "token":
			d.writeKey(m)
		default:
			d.other(m)
		}
	}
	e.Type = postHogType(e.Name)
	if d.verdictOnly {
		d.postHogToken()
		return
	}
	d.postHogProperties(&p)
	d.postHogSent(&p)
	e.UserID = p.distinct
	if p.device != "" {
		e.AnonymousID = p.device
		if p.distinct == p.device {
			e.UserID = ""
		}
	}
}

// postHogEvent is what of an event lies in its properties, or depends on it.
type postHogEvent struct {
	distinct, device string
	offset           *strictjson.Member // milliseconds from the event until it was sent
}

// postHogType is the type of the events PostHog's clients name themselves.
func postHogType(name string) string {
	switch name {
	case "$pageview":
		return "page"
	case "$screen":
		return "screen"
	case "$identify":
		return "identify"
	case "$groupidentify":
		return "group"
	case "$create_alias":
		return "alias"
	}
	return "track"
}

// postHogToken looks for the key where old clients have it, if there is no other.
func (d *Decoder) postHogToken() {
	if d.key != "" || d.request.Key != "" || d.env.Properties == nil {
		return
	}
	token, kind := inside(d.env.Properties, "token")
	if kind == strictjson.String {
		m := strictjson.MemberOf(token)
		d.key = d.text(&m)
	}
}

// postHogProperties reads what clients put beside people's own properties. It
// stays there too.
func (d *Decoder) postHogProperties(p *postHogEvent) {
	e := &d.env
	if e.Properties == nil {
		return
	}
	members, _, err := d.side.Object(e.Properties, 0, d.sideMembers[:0])
	d.sideMembers = members
	if err != nil {
		return
	}
	text := func(dst *string, m *strictjson.Member) {
		if *dst == "" && m.Kind == strictjson.String {
			*dst = d.text(m)
		}
	}
	for i := range members {
		m := &members[i]
		switch string(m.Key) {
		case "distinct_id":
			text(&p.distinct, m)
		case "$device_id":
			text(&p.device, m)
		case "$session_id":
			text(&e.SessionID, m)
		case "$time":
			if t, ok := d.time(m); ok && e.Time.IsZero() {
				e.Time = t
			}
		}
	}
}

// postHogSent finds the send time of a client that tells only how long it
// waited.
func (d *Decoder) postHogSent(p *postHogEvent) {
	if p.offset == nil {
		return
	}
	e := &d.env
	waited, err := strconv.ParseInt(string(p.offset.Value), 10, 48)
	if p.offset.Kind != strictjson.Number || err != nil {
		d.other(p.offset)
		return
	}
	if e.SentAt.IsZero() && !e.Time.IsZero() {
		e.SentAt = e.Time.Add(time.Duration(waited) * time.Millisecond)
	}
}
