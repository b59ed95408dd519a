package tracker

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstBackoff    = 500 * time.Millisecond
	longestAsked    = time.Hour // that a collector can ask to wait
	worthCompressed = 1 << 10   // bytes
)

// sender makes requests of events. It never tries again by itself.
type sender struct {
	http   *http.Client
	url    string
	key    string
	secret []byte // signs requests; nil: they are not signed
}

// failure is an answer that is not 2xx, or none.
type failure struct {
	status int           // 0: no answer
	after  time.Duration // that the collector asks to wait
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// post sends events once. nil says that all of them are durable there.
func (s sender) post(ctx context.Context, events [][]byte) *failure {
	body, encoding := encodeBody(events, time.Now())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return &failure{err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+s.key)
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	if s.secret != nil {
		sign(r.Header, s.secret, body, time.Now())
	}
	answer, err := s.http.Do(r)
	if err != nil {
		return &failure{err: fmt.Errorf("tracker: the collector did not answer: %w", err)}
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if answer.StatusCode/100 == 2 {
		return nil // whatever becomes of the body
	}
	return &failure{
		status: answer.StatusCode, after: askedWait(answer.Header.Get("Retry-After"), time.Now()),
		err: errors.Join(fmt.Errorf("tracker: %s answered %s: %s", s.url, answer.Status, bytes.TrimSpace(said)), err),
	}
}

func encodeBody(events [][]byte, now time.Time) (body []byte, encoding string) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"sent_at":%q,"batch":[`, now.UTC().Format(time.RFC3339Nano))
	b.Write(bytes.Join(events, []byte(",")))
	b.WriteString("]}")
	if b.Len() < worthCompressed {
		return b.Bytes(), ""
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(b.Bytes())
	if errors.Join(err, w.Close()) != nil { // a buffer takes all
		return b.Bytes(), ""
	}
	return z.Bytes(), "gzip"
}

// askedWait reads Retry-After, in seconds or as a date (RFC 9110, 10.2.3).
func askedWait(header string, now time.Time) time.Duration {
	if s, err := strconv.ParseInt(header, 10, 32); err == nil {
		return min(max(0, time.Duration(s)*time.Second), longestAsked)
	}
	if t, err := http.ParseTime(header); err == nil {
		return min(max(0, t.Sub(now)), longestAsked)
	}
	return 0
}

// backoff is how long to wait after so many failed attempts: full jitter, as in
// Brooker, "Exponential Backoff and Jitter" (2015), on top of what was asked for.
func backoff(attempts int, longest, asked time.Duration) time.Duration {
	most := min(longest, firstBackoff<<min(attempts-1, 20))
	return asked + rand.N(most)
}

// run sends what is queued until ctx is done.
func (c *Client) run(ctx context.Context) {
	defer close(c.stopped)
	for c.await(ctx) {
		for c.sendSome(ctx) {
		}
	}
}

// await waits until there is something to send, and then for more to come with it.
func (c *Client) await(ctx context.Context) bool {
	select {
	case <-c.wake:
	case <-ctx.Done():
		return false
	}
	delay := time.NewTimer(c.o.Delay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-c.hurry:
	case <-ctx.Done():
		return false
	}
	return true
}

// sendSome sends the oldest events until they are answered; false if there are none
// or ctx is done.
func (c *Client) sendSome(ctx context.Context) bool {
	limit := c.o.BatchEvents
	for attempts := 1; ; attempts++ {
		batch, err := c.oldest(limit)
		if err == nil && len(batch) == 0 {
			return false
		}
		var asked time.Duration
		if err == nil {
			f := c.send.post(ctx, batch)
			if f == nil {
				c.letGo(batch, true)
				return true
			}
			if f.status == http.StatusRequestEntityTooLarge {
				if len(batch) == 1 {
					c.letGo(batch, false)
					c.o.OnError(fmt.Errorf("tracker: one event of %d bytes is dropped: %w", len(batch[0]), f))
					return true
				}
				limit, attempts = len(batch)/2, 0
				continue
			}
			err, asked = f, f.after
		}
		if ctx.Err() != nil {
			return false
		}
		c.o.OnError(err)
		if !pause(ctx, backoff(attempts, c.o.MaxBackoff, asked)) {
			return false
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// oldest are the events that are sent next.
func (c *Client) oldest(limit int) ([][]byte, error) {
	c.mu.Lock()
	batch, damaged, err := c.queue.next(limit, c.o.BatchBytes)
	if damaged > 0 {
		c.stats.Dropped += int64(damaged)
		c.left(int64(damaged))
	}
	c.mu.Unlock()
	if damaged > 0 {
		c.o.OnError(fmt.Errorf("tracker: %d events are dropped: they are damaged in the files of the queue", damaged))
	}
	return batch, err
}

// letGo takes events out of the queue: they are answered, or refused for good.
func (c *Client) letGo(batch [][]byte, answered bool) {
	if err := c.leave(batch, answered); err != nil {
		c.o.OnError(fmt.Errorf("tracker: what was answered stays queued and is sent again by the next process: %w", err))
	}
}

func (c *Client) leave(batch [][]byte, answered bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := int64(len(batch))
	if answered {
		c.stats.Sent += n
		c.stream.answered(streamOf(batch[n-1]))
	} else {
		c.stats.Dropped += n
		c.stream.refused(streamOf(batch[0]))
	}
	err := errors.Join(c.queue.remember(c.stream.end()), c.queue.done(len(batch)))
	c.left(n)
	return err
}

// left counts events that have left the queue, and wakes those who wait for it.
func (c *Client) left(n int64) {
	c.stats.Queued -= n
	c.gone += n
	close(c.changed)
	c.changed = make(chan struct{})
}

// streamOf is the stream that an encoded event is numbered in, or "".
func streamOf(event []byte) string {
	var n number
	if json.Unmarshal(event, &n) != nil {
		return ""
	}
	return n.StreamID
}
