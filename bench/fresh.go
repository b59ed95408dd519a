package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/reedbed/reedbed/simulate"
)

// traffic is the demo's listeners, late and badly set clocks included, but no
// repeats and nothing broken, so that rows can be counted against answers.
func traffic(seed uint64, rate float64, span time.Duration) *simulate.Stream {
	c := simulate.Default()
	c.Seed, c.Rate, c.For, c.Start = seed, rate, span, time.Now()
	c.Duplicates, c.Malformed, c.Attack = 0, 0, simulate.Attack{}
	return simulate.New(c)
}

// acked is a request that was acknowledged: how many events were sent up to
// and with it, and when the answer came.
type acked struct {
	events int64
	at     time.Time
}

// poll is one look at how many rows a query sees.
type poll struct {
	rows       int64
	begun, end time.Time
}

// flow is traffic under way.
type flow struct {
	begun time.Time
	mu    sync.Mutex // guards the rest
	acks  []acked
	sent  int64
	late  time.Duration // most by which a request left later than it was due
	err   error
}

// send posts a stream's requests when they are due, over some connections.
// Over one, the order of the answers is the order of the journal.
func (r *running) send(s *simulate.Stream, connections int) *flow {
	f := &flow{begun: time.Now()}
	requests := make(chan simulate.Request, 256)
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for q := range requests {
				f.post(r, q)
			}
		})
	}
	for q, ok := s.Next(); ok; q, ok = s.Next() {
		requests <- q
	}
	close(requests)
	wg.Wait()
	return f
}

