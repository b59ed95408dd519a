package simulate

import (
	"fmt"
	"time"
)

// draft is what one client has to send; it becomes a request each time it is
// sent.
type draft struct {
	who       listener
	items     []item
	skew      time.Duration // by how much the client's clock is ahead
	unstamped bool          // the client does not say when it sends
}

// item is one event, or text that is none.
type item struct {
	bad        string // what is sent instead of an event
	id         string
	kind       string
	name       string
	at         time.Time
	number     number
	properties any
	context    *eventContext
}

type play struct {
	TrackID    string `json:"track_id,omitempty"`
	PlayedMS   int64  `json:"played_ms"`
	PositionMS int64  `json:"position_ms"`
	Quality    string `json:"quality"`
	Shuffle    bool   `json:"shuffle"`
	Source     string `json:"source"`
}

type view struct {
	Title string `json:"title"`
	Path  string `json:"path"`
}

type like struct {
	TrackID string `json:"track_id"`
}

type query struct {
	Query   string `json:"query"`
	Results int    `json:"results"`
}

type eventContext struct {
	App     appContext   `json:"app"`
	Locale  string       `json:"locale"`
	Page    *pageContext `json:"page,omitempty"`
	Library nameVersion  `json:"library"`
	Network string       `json:"network"`
}

type appContext struct {
	nameVersion
	Build string `json:"build"`
}

type nameVersion struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type pageContext struct {
	URL      string `json:"url"`
	Referrer string `json:"referrer"`
	Title    string `json:"title"`
}

// listen makes the last n events of somebody who listens until the given time.
func (s *Stream) listen(until time.Time, n int) *draft {
	d := &draft{who: s.somebody(until)}
	s.fillDraft(d, until, n, s.event)
	return d
}

// attack makes n plays of the attacked track.
func (s *Stream) attack(until time.Time, n int) *draft {
	d := &draft{who: s.attacker()}
	s.fillDraft(d, until, n, func(it *item, _ *listener) time.Duration {
		it.kind, it.name = "track", "Track Played"
		ms := 31_000 + s.rng.Int64N(3_000)
		it.properties = play{TrackID: AttackTrack, PlayedMS: ms, PositionMS: ms, Quality: "low", Source: "link"}
		return time.Duration(ms) * time.Millisecond
	})
	return d
}

// somebody is a listener who is likely to be awake.
func (s *Stream) somebody(at time.Time) listener {
	for range 20 {
		l := s.listener(int(s.listeners.Uint64()))
		if s.rng.Float64() < l.country.activity(at) {
			return l
		}
	}
	return s.listener(s.rng.IntN(s.Listeners))
}

// fillDraft makes n items that end at the given time; make says what each is
// and how long it took.
func (s *Stream) fillDraft(d *draft, until time.Time, n int, make func(*item, *listener) time.Duration) {
	d.items = s.items(d.who, n)
	at := until
	for i := n - 1; i >= 0; i-- {
		it := &d.items[i]
		it.at = at.Truncate(time.Millisecond)
		took := make(it, &d.who)
		at = at.Add(-took - time.Duration(s.rng.Int64N(int64(2*time.Second))))
	}
}

// items returns n empty items, some of which are garbage.
func (s *Stream) items(who listener, n int) []item {
	items := make([]item, n)
	context := s.context(&who)
	for i := range items {
		items[i] = item{context: context}
		if s.rng.Float64() < s.Malformed {
			items[i].bad = fmt.Sprintf(garbage[s.rng.IntN(len(garbage))], uuid4(s.rng))
		}
	}
	return items
}

// garbage is JSON, and yet no event: one name twice, no name, no such type, a
// name that is no text. Each begins with a brace, so that it is one line of
// its own among lines of events, and takes an id, so that no two are equal.
var garbage = [...]string{
	`{"nonce":%q,"type":"track","name":"Track Played","event":"Track Played","name":"Track Paused","event":"Track Paused"}`,
	`{"nonce":%q,"type":"track","properties":{"track_id":"trk_000001"}}`,
	`{"nonce":%q,"type":"purchase","name":"Track Played","event":"Track Played"}`,
	`{"nonce":%q,"type":"track","name":{"en":"Track Played"},"event":["Track Played"]}`,
}

// event makes one item what an ordinary listener does.
func (s *Stream) event(it *item, who *listener) time.Duration {
	it.kind = "track"
	switch p := s.rng.Float64(); {
	case p < 0.6:
		return s.play(it)
	case p < 0.8:
		it.kind, it.name = "screen", "Now Playing"
		if who.app.name == "web" {
			it.kind, it.name = "page", "Player"
		}
		it.properties = view{Title: "Now playing", Path: "/now-playing"}
	case p < 0.9:
		it.name, it.properties = "Track Liked", like{TrackID: s.track()}
	default:
		it.name, it.properties = "Search Performed", query{Query: searches[s.rng.IntN(len(searches))], Results: s.rng.IntN(200)}
	}
	return time.Duration(s.rng.Int64N(int64(20 * time.Second)))
}

var searches = [...]string{"rain", "slow techno", "piano", "beyoncé", "live 1994", "日本のポップ", "drum & bass", `"quotes"`, "lo-fi 🎧"}

func (s *Stream) play(it *item) time.Duration {
	it.name = "Track Played"
	ms := 20_000 + s.rng.Int64N(240_000)
	if s.rng.IntN(5) == 0 { // skipped
		ms = s.rng.Int64N(30_000)
	}
	p := play{TrackID: s.track(), PlayedMS: ms, PositionMS: ms, Quality: "high", Shuffle: s.rng.IntN(3) == 0, Source: "playlist"}
	if s.rng.Float64() < s.Incomplete {
		p.TrackID = ""
	}
	it.properties = p
	return time.Duration(ms) * time.Millisecond
}

// track picks a track, few of them often. Popular numbers are spread over the
// catalogue.
func (s *Stream) track() string {
	return fmt.Sprintf("trk_%06d", s.tracks.Uint64()*7919%uint64(s.Tracks)+1)
}

func (s *Stream) context(who *listener) *eventContext {
	c := &eventContext{
		App:     appContext{nameVersion{who.app.name, who.app.version}, "20261117"},
		Locale:  who.country.locale,
		Library: nameVersion{"reed-" + who.app.name, "1.8.2"},
		Network: "wifi",
	}
	if who.app.name == "web" {
		first := s.rng.IntN(len(sites))
		site := sites[s.rng.IntN(first+1)] // the first are visited most
		c.Page = &pageContext{
			URL:      fmt.Sprintf("https://%s/music/%d?utm_source=feed", site, s.rng.IntN(50)),
			Referrer: referrers[s.rng.IntN(len(referrers))],
			Title:    "Listen",
		}
	}
	return c
}
