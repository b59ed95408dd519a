package protocol

import (
	"encoding/hex"

	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// readCloudEvent reads a CloudEvent in its JSON form, which is also what the
// door makes of one whose attributes came in headers.
func readCloudEvent(d *Decoder, members []strictjson.Member) {
	e := &d.env
	var id, source, version string
	for i := range members {
		m := &members[i]
		switch string(m.Key) {
		case "id":
			d.required(&id, m, CodeBadID)
		case "source":
			d.required(&source, m, CodeMissingAttribute)
			d.other(m)
		case "specversion":
			d.required(&version, m, CodeMissingAttribute)
			d.other(m)
		case "type":
			d.required(&e.Name, m, CodeBadName)
		case "time":
			d.clock(&e.Time, m)
		case "data":
			d.object(&e.Properties, m)
		default:
			d.other(m)
		}
	}
	e.Type = "track"
	for _, attribute := range []struct{ name, value string }{{"id", id}, {"source", source}, {"specversion", version}, {"type", e.Name}} {
		if attribute.value == "" {
			d.refuse(CodeMissingAttribute, "a CloudEvent needs the attribute `"+attribute.name+"`")
		}
	}
	if id != "" {
		e.ID = d.cloudEventID(source, id)
	}
}

// cloudEventID is the identity of a CloudEvent, which is its source and its id
// together. One that is too long to read is a hash.
func (d *Decoder) cloudEventID(source, id string) string {
	text := append(d.arena.room(len(source)+1+len(id)), source...)
	text = append(append(text, '#'), id...)
	if len(text) <= event.MaxID {
		return alias(text)
	}
	sum := xxh3.Hash128(text).Bytes()
	return "ce_" + hex.EncodeToString(sum[:])
}