func (f *flow) post(r *running, q simulate.Request) {
	due := f.begun.Add(q.At)
	time.Sleep(time.Until(due))
	late := time.Since(due)
	_, err := r.do(http.MethodPost, q.Path, q.Headers, q.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = max(f.late, late)
	if err != nil {
		f.err = errors.Join(f.err, err)
		return
	}
	f.sent += int64(q.Events)
	f.acks = append(f.acks, acked{f.sent, time.Now()})
}

// delays gives for every event how long after its acknowledgement a query's
// answer had it in, sorted. It counts to the end of the first answer that did,
// so the time between polls and the time of the query are part of it. Events
// acknowledged before from, and those no poll saw, are left out.
func delays(acks []acked, polls []poll, already int64, from time.Time) (out []time.Duration, unseen int) {
	p, before := 0, int64(0)
	for _, a := range acks {
		for p < len(polls) && polls[p].rows-already < a.events {
			p++
		}
		n := a.events - before
		before = a.events
		switch {
		case a.at.Before(from):
		case p == len(polls):
			unseen += int(n)
		default:
			out = append(out, slices.Repeat([]time.Duration{max(0, polls[p].end.Sub(a.at))}, int(n))...)
		}
	}
	slices.Sort(out)
	return out, unseen
}

const pollEvery = 150 * time.Millisecond

// watch polls until ctx ends.
func (r *running) watch(ctx context.Context, sql string) (polls []poll, err error) {
	for ctx.Err() == nil {
		p := poll{begun: time.Now()}
		if p.rows, err = r.count(sql); err != nil {
			return polls, err
		}
		p.end = time.Now()
		polls = append(polls, p)
		time.Sleep(pollEvery - time.Since(p.begun))
	}
	return polls, nil
}

// freshness runs examples/plays under steady traffic.
func (b *bench) freshness() ([]row, error) {
	if _, err := b.program(); err != nil {
		return nil, err
	}
	dir, err := b.init("plays", "plays")
	if err != nil {
		return nil, err
	}
	r, err := b.up(dir)
	if err != nil {
		return nil, err
	}
	defer r.kill()
	if err := r.ready(); err != nil {
		return nil, err
	}
	rows, err := b.freshAt1000(r)
	if err != nil {
		return rows, err
	}
	more, err := b.keepUpAt5000(r)
	if err != nil {
		return rows, err
	}
	return append(rows, more...), r.interrupt()
}

// span of a measurement, shorter with -quick.
func (b *bench) span(full, quick time.Duration) time.Duration {
	if b.quick {
		return quick
	}
	return full
}

// used is what a stretch of time cost.
type used struct {
	clock clock
	ours  time.Duration
	tree  time.Duration
}

func (b *bench) use(r *running) used {
	return used{readClock(b.dir), ownCPU(), treeCPU(r.pid())}
}

// since returns the share of the machine others and the program took, and
// flushes per second.
func (u used) since(before used) (others, program, flush float64) {
	wall := u.clock.at.Sub(before.clock.at)
	tree := u.tree - before.tree
	return u.clock.others(before.clock, u.ours-before.ours+tree), tree.Seconds() / wall.Seconds(), u.clock.flushRate(before.clock)
}

func (b *bench) freshAt1000(r *running) ([]row, error) {
	const sql = "SELECT count(*) FROM raw"
	warm, span := b.span(8*time.Second, 4*time.Second), b.span(30*time.Second, 8*time.Second)
	already, err := r.count(sql)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var polls []poll
	var pollErr error
	var watching sync.WaitGroup
	watching.Go(func() { polls, pollErr = r.watch(ctx, sql) })
	before := b.use(r)
	f := r.send(traffic(1, 1000, warm+span), 1)
	after := b.use(r)
	time.Sleep(3 * time.Second) // for the last ones to be seen
	stop()
	watching.Wait()
	if err := errors.Join(f.err, pollErr); err != nil {
		return nil, err
	}
	waits, unseen := delays(f.acks, polls, already, f.begun.Add(warm))
	s, err := r.state()
	if err != nil {
		return nil, err
	}
	_, partitions := s.behind()
	others, program, flush := after.since(before)
	p50, p99 := quantile(waits, .5), quantile(waits, .99)
	met := unseen == 0 && p50 <= time.Second && p99 <= 2500*time.Millisecond
	return []row{{
		what: "freshness at 1,000 events/s: p50 / p99", figure: fmt.Sprintf("%.2f / %.2f s", p50.Seconds(), p99.Seconds()),
		goal: "<= 1 / 2.5 s", met: met, noisy: others > tooBusy, others: others, flush: flush,
		notes: []string{
			fmt.Sprintf("%d events, longest %.2f s, never seen %d; polled every %v by HTTP, which is part of the figure", len(waits), quantile(waits, 1).Seconds(), unseen, pollEvery),
			fmt.Sprintf("reedbed up and its workers, examples/plays converging beside it: %.2f CPU, peak resident of the parent %d MB", program, highWater(r.pid())>>20),
			fmt.Sprintf("partitions to compute when the traffic ended: %d; requests left at most %s late", partitions, millis(f.late)),
		},
	}}, nil
}

// sample is how far behind a project was at one moment.
type sample struct{ at, events, partitions float64 }

func (b *bench) keepUpAt5000(r *running) ([]row, error) {
	span := b.span(60*time.Second, 15*time.Second)
	begun := time.Now()
	var samples []sample
	var sampleErr error
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for ctx.Err() == nil && sampleErr == nil {
			var s state
			s, sampleErr = r.state()
			events, partitions := s.behind()
			samples = append(samples, sample{time.Since(begun).Seconds(), float64(events), float64(partitions)})
			time.Sleep(500 * time.Millisecond)
		}
	})
	before := b.use(r)
	f := r.send(traffic(2, 5000, span), 8)
	after := b.use(r)
	took := time.Since(begun)
	stop()
	sampling.Wait()
	if err := errors.Join(f.err, sampleErr); err != nil {
		return nil, err
	}
	ended := time.Now()
	converged := waitFor(b.span(60*time.Second, 15*time.Second), 200*time.Millisecond, func() bool {
		s, err := r.state()
		return err == nil && s.Converged
	})
	settled := fmt.Sprintf("converged %.1f s after the traffic ended", time.Since(ended).Seconds())
	if !converged {
		settled = fmt.Sprintf("not converged %.0f s after the traffic ended", time.Since(ended).Seconds())
	}
	return []row{keptUp(samples, after, before, f, took, settled, r)}, nil
}

// keptUp judges the second half of the samples: the first fills what is empty.
func keptUp(samples []sample, after, before used, f *flow, took time.Duration, settled string, r *running) row {
	var at, events, partitions []float64
	for _, s := range samples[len(samples)/2:] {
		at, events, partitions = append(at, s.at), append(events, s.events), append(partitions, s.partitions)
	}
	growth := slope(at, events)
	others, program, flush := after.since(before)
	return row{
		what: "5,000 events/s: growth of the backlog", figure: fmt.Sprintf("%.0f events/s", growth),
		goal: "<= 50 events/s", met: growth <= 50, noisy: others > tooBusy, others: others, flush: flush,
		notes: []string{
			fmt.Sprintf("%.0f events/s acknowledged over %.0f s; backlog %v events, partitions to compute %v, growing by %.2f a second",
				float64(f.sent)/took.Seconds(), took.Seconds(), spreadOf(events), spreadOf(partitions), slope(at, partitions)),
			fmt.Sprintf("reedbed up and its workers: %.2f CPU, peak resident of the parent %d MB; %s", program, highWater(r.pid())>>20, settled),
		},
	}
}
