package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
)

// TestJournalErrors: what each error of Append is answered with, on both kinds
// of path, and whether the server is ready after it.
func TestJournalErrors(t *testing.T) {
	tests := []struct {
		err             error
		native, segment int
		code            string
		ready           bool
	}{
		{journal.ErrOverloaded, 503, 429, "overloaded", true},
		{journal.ErrFull, 503, 503, "unavailable", false},
		{journal.ErrFailed, 503, 503, "unavailable", false},
		{journal.ErrClosed, 503, 503, "unavailable", false},
		{journal.ErrTooLarge, 413, 413, "too_large", true},
		{context.Canceled, 503, 503, "unavailable", true},
		{errors.New("something else"), 503, 503, "unavailable", false},
	}
	for _, tt := range tests {
		for path, status := range map[string]int{"/v1/events": tt.native, "/v1/t": tt.segment} {
			t.Run(tt.err.Error()+path, func(t *testing.T) {
				m := &memory{fail: func() error { return fmt.Errorf("wrapped: %w", tt.err) }}
				d, _ := newDoor(t, Options{Journal: m})
				w := call{path: path + "?key=demo", body: `{"id":"x","name":"a","event":"a"}`}.do(d)
				a := parse(t, w)
				if w.Code != status || a.Error.Code != tt.code {
					t.Errorf("%d %s, want %d %s", w.Code, w.Body, status, tt.code)
				}
				checkRetryAfter(t, w.Header(), status)
				if a.Accepted+a.Quarantined != 0 {
					t.Errorf("claims to have stored something: %s", w.Body)
				}
				if path == "/v1/events" && status == 503 && (len(a.Results) != 1 || a.Results[0].Status != "retry" || a.Results[0].ID != "x") {
					t.Errorf("results %+v", a.Results)
				}
				if err := d.Ready(); (err == nil) != tt.ready {
					t.Errorf("ready: %v", err)
				}
			})
		}
	}
}

func checkRetryAfter(t *testing.T, h http.Header, status int) {
	t.Helper()
	v := h.Get("Retry-After")
	if status != 503 && status != 429 {
		if v != "" {
			t.Errorf("Retry-After with %d", status)
		}
		return
	}
	if n, err := strconv.Atoi(v); err != nil || n < 1 || n > 5 {
		t.Errorf("Retry-After %q", v)
	}
}

// TestReportedFailedButStored: the journal kept the record and still reported
// an error. The client is told to send again; loading removes the repeat.
func TestReportedFailedButStored(t *testing.T) {
	m := new(memory)
	d, _ := newDoor(t, Options{Journal: keptButFailed{m}})
	if w := (call{path: "/v1/events?key=demo", body: one}).do(d); w.Code != 503 {
		t.Errorf("answered %d", w.Code)
	}
	if ok, _ := m.counts(); ok != 1 {
		t.Errorf("%d stored", ok)
	}
	if s := d.Stats(); s.Accepted != 0 {
		t.Errorf("counted as acknowledged: %+v", s)
	}
}

type keptButFailed struct{ *memory }

func (k keptButFailed) Append(ctx context.Context, r journal.Record) (journal.Position, error) {
	_, _ = k.memory.Append(ctx, r)
	return journal.Position{}, journal.ErrFailed
}

// TestTurnedAwayUnread: after a refusal of the journal, requests are answered
// without their bodies being read, until the pause has passed.
func TestTurnedAwayUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		tries := 0
		m := &memory{fail: func() error { tries++; return fail }}
		d, _ := newDoor(t, Options{Journal: m})
		send := func() int { return call{path: "/v1/events?key=demo", body: one}.do(d).Code }
		steps := []struct {
			err    error
			wait   time.Duration
			status int
			asked  bool // the journal was asked
			ready  bool
		}{
			{nil, 0, 200, true, true},
			{journal.ErrOverloaded, 0, 503, true, true},
			{nil, 0, 503, false, true},
			{nil, overloadPause, 200, true, true},
			{journal.ErrFull, 0, 503, true, false},
			{nil, fullPause / 2, 503, false, false},
			{nil, fullPause / 2, 200, true, true},
			{journal.ErrFull, 0, 503, true, false},
			{journal.ErrOverloaded, fullPause, 503, true, false},
			{nil, overloadPause, 200, true, true},
			{errors.New("the disk refuses a write"), 0, 503, true, false},
			{context.Canceled, 0, 503, true, false},
			{nil, 0, 200, true, true},
			{errors.New("the disk refuses a write"), 0, 503, true, false},
			{errors.New("and another"), unreadyFor, 503, true, false},
			{nil, 0, 200, true, true},
			{journal.ErrFailed, 0, 503, true, false},
			{nil, time.Hour, 503, false, false},
		}
		for i, s := range steps {
			time.Sleep(s.wait)
			fail = s.err
			before := tries
			if got := send(); got != s.status || (tries > before) != s.asked || (d.Ready() == nil) != s.ready {
				t.Errorf("step %d: status %d, asked %v, ready %v", i, got, tries > before, d.Ready())
			}
		}
	})
}

func TestReadyAgainAfterAFullDiskWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newDoor(t, Options{Journal: &memory{fail: func() error { return journal.ErrFull }}})
		call{path: "/v1/events?key=demo", body: one}.do(d)
		if d.Ready() == nil {
			t.Error("ready at once")
		}
		time.Sleep(fullPause + unreadyFor)
		if err := d.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestFailureIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	m := &memory{fail: func() error { return journal.ErrFull }}
	d, _ := newDoor(t, Options{Journal: m, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 5 {
		call{path: "/v1/events?key=demo", body: one}.do(d)
		_ = d.Accept(t.Context(), "app", &event.Batch{Items: []event.Item{{Raw: []byte(one)}}})
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

// Load balancers see that the server stops before anybody is refused.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, m := newDoor(t, Options{})
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { d.Leave(t.Context(), 15*time.Second) })
		synctest.Wait()
		if d.Ready() == nil {
			t.Error("ready while it leaves")
		}
		w := call{path: "/v1/events?key=demo", body: one}.do(d)
		if w.Code != 200 || w.Header().Get("Connection") != "close" {
			t.Errorf("while it leaves: %d %v", w.Code, w.Header())
		}
		wg.Wait()
		if ok, _ := m.counts(); ok != 1 || time.Since(begin) != 15*time.Second {
			t.Errorf("%d stored, left after %s", ok, time.Since(begin))
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		d.Leave(ended, time.Hour)
		if time.Since(begin) != 15*time.Second {
			t.Error("it does not end with its context")
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{block: make(chan struct{})}
		d, _ := newDoor(t, Options{Journal: m})
		var wg sync.WaitGroup
		status := 0
		wg.Go(func() { status = call{path: "/v1/events?key=demo", body: one}.do(d).Code })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Drain(ctx); err == nil {
			t.Error("drained although a request waits for the journal")
		}
		w := call{path: "/v1/batch?key=demo", body: one}.do(d)
		if w.Code != 503 || w.Header().Get("Connection") != "close" || parse(t, w).Error.Code != "stopping" {
			t.Errorf("while draining: %d %s", w.Code, w.Body)
		}
		if d.Ready() == nil {
			t.Error("ready while draining")
		}
		wg.Go(func() {
			if err := d.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		close(m.block)
		wg.Wait()
		if status != 200 {
			t.Errorf("the request under way got %d", status)
		}
		if err := d.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestFairness: one key floods a journal that has stopped; the other key's
// requests still find a place.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{block: make(chan struct{})}
		d, _ := newDoor(t, Options{Journal: m, Limits: Limits{InFlight: 16}})
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := make(map[string]map[int]int)
		flood := func(key string, n int) {
			for range n {
				wg.Go(func() {
					w := call{path: "/v1/events?key=" + key, body: one}.do(d)
					mu.Lock()
					defer mu.Unlock()
					if got[key] == nil {
						got[key] = make(map[int]int)
					}
					got[key][w.Code]++
				})
			}
			synctest.Wait()
		}
		flood("demo", 100)
		flood("app-key", 2)
		flood("demo", 100)
		close(m.block)
		wg.Wait()
		if got["app-key"][200] != 2 {
			t.Errorf("the quiet key: %v", got["app-key"])
		}
		if got["demo"][200] != 14 || got["demo"][429] != 86 || got["demo"][503] != 100 {
			t.Errorf("the loud key: %v", got["demo"])
		}
	})
}

func TestRateLimitIs429Everywhere(t *testing.T) {
	now := time.Unix(1e9, 0)
	d, _ := newDoor(t, Options{
		Sources: []Source{{Name: "s", Keys: []string{"k"}, Rate: 1}},
		Now:     func() time.Time { return now },
	})
	for path, body := range map[string]string{"/v1/events?key=k": one, "/v1/events": `{"writeKey":"k","name":"a"}`, "/v1/t?key=k": one} {
		now = now.Add(time.Hour)
		if w := (call{path: path, body: body}).do(d); w.Code != 200 {
			t.Errorf("%s: first: %d", path, w.Code)
		}
		w := call{path: path, body: body}.do(d)
		if w.Code != 429 || parse(t, w).Error.Code != "rate_limited" {
			t.Errorf("%s: second: %d %s", path, w.Code, w.Body)
		}
		checkRetryAfter(t, w.Header(), w.Code)
	}
}

func TestAccept(t *testing.T) {
	d, m := newDoor(t, Options{})
	b := &event.Batch{Protocol: "native", Historical: true, Items: []event.Item{
		{Raw: []byte(one)}, {Raw: []byte("x"), Refusal: event.Refusal{Code: "invalid_json", Reason: "r"}},
	}}
	if err := d.Accept(t.Context(), "app", b); err != nil {
		t.Fatal(err)
	}
	got := m.last(t)
	if got.Source != "app" || !got.Historical || got.ReceivedAt.IsZero() {
		t.Errorf("%+v", got)
	}
	if s := d.Stats(); s.Accepted != 1 || s.Quarantined != 1 {
		t.Errorf("%+v", s)
	}
	if err := d.Accept(t.Context(), "nobody", b); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("unknown source: %v", err)
	}
	m.fail = func() error { return journal.ErrOverloaded }
	if err := d.Accept(t.Context(), "app", b); !errors.Is(err, journal.ErrOverloaded) {
		t.Errorf("overloaded: %v", err)
	}
	if err := d.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Accept(t.Context(), "app", b); err == nil {
		t.Error("accepted while draining")
	}
}
