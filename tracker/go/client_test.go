package tracker

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// collector answers as a collector would, or as told, and keeps what it took.
type collector struct {
	mu      sync.Mutex
	answers []func(*collector, []event) (int, http.Header, error) // of the next requests; then all is taken
	taken   map[string]event
	order   []event
	tries   []time.Time
}

type event struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	number
	raw string
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries = append(c.tries, time.Now())
	events, err := decode(r)
	if err != nil {
		return nil, err
	}
	status, header := http.StatusOK, http.Header{}
	if len(c.answers) > 0 {
		status, header, err = c.answers[0](c, events)
		c.answers = c.answers[1:]
	} else {
		c.take(events)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: header, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

func (c *collector) take(events []event) {
	if c.taken == nil {
		c.taken = map[string]event{}
	}
	for _, e := range events {
		if _, again := c.taken[e.ID]; !again {
			c.order = append(c.order, e)
		}
		c.taken[e.ID] = e
	}
}

func decode(r *http.Request) ([]event, error) {
	if r.URL.Path != "/v1/events" || r.Header.Get("Authorization") != "Bearer k" {
		return nil, fmt.Errorf("request to %s with %q", r.URL, r.Header)
	}
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(z)
		}
	}
	if err != nil {
		return nil, err
	}
	var b struct {
		SentAt time.Time         `json:"sent_at"`
		Batch  []json.RawMessage `json:"batch"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	events := make([]event, len(b.Batch))
	for i, raw := range b.Batch {
		if err := json.Unmarshal(raw, &events[i]); err != nil {
			return nil, err
		}
		events[i].raw = string(raw)
	}
	return events, nil
}

func status(code int, header ...string) func(*collector, []event) (int, http.Header, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return func(*collector, []event) (int, http.Header, error) { return code, h, nil }
}

// lostAnswer takes the events and says nothing.
func lostAnswer(c *collector, events []event) (int, http.Header, error) {
	c.take(events)
	return 0, nil, io.ErrUnexpectedEOF
}

func reset(*collector, []event) (int, http.Header, error) { return 0, nil, io.ErrUnexpectedEOF }

func open(t *testing.T, to *collector, o Options) *Client {
	t.Helper()
	o.Endpoint, o.Key, o.HTTP = "https://collect.example.com", "k", &http.Client{Transport: to}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func track(t *testing.T, c *Client, n int) {
	t.Helper()
	for i := range n {
		if err := c.Track(Event{Name: fmt.Sprint("e", i), Properties: map[string]any{"n": i}}); err != nil {
			t.Fatal(err)
		}
	}
}

func closeIt(t *testing.T, c *Client) {
	t.Helper()
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Whatever goes wrong on the way, every event arrives, in order, numbered, and each
// time as the same bytes.
func TestEveryEventArrives(t *testing.T) {
	faults := map[string][]func(*collector, []event) (int, http.Header, error){
		"nothing":         nil,
		"503":             {status(503), status(503), status(503)},
		"429 asks":        {status(429, "Retry-After", "7")},
		"resets":          {reset, reset},
		"lost answers":    {lostAnswer, lostAnswer},
		"a wrong key":     {status(401), status(403), status(404)},
		"too large":       {status(413), status(413)},
		"a mixture":       {reset, status(503), lostAnswer, status(413), status(500), lostAnswer},
		"a broken answer": {status(400), status(502), status(504)},
	}
	for name, answers := range faults {
		for _, dir := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, on disk %v", name, dir), func(t *testing.T) {
				o := Options{BatchEvents: 30}
				if dir {
					o.Dir = t.TempDir()
				}
				synctest.Test(t, func(t *testing.T) {
					to := &collector{answers: answers}
					c := open(t, to, o)
					track(t, c, 100)
					closeIt(t, c)
					if s := c.Stats(); s != (Stats{Generated: 100, Sent: 100}) {
						t.Errorf("%+v", s)
					}
					numbered(t, to.order, 100)
				})
			})
		}
	}
}

// numbered checks that events are those of one stream, from 0 on.
func numbered(t *testing.T, events []event, n int64) {
	t.Helper()
	if int64(len(events)) != n {
		t.Fatalf("%d events arrived of %d", len(events), n)
	}
	for i, e := range events {
		if e.Seq != int64(i) || e.StreamID != events[0].StreamID || e.Dropped != 0 || e.Type != "track" || e.Time.IsZero() {
			t.Fatalf("event %d is %s", i, e.raw)
		}
	}
}

func TestWaitsAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(100 * time.Second).UTC().Format(http.TimeFormat)
		to := &collector{answers: []func(*collector, []event) (int, http.Header, error){
			status(503, "Retry-After", "30"), status(503, "Retry-After", date), status(503), status(503),
		}}
		c := open(t, to, Options{MaxBackoff: 2 * time.Second})
		began := time.Now()
		track(t, c, 1)
		closeIt(t, c)
		for i, bound := range []struct{ least, most time.Duration }{{0, time.Second}, {30, 33}, {100, 103}, {100, 105}, {100, 107}} {
			if i > 0 {
				bound.least, bound.most = bound.least*time.Second, bound.most*time.Second
			}
			if at := to.tries[i].Sub(began); at < bound.least || at > bound.most {
				t.Errorf("try %d after %v, not within %v and %v", i, at, bound.least, bound.most)
			}
		}
	})
}

// Events wait for each other, but not for long, and a full batch does not wait.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &collector{}
		c := open(t, to, Options{BatchEvents: 10, Delay: time.Minute})
		track(t, c, 9)
		synctest.Wait()
		if len(to.tries) != 0 {
			t.Errorf("%d requests at once", len(to.tries))
		}
		track(t, c, 1)
		synctest.Wait()
		if len(to.tries) != 1 || len(to.order) != 10 {
			t.Errorf("%d requests with %d events once a batch is full", len(to.tries), len(to.order))
		}
		track(t, c, 1)
		if err := c.Flush(t.Context()); err != nil || len(to.order) != 11 {
			t.Errorf("%d events after a flush: %v", len(to.order), err)
		}
		closeIt(t, c)
	})
}

// What the collector never takes is dropped alone, counted, and reported by the next.
func TestTooLargeForTheCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		to := &collector{}
		refuse := func(c *collector, events []event) (int, http.Header, error) {
			for _, e := range events {
				if e.Name == "e3" {
					return 413, nil, nil
				}
			}
			c.take(events)
			return 200, nil, nil
		}
		for range 20 {
			to.answers = append(to.answers, refuse)
		}
		c := open(t, to, Options{OnError: func(err error) { told = append(told, err) }})
		track(t, c, 8)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := c.Stats(); s != (Stats{Generated: 8, Sent: 7, Dropped: 1}) || len(told) != 1 {
			t.Errorf("%+v, told %v", s, told)
		}
		track(t, c, 1)
		closeIt(t, c)
		if last := to.order[len(to.order)-1]; last.Seq != 8 || last.Dropped != 1 {
			t.Errorf("the next event is %s", last.raw)
		}
	})
}

func TestFull(t *testing.T) {
	for _, dir := range []bool{false, true} {
		t.Run(fmt.Sprint("on disk ", dir), func(t *testing.T) {
			o := Options{MaxBytes: 2000}
			if dir {
				o.Dir = t.TempDir()
			}
			synctest.Test(t, func(t *testing.T) {
				to := &collector{}
				down := func(*collector, []event) (int, http.Header, error) { return 503, nil, nil }
				for range 3 {
					to.answers = append(to.answers, down)
				}
				c := open(t, to, o)
				var full int64
				for range 100 {
					if err := c.Track(Event{Name: "n"}); errors.Is(err, ErrFull) {
						full++
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				track(t, c, 1)
				closeIt(t, c)
				if s := c.Stats(); full == 0 || s != (Stats{Generated: 101, Sent: 101 - full, Dropped: full}) {
					t.Errorf("%+v with %d times full", s, full)
				}
				if last := to.order[len(to.order)-1]; last.Seq != 100 || last.Dropped != full {
					t.Errorf("the next event is %s, after %d were dropped", last.raw, full)
				}
			})
		})
	}
}

// A clock that goes back begins another stream, which says where the one before ended
// until it is answered.
func TestClockGoesBack(t *testing.T) {
	var s stream
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var got []number
	for _, step := range []time.Duration{0, time.Second, -time.Hour, 0} {
		at = at.Add(step)
		s.turn(at)
		got = append(got, *s.number())
		s.gave(Event{})
	}
	first, second := got[0].StreamID, got[2].StreamID
	if got[1].StreamID != first || got[1].Seq != 1 || got[1].Previous != nil || second == first || got[2].Seq != 0 {
		t.Errorf("%+v", got)
	}
	want := end{StreamID: first, Seq: 1, Time: at.Add(time.Hour)}
	if p := got[3].Previous; got[3].StreamID != second || got[3].Seq != 1 || p == nil || *p != want {
		t.Errorf("%+v, previous %+v", got[3], p)
	}
	s.answered(second)
	if n := s.number(); n.Previous != nil {
		t.Errorf("%+v once it is answered", n)
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &collector{}
		c := open(t, to, Options{})
		for _, bad := range []Event{
			{},
			{Type: "click", Name: "n"},
			{Name: strings.Repeat("n", 513)},
			{Name: "n", ID: strings.Repeat("i", 257)},
			{Name: "n", Properties: map[string]any{"f": func() {}}},
			{Name: "n", Properties: map[string]string{"s": strings.Repeat("x", 1<<20)}},
		} {
			if err := c.Track(bad); err == nil {
				t.Errorf("%+v is taken", bad)
			}
		}
		then := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := c.Track(Event{Type: "page", ID: "mine", Time: then}); err != nil {
			t.Error(err)
		}
		track(t, c, 1)
		closeIt(t, c)
		if err := c.Track(Event{Name: "n"}); !errors.Is(err, ErrClosed) || !errors.Is(c.Close(t.Context()), ErrClosed) {
			t.Errorf("a closed client: %v", err)
		}
		own, next := to.order[0], to.order[1]
		if own.ID != "mine" || own.StreamID != "" || !own.Time.Equal(then) || next.Seq != 0 || next.StreamID == "" {
			t.Errorf("%s and %s", own.raw, next.raw)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	c := open(t, &collector{}, Options{Dir: dir})
	defer closeIt(t, c)
	for _, o := range []Options{
		{Key: "k"},
		{Endpoint: "collect.example.com", Key: "k"},
		{Endpoint: "https://collect.example.com"},
		{Endpoint: "https://collect.example.com", Key: "k", Dir: dir},
	} {
		if second, err := Open(o); err == nil {
			t.Errorf("%+v is taken", o)
			closeIt(t, second)
		}
	}
}

// What does not get through until the end is kept on disk, and told of in memory.
func TestCloseInTime(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		synctest.Test(t, func(t *testing.T) {
			to := &collector{}
			for range 1000 {
				to.answers = append(to.answers, reset)
			}
			c := open(t, to, Options{Dir: dir})
			track(t, c, 5)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := c.Close(ctx)
			if kept := dir != ""; kept != (err == nil) {
				t.Errorf("in %q: %v", dir, err)
			}
			if s := c.Stats(); s.Queued != 5 {
				t.Errorf("%+v", s)
			}
		})
	}
}
