package protocol

import (
	"encoding/binary"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// Observed is what the door saw of a request that is no part of its body, and
// that the events of some protocols need.
type Observed struct {
	Visitor string // tells clients without an id apart for a day; a hash nobody can undo
	Network string // Snowplow's network user id, from its cookie
	Query   []byte // a JSON object of the query of a POST whose parameters win over the events'
}

// observedName is the shared member that holds it.
const observedName = "observed"

// Observe returns the shared fields with what the door observed added. A
// client's own member of that name wins: it can forge no more by it than by
// its cookie. A query that is no valid JSON by the rules of events is left out.
func (d *Decoder) Observe(shared []byte, o Observed) []byte {
	if len(shared) == 0 {
		shared = []byte("{}")
	}
	if _, taken := strictjson.Find(shared, 0, observedName); taken {
		return shared
	}
	out := append(make([]byte, 0, len(shared)+len(o.Query)+128), shared[:len(shared)-1]...)
	if len(shared) > len("{}") {
		out = append(out, ',')
	}
	out = append(out, `"`+observedName+`":{`...)
	separator := ""
	text := func(name, value string) {
		if value == "" {
			return
		}
		out = append(out, separator+`"`+name+`":`...)
		out, _ = jsontext.AppendQuote(out, value)
		separator = ","
	}
	text("visitor", o.Visitor)
	text("network", o.Network)
	if len(o.Query) > 0 && d.side.Document(o.Query) == nil {
		out = append(append(out, separator+`"query":`...), o.Query...)
	}
	return append(out, "}}"...)
}

// observed is Observed as the shared fields hold it.
type observed struct {
	visitor, network string
	query            base
}

// readObserved reads it; what does not fit is passed over, since the door
// writes nothing else.
func (d *Decoder) readObserved(o *observed, m *strictjson.Member) {
	if m.Kind != strictjson.Object {
		return
	}
	// Its own scanner, because d.members are being read.
	members, _, err := strictjson.NewScanner(d.lim.JSON).Object(m.Value, 0, nil)
	if err != nil {
		return
	}
	for i := range members {
		m := &members[i]
		switch key := string(m.Key); {
		case key == "visitor" && m.Kind == strictjson.String:
			o.visitor = d.text(m)
		case key == "network" && m.Kind == strictjson.String:
			o.network = d.text(m)
		case key == "query" && m.Kind == strictjson.Object:
			d.base(&o.query, m)
		}
	}
}

// apart tells equal events of different visitors apart.
func (o *observed) apart(content [16]byte) [16]byte {
	if o.visitor == "" {
		return content
	}
	hash := xxh3.Hash128(append(content[:], o.visitor...))
	binary.BigEndian.PutUint64(content[:8], hash.Hi)
	binary.BigEndian.PutUint64(content[8:], hash.Lo)
	return content
}
