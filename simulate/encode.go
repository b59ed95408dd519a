package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

const timeFormat = "2006-01-02T15:04:05.000Z"

// nativeEvent is Reedbed's own form of an event.
type nativeEvent struct {
	ID          string `json:"id"`
	Type        string `json:"type"`
	Name        string `json:"name"`
	Time        string `json:"time"`
	SentAt      string `json:"sent_at,omitempty"`
	UserID      string `json:"user_id,omitempty"`
	AnonymousID string `json:"anonymous_id"`
	SessionID   string `json:"session_id"`
	number
	Properties any           `json:"properties"`
	Context    *eventContext `json:"context"`
}

// segmentMessage is the same in Segment's form.
type segmentMessage struct {
	MessageID   string        `json:"messageId"`
	Type        string        `json:"type"`
	Event       string        `json:"event,omitempty"`
	Name        string        `json:"name,omitempty"`
	Timestamp   string        `json:"timestamp"`
	UserID      string        `json:"userId,omitempty"`
	AnonymousID string        `json:"anonymousId"`
	Properties  any           `json:"properties"`
	Context     *eventContext `json:"context"`
}

// request writes what the draft is when it is sent at the given time. Sent
// again, only the time of sending differs.
func (d *draft) request(s *Stream, at time.Duration, again bool) Request {
	r := Request{
		At:     at,
		Path:   "/v1/events",
		Key:    s.Key,
		Events: len(d.items),
		Repeat: again,
		Headers: map[string]string{
			"Content-Type":    "application/json",
			"User-Agent":      d.who.agent,
			"X-Forwarded-For": d.who.address,
		},
	}
	var sent string
	if !d.unstamped {
		sent = s.Start.Add(at).Add(d.skew).Format(timeFormat)
	}
	switch d.who.app.wire {
	case nativeLines:
		r.Headers["Content-Type"] = "application/x-ndjson"
		r.Body = d.join(s, &r, "", "\n", "\n", func(it *item) any { return d.native(it, sent) })
	case segmentBatch:
		r.Path = "/v1/batch"
		r.Body = d.join(s, &r, batchHead("sentAt", sent), ",", "]}", func(it *item) any { return d.segment(it) })
	default:
		r.Body = d.join(s, &r, batchHead("sent_at", sent), ",", "]}", func(it *item) any { return d.native(it, "") })
	}
	return r
}

func batchHead(field, sent string) string {
	if sent == "" {
		return `{"batch":[`
	}
	return fmt.Sprintf(`{%q:%q,"batch":[`, field, sent)
}

func (d *draft) join(s *Stream, r *Request, head, between, tail string, form func(*item) any) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	for i := range d.items {
		if i > 0 {
			b.WriteString(between)
		}
		it := &d.items[i]
		if it.bad != "" {
			b.WriteString(it.bad)
			r.Bad++
			continue
		}
		d.identify(s, it)
		r.IDs = append(r.IDs, it.id)
		text, err := json.Marshal(form(it))
		if err != nil {
			panic(fmt.Sprintf("simulate: an event does not encode: %v", err)) // it is made of text and numbers only
		}
		b.Write(text)
	}
	b.WriteString(tail)
	return b.Bytes()
}

// identify gives an item its id, once.
func (d *draft) identify(s *Stream, it *item) {
	switch {
	case it.id != "":
	case d.who.app.wire == segmentBatch:
		it.id = uuid4(s.rng)
	default:
		it.id = uuid7(s.rng, d.claimed(it))
	}
}

// claimed is when an event happened by the client's clock.
func (d *draft) claimed(it *item) time.Time { return it.at.Add(d.skew) }

func (d *draft) native(it *item, sent string) nativeEvent {
	return nativeEvent{
		ID: it.id, Type: it.kind, Name: it.name, Time: d.claimed(it).Format(timeFormat), SentAt: sent,
		UserID: d.who.userID, AnonymousID: d.who.anonymous, SessionID: d.session(), number: it.number,
		Properties: it.properties, Context: it.context,
	}
}

func (d *draft) segment(it *item) segmentMessage {
	m := segmentMessage{
		MessageID: it.id, Type: it.kind, Timestamp: d.claimed(it).Format(timeFormat),
		UserID: d.who.userID, AnonymousID: d.who.anonymous, Properties: it.properties, Context: it.context,
	}
	if it.kind == "track" {
		m.Event = it.name
	} else {
		m.Name = it.name
	}
	return m
}

// session names a stretch of listening of one device by the hour it began in.
func (d *draft) session() string {
	return fmt.Sprintf("%s-%d", d.who.device[:8], d.items[0].at.Unix()/3600)
}
