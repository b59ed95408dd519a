package protocol

import (
	"encoding/binary"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// outlineScheme is the first byte of an outline. docs/format/batch.md is the
// byte table. It changes with the payload hash and with the transport fields
// of a protocol, because an outline states the hash.
const outlineScheme = 1

const outlineHeader = 1 + 8

// outline notes of the event decoded last what Read needs, if it was accepted.
func (d *Decoder) outline() []byte {
	if d.refusal.Code != "" {
		return nil
	}
	from := len(d.outlines)
	d.outlines = append(d.outlines, outlineScheme)
	d.outlines = binary.LittleEndian.AppendUint64(d.outlines, d.PayloadHash())
	d.outlines = strictjson.AppendOutline(d.outlines, d.members)
	return d.outlines[from:len(d.outlines):len(d.outlines)]
}

// follow reads an item's members and payload hash by its outline. It reports
// false if there is none that this program can follow.
func (d *Decoder) follow(item *event.Item) (ok bool) {
	if len(item.Outline) < outlineHeader || item.Outline[0] != outlineScheme {
		return false
	}
	d.forget()
	d.members, ok = strictjson.Outlined(item.Raw, item.Outline[outlineHeader:], d.members[:0])
	d.payload, d.hashed = binary.LittleEndian.Uint64(item.Outline[1:]), ok
	return ok
}
