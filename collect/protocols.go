package collect

import (
	"net/http"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

// protocolEntry is what the door adds to a wire format: where it is served and
// how it answers. Adding a protocol is adding one to protocolTable.
type protocolEntry struct {
	name   string
	paths  map[string]string               // to the event type a path implies, or ""
	busy   int                             // the overload status its clients wait for as told
	render func(b []byte, r *reply) []byte // appends the body of a 2xx
	index  int                             // its place in the table
	format protocol.Protocol
}

func protocolTable() []*protocolEntry {
	return []*protocolEntry{
		{
			name:   protocol.Native,
			paths:  map[string]string{"/v1/events": ""},
			busy:   http.StatusServiceUnavailable,
			render: appendNative,
		},
		{
			name: protocol.Segment,
			paths: map[string]string{
				"/v1/batch": "", "/v1/b": "",
				"/v1/track": "track", "/v1/t": "track",
				"/v1/page": "page", "/v1/p": "page",
				"/v1/screen": "screen", "/v1/s": "screen",
				"/v1/identify": "identify", "/v1/i": "identify",
				"/v1/group": "group", "/v1/g": "group",
				"/v1/alias": "alias", "/v1/a": "alias",
			},
			busy:   http.StatusTooManyRequests,
			render: appendSegment,
		},
	}
}

// importLabel is what metrics call batches that came by Accept.
const importLabel = "import"

// route is where a path leads.
type route struct {
	entry *protocolEntry
	typ   string
}

// newRoutes returns the protocols by path, and the names metrics know.
func newRoutes() (routes map[string]route, labels []string) {
	routes = make(map[string]route)
	for i, e := range protocolTable() {
		e.index = i
		e.format, _ = protocol.ByName(e.name)
		labels = append(labels, e.name)
		for path, typ := range e.paths {
			routes[path] = route{e, typ}
		}
	}
	return routes, append(labels, importLabel)
}

// split fills the batch with the events of the body, each with its verdict,
// and returns the write key found in it. A body that could not be expanded is
// one refused item, kept as it was sent.
func (x *exchange) split(body []byte, refused event.Refusal, l *Limits) (key string) {
	if refused.Code != "" {
		x.batch.Items, x.batch.Shared = []event.Item{{Refusal: refused, Raw: body}}, nil
		x.reply.ids = []string{""}
		return ""
	}
	for len(x.decoders) <= x.route.entry.index {
		x.decoders = append(x.decoders, nil)
	}
	d := &x.decoders[x.route.entry.index]
	if *d == nil {
		*d = protocol.NewDecoder(x.route.entry.format, l.Events)
	}
	request := (*d).Split(body, x.route.typ)
	x.batch.Items, x.batch.Shared = request.Items, request.Shared
	x.reply.ids = request.IDs
	return request.Key
}
