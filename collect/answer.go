package collect

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/reedbed/reedbed/event"
)

// reply is what became of the events of one request.
type reply struct {
	receivedAt            time.Time
	items                 []event.Item
	ids                   []string
	accepted, quarantined int
	retry                 bool // nothing is known to be stored; send it all again
}

// appendNative is the answer of /v1/events: one result per event, in order.
func appendNative(b []byte, r *reply) []byte {
	b = append(b, '{')
	b = appendCounts(b, r)
	b = append(b, `,"results":[`...)
	for i := range r.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendResult(b, r, i)
	}
	return append(b, `]}`...)
}

// flagged is an answer for clients that read nothing but the status: the
// member their own server would answer, then our counts, then only the events
// that need a person's eye, by their index in the batch.
func flagged(stored, notStored string) func(b []byte, r *reply) []byte {
	return func(b []byte, r *reply) []byte {
		b = append(b, '{')
		if r.retry {
			b = append(b, notStored...)
		} else {
			b = append(b, stored...)
		}
		b = appendCounts(b, r)
		if r.retry || r.quarantined == 0 {
			return append(b, '}')
		}
		return appendFlagged(b, r)
	}
}

func appendFlagged(b []byte, r *reply) []byte {
	sep := `,"results":[{"index":`
	for i := range r.items {
		if r.items[i].Refusal.Code == "" {
			continue
		}
		b = append(b, sep...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, ',')
		b = appendResult(b, r, i)
		sep = `,{"index":`
	}
	return append(b, `]}`...)
}

func appendCounts(b []byte, r *reply) []byte {
	accepted, quarantined := r.accepted, r.quarantined
	if r.retry {
		accepted, quarantined = 0, 0
	}
	b = append(b, `"received_at":"`...)
	b = r.receivedAt.AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	b = append(b, `","accepted":`...)
	b = strconv.AppendInt(b, int64(accepted), 10)
	b = append(b, `,"quarantined":`...)
	return strconv.AppendInt(b, int64(quarantined), 10)
}

// appendResult writes one result without its opening brace.
func appendResult(b []byte, r *reply, i int) []byte {
	b = append(b, `"id":`...)
	b = appendText(b, r.ids[i])
	refusal := r.items[i].Refusal
	switch {
	case r.retry:
		return append(b, `,"status":"retry"}`...)
	case refusal.Code == "":
		return append(b, `,"status":"ok"}`...)
	}
	b = append(b, `,"status":"quarantined","reason":`...)
	b = appendText(b, refusal.Error())
	return append(b, '}')
}

// appendText writes a JSON string; text that needs no escapes, as ids do, is
// copied.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b, _ = jsontext.AppendQuote(b, s) // invalid UTF-8 becomes U+FFFD, which is all that can be said of it
			return b
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// problem is an answer for a person: what is wrong, where, and what to do.
type problem struct {
	status     int
	outcome    outcome
	retryAfter bool

	Code, Message, Where, Fix string
}

func (p *problem) append(b []byte) []byte {
	b = append(b, `"error":{"code":`...)
	b = appendText(b, p.Code)
	b = append(b, `,"message":`...)
	b = appendText(b, p.Message)
	b = append(b, `,"where":`...)
	b = appendText(b, p.Where)
	b = append(b, `,"fix":`...)
	b = appendText(b, p.Fix)
	return append(b, '}')
}

