package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// job is what a client process is told to send.
type job struct {
	Address     string
	Connections int
	Batch       int     // events per request
	Requests    int     // in all
	Rate        float64 // requests per second in all; 0 sends the next when the last was answered
	Seed        uint64
}

// tally is what came of a job.
type tally struct {
	Events, Failed int
	Wall           time.Duration
	P50, P99, Most time.Duration // from when a request was due, or sent without a rate, to its answer
	FirstFailure   string
}

// client sends over raw sockets with requests built beforehand, so that it
// takes little of the processors it shares with the server.
type client struct {
	job
	mu        sync.Mutex
	tally     tally
	latencies []time.Duration
}

func (j job) run() (tally, error) {
	c := &client{job: j}
	conns := make([]*connection, j.Connections)
	for i := range conns {
		var err error
		if conns[i], err = c.connect(i); err != nil {
			return tally{}, err
		}
		defer conns[i].Close()
	}
	var wg sync.WaitGroup
	begun := time.Now()
	for i, conn := range conns {
		wg.Go(func() { c.work(conn, i, begun) })
	}
	wg.Wait()
	c.tally.Wall = time.Since(begun)
	slices.Sort(c.latencies)
	c.tally.P50, c.tally.P99, c.tally.Most = quantile(c.latencies, .5), quantile(c.latencies, .99), quantile(c.latencies, 1)
	return c.tally, nil
}

// connection is one keep-alive connection and the request it repeats.
type connection struct {
	net.Conn
	request []byte
	body    []byte // the part of request that holds events
	tails   []int
	next    uint64 // number of the next id
	answer  []byte
}

func (c *client) connect(i int) (*connection, error) {
	conn, err := net.Dial("tcp", c.Address)
	if err != nil {
		return nil, err
	}
	seed := c.Seed<<16 + uint64(i)
	body := newEvents(seed).body(c.Batch, time.Now())
	head := fmt.Appendf(nil, "POST /v1/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic ZGVtbzo=\r\nContent-Type: application/json\r\n"+
		"User-Agent: bench/1\r\nContent-Length: %d\r\n\r\n", c.Address, len(body))
	request := slices.Concat(head, body)
	body = request[len(head):]
	return &connection{
		Conn: conn, request: request, body: body, tails: idTails(body),
		next: seed << 28, answer: make([]byte, 64<<10),
	}, nil
}

// work sends every Connections-th request.
func (c *client) work(conn *connection, i int, begun time.Time) {
	var latencies []time.Duration
	for n := i; n < c.Requests; n += c.Connections {
		due := time.Now()
		if c.Rate > 0 {
			due = begun.Add(time.Duration(float64(n) / c.Rate * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		if err := conn.exchange(); err != nil {
			c.failed(err)
			if !errors.Is(err, errRefused) {
				break
			}
			continue
		}
		latencies = append(latencies, time.Since(due))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Events += len(latencies) * c.Batch
	c.latencies = append(c.latencies, latencies...)
}

func (c *client) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Failed++
	if c.tally.FirstFailure == "" {
		c.tally.FirstFailure = err.Error()
	}
}

var errRefused = errors.New("answered with something else than 2xx")

// exchange sends the request with fresh ids and waits for its whole answer.
func (c *connection) exchange() error {
	renumber(c.body, c.tails, c.next)
	c.next += uint64(len(c.tails))
	if _, err := c.Write(c.request); err != nil {
		return err
	}
	n := 0
	for {
		m, err := c.Read(c.answer[n:])
		n += m
		total, status, ok := parseAnswer(c.answer[:n])
		switch {
		case ok && n >= total && status/100 == 2:
			return nil
		case ok && n >= total:
			return fmt.Errorf("%w: %s", errRefused, bytes.TrimSpace(c.answer[:min(n, 300)]))
		case err != nil:
			return err
		case n == len(c.answer):
			return io.ErrShortBuffer
		}
	}
}

// parseAnswer returns the length of an answer, header and body, once its
// header is complete. The servers measured always say the length, or send 204.
func parseAnswer(b []byte) (total, status int, ok bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 || end < 12 {
		return 0, 0, false
	}
	status, err := strconv.Atoi(string(b[9:12]))
	if err != nil {
		return 0, 0, false
	}
	total = end + 4
	const field = "\r\nContent-Length: "
	if at := bytes.Index(b[:end], []byte(field)); at >= 0 {
		rest := b[at+len(field) : end]
		if stop := bytes.IndexByte(rest, '\r'); stop >= 0 {
			rest = rest[:stop]
		}
		n, err := strconv.Atoi(string(rest))
		if err != nil {
			return 0, 0, false
		}
		total += n
	}
	return total, status, true
}
