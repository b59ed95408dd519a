package simulate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/reedbed/reedbed/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server stands in for the front door: it counts lines of events and answers
// as told.
type server func(n int, r *http.Request) (*http.Response, error)

// front is an http.RoundTripper that numbers the attempts.
type front struct {
	mu     sync.Mutex
	n      int
	answer server
}

func (f *front) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	return f.answer(n, r)
}

func (f *front) client() *http.Client { return &http.Client{Transport: f} }

func answer(status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// stored answers as the front door does when it has stored everything.
func stored(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	events := strings.Count(string(body), `"properties":{`) // no garbage in these tests
	return answer(200, nil, fmt.Sprintf(`{"accepted":%d,"quarantined":0}`, events)), nil
}

func quiet(events int) simulate.Config {
	c := config(events)
	c.Start = time.Time{}
	c.Malformed = 0
	return c
}

func TestRunKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &front{answer: func(_ int, r *http.Request) (*http.Response, error) {
			if user, _, _ := r.BasicAuth(); user != "demo" || r.Header.Get("User-Agent") == "" || r.Header.Get("X-Forwarded-For") == "" {
				t.Errorf("headers %v", r.Header)
			}
			return stored(r)
		}}
		c := quiet(5_000)
		c.Duplicates = 0
		began := time.Now()
		got, err := simulate.Run(t.Context(), f.client(), "http://front", c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("5,000 events at 500/s took %v", took)
		}
		if got.Sent != 5_000 || got.Delivered != 5_000 || got.Retries != 0 || got.Requests != f.n {
			t.Errorf("report %+v after %d requests", got, f.n)
		}
	})
}

func TestRunRetriesAsAGoodClientDoes(t *testing.T) {
	for name, c := range map[string]struct {
		fail  server
		least time.Duration
	}{
		"overload": {func(int, *http.Request) (*http.Response, error) {
			return answer(503, http.Header{"Retry-After": {"7"}}, ""), nil
		}, 7 * time.Second},
		"too many requests": {func(int, *http.Request) (*http.Response, error) { return answer(429, http.Header{}, ""), nil }, 100 * time.Millisecond},
		"no connection":     {func(int, *http.Request) (*http.Response, error) { return nil, errors.New("refused") }, 100 * time.Millisecond},
		"stored, but the answer is lost": {func(_ int, r *http.Request) (*http.Response, error) {
			if _, err := stored(r); err != nil {
				return nil, err
			}
			return nil, io.ErrUnexpectedEOF
		}, 100 * time.Millisecond},
		"half an answer": {func(int, *http.Request) (*http.Response, error) { return answer(200, nil, `{"accepted":`), nil }, 100 * time.Millisecond},
		"fewer events":   {func(int, *http.Request) (*http.Response, error) { return answer(200, nil, `{"accepted":0}`), nil }, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &front{answer: func(n int, r *http.Request) (*http.Response, error) {
					if n == 1 {
						return c.fail(n, r)
					}
					return stored(r)
				}}
				config := quiet(10)
				config.Duplicates = 0
				began := time.Now()
				got, err := simulate.Run(t.Context(), f.client(), "http://front", config, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got.Delivered != 10 || got.Retries != 1 || got.Refused+got.Abandoned != 0 {
					t.Errorf("report %+v", got)
				}
				if took := time.Since(began); took < c.least {
					t.Errorf("all sent after %v, want at least %v", took, c.least)
				}
			})
		})
	}
}

func TestRunCountsWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &front{answer: func(int, *http.Request) (*http.Response, error) { return answer(401, nil, ""), nil }}
		var attempts int
		var mu sync.Mutex
		got, err := simulate.Run(t.Context(), f.client(), "http://front", quiet(200), func(_ simulate.Request, a simulate.Answer) {
			mu.Lock()
			defer mu.Unlock()
			attempts++
			if a.Status != 401 || a.Retry {
				t.Errorf("answer %+v", a)
			}
		})
		if err != nil || got.Refused != got.Sent || got.Sent < 200 || got.Delivered != 0 || attempts != got.Requests {
			t.Errorf("report %+v, %d attempts, error %v", got, attempts, err)
		}
	})
}

// Every event sent is in exactly one of delivered, refused and abandoned, also
// when the run is stopped.
func TestRunStopsWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &front{answer: func(n int, r *http.Request) (*http.Response, error) {
			if n%3 == 0 {
				return answer(503, http.Header{"Retry-After": {"30"}}, ""), nil
			}
			time.Sleep(50 * time.Millisecond)
			return stored(r)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		began := time.Now()
		got, err := simulate.Run(ctx, f.client(), "http://front", quiet(0), nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("stopping took until %v", took)
		}
		if got.Abandoned == 0 || got.Delivered == 0 || got.Sent != got.Delivered+got.Refused+got.Abandoned {
			t.Errorf("report %+v does not add up", got)
		}
	})
}
