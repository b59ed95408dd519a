package node

import (
	"context"
	"errors"
	"iter"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
)

// tail yields events as they become durable, from now on, until ctx ends or the
// journal cannot be read. It passes over records that are lost, which the loader
// tells of. It reads the journal, so it costs the front door nothing and shows exactly what
// was acknowledged.
func (n *Node) tail(ctx context.Context) iter.Seq2[event.Envelope, TailInfo] {
	return func(yield func(event.Envelope, TailInfo) bool) {
		at := n.journal.Durable()
		for n.journal.Wait(ctx, at) == nil {
			for entry, err := range n.journal.Read(ctx, at) {
				if lost, ok := errors.AsType[*journal.CorruptionError](err); ok {
					at = lost.To
					continue
				}
				if err != nil {
					return
				}
				at = entry.Next
				b, err := event.DecodeBatch(entry.Payload)
				if err != nil {
					continue // quarantined by the loader, and shown there
				}
				if !n.yieldBatch(&b, yield) {
					return
				}
			}
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// TailInfo is what the door knows of a tailed event.
type TailInfo struct {
	Batch   *event.Batch
	Raw     []byte        // as received
	Refusal event.Refusal // zero: accepted
}

func (n *Node) yieldBatch(b *event.Batch, yield func(event.Envelope, TailInfo) bool) bool {
	p, known := protocol.ByName(b.Protocol)
	decoder := protocol.NewDecoder(p, protocolLimits(n.project.Config))
	decoder.Begin(b.Shared)
	for _, item := range b.Items {
		info := TailInfo{Batch: b, Raw: item.Raw, Refusal: item.Refusal}
		var e event.Envelope
		if known && item.Refusal == (event.Refusal{}) {
			var err error
			if e, err = decoder.Decode(item.Raw); err != nil {
				info.Refusal = event.Refusal{Code: "undecodable", Reason: err.Error()}
			} else {
				e.ID = decoder.ID(b.ReceivedAt)
			}
		}
		if !yield(e, info) {
			return false
		}
	}
	return true
}
