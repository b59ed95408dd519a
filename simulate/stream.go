package simulate

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Request is one HTTP request of one client.
type Request struct {
	At      time.Duration // when to send it, counted from Config.Start
	Path    string
	Key     string // the write key, for HTTP Basic
	Headers map[string]string
	Body    []byte
	Events  int      // items in the body
	Bad     int      // of them those that do not decode
	IDs     []string // ids of those that do, in order
	Repeat  bool     // the same events were sent before
	Lost    []Lost   // what never arrives, of this request and of those since the last that had nothing left to send
}

// Stream makes requests one after the other. One goroutine uses it at a time.
type Stream struct {
	Config
	rng       *rand.Rand
	tracks    *rand.Zipf
	listeners *rand.Zipf
	numbering []numbering // of each listener's device
	lost      []Lost      // not yet told

	sending time.Duration // when the next fresh request is sent, from Start
	events  int           // fresh events so far
	past    time.Time     // what the history has reached
	live    time.Duration // when the history was sent; meaningless before
	repeats []repeat      // by time of sending
}

type repeat struct {
	at time.Duration
	of *draft
}

// New begins a stream.
func New(c Config) *Stream {
	c = c.withDefaults()
	rng := rand.New(rand.NewPCG(c.Seed, 0))
	s := &Stream{
		Config:    c,
		rng:       rng,
		tracks:    rand.NewZipf(rng, 1.2, 8, uint64(c.Tracks-1)),
		listeners: rand.NewZipf(rng, 1.1, 40, uint64(c.Listeners-1)),
		numbering: make([]numbering, c.Listeners+c.Attack.Listeners),
		past:      c.Start.Add(-c.History.Span),
	}
	if c.History.Events == 0 {
		s.past = c.Start
	}
	return s
}

// Next returns the next request in the order of sending; false at the end.
func (s *Stream) Next() (Request, bool) {
	for {
		ended := s.ended()
		if len(s.repeats) > 0 && (ended || s.repeats[0].at <= s.sending) {
			r := s.repeats[0]
			s.repeats = s.repeats[1:]
			return r.of.request(s, r.at, true), true
		}
		if ended {
			return Request{}, false
		}
		if r, sent := s.fresh(); sent {
			return r, true
		}
	}
}

func (s *Stream) ended() bool {
	return s.Events > 0 && s.events >= s.Events || s.For > 0 && s.sending >= s.For
}

// fresh makes a request of events that were not sent before; false if all of them
// are lost.
func (s *Stream) fresh() (Request, bool) {
	n := s.batchSize()
	at := s.sending
	var d *draft
	if s.past.Before(s.Start) {
		d = s.remember(n)
	} else {
		d = s.happen(n)
	}
	s.events += n
	if s.number(d); len(d.items) == 0 {
		return Request{}, false
	}
	if s.rng.Float64() < s.Duplicates {
		s.repeatAt(at+time.Second+time.Duration(s.rng.Int64N(int64(20*time.Second))), d)
	}
	r := d.request(s, at, false)
	r.Lost, s.lost = s.lost, nil
	return r, true
}

func (s *Stream) repeatAt(at time.Duration, d *draft) {
	i, _ := slices.BinarySearchFunc(s.repeats, at, func(r repeat, at time.Duration) int { return int(r.at - at) })
	s.repeats = slices.Insert(s.repeats, i, repeat{at, d})
}

// batchSize is 1 to 50 events, 8 on average: most clients send at once, some
// were out of reach for a while.
func (s *Stream) batchSize() int {
	n := 1
	switch p := s.rng.Float64(); {
	case p < 0.3:
	case p < 0.6:
		n = 2 + s.rng.IntN(4)
	case p < 0.9:
		n = 6 + s.rng.IntN(15)
	default:
		n = 21 + s.rng.IntN(30)
	}
	if s.Events > 0 {
		n = min(n, s.Events-s.events)
	}
	return n
}

// remember makes a request of the history: it moves through the past as the
// day's rhythm has it, and is sent quickly.
func (s *Stream) remember(n int) *draft {
	d := s.listen(s.past, n)
	density := float64(s.History.Events) / float64(s.History.Span) * activity(s.past) / meanActivity
	s.past = s.past.Add(time.Duration(float64(n) / density))
	s.sending += seconds(float64(n) / s.History.Rate)
	s.live = s.sending
	return d
}

// meanActivity is the mean of activity over a day: the rhythm is a cosine
// around it, the same for all countries.
const meanActivity = 0.55

// happen makes a request of what goes on now, or of what went wrong on the way
// here.
func (s *Stream) happen(n int) *draft {
	now := s.Start.Add(s.sending)
	since := s.sending - s.live
	s.sending += seconds(float64(n) / s.Rate)
	attacked := s.Attack.After <= since && since < s.Attack.After+s.Attack.For
	if attacked && s.rng.Float64() < s.Attack.Share {
		return s.attack(now, n)
	}
	switch p := s.rng.Float64(); {
	case p < s.Late:
		return s.listen(now.Add(-s.outage(now)), n)
	case p < s.Late+s.Skewed:
		d := s.listen(now, n)
		d.skew = s.wrongClock()
		d.unstamped = d.skew.Abs() > 24*time.Hour && s.rng.IntN(2) == 0
		return d
	}
	return s.listen(now, n)
}

// outage is how long ago what arrives late happened. Late clients come in
// groups, as when a train leaves a tunnel or a provider is back, so all of one
// minute were cut off at about the same time: between 2 minutes and 3 days ago.
func (s *Stream) outage(now time.Time) time.Duration {
	rng := rand.New(rand.NewPCG(s.Seed, uint64(now.Unix()/60)))
	const shortest, longest = 2 * time.Minute, 3 * 24 * time.Hour
	ago := float64(shortest) * math.Pow(float64(longest)/float64(shortest), rng.Float64())
	return time.Duration(ago) + time.Duration(s.rng.Int64N(int64(time.Minute)))
}

// wrongClock is by how much a device's clock is wrong.
func (s *Stream) wrongClock() time.Duration {
	const year = 365 * 24 * time.Hour
	wrong := [...]time.Duration{-8 * time.Hour, -time.Hour, time.Hour, 5 * time.Hour, -56 * year, -6 * year, 3 * year, 11 * year}
	return wrong[s.rng.IntN(len(wrong))]
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
