// Package simulate knows how the listeners of a music service behave: who
// plays what from where on which app, and how clients misbehave on the way:
// they repeat requests, come late, have wrong clocks and send garbage. It makes
// the traffic of `reedbed demo` and of the benchmarks.
//
// A stream is a pure function of its Config, byte for byte; only Run reads a
// clock and opens connections. The package is a client: it never knows the
// pipeline behind the URL it sends to.
package simulate

import "time"

// Config describes a stream. Fields left zero take the value Default gives
// them, except the shares, where zero means none; start from Default to get a
// lively mixture.
type Config struct {
	Seed  uint64
	Start time.Time // when the first request is sent; zero is now for Run, and a fixed day for New
	Key   string    // the write key of the source

	// Rate is how many events per second are sent, repeats not counted.
	Rate float64
	// Events ends the stream after so many events, repeats not counted, and
	// For after so long. With neither it has no end.
	Events int
	For    time.Duration

	Listeners int
	Tracks    int

	Duplicates float64 // share of requests sent again some seconds later, as if the answer was lost
	Late       float64 // share of requests whose events happened minutes to 3 days before
	Skewed     float64 // share of requests from a device whose clock is hours or years off
	Malformed  float64 // share of events that do not decode and must be quarantined
	Incomplete float64 // share of plays without a track, which decode but are no use

	History History
	Attack  Attack
	Loss    Loss
}

// Loss is what becomes of events that never arrive, not even in a repeat.
type Loss struct {
	Version  string  // of the application whose events are lost; it must number them
	InFlight float64 // share that is sent and lost
	AtClient float64 // share that the client numbers, drops, and reports as dropped
}

// History is past traffic that is sent before anything else, so that there is
// something to look at from the first second.
type History struct {
	Events int           // how many, about; 0 for none
	Span   time.Duration // how far they reach back from Start
	Rate   float64       // events per second while they are sent
}

// Attack is a burst of plays bought for one track.
type Attack struct {
	After     time.Duration // when it begins, counted from the end of the history
	For       time.Duration // how long it lasts; 0 for none
	Share     float64       // of the requests sent meanwhile
	Listeners int           // from how few accounts
}

// AttackTrack is the track an attack plays, and AttackAgent the browser its
// user agent names.
const (
	AttackTrack = "trk_000666"
	AttackAgent = "PlayBooster"
)

// Default is the traffic of the demo: 500 events per second without end.
func Default() Config {
	return Config{
		Seed:       1,
		Key:        "demo",
		Rate:       500,
		Listeners:  10_000,
		Tracks:     5_000,
		Duplicates: 0.02,
		Late:       0.02,
		Skewed:     0.01,
		Malformed:  0.005,
		Incomplete: 0.005,
		Attack:     Attack{After: 15 * time.Second, For: 20 * time.Second, Share: 0.3, Listeners: 20},
	}
}

func (c Config) withDefaults() Config {
	d := Default()
	orDefault(&c.Start, time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC))
	c.Start = c.Start.UTC()
	orDefault(&c.Key, d.Key)
	orDefault(&c.Rate, d.Rate)
	orDefault(&c.Listeners, d.Listeners)
	orDefault(&c.Tracks, d.Tracks)
	orDefault(&c.History.Span, 24*time.Hour)
	orDefault(&c.History.Rate, 4*c.Rate)
	orDefault(&c.Attack.Listeners, d.Attack.Listeners)
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
