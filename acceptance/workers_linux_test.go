package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// together is how many events each request of these clients holds. They happen
// at one moment, on one track, app and site, and are one record of the journal,
// so every whole version of every dataset speaks of a multiple of them. And as
// nothing is ever taken back, no later version speaks of fewer.
const together = 7

// totals count, each in one snapshot, the events that datasets speak of; torn
// counts requests of which only some events are there.
var totals = []string{
	`SELECT
	(SELECT count(*) FROM raw) AS raw,
	(SELECT count(*) FROM events) AS events,
	(SELECT count(*) FROM (SELECT properties ->> '$.request' AS r FROM events GROUP BY r HAVING count(*) <> 7)) AS torn`,
	`SELECT
	(SELECT count(*) FROM plays) AS plays,
	(SELECT count(*) FROM plays_rejected) AS plays_rejected,
	(SELECT count(*) FROM plays_classified) AS plays_classified`,
	`SELECT
	(SELECT coalesce(sum(plays + spam_plays), 0)::BIGINT FROM play_counts_hourly) AS play_counts_hourly,
	(SELECT coalesce(sum(plays + spam_plays), 0)::BIGINT FROM play_counts) AS play_counts,
	(SELECT coalesce(sum(plays), 0)::BIGINT FROM royalties) AS royalties,
	(SELECT coalesce(sum(plays), 0)::BIGINT FROM top_28d) AS top_28d`,
}

// A dead node leaves no workers, whatever they were doing.
func TestWorkersDieWithTheirNode(t *testing.T) {
	p := newProject(t, "empty", "REEDBED_QUERY_DEADLINE=5m")
	n := p.up(t).deployed(t)
	var asked sync.WaitGroup
	asked.Go(func() {
		_, err := ask[any](t.Context(), n, "SELECT count(*) FROM range(1000000000000) a WHERE hash(range) = 1")
		if _, ok := errors.AsType[*refused](err); ok || err == nil {
			t.Errorf("void: the question was answered: %v", err)
		}
	})
	eventually(t, startLimit, "the question has a worker", func() error {
		if busy(workers(n)) {
			return nil
		}
		return errors.New("no worker is busy")
	})
	n.kill()
	asked.Wait()
	eventually(t, 5*time.Second, "workers end", func() error {
		if left := workers(n); len(left) > 0 {
			return fmt.Errorf("%v live", left)
		}
		return nil
	})
}

// busy says whether one of the processes has used a second of processor time.
func busy(pids []int) bool {
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if ticks, err := strconv.Atoi(fields[11]); err == nil && ticks >= 100 { // utime
			return true
		}
	}
	return false
}

// Every worker is killed every second while events flow and people ask. Nobody
// outside may notice, and what was computed meanwhile is what anybody else
// would compute.
func TestEveryWorkerKilledEverySecond(t *testing.T) {
	r := random(t)
	p := newProject(t, "plays", "REEDBED_QUERY_ROWS=10000000", "REEDBED_QUERY_BYTES=1GiB")
	n := p.up(t).deployed(t)
	load := &steady{t: t, node: n, before: map[string]int64{}}
	ctx, stop := context.WithCancel(t.Context())
	for range 3 {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		load.running.Go(func() { load.events(ctx, own) })
	}
	load.running.Go(func() { load.questions(ctx) })
	killed := 0
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for end := time.Now().Add(sized(30*time.Second, 6*time.Second)); time.Now().Before(end); {
		<-tick.C
		for _, pid := range workers(n) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
			killed++
		}
	}
	stop()
	load.running.Wait()
	t.Logf("%d workers killed under %d requests and %d questions, the slowest of %v", killed, load.sent.Load(), load.asked, load.slowest.Round(time.Millisecond))
	if killed == 0 || load.sent.Load() == 0 || load.asked == 0 {
		t.Errorf("void: something of that must not be zero")
	}
	n.converged(t)
	for _, sql := range totals {
		load.snapshot(t.Context(), sql)
	}
	compareStages(t, n)
	n.stop(t)
	if left := workers(n); len(left) > 0 {
		t.Errorf("workers %v outlive their node", left)
	}
}

// steady is load of which no request may fail.
type steady struct {
	t       *testing.T
	node    *node
	sent    atomic.Int64
	running sync.WaitGroup

	// Of the one goroutine that asks.
	asked   int
	slowest time.Duration
	before  map[string]int64 // what each dataset spoke of last
}

