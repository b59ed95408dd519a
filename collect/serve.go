package collect

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

// exchange is one request and all the memory it needs, reused by the next.
// One goroutine owns it from acquire to recycle.
type exchange struct {
	route  route
	set    *sources
	source *source // set.unknown until a key is known
	ticket ticket
	start  time.Time

	expander
	decoders []*protocol.Decoder // by protocolEntry.index
	wire     []byte              // the body as sent; batch aliases it or expander.expands
	record   []byte              // the journal record's payload
	answer   []byte
	batch    event.Batch // its items belong to the decoder
	reply    reply

	address   netip.Addr // of the client; zero if it is not known
	anonymous bool       // the client asks that nothing about it be kept
	cookie    string     // to be set with a success, or ""
}

// keepBuffer is the largest buffer kept for the next request.
const keepBuffer = 256 << 10

func (d *Door) acquire(to route) *exchange {
	x := d.pool.Get().(*exchange)
	x.route, x.set, x.start = to, d.sources.Load(), d.now()
	x.source = x.set.unknown
	return x
}

// recycle keeps the memory for the next request. What a large request used is
// left to the garbage collector, with the decoder that still refers to it.
func (d *Door) recycle(x *exchange) {
	x.set, x.source, x.batch, x.reply = nil, nil, event.Batch{}, reply{}
	x.anonymous, x.cookie = false, ""
	for _, b := range []*[]byte{&x.wire, &x.expands, &x.record, &x.answer} {
		if cap(*b) > keepBuffer {
			*b, x.decoders = nil, nil
		}
	}
	d.pool.Put(x)
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request) {
	to, ok := d.route(r.URL.Path)
	switch {
	case !ok:
		writeProblem(w, &unknownPath)
	case r.Method == http.MethodOptions:
		d.options(w, r, to)
	case to.boot != nil:
		d.boot(w, r, to)
	case !to.entry.takes(r.Method):
		w.Header()["Allow"] = to.entry.allow()
		writeProblem(w, &wrongMethod)
	default:
		d.collect(w, r, d.acquire(to))
	}
}

// collect takes a request's events and answers it. What panics gives its place
// back, and nobody gets its exchange.
func (d *Door) collect(w http.ResponseWriter, r *http.Request, x *exchange) {
	whole := false
	defer func() {
		x.ticket.release()
		if whole {
			d.recycle(x) // last: then it is somebody else's
		}
	}()
	d.finish(w, r, x, d.take(r, x))
	whole = true
}

// take does everything between a request's header and its durability: know the
// source, find a place, read, expand, split, append. nil means that the batch
// is durable, or that there was nothing in it.
func (d *Door) take(r *http.Request, x *exchange) *problem {
	x.address = clientAddr(r, d.trusted)
	if p := d.admit(r, x); p != nil {
		return p
	}
	body, refusal, err := d.body(r, x)
	if err != nil {
		return x.stopped(err)
	}
	key := x.split(r, body, refusal, &d.limits)
	if x.source == x.set.unknown {
		if p := x.claim(r, key); p != nil {
			return p
		}
	}
	if p := x.signed(r, d.limits.SignatureWindow); p != nil {
		return p
	}
	return d.store(r, x)
}

// admit judges all that can be judged before the body is read.
func (d *Door) admit(r *http.Request, x *exchange) *problem {
	src, final := x.set.authenticate(r, x.route.key)
	switch {
	case src != nil:
		x.source = src
		if !src.mayPost(r, pageOf(r)) {
			return &strangeOrigin
		}
	case final:
		return &unknownKey
	}
	if r.ContentLength > d.limits.Expanded {
		return tooLarge(d.limits.Expanded, false)
	}
	if t := d.blocked(x.start); t != nil {
		return x.blockedBy(t)
	}
	ticket, why := d.gate.admit(x.source.usage, max(r.ContentLength, 0), x.start)
	if why != admitted {
		return x.shed(why)
	}
	x.ticket = ticket
	return x.admitAddress()
}

// admitAddress judges the client's address, once the source is known.
func (x *exchange) admitAddress() *problem {
	rate := x.source.AddressRate
	if rate > 0 && !x.source.senders.admit(x.address, rate, x.start) {
		return x.shed(shedAddress)
	}
	return nil
}

func (x *exchange) blockedBy(t *trouble) *problem {
	if !t.lasting {
		return x.shed(shedJournal)
	}
	return x.route.entry.journalProblem(t.cause)
}

func (x *exchange) shed(why shed) *problem {
	x.counters().shed[why].Inc()
	return x.route.entry.comeBack(why)
}

func (x *exchange) counters() *counters { return x.source.counters[x.route.entry.index] }

func (d *Door) body(r *http.Request, x *exchange) (body []byte, refused event.Refusal, err error) {
	if err := x.receive(r, &d.limits); err != nil {
		return nil, event.Refusal{}, err
	}
	body, err = x.expand(&d.limits)
	if refused, ok := errors.AsType[event.Refusal](err); ok {
		return x.wire, refused, nil
	}
	return body, event.Refusal{}, err
}

func (x *exchange) stopped(err error) *problem {
	stop, ok := errors.AsType[*stopError](err)
	switch {
	case !ok:
		return &brokenBody
	case stop.problem != nil:
		return stop.problem
	}
	return x.shed(stop.shed)
}

