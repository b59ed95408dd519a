package load

import (
	"math"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// absent stands for a time or number the client did not send.
const absent = math.MinInt64

// row is one row of the raw dataset before it is written. Its text aliases the
// journal entries of the cycle, so it lives as long as they do. Times are
// microseconds since 1970. "" and nil are stored as NULL where a column may be.
type row struct {
	source, id, kind, name           string
	occurred, received               int64
	claimed, sent                    int64 // absent when the client sent none
	user, anonymous, session, stream string
	seq                              int64 // absent when the client sent none
	properties, context, extra       []byte
	protocol, ip, agent              string
	payload                          uint64

	derived, conflict, corrected, implausible bool

	label int32               // number of source and name, in the cycle's labels
	hash  dataset.ContentHash // of the row without conflict
}

// refused is one row of the quarantine dataset before it is written. It holds
// all that the decoder and the placement of an event look at, so that it can be
// tried again.
type refused struct {
	id               string
	source, protocol string
	received         int64
	code, reason     string
	body             []byte
	shared           []byte // the fields its batch shared
	historical       bool
	ip, agent        string
	hash             dataset.ContentHash
}

func rawTable() *table[row] {
	return newTable([]column[row]{
		{"event_id", text.bounded(), func(r *row) cell { return cell{s: r.id} }},
		{"source", word, func(r *row) cell { return cell{s: r.source} }},
		{"type", word, func(r *row) cell { return cell{s: r.kind} }},
		{"name", word.orNull(), func(r *row) cell { return cell{s: r.name, null: r.name == ""} }},
		{"occurred_at", instant, func(r *row) cell { return cell{n: r.occurred} }},
		{"received_at", instant, func(r *row) cell { return cell{n: r.received} }},
		{"claimed_at", instant.orNull(), func(r *row) cell { return number(r.claimed) }},
		{"sent_at", instant.orNull(), func(r *row) cell { return number(r.sent) }},
		{"user_id", text.orNull(), func(r *row) cell { return textOrNull(r.user) }},
		{"anonymous_id", text.orNull(), func(r *row) cell { return textOrNull(r.anonymous) }},
		{"session_id", text.orNull(), func(r *row) cell { return textOrNull(r.session) }},
		{"stream_id", text.orNull(), func(r *row) cell { return textOrNull(r.stream) }},
		{"seq", integer.orNull(), func(r *row) cell { return number(r.seq) }},
		{"properties", json.orNull(), func(r *row) cell { return bytesOrNull(r.properties) }},
		{"context", json.orNull(), func(r *row) cell { return bytesOrNull(r.context) }},
		{"extra", json.orNull(), func(r *row) cell { return bytesOrNull(r.extra) }},
		{"protocol", word, func(r *row) cell { return cell{s: r.protocol} }},
		{"client_ip", text.orNull(), func(r *row) cell { return textOrNull(r.ip) }},
		{"user_agent", word.orNull(), func(r *row) cell { return textOrNull(r.agent) }},
		{"payload_hash", unsigned, func(r *row) cell { return cell{n: int64(r.payload)} }},
		{"id_derived", boolean, func(r *row) cell { return truth(r.derived) }},
		{"id_conflict", boolean, func(r *row) cell { return truth(r.conflict) }},
		{"time_corrected", boolean, func(r *row) cell { return truth(r.corrected) }},
		{"time_implausible", boolean, func(r *row) cell { return truth(r.implausible) }},
	})
}

func quarantineTable() *table[refused] {
	return newTable([]column[refused]{
		{"quarantine_id", text.bounded(), func(r *refused) cell { return cell{s: r.id} }},
		{"source", word, func(r *refused) cell { return cell{s: r.source} }},
		{"protocol", word, func(r *refused) cell { return cell{s: r.protocol} }},
		{"received_at", instant, func(r *refused) cell { return cell{n: r.received} }},
		{"code", word, func(r *refused) cell { return cell{s: r.code} }},
		{"reason", text, func(r *refused) cell { return cell{s: r.reason} }},
		{"body", blob, func(r *refused) cell { return cell{s: alias(r.body)} }},
		{"shared", blob.orNull(), func(r *refused) cell { return bytesOrNull(r.shared) }},
		{"historical", boolean, func(r *refused) cell { return truth(r.historical) }},
		{"client_ip", text.orNull(), func(r *refused) cell { return textOrNull(r.ip) }},
		{"user_agent", word.orNull(), func(r *refused) cell { return textOrNull(r.agent) }},
	})
}

// RawColumns are the columns of the raw dataset as the engine reads them.
func RawColumns() []dataset.Column { return rawTable().schema() }

// QuarantineColumns are the columns of the quarantine dataset as the engine
// reads them.
func QuarantineColumns() []dataset.Column { return quarantineTable().schema() }

// micros is t in microseconds, or absent for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return absent
	}
	return t.UnixMicro()
}

// timeOf is the time of so many microseconds.
func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
