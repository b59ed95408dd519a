package load

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/load/sidecar"
)

// batch is what one cycle takes from the journal, decoded. It is used again
// from cycle to cycle. Everything in it aliases kept.
type batch struct {
	policy   func(source string) event.Policy
	limits   protocol.Limits
	decoders map[string]*protocol.Decoder

	raw        *table[row] // for hashing
	quarantine *table[refused]
	labels     labels

	kept     arena
	rows     []row
	refused  []refused
	items    []item
	received dataset.TimeRange
	sources  map[string]struct{}
}

// item is one event of the batch in journal order, before duplicates are
// found: its key and the row it would become.
type item struct {
	key sidecar.Key
	at  int32 // in rows, or in refused for a key of a quarantine route
}

func newBatch(policy func(string) event.Policy, limits protocol.Limits) batch {
	return batch{
		policy: policy, limits: limits, decoders: map[string]*protocol.Decoder{}, sources: map[string]struct{}{},
		raw: rawTable(), quarantine: quarantineTable(),
	}
}

func (b *batch) reset() {
	clear(b.rows)
	clear(b.refused)
	b.rows, b.refused, b.items = b.rows[:0], b.refused[:0], b.items[:0]
	b.received = dataset.TimeRange{}
	clear(b.sources)
	b.kept.reset()
	b.labels.reset()
}

// add decodes one journal record. An error means that this program cannot read
// the record at all: it was written by another version.
func (b *batch) add(payload []byte, events uint32) error {
	request, err := event.DecodeBatch(b.kept.keep(payload))
	if err != nil {
		return err
	}
	if len(request.Items) != int(events) {
		return fmt.Errorf("%w: it has %d items and its record says %d", event.ErrBatch, len(request.Items), events)
	}
	decoder, err := b.decoder(request.Protocol)
	if err != nil {
		return err
	}
	b.received.Include(request.ReceivedAt)
	b.sources[request.Source] = struct{}{}
	decoder.Begin(request.Shared)
	policy := b.policy(request.Source)
	for i := range request.Items {
		it := &request.Items[i]
		why := it.Refusal
		if why.Code == "" {
			why = b.accept(decoder, &request, it, policy)
		}
		if why.Code != "" {
			b.refuse(&request, it.Raw, why)
		}
	}
	return nil
}

func (b *batch) decoder(name string) (*protocol.Decoder, error) {
	if d, ok := b.decoders[name]; ok {
		return d, nil
	}
	p, ok := protocol.ByName(name)
	if !ok {
		return nil, fmt.Errorf("%w: unknown protocol %q", event.ErrBatch, name)
	}
	d := protocol.NewDecoder(p, b.limits)
	b.decoders[strings.Clone(name)] = d // name aliases kept, which the map outlives
	return d, nil
}

// accept adds a row for an item. A refusal here means that the decoder or its
// limits changed since the door accepted it.
func (b *batch) accept(decoder *protocol.Decoder, request *event.Batch, it *event.Item, policy event.Policy) event.Refusal {
	e, err := decoder.Read(it)
	if why := refusalBy(e, err); why.Code != "" {
		return why
	}
	payload, id := decoder.PayloadHash(), decoder.ID(request.ReceivedAt)
	placed := event.Place(&e, request, policy)
	b.items = append(b.items, item{
		key: sidecar.Key{
			Route:   rawRoute(event.RouteOf(id, e.Time)),
			ID:      sidecar.IDFrom(event.IDHash(request.Source, id)),
			Payload: payload,
		},
		at: int32(len(b.rows)),
	})
	b.rows = append(b.rows, row{
		label:  b.labels.number(request.Source, e.Name),
		source: request.Source, id: id, kind: e.Type, name: e.Name,
		occurred: placed.OccurredAt.UnixMicro(), received: request.ReceivedAt.UnixMicro(),
		claimed: micros(e.Time), sent: micros(e.SentAt),
		user: e.UserID, anonymous: e.AnonymousID, session: e.SessionID, stream: e.StreamID,
		seq:        seq(e.Seq),
		properties: e.Properties, context: e.Context, extra: e.Extra,
		protocol: request.Protocol, ip: request.ClientIP, agent: request.UserAgent,
		payload: payload, derived: e.ID == "",
		corrected: placed.Corrected, implausible: placed.Implausible,
	})
	r := &b.rows[len(b.rows)-1]
	r.hash = b.raw.hash(r) // now, while what it reads is in the processor's cache
	return event.Refusal{}
}

// refuse adds a quarantine row. Its identity is its source and bytes: a client
// that sends the same undecodable bytes again adds nothing.
func (b *batch) refuse(request *event.Batch, raw []byte, why event.Refusal) {
	hash := event.IDHash(request.Source, alias(raw))
	b.items = append(b.items, item{
		key: sidecar.Key{Route: quarantineRoute(hash), ID: sidecar.IDFrom(hash), Payload: xxh3.Hash(raw)},
		at:  int32(len(b.refused)),
	})
	b.refused = append(b.refused, refused{
		id:     hex.EncodeToString(hash[:]),
		source: request.Source, protocol: request.Protocol,
		received: request.ReceivedAt.UnixMicro(),
		code:     why.Code, reason: why.Reason, body: raw,
		shared: request.Shared, historical: request.Historical,
		ip: request.ClientIP, agent: request.UserAgent,
	})
	r := &b.refused[len(b.refused)-1]
	r.hash = b.quarantine.hash(r)
}

func seq(n int64) int64 {
	if n < 0 {
		return absent
	}
	return n
}

// The routes of a sidecar: those of events as event.Route numbers them, moved
// to be unsigned in the same order, and above them the buckets of what was
// refused, which has no id and no time.
const (
	firstQuarantineRoute = 1 << 32
	quarantineBuckets    = 64
)

func rawRoute(r event.Route) uint64 { return uint64(int64(r) - math.MinInt32) }

func quarantineRoute(hash [16]byte) uint64 {
	return firstQuarantineRoute + uint64(hash[15]%quarantineBuckets)
}
