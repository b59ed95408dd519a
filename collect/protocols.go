package collect

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

// protocolEntry is what the door adds to a wire format: where it is served and
// how it answers. Adding a protocol is adding one to protocolTable.
type protocolEntry struct {
	name  string
	paths map[string]string                                    // to the event type a path implies, or ""
	match func(path string) (key string, boots *boot, ok bool) // knows paths that hold a key or a client's choice; nil: there are none
	boots map[string]*boot                                     // what clients ask for that holds no events

	busy    int // the overload status its clients wait for as told, or come back after at all
	limited int // the same for what is the source's own doing
	status  int // of a success
	render  func(b []byte, r *reply) []byte
	gets    bool // an event may come in the query of a GET
	posts   bool
	image   bool // which is answered with an image

	// body returns what protocol.Split reads; nil: a query's parameters, or
	// the body as it is. A Refusal says that it holds no events.
	body    func(r *http.Request, body []byte) ([]byte, error)
	observe func(d *Door, x *exchange, r *http.Request) protocol.Observed // nil: nothing beside the body matters
	asked   func(s *sources, h http.Header, r *http.Request)              // answers what is asked by OPTIONS beside a preflight; nil: nothing is

	index  int // its place in the table
	format protocol.Protocol
}

func protocolTable() []*protocolEntry {
	return []*protocolEntry{
		{
			name:    protocol.Native,
			paths:   map[string]string{"/v1/events": ""},
			boots:   map[string]*boot{"/v1/openapi.json": fixed(http.MethodGet, openAPI)},
			busy:    http.StatusServiceUnavailable,
			limited: http.StatusTooManyRequests,
			render:  appendNative,
			posts:   true,
		},
		segmentEntry(),
		jitsuEntry(),
		snowplowEntry(),
		postHogEntry(),
		cloudEventsEntry(),
		plausibleEntry(),
		pixelEntry(),
	}
}

// importLabel is what metrics call batches that came by Accept.
const importLabel = "import"

// route is where a path leads.
type route struct {
	entry *protocolEntry
	typ   string
	key   string // the path may name the write key
	boot  *boot  // nil: events go there
}

// newRoutes returns the protocols by path, and the names metrics know.
func newRoutes() (routes map[string]route, matchers []*protocolEntry, labels []string) {
	routes = make(map[string]route)
	for i, e := range protocolTable() {
		e.index = i
		e.status = cmp.Or(e.status, http.StatusOK)
		e.format, _ = protocol.ByName(e.name)
		labels = append(labels, e.name)
		for path, typ := range e.paths {
			routes[path] = route{entry: e, typ: typ}
		}
		for path, b := range e.boots {
			routes[path] = route{entry: e, boot: b}
		}
		if e.match != nil {
			matchers = append(matchers, e)
		}
	}
	return routes, matchers, append(labels, importLabel)
}

// route finds where a path leads; one slash at its end does not matter.
func (d *Door) route(path string) (route, bool) {
	path = strings.TrimSuffix(path, "/")
	if to, ok := d.routes[path]; ok {
		return to, true
	}
	for _, e := range d.matchers {
		if key, b, ok := e.match(path); ok {
			return route{entry: e, key: key, boot: b}, true
		}
	}
	return route{}, false
}

// takes says whether the protocol's events come by this method.
func (p *protocolEntry) takes(method string) bool {
	switch method {
	case http.MethodPost:
		return p.posts
	case http.MethodGet, http.MethodHead:
		return p.gets
	}
	return false
}

// allow is the methods its paths take, for an answer to another.
func (p *protocolEntry) allow() []string {
	switch {
	case p.gets && p.posts:
		return []string{"GET, HEAD, POST, OPTIONS"}
	case p.gets:
		return []string{"GET, HEAD, OPTIONS"}
	}
	return []string{"POST, OPTIONS"}
}

// split fills the batch with the events of the body, each with its verdict,
// and returns the write key found in it. A body that could not be expanded is
// one refused item, kept as it was sent.
func (x *exchange) split(r *http.Request, body []byte, refused event.Refusal, l *Limits) (key string) {
	if refused.Code == "" {
		body, refused = x.events(r, body)
	}
	if refused.Code != "" {
		x.batch.Items, x.batch.Shared = []event.Item{{Refusal: refused, Raw: body}}, nil
		x.reply.ids = []string{""}
		return ""
	}
	request := x.splitter(l).Split(body, x.route.typ)
	x.batch.Items, x.batch.Shared = request.Items, request.Shared
	x.reply.ids = request.IDs
	return request.Key
}

// splitter returns the exchange's own decoder of the protocol.
func (x *exchange) splitter(l *Limits) *protocol.Decoder {
	for len(x.decoders) <= x.route.entry.index {
		x.decoders = append(x.decoders, nil)
	}
	d := &x.decoders[x.route.entry.index]
	if *d == nil {
		*d = protocol.NewDecoder(x.route.entry.format, l.Events)
	}
	return *d
}

// events returns what is to be split into events, or why the body holds none.
func (x *exchange) events(r *http.Request, body []byte) ([]byte, event.Refusal) {
	shape := x.route.entry.body
	if shape == nil {
		if r.Method == http.MethodPost {
			return body, event.Refusal{}
		}
		shape = queryBody
	}
	shaped, err := shape(r, body)
	if refused, ok := errors.AsType[event.Refusal](err); ok {
		if len(body) == 0 {
			body = []byte(r.URL.RawQuery)
		}
		return body, refused
	}
	return shaped, event.Refusal{}
}