// events sends requests until told to stop. About one in twenty is sent twice.
func (s *steady) events(ctx context.Context, r *rand.Rand) {
	header := http.Header{"Authorization": {"Bearer demo"}, "User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}}
	for ; ctx.Err() == nil; pause(ctx, time.Duration(r.IntN(60))*time.Millisecond) {
		body := sevenPlays(r)
		for range 1 + r.IntN(20)/19 {
			status, answer, err := s.node.do(context.WithoutCancel(ctx), http.MethodPost, "/v1/events", header, body)
			if err != nil || status != http.StatusOK {
				s.t.Errorf("a request failed: %d %s %v", status, answer, err)
				return
			}
			s.sent.Add(1)
		}
	}
}

// sevenPlays is a request of seven plays; some are spam, some no usable play.
func sevenPlays(r *rand.Rand) []byte {
	request := fmt.Sprintf("%016x", r.Uint64())
	user, played, track := fmt.Sprintf("u%d", r.IntN(40)), r.IntN(120_000), fmt.Sprintf(`"t%d"`, r.IntN(150))
	browser := ""
	switch r.IntN(12) {
	case 0:
		track = "null"
	case 1:
		browser = `,"userAgent":"PlayBooster/1.0"`
	}
	at := time.Now().UTC().Add(-time.Duration(r.Int64N(int64(4 * time.Hour)))).Format(time.RFC3339Nano)
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range together {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%s-%d","name":"Track Played","time":%q,"user_id":%q,"properties":{"request":%q,"track_id":%s,"played_ms":%d,"site":"s%d"},"context":{"app":{"name":"a%d"}%s}}`,
			request, i, at, user, request, track, played, played%3, played%2, browser)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// questions asks for totals until told to stop.
func (s *steady) questions(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		s.snapshot(context.WithoutCancel(ctx), totals[i%len(totals)])
		pause(ctx, 20*time.Millisecond)
	}
}

func (s *steady) snapshot(ctx context.Context, sql string) {
	asked := time.Now()
	got, err := ask[map[string]int64](ctx, s.node, sql)
	if err != nil || len(got) != 1 {
		s.t.Errorf("a question failed after %v: %v %v", time.Since(asked), got, err)
		return
	}
	s.asked++
	s.slowest = max(s.slowest, time.Since(asked))
	for dataset, n := range got[0] {
		switch {
		case dataset == "torn" && n > 0:
			s.t.Errorf("a reader saw only some events of %d requests", n)
		case dataset != "torn" && (n%together != 0 || n < s.before[dataset]):
			s.t.Errorf("a reader saw %d events in %s, after %d", n, dataset, s.before[dataset])
		}
		s.before[dataset] = n
	}
}

// workers lists the living worker processes of a node.
func workers(n *node) (pids []int) {
	parent := fmt.Sprintf("\x00-parent=%d\x00", n.command.Process.Pid)
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(line, []byte("\x00worker\x00")) || !bytes.Contains(line, []byte(parent)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// compareStages computes how many rows every stage of the example must have
// from what is in raw, and holds it against what they have.
func compareStages(t *testing.T, n *node) {
	t.Helper()
	want := expect(rows[rawPlay](t, n, `SELECT occurred_at AS at, user_id AS user, properties ->> '$.track_id' AS track,
		CAST(properties ->> '$.played_ms' AS BIGINT) AS played, properties ->> '$.site' AS site, context ->> '$.app.name' AS app,
		coalesce(context ->> '$.userAgent', '') LIKE 'PlayBooster%' AS spam FROM raw`))
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got := rows[struct{ N int }](t, n, "SELECT count(*) AS n FROM "+name)[0].N
		if got != want[name] {
			t.Errorf("%s has %d rows, want %d", name, got, want[name])
		}
	}
	t.Logf("rows: %v", want)
}

// rawPlay is what the stages look at of one event.
type rawPlay struct {
	At     time.Time
	User   string
	Track  *string
	Played int64
	Site   string
	App    string
	Spam   bool
}

// expect computes the stages' row counts in the plainest way.
func expect(raw []rawPlay) map[string]int {
	counts := map[string]int{"raw": len(raw), "events": len(raw)}
	type key struct {
		at               time.Time
		track, app, site string
	}
	hourly, daily, royalties := map[key]bool{}, map[key]bool{}, map[key]bool{}
	tracks := map[time.Time]map[string]bool{} // with plays that are no spam, by day
	listened := map[string][]time.Time{}
	for _, p := range raw {
		if p.Track == nil {
			counts["plays_rejected"]++
			continue
		}
		counts["plays"]++
		day := p.At.Truncate(24 * time.Hour)
		hourly[key{p.At.Truncate(time.Hour), *p.Track, p.App, p.Site}] = true
		daily[key{day, *p.Track, p.App, ""}] = true
		if tracks[day] == nil {
			tracks[day] = map[string]bool{}
		}
		if p.Spam {
			continue
		}
		tracks[day][*p.Track] = true
		listened[p.User] = append(listened[p.User], p.At)
		if p.Played >= 30_000 {
			royalties[key{day, *p.Track, "", ""}] = true
		}
	}
	counts["plays_classified"] = counts["plays"]
	counts["play_counts_hourly"], counts["play_counts"], counts["royalties"] = len(hourly), len(daily), len(royalties)
	counts["listening_sessions"] = sessions(listened)
	counts["top_28d"] = top(tracks)
	return counts
}

// sessions counts what begins after a pause of more than half an hour. The
// window of an hour reaches back one hour, which is more than the pause.
func sessions(listened map[string][]time.Time) (n int) {
	for _, times := range listened {
		slices.SortFunc(times, time.Time.Compare)
		for i, at := range times {
			if i == 0 || at.Sub(times[i-1]) > 30*time.Minute {
				n++
			}
		}
	}
	return n
}

// top counts the places of each day's list: the tracks of that day and the days
// before it, at most 100.
func top(tracks map[time.Time]map[string]bool) (n int) {
	for day := range tracks {
		all := map[string]bool{}
		for other, played := range tracks {
			if !other.After(day) && day.Sub(other) <= 27*24*time.Hour {
				maps.Copy(all, played)
			}
		}
		n += min(100, len(all))
	}
	return n
}