// claim finds the source by the key in the body and moves the request's place
// to it.
func (x *exchange) claim(r *http.Request, key string) *problem {
	src := x.set.find([]byte(key))
	if src == nil && len(key) > 0 {
		return &unknownKey
	}
	if src == nil {
		return &noKey
	}
	x.source = src
	if !src.mayPost(r, pageOf(r)) {
		return &strangeOrigin
	}
	if why := x.ticket.move(src.usage, x.start); why != admitted {
		return x.shed(why)
	}
	return x.admitAddress()
}

// store completes the batch and appends it.
func (d *Door) store(r *http.Request, x *exchange) *problem {
	x.reply.receivedAt = received(x.start)
	x.reply.items = x.batch.Items
	x.reply.quarantined = refusals(x.batch.Items)
	x.reply.accepted = len(x.batch.Items) - x.reply.quarantined
	if len(x.batch.Items) == 0 {
		return nil
	}
	if x.source.Rate > 0 {
		x.ticket.charge(len(x.batch.Items))
	}
	if x.source.AddressRate > 0 {
		x.source.senders.charge(x.address, len(x.batch.Items))
	}
	x.batch.Source, x.batch.Protocol = x.source.Name, x.route.entry.name
	x.batch.ReceivedAt = x.reply.receivedAt
	x.batch.UserAgent = userAgent(r)
	if x.route.entry.observe != nil {
		observed := x.route.entry.observe(d, x, r)
		x.batch.Shared = x.splitter(&d.limits).Observe(x.batch.Shared, observed)
	}
	x.batch.ClientIP = ""
	if !x.anonymous {
		x.batch.ClientIP = x.source.keepIP(x.address)
	}
	record := encode(x.record[:0], &x.batch, x.reply.quarantined)
	x.record = record.Payload
	if err := d.append(r.Context(), record); err != nil {
		x.reply.retry = true
		return x.route.entry.journalProblem(err)
	}
	d.counted(x)
	return nil
}

func (d *Door) counted(x *exchange) {
	c := x.counters()
	d.metrics.acknowledged(c, x.reply.accepted, x.reply.quarantined)
	c.wireBytes.Add(float64(len(x.wire)))
	c.plainBytes.Add(float64(max(len(x.wire), len(x.expands))))
	c.took(d.now().Sub(x.start))
}

// maxUserAgent bounds what is kept of the header, in bytes.
const maxUserAgent = 512

func userAgent(r *http.Request) string {
	v := r.Header["User-Agent"]
	if len(v) == 0 {
		return ""
	}
	ua := v[0]
	if len(ua) > maxUserAgent {
		ua = ua[:maxUserAgent]
	}
	if !utf8.ValidString(ua) {
		ua = strings.ToValidUTF8(ua, "")
	}
	return ua
}

// finish counts and writes the answer. p is nil for 2xx.
func (d *Door) finish(w http.ResponseWriter, r *http.Request, x *exchange, p *problem) {
	h := w.Header()
	h["Vary"] = varyOrigin
	if origin := r.Header.Get("Origin"); origin != "" {
		x.grant(h, origin)
	}
	if d.leaving.Load() {
		h.Set("Connection", "close")
	}
	b := x.answer[:0]
	if p == nil {
		x.counters().requests[x.outcome()].Inc()
		x.succeed(w, r)
		return
	}
	d.metrics.refused.Add(1)
	x.counters().requests[p.outcome].Inc()
	x.answer = x.appendFailure(b, p)
	writeFailure(w, p, x.answer)
}

// succeed writes the answer to a request whose events are durable.
func (x *exchange) succeed(w http.ResponseWriter, r *http.Request) {
	e := x.route.entry
	if x.cookie != "" {
		w.Header()["Set-Cookie"] = []string{x.cookie}
	}
	if e.image && r.Method != http.MethodPost {
		writeImage(w)
		return
	}
	x.answer = e.render(x.answer[:0], &x.reply)
	write(w, e.status, x.answer)
}

func (x *exchange) outcome() outcome {
	if len(x.reply.items) == 0 {
		return outcomeEmpty
	}
	return outcomeOK
}

// grant lets the page read the answer. Before the source is known, any
// source's origin may: otherwise a page could not see that it is to come back.
func (x *exchange) grant(h http.Header, origin string) {
	if x.source == x.set.unknown {
		x.set.origins.grant(h, origin)
		return
	}
	x.source.origins.grant(h, origin)
}

// appendFailure writes the problem, after one result per event where the
// events are known and are to be sent again.
func (x *exchange) appendFailure(b []byte, p *problem) []byte {
	if x.reply.retry && p.retryAfter {
		b = x.route.entry.render(b, &x.reply)
		b[len(b)-1] = ','
	} else {
		b = append(b, '{')
	}
	return append(p.append(b), '}')
}

func writeProblem(w http.ResponseWriter, p *problem) {
	writeFailure(w, p, append(p.append([]byte{'{'}), '}'))
}

func writeFailure(w http.ResponseWriter, p *problem, body []byte) {
	h := w.Header()
	if p.retryAfter {
		h.Set("Retry-After", retryAfter())
	}
	if p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="reedbed"`) // Basic would make browsers ask for a password
	}
	write(w, p.status, body)
}

// selfMeasured is the largest answer whose length net/http finds out by itself,
// for less than parsing ours costs it.
const selfMeasured = 2048

// write ignores the error of Write: the client is gone, and sends again.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["X-Content-Type-Options"] = noSniff
	if len(body) > selfMeasured {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
