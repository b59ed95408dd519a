package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// hourly is a stage that says in every row by which definition it was computed.
const hourly = `/* @stage
owner: web
partition: hour
inputs: {raw: {window: same}}
*/
SELECT date_trunc('hour', min(occurred_at)) AS hour, count(*) AS events, %d AS definition FROM raw
`

// A definition changes over a year of hours, and everything is killed again and
// again while they are computed anew: the node and its workers at once. What was
// computed stays computed; readers see each hour as it was or as it will be, and
// never none or both.
//
// REEDBED_PARTITIONS says how many hours.
func TestRecomputationKilled(t *testing.T) {
	r := random(t)
	hours := sized(1_000, 400)
	if text := os.Getenv("REEDBED_PARTITIONS"); text != "" {
		var err error
		if hours, err = strconv.Atoi(text); err != nil {
			t.Fatal("REEDBED_PARTITIONS:", err)
		}
	}
	p := newProject(t, "empty")
	p.define(t, 1)
	events := p.importHours(t, r, hours)
	n := p.up(t)
	began := time.Now()
	n.listening(t).deployed(t).converged(t)
	t.Logf("%d hours computed at first, at %v for each", hours, (time.Since(began) / time.Duration(hours)).Round(time.Microsecond))
	w := &watcher{t: t, hours: hours, events: events}
	w.node.Store(n)
	ctx, stop := context.WithCancel(t.Context())
	w.running.Go(func() { w.watch(ctx) })
	p.define(t, 2)
	p.must(t, "apply", "-C", p.dir)
	const kills = 3
	done := 0
	for i := range kills {
		target := done + (hours-done)/(kills+1-i)
		eventually(t, convergeLimit, fmt.Sprintf("%d of %d hours computed anew", target, hours), func() error {
			if got := w.anew.Load(); int(got) < target {
				return fmt.Errorf("%d are", got)
			}
			return nil
		})
		n.killAll()
		now := p.count(t, "SELECT count(*) FROM hourly WHERE definition = 2")
		if now < target {
			t.Errorf("%d hours were seen computed anew before everything was killed, %d are on record", target, now)
		}
		t.Logf("killed after %d hours", now)
		done = now
		n = p.up(t).listening(t)
		w.node.Store(n)
	}
	n.deployed(t).converged(t)
	stop()
	w.running.Wait()
	if done >= hours || w.snapshots.Load() < 10 {
		t.Errorf("void: %d of %d hours were computed before the last kill, %d snapshots seen", done, hours, w.snapshots.Load())
	}
	// What the last process computed is exactly what was not on record: of what
	// went with the others, no more than a worker each had under way.
	if got := n.built(t, "hourly"); got != hours-done {
		t.Errorf("after the last kill %d hours were computed, %d of %d were not on record", got, hours-done, hours)
	}
	w.see(t.Context(), n, true)
	t.Logf("%d snapshots", w.snapshots.Load())
	n.stop(t)
	p.verifyObjects(t)
}

// define writes the stage.
func (p project) define(t *testing.T, number int) {
	t.Helper()
	dir := filepath.Join(p.dir, "stages")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "hourly.sql"), fmt.Appendf(nil, hourly, number), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// importHours imports one to three events of each of the last hours.
func (p project) importHours(t *testing.T, r *rand.Rand, hours int) (events int) {
	t.Helper()
	var text bytes.Buffer
	first := time.Now().Add(-24*time.Hour).Truncate(time.Hour).Unix() - int64(hours)*3600
	for h := range hours {
		for range 1 + r.IntN(3) {
			fmt.Fprintf(&text, `{"at":%d,"who":"u%d"}`+"\n", first+int64(h)*3600+int64(r.IntN(3600)), r.IntN(50))
			events++
		}
	}
	dir := t.TempDir()
	file, mapping := filepath.Join(dir, "events.ndjson"), filepath.Join(dir, "map.yaml")
	if err := errors.Join(os.WriteFile(file, text.Bytes(), 0o644),
		os.WriteFile(mapping, []byte("time: at\nuser_id: who\nconstants: {name: Seen}\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	var done imported
	out := p.must(t, "import", "-C", p.dir, "--json", "--source", "app", "--format", "ndjson", "--map", mapping, file)
	if err := json.Unmarshal([]byte(out), &done); err != nil {
		t.Fatal(err)
	}
	if done.Loaded != events {
		t.Fatalf("imported %+v, want %d loaded", done, events)
	}
	return events
}

// killAll kills the node and every worker it has.
func (n *node) killAll() {
	left := workers(n)
	n.kill()
	for _, pid := range left {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have died with the node
	}
	n.client.CloseIdleConnections()
}

// built asks the node how many runs of a stage computed something since it began.
func (n *node) built(t *testing.T, stage string) (runs int) {
	t.Helper()
	code, body, err := n.do(t.Context(), http.MethodGet, "/metrics", nil, nil)
	if err != nil || code != http.StatusOK {
		t.Fatalf("metrics: %d, %v", code, err)
	}
	for line := range strings.Lines(string(body)) {
		for _, outcome := range []string{"built", "appended"} {
			if value, ok := strings.CutPrefix(line, fmt.Sprintf("reedbed_stage_runs_total{dataset=%q,outcome=%q} ", stage, outcome)); ok {
				n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					t.Fatal(err)
				}
				runs += int(n)
			}
		}
	}
	return runs
}

// watcher reads all the time while a definition changes.
type watcher struct {
	t             *testing.T
	hours, events int
	node          atomic.Pointer[node]
	anew          atomic.Int64 // hours seen computed by the second definition
	snapshots     atomic.Int64
	running       sync.WaitGroup
}

func (w *watcher) watch(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, 200*time.Millisecond) {
		w.see(ctx, w.node.Load(), false)
	}
}

// see reads once. Nodes die under it.
func (w *watcher) see(ctx context.Context, n *node, over bool) {
	type snapshot struct{ Rows, Hours, Events, Anew int64 }
	got, err := ask[snapshot](ctx, n, `SELECT count(*) AS rows, count(DISTINCT hour) AS hours, sum(events)::BIGINT AS events,
		count(*) FILTER (WHERE definition = 2) AS anew FROM hourly`)
	if answer, ok := errors.AsType[*refused](err); ok {
		w.t.Errorf("a query was refused: %v", answer)
	}
	if err != nil || len(got) != 1 {
		return
	}
	w.snapshots.Add(1)
	s, before := got[0], w.anew.Load()
	if s.Rows != int64(w.hours) || s.Hours != int64(w.hours) || s.Events != int64(w.events) || s.Anew < before || (over && s.Anew != s.Rows) {
		w.t.Errorf("a reader saw %+v of %d hours with %d events, %d of them computed anew before", s, w.hours, w.events, before)
	}
	w.anew.Store(s.Anew)
}
