package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Report counts what Run did. All but Requests and Retries count events, each
// copy of an event on its own.
type Report struct {
	Requests    int // requests taken from the stream
	Retries     int // attempts after the first
	Sent        int // events in those requests
	Delivered   int // in requests answered with success: acknowledged
	Quarantined int // of the delivered those the front door said do not decode
	Malformed   int // of the delivered those that were made not to decode
	Refused     int // in requests answered with an error that retrying does not cure
	Abandoned   int // in requests given up without such an answer
}

// Answer is what became of one attempt.
type Answer struct {
	Status      int // 0 when there was no answer
	Accepted    int // as the body of a success says
	Quarantined int
	Retry       bool // the client will send the request again
	Took        time.Duration
	Err         error // why there was no answer
}

const (
	connections    = 16
	attemptTimeout = 10 * time.Second
	maxAttempts    = 20
	firstBackoff   = 200 * time.Millisecond
	longestBackoff = 10 * time.Second
)

// Run sends a stream to baseURL as it comes due and returns when the stream
// has ended and every request has its answer, or soon after ctx is done. It
// behaves as a good client does: it repeats the same bytes until they are
// answered, later after 429, 503 and other server errors, as Retry-After asks.
//
// A zero c.Start means now. onAnswer, if not nil, is called after every
// attempt, from several goroutines. The error says why the stream did not come
// to its end; a request that fails is in the Report and no error.
func Run(ctx context.Context, client *http.Client, baseURL string, c Config, onAnswer func(Request, Answer)) (Report, error) {
	if c.Start.IsZero() {
		c.Start = time.Now()
	}
	if onAnswer == nil {
		onAnswer = func(Request, Answer) {}
	}
	r := &runner{client: client, baseURL: baseURL, onAnswer: onAnswer}
	due := make(chan Request)
	var senders sync.WaitGroup
	for range connections {
		senders.Go(func() {
			for request := range due {
				r.deliver(ctx, request)
			}
		})
	}
	err := pace(ctx, New(c), due)
	close(due)
	senders.Wait()
	return r.report, err
}

// pace hands on each request when its time has come; what is overdue at once.
func pace(ctx context.Context, s *Stream, due chan<- Request) error {
	for request, ok := s.Next(); ok; request, ok = s.Next() {
		if err := sleep(ctx, time.Until(s.Start.Add(request.At))); err != nil {
			return err
		}
		select {
		case due <- request:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

type runner struct {
	client   *http.Client
	baseURL  string
	onAnswer func(Request, Answer)

	mu     sync.Mutex // guards report
	report Report
}

// deliver sends a request until it is answered for good.
func (r *runner) deliver(ctx context.Context, request Request) {
	r.count(func(c *Report) { c.Requests++; c.Sent += request.Events })
	for n := range maxAttempts {
		if n > 0 {
			r.count(func(c *Report) { c.Retries++ })
		}
		answer, wait := r.attempt(ctx, request)
		r.onAnswer(request, answer)
		switch {
		case answer.Err == nil && !answer.Retry && answer.Status < 300:
			r.count(func(c *Report) {
				c.Delivered += request.Events
				c.Quarantined += answer.Quarantined
				c.Malformed += request.Bad
			})
			return
		case !answer.Retry:
			r.count(func(c *Report) { c.Refused += request.Events })
			return
		}
		if sleep(ctx, max(wait, backoff(n))) != nil {
			break
		}
	}
	r.count(func(c *Report) { c.Abandoned += request.Events })
}

func (r *runner) count(add func(*Report)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(&r.report)
}

// attempt sends a request once. One that is under way when ctx ends is still
// answered, so that the Report agrees with what the server did. wait is what
// Retry-After asks for.
func (r *runner) attempt(ctx context.Context, request Request) (answer Answer, wait time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
	defer cancel()
	began := time.Now()
	defer func() { answer.Took = time.Since(began) }()
	req, err := request.http(ctx, r.baseURL)
	if err != nil {
		return Answer{Err: err}, 0
	}
	response, err := r.client.Do(req)
	if err != nil {
		return Answer{Err: err, Retry: true}, 0
	}
	defer response.Body.Close()
	answer = Answer{Status: response.StatusCode, Retry: again(response.StatusCode)}
	if answer.Status >= 300 {
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // so that the connection is used again
		return answer, retryAfter(response.Header)
	}
	if err := answer.read(response.Body, request.Events); err != nil {
		answer.Err, answer.Retry = err, true
	}
	return answer, 0
}

func (r *Request) http(ctx context.Context, baseURL string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("make a request to %s: %w", baseURL, err)
	}
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	req.SetBasicAuth(r.Key, "")
	return req, nil
}

// read takes the counts from the body of a success. Both protocols have them.
// Counts that are not those of the request mean that some events were not
// stored: all of them must be sent again.
func (a *Answer) read(body io.Reader, events int) error {
	var counts struct {
		Accepted    int `json:"accepted"`
		Quarantined int `json:"quarantined"`
	}
	if err := json.NewDecoder(body).Decode(&counts); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	a.Accepted, a.Quarantined = counts.Accepted, counts.Quarantined
	if counts.Accepted+counts.Quarantined != events {
		return fmt.Errorf("the answer speaks of %d accepted and %d quarantined events; %d were sent", counts.Accepted, counts.Quarantined, events)
	}
	return nil
}

// again says whether a client tries again after this status.
func again(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Minute)
}

// backoff doubles with every attempt and differs between clients.
func backoff(attempt int) time.Duration {
	d := min(firstBackoff<<min(attempt, 10), longestBackoff)
	return d/2 + rand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
