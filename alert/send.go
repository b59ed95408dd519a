package alert

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Outbox keeps messages until they are delivered or given up. It is safe for
// concurrent use.
type Outbox interface {
	// NextDelivery returns what is to be sent to a hook first; its Next may lie
	// ahead. What concerns one alert comes in order: not before what is earlier is
	// done with.
	NextDelivery(ctx context.Context, hook string) (d Delivery, ok bool, err error)
	// Tried records what became of a try.
	Tried(ctx context.Context, d Delivery) error
}

// Delivery is one message on its way to one hook.
type Delivery struct {
	ID      int64 // in the outbox
	Hook    string
	Message string // its ID
	Body    []byte
	Created time.Time
	Tries   int
	Next    time.Time // when to try; zero when Result is final
	Result  Result
	Error   string // of the last try
}

// Result is where a delivery stands.
type Result string

// The results. Failed is that of a try, after which the delivery still waits.
const (
	Waiting   Result = "waiting"
	Delivered Result = "delivered"
	Dropped   Result = "dropped" // given up
	Failed    Result = "failed"
)

const (
	firstPause = 5 * time.Second
	mostPause  = time.Hour
	// giveUp is how old a message may be when it fails for the last time.
	giveUp = 24 * time.Hour
	// idle is how long an outbox is left alone unless Wake says that there is news.
	idle = time.Minute
)

// Options of a Sender. All but Registry must be set.
type Options struct {
	Hooks    []Hook
	Outbox   Outbox
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Sender delivers what is in an outbox.
type Sender struct {
	o       Options
	lines   []*line
	metrics *metrics
}

// line is the way to one hook. One goroutine owns it, but for wake.
type line struct {
	hook    Hook
	name    string
	client  *http.Client
	wake    chan struct{} // one slot
	failing bool
}

// New returns a Sender; hooks that it must not send to are an error.
func New(o Options) (*Sender, error) {
	s := &Sender{o: o, metrics: newMetrics(o.Registry)}
	for _, h := range o.Hooks {
		if u, err := url.Parse(h.URL); err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !h.AllowPrivate) {
			return nil, fmt.Errorf("webhook %s: its address is not https: set allow_private if that is meant", h.Name())
		}
		if len(h.Key) == 0 {
			return nil, fmt.Errorf("webhook %s has no secret to sign with", h.Name())
		}
		l := &line{hook: h, name: h.Name(), client: h.client(nil), wake: make(chan struct{}, 1)}
		s.lines = append(s.lines, l)
		s.metrics.failing.WithLabelValues(l.name).Set(0)
	}
	return s, nil
}

// Hooks are those that messages are for.
func (s *Sender) Hooks() []Hook { return s.o.Hooks }

// Wake tells the sender that the outbox holds more, of which some was dropped to
// make room.
func (s *Sender) Wake(dropped int64) {
	s.metrics.deliveries.WithLabelValues(string(Dropped)).Add(float64(dropped))
	for _, l := range s.lines {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Run delivers until ctx ends. Each hook is served by itself: one that hangs
// delays its own messages only.
func (s *Sender) Run(ctx context.Context) {
	var lines sync.WaitGroup
	for _, l := range s.lines {
		lines.Go(func() { s.serve(ctx, l) })
	}
	lines.Wait()
}

func (s *Sender) serve(ctx context.Context, l *line) {
	for ctx.Err() == nil {
		wait, err := s.step(ctx, l)
		if err != nil && ctx.Err() == nil {
			s.o.Log.Error("the outbox of alerts cannot be used; it is tried again", "hook", l.name, "err", err)
			wait = firstPause
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// step sends what is due first, and says how long to wait for more.
func (s *Sender) step(ctx context.Context, l *line) (time.Duration, error) {
	d, ok, err := s.o.Outbox.NextDelivery(ctx, l.name)
	if err != nil || !ok {
		return idle, err
	}
	if wait := time.Until(d.Next); wait > 0 && wait <= mostPause { // later than that, the clock was wrong
		return min(wait, idle), nil
	}
	failure := l.hook.post(ctx, l.client, d.Message, d.Body)
	if failure != nil && ctx.Err() != nil {
		return 0, nil //nolint:nilerr // cut off: that says nothing of the hook, and it is sent again
	}
	d = d.after(failure, time.Now())
	s.observe(l, d, failure)
	return 0, s.o.Outbox.Tried(context.WithoutCancel(ctx), d)
}

// after is a delivery after a try.
func (d Delivery) after(failure error, at time.Time) Delivery {
	d.Tries++
	d.Next, d.Result, d.Error = time.Time{}, Delivered, ""
	if failure == nil {
		return d
	}
	d.Error = cut(failure.Error(), maxTitle)
	if at.Sub(d.Created) >= giveUp {
		d.Result = Dropped
		return d
	}
	d.Next, d.Result = at.Add(pause(d.Tries, rand.Float64())), Waiting
	return d
}

// pause is how long to wait after so many tries: twice as long each time, less
// up to half of it, so that hooks which failed together do not come back together.
func pause(tries int, jitter float64) time.Duration {
	whole := min(firstPause<<min(tries-1, 20), mostPause)
	return whole - time.Duration(jitter*float64(whole/2))
}

// observe counts a try, and logs it if it is not as the last one was.
func (s *Sender) observe(l *line, d Delivery, failure error) {
	result := d.Result
	if result == Waiting {
		result = Failed
	}
	s.metrics.deliveries.WithLabelValues(string(result)).Inc()
	switch failing := failure != nil; {
	case failing == l.failing:
		return
	case failing:
		s.o.Log.Warn("a webhook fails: its messages wait and are tried again", "hook", l.name, "err", failure)
		s.metrics.failing.WithLabelValues(l.name).Set(1)
	default:
		s.o.Log.Info("a webhook takes messages again", "hook", l.name)
		s.metrics.failing.WithLabelValues(l.name).Set(0)
	}
	l.failing = !l.failing
}

// metrics are what a sender says of itself.
type metrics struct {
	deliveries *prometheus.CounterVec
	failing    *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reedbed_webhook_deliveries_total",
			Help: "Messages to webhooks: delivered, dropped for age or room, and tries that failed.",
		}, []string{"result"}),
		failing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reedbed_webhook_failing", Help: "1 while the last try of a webhook failed.",
		}, []string{"hook"}),
	}
	for _, result := range []Result{Delivered, Dropped, Failed} {
		m.deliveries.WithLabelValues(string(result))
	}
	if r != nil {
		r.MustRegister(m.deliveries, m.failing)
	}
	return m
}
