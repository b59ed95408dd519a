package simulate

import "time"

// number is the place of an event among those of its client, as docs/event.md has it.
type number struct {
	StreamID string    `json:"stream_id"`
	Seq      int64     `json:"seq"`
	Dropped  int64     `json:"dropped,omitempty"`
	Previous *previous `json:"previous,omitempty"`
}

// previous is where a device's stream before this one ended.
type previous struct {
	StreamID string `json:"stream_id"`
	Seq      int64  `json:"seq"`
	Dropped  int64  `json:"dropped"`
	Time     string `json:"time"`
}

// Lost is an event that never arrives.
type Lost struct {
	Time     time.Time // when it happened
	AtClient bool      // dropped and reported by the client, not lost in flight
}

// numbering is what a device knows of its newest stream.
type numbering struct {
	stream  string
	next    int64
	dropped int64
	last    time.Time // the newest event, by the device's clock
}

// longestSilence is after how long a device begins a new stream, as an app does
// that was closed.
const longestSilence = 30 * time.Minute

// number numbers the events of a draft as the tracker does, and takes those out
// that are lost. What a device does at the same time as something else it does in
// another stream, as in a second tab: within a stream times never go back. Segment's
// clients number nothing.
func (s *Stream) number(d *draft) {
	if d.who.app.wire == segmentBatch {
		return
	}
	n := &s.numbering[d.who.id]
	before := n.turn(s, d.claimed(&d.items[0]))
	kept := d.items[:0]
	for _, it := range d.items {
		if it.bad == "" {
			it.number = number{StreamID: n.stream, Seq: n.next, Dropped: n.dropped, Previous: before}
			n.next++
			n.last = d.claimed(&it)
			if s.lose(d, &it, n) {
				continue
			}
		}
		kept = append(kept, it)
	}
	d.items = kept
}

// turn begins a new stream if the one there is cannot go on at the given time, and
// says where the one before it ended.
func (n *numbering) turn(s *Stream, at time.Time) *previous {
	if n.stream != "" && !at.Before(n.last) && at.Sub(n.last) <= longestSilence {
		return nil
	}
	was := *n
	*n = numbering{stream: uuid7(s.rng, at), last: at}
	if was.next == 0 {
		return nil
	}
	return &previous{StreamID: was.stream, Seq: was.next - 1, Dropped: was.dropped, Time: was.last.Format(timeFormat)}
}

// lose decides whether an event never arrives.
func (s *Stream) lose(d *draft, it *item, n *numbering) bool {
	loss := s.Loss
	if loss.Version == "" || d.who.app.version != loss.Version {
		return false
	}
	p := s.rng.Float64()
	if p >= loss.AtClient+loss.InFlight {
		return false
	}
	atClient := p < loss.AtClient
	if atClient {
		n.dropped++
	}
	s.lost = append(s.lost, Lost{Time: it.at, AtClient: atClient})
	return true
}