var (
	slowBody = problem{
		status: http.StatusRequestTimeout, outcome: outcomeBadRequest, Code: "body_timeout",
		Message: "the body did not arrive in time; nothing was stored", Where: "request body",
		Fix: "send it again, in smaller batches if the connection is slow",
	}
	brokenBody = problem{
		status: http.StatusBadRequest, outcome: outcomeBadRequest, Code: "body_broken",
		Message: "the body ended before it was complete; nothing was stored", Where: "request body",
		Fix: "send it again; if it happens again, check Content-Length and what stands between client and server",
	}
	unknownKey = problem{
		status: http.StatusUnauthorized, outcome: outcomeUnauthorized, Code: "unknown_write_key",
		Message: "no source has this write key; nothing was stored",
		Where:   "Authorization (Basic user name or Bearer token), X-Write-Key, ?key=, ?writeKey=, or where the client's protocol has it",
		Fix:     "use a write key listed under sources in reedbed.yaml, or add this one to its source",
	}
	noKey = problem{
		status: http.StatusUnauthorized, outcome: outcomeUnauthorized, Code: "no_write_key",
		Message: "the request names no write key; nothing was stored",
		Where:   unknownKey.Where, Fix: "send a write key listed under sources in reedbed.yaml as the user name of HTTP Basic",
	}
	strangeOrigin = problem{
		status: http.StatusForbidden, outcome: outcomeForbidden, Code: "origin_not_allowed",
		Message: "this source does not take events from pages of this origin; nothing was stored", Where: "Origin",
		Fix: "add the origin, as the browser writes it, to the source's origins in reedbed.yaml",
	}
	unknownPath = problem{
		status: http.StatusNotFound, outcome: outcomeBadRequest, Code: "unknown_path",
		Message: "nothing takes events at this path", Where: "request path",
		Fix: "post to /v1/events, or to the path your client's protocol uses",
	}
	wrongMethod = problem{
		status: http.StatusMethodNotAllowed, outcome: outcomeBadRequest, Code: "wrong_method",
		Message: "events do not come by this method here", Where: "request method", Fix: "use one that the header Allow names",
	}
	tooBigRecord = problem{
		status: http.StatusRequestEntityTooLarge, outcome: outcomeTooLarge, Code: "too_large",
		Message: "the batch does not fit in one journal record; nothing was stored", Where: "request body",
		Fix: "send it in smaller batches",
	}
)

func tooLarge(limit int64, compressed bool) *problem {
	form := " bytes expanded"
	if compressed {
		form = " bytes compressed"
	}
	return &problem{
		status: http.StatusRequestEntityTooLarge, outcome: outcomeTooLarge, Code: "too_large",
		Message: "the body is larger than " + strconv.FormatInt(limit, 10) + form + "; nothing was stored",
		Where:   "request body", Fix: "send it in smaller batches",
	}
}

func tooDense(ratio int64) *problem {
	return &problem{
		status: http.StatusRequestEntityTooLarge, outcome: outcomeTooLarge, Code: "too_dense",
		Message: "the body expands to more than " + strconv.FormatInt(ratio, 10) + " times its size; nothing was stored",
		Where:   "request body", Fix: "send it uncompressed, or in smaller batches",
	}
}

// comeBack is the answer to a request that a limit turned away. What is one
// source's own doing is 429, what is the server's is 503: but where a protocol's
// clients come back, or wait as told, only for the other, it is that.
func (p *protocolEntry) comeBack(why shed) *problem {
	a := &problem{
		status: p.busy, outcome: outcomeShed, retryAfter: true, Where: "server",
		Code: "overloaded", Message: "more events are coming in than can be made durable; nothing was stored",
		Fix: "send it again after Retry-After seconds",
	}
	switch why {
	case shedRate:
		a.status, a.Code, a.Where = p.limited, "rate_limited", "write key"
		a.Message = "this source sends more events per second than it may; nothing was stored"
		a.Fix = "send it again after Retry-After seconds, or raise the source's rate in reedbed.yaml"
	case shedAddress:
		a.status, a.Code, a.Where = p.limited, "address_limited", "client address"
		a.Message = "this address sends more events per second to this source than one may; nothing was stored"
		a.Fix = "send it again after Retry-After seconds, or raise the source's address_rate in reedbed.yaml; " +
			"if many clients share the address of a proxy, list it under trusted_proxies"
	case shedShare:
		a.status, a.Code, a.Where = p.limited, "share_limited", "write key"
		a.Message = "this source already holds its share of the server while others wait; nothing was stored"
	case shedDraining:
		a.status, a.Code = http.StatusServiceUnavailable, "stopping"
		a.Message = "the server is stopping; nothing was stored"
	}
	return a
}

// unavailable is the answer while the journal cannot take events at all. It is
// 503 on every path: clients back off further for it than for 429, and this
// does not pass in seconds.
func unavailable(message, fix string) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, outcome: outcomeUnavailable, retryAfter: true,
		Code: "unavailable", Message: message, Where: "journal", Fix: fix,
	}
}

// retryAfter returns 1 to 5 seconds, spread so that clients turned away
// together do not come back together.
func retryAfter() string { return strconv.Itoa(1 + rand.IntN(5)) }
