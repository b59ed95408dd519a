package tracker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Event is what happened, in the native form of docs/event.md.
type Event struct {
	ID   string `json:"id"`   // at most 256 bytes; a UUIDv7 if empty
	Type string `json:"type"` // track (the default), page, screen, identify, group or alias
	Name string `json:"name,omitempty"`
	// Time is when it happened; now if zero. An event with a time of its own is not
	// numbered, for within a stream the clock must not go back: its loss is not measured.
	Time          time.Time `json:"-"`
	UserID        string    `json:"user_id,omitempty"`
	AnonymousID   string    `json:"anonymous_id,omitempty"`
	SessionID     string    `json:"session_id,omitempty"`
	SchemaVersion string    `json:"schema_version,omitempty"` // such as 1-0-0
	Properties    any       `json:"properties,omitempty"`     // becomes a JSON object
	Context       any       `json:"context,omitempty"`        // becomes a JSON object
}

const (
	maxID   = 256
	maxName = 512
)

// check finds what the collector would refuse, while its caller can still be told.
func (e *Event) check() error {
	if e.Type == "" {
		e.Type = "track"
	}
	switch e.Type {
	case "track", "page", "screen", "identify", "group", "alias":
	default:
		return fmt.Errorf("tracker: type %q is none of track, page, screen, identify, group and alias", e.Type)
	}
	switch {
	case e.Type == "track" && e.Name == "":
		return fmt.Errorf("tracker: a track event needs a Name that says what happened")
	case len(e.Name) > maxName:
		return fmt.Errorf("tracker: name of %d bytes; at most %d are taken", len(e.Name), maxName)
	case len(e.ID) > maxID:
		return fmt.Errorf("tracker: id of %d bytes; at most %d are taken", len(e.ID), maxID)
	}
	return nil
}

// encode returns the event as it is sent each time, in one line, with its number.
func (e *Event) encode(s *stream) ([]byte, error) {
	if e.ID == "" {
		e.ID = uuid7(s.last)
	}
	w := wire{Event: e, Time: e.Time.UTC()}
	if e.Time.IsZero() {
		w.Time, w.number = s.last, s.number()
	}
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(w); err != nil {
		return nil, fmt.Errorf("tracker: event %q cannot be written as JSON: %w", e.Name, err)
	}
	if b.Len() > maxEvent {
		return nil, fmt.Errorf("tracker: event %q has %d bytes; the collector takes %d", e.Name, b.Len(), maxEvent)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// wire is an event as it is sent.
type wire struct {
	*Event

	Time time.Time `json:"time"`
	*number
}
