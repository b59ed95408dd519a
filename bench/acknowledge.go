package main

import (
	"fmt"
	"path/filepath"
	"time"
)

// contender is one of the two servers of the acknowledge benchmark.
type contender struct {
	name    string
	server  *part
	address string

	cpu    []float64 // CPU-seconds per million events, by round
	rate   []float64 // events per second
	flush  []float64
	others []float64
}

const connections = 64

// acknowledge measures what it costs to acknowledge, against the limit program.
func (b *bench) acknowledge() ([]row, error) {
	bare := &contender{name: "bare"}
	door := &contender{name: "door"}
	for _, c := range []*contender{bare, door} {
		if err := c.start(b); err != nil {
			return nil, err
		}
		defer c.server.kill()
	}
	var rows []row
	for _, kind := range []struct {
		batch, requests int
		goal            float64
	}{{50, 12_000, 2.0}, {1, 80_000, 1.6}} {
		if b.quick {
			kind.requests /= 2
		}
		found, err := b.acknowledgeOne(bare, door, kind.batch, kind.requests, kind.goal)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	for _, c := range []*contender{bare, door} {
		rows[0].notes = append(rows[0].notes, fmt.Sprintf("%s: peak resident %d MB", c.name, highWater(c.server.pid())>>20))
		if err := c.server.stop(); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (c *contender) start(b *bench) error {
	dir, err := b.folder(c.name)
	if err != nil {
		return err
	}
	profile := ""
	if b.profiles != "" {
		profile = filepath.Join(b.profiles, c.name+".prof")
	}
	if c.server, err = start("serve-"+c.name, dir, profile); err != nil {
		return err
	}
	c.address, err = c.server.line()
	return err
}

func (b *bench) acknowledgeOne(bare, door *contender, batch, requests int, goal float64) ([]row, error) {
	for _, c := range []*contender{bare, door} {
		c.cpu, c.rate, c.flush, c.others = nil, nil, nil, nil
		if _, err := c.send(b, job{Batch: batch, Requests: requests / 4}); err != nil { // to warm up
			return nil, err
		}
	}
	for range b.rounds {
		for _, c := range []*contender{bare, door} {
			if err := c.round(b, batch, requests); err != nil {
				return nil, err
			}
		}
	}
	ratio := spreadOf(ratios(door.cpu, bare.cpu))
	r := row{
		what: fmt.Sprintf("acknowledge, %d per request: CPU of limit program", batch), figure: ratio.String() + " x",
		goal: fmt.Sprintf("<= %.1f x", goal), met: ratio.median <= goal,
		others: spreadOf(door.others).median, flush: spreadOf(door.flush).median,
	}
	for _, c := range []*contender{bare, door} {
		r.notes = append(r.notes, fmt.Sprintf("%s: %v CPU-s per million events, %v events/s, %v flush/s, other CPU %.0f %%",
			c.name, spreadOf(c.cpu), spreadOf(c.rate), spreadOf(c.flush), 100*spreadOf(c.others).median))
	}
	half, err := door.halfLoad(b, batch)
	return []row{r, half}, err
}

// send runs a client process to its end.
func (c *contender) send(b *bench, j job) (tally, error) {
	j.Address, j.Connections = c.address, connections
	b.seed++
	j.Seed = b.seed
	var t tally
	if err := call("client", j, &t); err != nil {
		return t, err
	}
	if t.Failed > 0 {
		return t, fmt.Errorf("%s refused %d requests, the first with: %s", c.name, t.Failed, t.FirstFailure)
	}
	return t, nil
}

// round is one turn of one server, with as much load as 64 connections make.
func (c *contender) round(b *bench, batch, requests int) error {
	ours := ownCPU()
	before, cpu := readClock(b.dir), treeCPU(c.server.pid())
	t, err := c.send(b, job{Batch: batch, Requests: requests})
	if err != nil {
		return err
	}
	used := treeCPU(c.server.pid()) - cpu
	after := readClock(b.dir)
	c.cpu = append(c.cpu, used.Seconds()/float64(t.Events)*1e6)
	c.rate = append(c.rate, float64(t.Events)/t.Wall.Seconds())
	c.flush = append(c.flush, after.flushRate(before))
	c.others = append(c.others, after.others(before, used+ownCPU()-ours))
	return nil
}

// halfLoad sends half of what the server can take at a steady pace and looks
// at how long answers take, counted from when a request was due.
func (c *contender) halfLoad(b *bench, batch int) (row, error) {
	rate := spreadOf(c.rate).median / float64(batch) / 2
	span := 3 * time.Second
	if b.quick {
		span = 2 * time.Second
	}
	var p50, p99, most, others, flush []float64
	for range min(b.rounds, 3) {
		ours, cpu, before := ownCPU(), treeCPU(c.server.pid()), readClock(b.dir)
		t, err := c.send(b, job{Batch: batch, Requests: int(rate * span.Seconds()), Rate: rate})
		if err != nil {
			return row{}, err
		}
		after := readClock(b.dir)
		p50 = append(p50, float64(t.P50)/float64(time.Millisecond))
		p99 = append(p99, float64(t.P99)/float64(time.Millisecond))
		most = append(most, float64(t.Most)/float64(time.Millisecond))
		others = append(others, after.others(before, treeCPU(c.server.pid())-cpu+ownCPU()-ours))
		flush = append(flush, after.flushRate(before))
	}
	p := spreadOf(p99)
	return row{
		what: fmt.Sprintf("acknowledge, %d per request: p99 at half load", batch), figure: p.String() + " ms",
		goal: "< 10 ms", met: p.median < 10, noisy: spreadOf(others).median > tooBusy,
		others: spreadOf(others).median, flush: spreadOf(flush).median,
		notes: []string{fmt.Sprintf("%.0f events/s offered; p50 %v ms, longest %v ms", rate*float64(batch), spreadOf(p50), spreadOf(most))},
	}, nil
}
