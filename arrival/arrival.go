// Package arrival counts events of the last minutes as they come in: by source,
// protocol and application version, with what is missing between the numbers that
// clients gave them.
//
// It is for looking, not for the record: what is lost for good is measured by the
// project's stages, over hours. It knows no journal, no clock and no JSON.
package arrival

import (
	"cmp"
	"slices"
	"time"
)

// Bounds of what is kept, some 3 MB. Groups and streams beyond are counted in no
// group, or without their numbers.
const (
	Window     = 15 * time.Minute // what was silent for that long is forgotten
	maxGroups  = 200
	maxStreams = 20_000
	// longestGap is up to where numbers that leap show a loss; beyond, something else
	// counts from there on, as docs/decisions/0012-completeness.md has it.
	longestGap = 1000
)

// Event is what is counted of one.
type Event struct {
	At          time.Time // when it was received
	Source      string
	Protocol    string
	AppVersion  string // "" if it says none
	StreamID    string // "" if it has no number
	Seq         int64
	Quarantined bool
}

// Group is what arrived of one source, protocol and application version.
type Group struct {
	Source      string    `json:"source"`
	Protocol    string    `json:"protocol"`
	AppVersion  string    `json:"app_version"`
	Events      int64     `json:"events"`      // in the window, copies of one another included
	Quarantined int64     `json:"quarantined"` // of these
	Streams     int64     `json:"streams"`     // that number their events
	Missing     int64     `json:"missing"`     // numbers of these that are not there so far
	Last        time.Time `json:"last"`
}

type key struct{ source, protocol, version string }

type counts struct {
	minutes [Window / time.Minute]minute // by minute modulo the window
	last    time.Time
}

type minute struct {
	at                  int64 // minutes since 1970
	events, quarantined int64
}

// Counter counts events. It is not safe for concurrent use. The zero value is ready.
type Counter struct {
	groups  map[key]*counts
	streams map[string]*stream
	swept   int64 // the minute in which what is silent was last forgotten
}

// Add counts an event. Times go forward but for small steps back.
func (c *Counter) Add(e Event) {
	if c.groups == nil {
		c.groups, c.streams = map[key]*counts{}, map[string]*stream{}
	}
	c.sweep(e.At)
	k := key{e.Source, e.Protocol, e.AppVersion}
	g := c.groups[k]
	if g == nil {
		if len(c.groups) >= maxGroups {
			return
		}
		g = &counts{}
		c.groups[k] = g
	}
	g.add(e)
	if e.StreamID != "" && e.Seq >= 0 {
		c.number(k, e)
	}
}

func (g *counts) add(e Event) {
	at := e.At.Unix() / 60
	m := &g.minutes[at%int64(len(g.minutes))]
	if m.at != at {
		*m = minute{at: at}
	}
	m.events++
	if e.Quarantined {
		m.quarantined++
	}
	if e.At.After(g.last) {
		g.last = e.At
	}
}

func (c *Counter) number(k key, e Event) {
	id := e.Source + "\x00" + e.StreamID
	s := c.streams[id]
	if s == nil {
		if len(c.streams) >= maxStreams {
			return
		}
		s = &stream{first: e.Seq, newest: e.Seq, seen: 1}
		c.streams[id] = s
	}
	s.in, s.last = k, e.At
	s.add(e.Seq)
}

// sweep forgets, once a minute, what was silent throughout the window.
func (c *Counter) sweep(now time.Time) {
	at := now.Unix() / 60
	if at == c.swept {
		return
	}
	c.swept = at
	from := now.Add(-Window)
	for k, g := range c.groups {
		if g.last.Before(from) {
			delete(c.groups, k)
		}
	}
	for id, s := range c.streams {
		if s.last.Before(from) {
			delete(c.streams, id)
		}
	}
}

// Groups are what arrived in the window before now, the busiest first.
func (c *Counter) Groups(now time.Time) []Group {
	c.sweep(now)
	byKey := map[key]*Group{}
	for k, g := range c.groups {
		out := &Group{Source: k.source, Protocol: k.protocol, AppVersion: k.version, Last: g.last}
		for _, m := range g.minutes {
			if m.at > now.Add(-Window).Unix()/60 {
				out.Events += m.events
				out.Quarantined += m.quarantined
			}
		}
		byKey[k] = out
	}
	for _, s := range c.streams {
		if g := byKey[s.in]; g != nil {
			g.Streams++
			g.Missing += s.missing
		}
	}
	list := make([]Group, 0, len(byKey))
	for _, g := range byKey {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.AppVersion, b.AppVersion))
	})
	return list
}

// stream is what is known of the numbers of one stream since its first event was
// seen, which need not be number 0.
type stream struct {
	in            key
	last          time.Time
	first, newest int64
	seen          uint64 // bit i says that newest-i was seen
	missing       int64
}

func (s *stream) add(seq int64) {
	switch back := s.newest - seq; {
	case back <= -longestGap || back >= longestGap:
		s.first, s.newest, s.seen = seq, seq, 1
	case back < 0:
		s.missing += -back - 1
		s.seen = s.seen<<uint(-back) | 1
		s.newest = seq
	case back >= 64 || s.seen&(1<<uint(back)) != 0: // a copy, as far as anybody can tell
	case seq < s.first:
		s.missing += s.first - seq - 1
		s.first = seq
		s.seen |= 1 << uint(back)
	default:
		s.missing--
		s.seen |= 1 << uint(back)
	}
}
