// Package tracker sends events from Go programs to Reedbed.
//
// It knows the native form of events, how they are numbered so that loss can be
// measured (docs/event.md), and how to keep them until they are answered. It needs
// nothing but the standard library, and must never know what the events mean, nor
// how a collector is built.
//
// An event is on its way once Track has returned nil. With Options.Dir it survives
// the death of the process: what the next process opens, it sends. It is let go when
// the collector answered 2xx, which it does after the event is durable there; an
// answer that gets lost makes it come twice, and Reedbed counts it once.
package tracker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Options of a client. Endpoint and Key are needed, the rest has defaults.
type Options struct {
	Endpoint string // the collector's address, such as https://collect.example.com
	Key      string // a write key of the source
	// Secret signs requests, for a source that wants them signed: one of its signing
	// in reedbed.yaml, such as whsec_ and 32 bytes in base64.
	Secret string

	// Dir keeps the queue in files of this folder, made if it is not there, for one
	// client at a time. Without it the queue is in memory and ends with the process.
	Dir string
	// Sync makes Track return after fsync: events survive a power cut, too, for some
	// milliseconds each. Without it they survive the process, not the machine.
	Sync bool
	// MaxBytes bounds the queue: 16 MiB in memory, 256 MiB in files. What comes when
	// it is full is dropped, counted and reported.
	MaxBytes int64

	BatchEvents int           // events of a request: 500, at most 10,000
	BatchBytes  int           // bytes of a request before compression: 512 KiB
	Delay       time.Duration // how long an event waits for others: 1 s
	MaxBackoff  time.Duration // between two attempts: 1 min

	HTTP *http.Client // one with a timeout of 30 s
	// OnError is told of each failed attempt and each dropped event. It is called
	// by one goroutine at a time, and holds sending up while it runs.
	OnError func(error)
}

const (
	memoryBytes = 16 << 20
	diskBytes   = 256 << 20
	maxBatch    = 10_000 // what the collector takes in a request
	bodyLimit   = 16 << 20
	maxEvent    = 1 << 20 // what it takes of one event
)

func (o Options) withDefaults() Options {
	most := int64(memoryBytes)
	if o.Dir != "" {
		most = diskBytes
	}
	o.MaxBytes = or(o.MaxBytes, most)
	o.BatchEvents = min(or(o.BatchEvents, 500), maxBatch)
	o.BatchBytes = min(or(o.BatchBytes, 512<<10), bodyLimit)
	o.Delay = or(o.Delay, time.Second)
	o.MaxBackoff = or(o.MaxBackoff, time.Minute)
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	return o
}

func or[T int | int64 | time.Duration](given, otherwise T) T {
	if given > 0 {
		return given
	}
	return otherwise
}

// Errors of Track and Close.
var (
	ErrFull   = errors.New("the queue is full: the collector has not answered for long; the event is dropped, counted and reported")
	ErrClosed = errors.New("the client is closed")
)

// Client queues events and sends them in order. It is safe for concurrent use.
type Client struct {
	o    Options
	send sender

	mu      sync.Mutex
	queue   queue
	stream  stream
	stats   Stats
	gone    int64 // events that have left the queue
	closed  bool
	changed chan struct{} // closed and made anew when stats or closed changed

	wake    chan struct{} // there is something to send
	hurry   chan struct{} // and somebody waits for it
	abandon context.CancelFunc
	stopped chan struct{}
}

// Stats is what became of events since Open. Generated = Sent + Dropped + what of it
// is queued; Found came before it, from an earlier process, and is in Sent or queued.
type Stats struct {
	Found     int64 // events an earlier process left in Dir
	Generated int64 // events that Track numbered, or took with a time of their own
	Sent      int64 // answered 2xx
	Dropped   int64 // refused by a full queue or by the collector, or damaged on disk
	Queued    int64
}

// queue keeps encoded events in order until they are answered. Its callers take turns.
type queue interface {
	// add keeps an event; ErrFull if there is no room.
	add(event []byte) error
	// next returns the oldest events, not more than so many and so many bytes, but
	// one at least if there is one. damaged events were passed over.
	next(events, bytes int) (batch [][]byte, damaged int, err error)
	// done lets go of the n oldest, and those damaged before or among them.
	done(n int) error
	// remember keeps where the stream ends, for the next process.
	remember(end) error
	close() error
}

// Open returns a client that sends what is tracked, and what an earlier process left
// in o.Dir.
func Open(o Options) (*Client, error) {
	o = o.withDefaults()
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("tracker: Endpoint %q is no http or https address; give the collector's, such as https://collect.example.com", o.Endpoint)
	}
	if o.Key == "" {
		return nil, errors.New("tracker: Key is empty; give a write key of the source from reedbed.yaml")
	}
	secret, err := signingKey(o.Secret)
	if err != nil {
		return nil, err
	}
	c := &Client{
		o: o, send: sender{http: o.HTTP, url: u.JoinPath("/v1/events").String(), key: o.Key, secret: secret},
		changed: make(chan struct{}), wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	var before end
	if o.Dir == "" {
		c.queue = &memory{max: o.MaxBytes}
	} else {
		d, err := openDisk(o.Dir, o.MaxBytes, o.Sync)
		if err != nil {
			return nil, fmt.Errorf("tracker: queue in %s: %w", o.Dir, err)
		}
		c.queue, before = d, d.end
		c.stats.Found = d.found
		c.stats.Queued = d.found
	}
	c.stream = stream{previous: before}
	ctx, cancel := context.WithCancel(context.Background())
	c.abandon = cancel
	go c.run(ctx)
	if c.stats.Found > 0 {
		poke(c.wake)
	}
	return c, nil
}

// Track queues an event. An error says that it is not queued: it is not a valid
// event (and not numbered), the queue is full (ErrFull; it is numbered and will be
// reported as dropped), the disk failed (likewise), or the client is closed.
func (c *Client) Track(e Event) error {
	if err := e.check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.stream.turn(time.Now())
	b, err := e.encode(&c.stream)
	if err != nil {
		return err
	}
	c.stream.gave(e)
	c.stats.Generated++
	if err := c.queue.add(b); err != nil {
		c.stats.Dropped++
		if e.Time.IsZero() {
			c.stream.refused(c.stream.id)
		}
		return errors.Join(err, c.queue.remember(c.stream.end()))
	}
	c.stats.Queued++
	poke(c.wake)
	if c.stats.Queued >= int64(c.o.BatchEvents) {
		poke(c.hurry)
	}
	return nil
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Stats says what became of events so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Flush returns when everything tracked before is answered or dropped, or with the
// error of ctx.
func (c *Client) Flush(ctx context.Context) error {
	c.mu.Lock()
	want := c.gone + c.stats.Queued
	c.mu.Unlock()
	poke(c.hurry)
	for {
		c.mu.Lock()
		left, changed := want-c.gone, c.changed
		c.mu.Unlock()
		if left <= 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("tracker: %d events are not answered: %w", left, ctx.Err())
		}
	}
}

// Close takes no more events, sends those that are queued until ctx is done, and
// ends. What is left then stays in Dir for the next process; without Dir it is lost,
// and the error says how many.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.closed = true
	c.mu.Unlock()
	drained := c.Flush(ctx)
	c.abandon()
	<-c.stopped
	c.mu.Lock()
	defer c.mu.Unlock()
	err := errors.Join(c.queue.remember(c.stream.end()), c.queue.close())
	if c.o.Dir != "" && errors.Is(drained, ctx.Err()) {
		drained = nil // they are kept
	}
	return errors.Join(drained, err)
}
