package acceptance

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The program is killed again and again at random moments, also while it
// recovers, under load from clients that repeat what was not answered. In every
// answer anybody got in between, nothing is counted twice and nothing
// disappears; at the end every acknowledged event is there, once, as it was
// sent.
func TestKilledAtRandomMoments(t *testing.T) {
	r := random(t)
	p := newProject(t, "plays", "REEDBED_QUERY_ROWS=10000000", "REEDBED_QUERY_BYTES=1GiB")
	w := newWitness(t)
	clients := w.send(t, r, 6, 60*time.Millisecond)
	poll := newPoller(t, &clients.node)
	var slowest time.Duration
	for range sized(50, 8) {
		n := p.up(t)
		if r.IntN(5) == 0 {
			pause(t.Context(), time.Duration(r.IntN(300))*time.Millisecond)
		} else {
			n.listening(t)
			slowest = max(slowest, time.Since(n.began))
			clients.node.Store(n)
			pause(t.Context(), time.Duration(r.IntN(1500))*time.Millisecond)
		}
		n.kill()
		n.client.CloseIdleConnections()
	}
	n := p.up(t).listening(t)
	clients.node.Store(n)
	clients.done()
	s := n.converged(t)
	poll.done()
	t.Logf("%d events in the journal, %d duplicates removed; %d snapshots; slowest start %v",
		s.Journal.End, s.Totals.DuplicatesRemoved, poll.snapshots.Load(), slowest.Round(time.Millisecond))
	all := w.testify(t)
	if s.Totals.DuplicatesRemoved == 0 || all.repeats() == 0 {
		t.Errorf("void: no duplicate entered the journal, so nothing shows that they are removed")
	}
	if poll.snapshots.Load() < 10 {
		t.Errorf("void: only %d snapshots were seen", poll.snapshots.Load())
	}
	all.judge(t, n)
	n.stop(t)
	p.verifyObjects(t)
}

// poller asks all the time how many events are on record, and how many
// distinct ones.
type poller struct {
	t         *testing.T
	node      *atomic.Pointer[node]
	snapshots atomic.Int64
	running   sync.WaitGroup
	stop      context.CancelFunc
}

func newPoller(t *testing.T, node *atomic.Pointer[node]) *poller {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	p := &poller{t: t, node: node, stop: stop}
	p.running.Go(func() { p.poll(ctx) })
	t.Cleanup(p.done)
	return p
}

func (p *poller) done() {
	p.stop()
	p.running.Wait()
}

func (p *poller) poll(ctx context.Context) {
	type snapshot struct{ Rows, Events int64 }
	const sql = `SELECT count(*) AS rows, count(DISTINCT id) AS events FROM
		(SELECT source || ' ' || event_id AS id FROM raw UNION ALL SELECT quarantine_id FROM quarantine)`
	var before int64
	for ; ctx.Err() == nil; pause(ctx, 20*time.Millisecond) {
		n := p.node.Load()
		if n == nil {
			continue
		}
		got, err := ask[snapshot](ctx, n, sql)
		if answer, ok := errors.AsType[*refused](err); ok {
			p.t.Errorf("a query was refused: %v", answer)
		}
		if err != nil || len(got) != 1 {
			continue // it was killed before it answered
		}
		p.snapshots.Add(1)
		if got[0].Rows != got[0].Events {
			p.t.Errorf("a snapshot has %d rows of %d events", got[0].Rows, got[0].Events)
		}
		if got[0].Rows < before {
			p.t.Errorf("a snapshot has %d rows, an earlier one had %d", got[0].Rows, before)
		}
		before = got[0].Rows
	}
}
