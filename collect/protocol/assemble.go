package protocol

import (
	"bytes"
	"slices"
	"time"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// impliedType is the shared member for the event type a request's path implies.
const impliedType = "implied_type"

// sharedFields are the batch-level fields that apply to every event of it.
type sharedFields struct {
	typ          string
	sentAt       time.Time
	context      base
	integrations base
	observed     observed
	rest         []byte // all others, as the member "batch":{...}, or nil
	err          error
}

// base is an object whose members an event's own object may override.
type base struct {
	text    []byte // nil when there is none
	members []strictjson.Member
}

// readShared reads the object in event.Batch.Shared. An event's own fields win
// over these.
func (d *Decoder) readShared(raw []byte) (f sharedFields) {
	if len(raw) == 0 {
		return f
	}
	// Split judged each member by itself, outside the object around them now.
	lim := d.lim.JSON
	lim.Depth++
	d.extra = d.extra[:0]
	d.members, _, f.err = strictjson.NewScanner(lim).Object(raw, 0, d.members[:0])
	if f.err != nil {
		return f
	}
	for i := range d.members {
		m := &d.members[i]
		switch key := string(m.Key); {
		case key == d.protocol.sentAt && key != "":
			d.clock(&f.sentAt, m)
		case key == "context":
			d.base(&f.context, m)
		case key == "integrations" && d.protocol.segment:
			d.base(&f.integrations, m)
		case key == impliedType && m.Kind == strictjson.String:
			f.typ, _ = typeOf(d.text(m))
		case key == observedName && d.protocol.observed:
			d.readObserved(&f.observed, m)
		default:
			d.other(m)
		}
	}
	if len(d.extra) > 0 {
		f.rest = labelled("batch", d.join(d.extra))
	}
	return f
}

func (d *Decoder) base(dst *base, m *strictjson.Member) {
	d.object(&dst.text, m)
	if dst.text != nil {
		// Its own scanner, because that owns keys written with escapes.
		dst.members, _, _ = strictjson.NewScanner(d.lim.JSON).Object(dst.text, 0, nil)
	}
}

// assemble builds those parts of the envelope that are not one piece of the
// event's raw JSON: the context merged with the batch's, and extra.
func (d *Decoder) assemble() {
	e := &d.env
	e.Context = d.merge(e.Context, &d.shared.context)
	if d.protocol.segment {
		d.sessionFromContext()
		if to := d.merge(d.integrations, &d.shared.integrations); to != nil {
			d.extra = append(d.extra, labelled("integrations", to))
		}
	}
	if d.shared.rest != nil && !d.has("batch") {
		d.extra = append(d.extra, d.shared.rest)
	}
	if len(d.extra) > 0 {
		e.Extra = d.join(d.extra)
	}
}

// sessionFromContext takes the session from where Segment's clients put it. It
// stays in the context too.
func (d *Decoder) sessionFromContext() {
	at, ok := strictjson.Find(d.env.Context, 0, "sessionId")
	if !ok {
		return
	}
	end, _ := strictjson.Skip(d.env.Context, at)
	m := strictjson.MemberOf(d.env.Context[at:end])
	if m.Kind == strictjson.String || m.Kind == strictjson.Number {
		d.optional(&d.env.SessionID, &m)
	}
}

func labelled(key string, value []byte) []byte {
	return append([]byte(`"`+key+`":`), value...)
}

func (d *Decoder) has(key string) bool {
	return slices.ContainsFunc(d.members, func(m strictjson.Member) bool { return string(m.Key) == key })
}

// merge returns the object that has all members of own, and those of b that
// own lacks. Either may be absent.
func (d *Decoder) merge(own []byte, b *base) []byte {
	if own == nil {
		return b.text
	}
	if b.text == nil {
		return own
	}
	mine, _, err := d.side.Object(own, 0, d.sideMembers[:0])
	d.sideMembers = mine
	if err != nil {
		return own
	}
	pairs := d.pairs[:0]
	for i := range mine {
		pairs = append(pairs, mine[i].Pair)
	}
	for i := range b.members {
		lacks := !slices.ContainsFunc(mine, func(m strictjson.Member) bool {
			return bytes.Equal(m.Key, b.members[i].Key)
		})
		if lacks {
			pairs = append(pairs, b.members[i].Pair)
		}
	}
	d.pairs = pairs
	return d.join(pairs)
}

// join writes members as one object.
func (d *Decoder) join(pairs [][]byte) []byte {
	size := 2 + len(pairs)
	for _, p := range pairs {
		size += len(p)
	}
	out := append(d.arena.room(size), '{')
	for i, p := range pairs {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, p...)
	}
	return append(out, '}')
}

// arena hands out memory in small pieces of large chunks. It never takes a
// piece back, so pieces live as long as somebody refers to them.
type arena struct{ free []byte }

const chunk = 32 << 10

// room returns an empty slice with space for n bytes.
func (a *arena) room(n int) []byte {
	if n > len(a.free) {
		if n > chunk/4 {
			return make([]byte, 0, n)
		}
		a.free = make([]byte, chunk)
	}
	piece := a.free[:0:n]
	a.free = a.free[n:]
	return piece
}
