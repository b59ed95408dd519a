package rehearse_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/examples"
	"github.com/reedbed/reedbed/stage"
)

// happened is an event as it happened on a device, and what became of it.
type happened struct {
	stream   *run
	seq      int64
	at       time.Time
	dropped  int64 // as the event reports, if it arrives
	inFlight bool  // lost
	atClient bool  // lost
	tells    bool  // of the run before
	late     time.Duration
	twice    bool // another event was given the same number
}

func (e happened) arrives() bool { return !e.inFlight && !e.atClient }

// run is a stream: what a device numbered between two starts of the app.
type run struct {
	id      string
	began   time.Time
	before  *run          // of the same device
	ahead   time.Duration // by which the device's clock is wrong
	events  []happened
	dropped int64
}

func (r *run) last() happened { return r.events[len(r.events)-1] }

// losing says how devices behave.
type losing struct {
	devices            int
	inFlight, atClient float64
	events             int           // of a run, at most
	pause              time.Duration // from the end of a run to the next, at most
}

// lossy makes the runs of devices. Some have wrong clocks, some are out of reach for a
// while, some copy their numbers.
func lossy(r *rand.Rand, c losing, from time.Time, span time.Duration) (all []*run) {
	for range c.devices {
		var before *run
		ahead := time.Duration(0)
		if r.IntN(40) == 0 {
			ahead = []time.Duration{-8 * time.Hour, -time.Hour, 5 * time.Hour}[r.IntN(3)]
		}
		at := from.Add(time.Duration(r.Int64N(int64(2 * time.Hour)))).Truncate(time.Millisecond)
		for at.Before(from.Add(span)) {
			x := &run{id: uuid7(r, at.Add(ahead)), began: at, before: before, ahead: ahead}
			at = x.fill(r, c, at)
			all = append(all, x)
			before = x
			at = at.Add(30*time.Minute + time.Duration(r.Int64N(int64(c.pause)))).Truncate(time.Millisecond)
		}
	}
	return all
}

// fill makes the events of a run, and says when it ended.
func (r *run) fill(rng *rand.Rand, c losing, at time.Time) time.Time {
	late := time.Duration(0)
	if rng.IntN(20) == 0 {
		late = time.Duration(rng.Int64N(int64(30 * time.Hour)))
	}
	const told = 3 // events, until the first is answered
	for n := range 1 + rng.IntN(c.events) {
		e := happened{stream: r, seq: int64(n), at: at, dropped: r.dropped, tells: n < told && r.before != nil, late: late}
		switch p := rng.Float64(); {
		case p < c.inFlight:
			e.inFlight = true
		case p < c.inFlight+c.atClient:
			e.atClient = true
			r.dropped++
		default:
			e.twice = rng.IntN(500) == 0
		}
		r.events = append(r.events, e)
		at = at.Add(time.Duration(rng.IntN(100_000)) * time.Millisecond)
	}
	return r.last().at
}

func uuid7(r *rand.Rand, at time.Time) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return fmt.Sprintf("%s-%s-7%03x-8%03x-%012x", ms[:8], ms[8:], r.IntN(0x1000), r.IntN(0x1000), r.Int64N(1<<48))
}

// rows are the events of one hour that arrived, as columns of raw but for JSON.
func rows(all []*run, hour time.Time) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"stream_id", "seq", "occurred", "claimed", "received", "wrong", "extra"})
	for _, x := range all {
		for _, e := range x.events {
			if !e.arrives() || !e.at.Truncate(time.Hour).Equal(hour) {
				continue
			}
			extra := map[string]any{"dropped": e.dropped}
			if e.tells {
				end := x.before.last()
				extra["previous"] = map[string]any{
					"stream_id": x.before.id, "seq": end.seq, "dropped": x.before.dropped, "time": end.at.Add(x.ahead).Format(time.RFC3339Nano),
				}
			}
			text, _ := json.Marshal(extra)
			row := []string{
				x.id, strconv.FormatInt(e.seq, 10), strconv.FormatInt(e.at.UnixMicro(), 10), strconv.FormatInt(e.at.Add(x.ahead).UnixMicro(), 10),
				strconv.FormatInt(e.at.Add(time.Second+e.late).UnixMicro(), 10), strconv.FormatBool(x.ahead != 0), string(text),
			}
			_ = w.Write(row)
			if e.twice {
				_ = w.Write(row)
			}
		}
	}
	w.Flush()
	return b.Bytes()
}

// tally counts events of an hour.
type tally struct{ Arrived, InFlight, AtClient int64 }

func (t tally) share(n int64) float64 {
	return float64(n) / float64(t.Arrived+t.InFlight+t.AtClient)
}

// truth is what became of the events of each hour.
func truth(all []*run) map[time.Time]tally {
	out := map[time.Time]tally{}
	for _, x := range all {
		for _, e := range x.events {
			t := out[e.at.Truncate(time.Hour)]
			switch {
			case e.inFlight:
				t.InFlight++
			case e.atClient:
				t.AtClient++
			case e.twice:
				t.Arrived += 2
			default:
				t.Arrived++
			}
			out[e.at.Truncate(time.Hour)] = t
		}
	}
	return out
}

// knowable is what decision 0012 says of each hour, one missing event after the other,
// from all that arrived at once.
func knowable(all []*run) map[time.Time]tally {
	m := made{inFlight: map[time.Time]int64{}, atClient: map[time.Time]int64{}}
	told := map[*run]time.Time{} // the hour in which the end of a run was told first
	surely := map[*run]bool{}    // by a clock that was right
	for _, x := range all {
		for _, e := range x.events {
			if _, known := told[x.before]; e.arrives() && e.tells && !known {
				told[x.before], surely[x.before] = e.at.Truncate(time.Hour), x.ahead == 0
			}
		}
	}
	out := map[time.Time]tally{}
	for _, x := range all {
		since, seq, dropped, any := x.began, int64(-1), int64(0), false
		for _, e := range x.events {
			if !e.arrives() {
				continue
			}
			hour := e.at.Truncate(time.Hour)
			m.gap(e.seq-seq-1, e.dropped-dropped, e.seq-seq, since, e.at, hour)
			since, seq, dropped, any = e.at, e.seq, e.dropped, true
			t := out[hour]
			t.Arrived++
			if e.twice {
				t.Arrived++
			}
			out[hour] = t
		}
		if hour, known := told[x]; known && (any || surely[x]) {
			m.gap(x.last().seq-seq, x.dropped-dropped, x.last().seq-seq, since, x.last().at, hour)
		}
	}
	for hour, n := range m.inFlight {
		t := out[hour]
		t.InFlight = n
		out[hour] = t
	}
	for hour, n := range m.atClient {
		t := out[hour]
		t.AtClient = n
		out[hour] = t
	}
	return out
}

// measuring computes stages of an example, hour by hour.
type measuring struct {
	t    *testing.T
	pool *engine.Pool
	dir  string
}

func (m measuring) stage(name string) *stage.Stage {
	text, err := fs.ReadFile(examples.FS, "plays/stages/"+name+".sql")
	other, err2 := fs.ReadFile(examples.FS, "web/stages/"+name+".sql")
	if err := errors.Join(err, err2); err != nil || !bytes.Equal(text, other) {
		m.t.Fatalf("%s is not the same in both examples: %v", name, err)
	}
	s, problems := stage.Parse(name, name+".sql", string(text))
	if len(problems) > 0 {
		m.t.Fatal(problems)
	}
	return s
}

func (m measuring) build(sql string, hour time.Time, tables ...engine.Table) string {
	m.t.Helper()
	res, err := m.pool.Build(m.t.Context(), engine.BuildJob{SQL: sql, Start: hour, End: hour.Add(time.Hour), Tables: tables})
	if err != nil {
		m.t.Fatal(err)
	}
	return res.Output.Path
}

const rawOfRows = `SELECT 'player' AS source, json_object('app', json_object('name', 'web', 'version', '7')) AS context, stream_id::VARCHAR AS stream_id,
	seq::BIGINT AS seq, make_timestamptz(occurred::BIGINT) AS occurred_at, make_timestamptz(claimed::BIGINT) AS claimed_at,
	make_timestamptz(received::BIGINT) AS received_at, wrong::BOOLEAN AS time_corrected, false AS time_implausible, extra::JSON AS extra FROM rows`

// measured is what the stages say of each hour.
func (m measuring) measured(all []*run, hours []time.Time) map[time.Time]tally {
	streams, completeness := m.stage("streams"), m.stage("completeness")
	files := map[time.Time]string{}
	for _, hour := range hours {
		path := filepath.Join(m.dir, hour.Format("15")+".csv")
		if err := os.WriteFile(path, rows(all, hour), 0o600); err != nil {
			m.t.Fatal(err)
		}
		raw := m.build(rawOfRows, hour, engine.Table{Name: "rows", Files: []string{path}, Format: "csv"})
		files[hour] = m.build(streams.SQL, hour, engine.Table{Name: "raw", Files: []string{raw}})
	}
	out := map[time.Time]tally{}
	for _, hour := range hours {
		in := engine.Table{Name: "streams"}
		for _, other := range hours {
			if d := other.Sub(hour); d >= -time.Hour && d <= sight {
				in.Files = append(in.Files, files[other])
			}
		}
		path := m.build(completeness.SQL, hour, in)
		var b bytes.Buffer
		_, err := m.pool.Report(m.t.Context(), engine.QueryJob{
			SQL:    "SELECT numbered AS \"Arrived\", lost_in_flight AS \"InFlight\", lost_at_client AS \"AtClient\" FROM completeness",
			Tables: []engine.Table{{Name: "completeness", Files: []string{path}}}, Format: "ndjson",
		}, &b)
		if err != nil {
			m.t.Fatal(err)
		}
		var t tally
		if err := json.NewDecoder(&b).Decode(&t); err != nil && !errors.Is(err, io.EOF) {
			m.t.Fatal(err)
		}
		if out[hour] = t; b.Len() > 0 && bytes.Count(b.Bytes(), []byte("\n")) > 1 {
			m.t.Errorf("%s has more than one row", hour)
		}
	}
	return out
}

// newMeasuring starts workers.
func newMeasuring(t *testing.T) measuring {
	t.Helper()
	pool, err := engine.NewPool(engine.Options{Dir: t.TempDir(), StageWorkers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return measuring{t, pool, t.TempDir()}
}

// compare holds what the stages say of each hour against what can be known, to the
// event, and returns it beside what is true.
func (m measuring) compare(all []*run) (hours []time.Time, says, is map[time.Time]tally) {
	is = truth(all)
	can := knowable(all)
	hours = slices.SortedFunc(maps.Keys(is), time.Time.Compare)
	says = m.measured(all, hours)
	for _, hour := range hours {
		if says[hour] != can[hour] {
			m.t.Errorf("%s: %+v was measured, %+v can be known", hour.Format("15:04"), says[hour], can[hour])
		}
	}
	return hours, says, is
}

// TestLossIsMeasured has devices lose 2 % of their events in flight and 1 % themselves,
// beside late arrivals, wrong clocks, restarts whose ends are lost and numbers given
// twice. What the stages say of each hour is right to a tenth of a percentage point.
// The first hour has hardly begun, and in the last ones devices are not back yet to
// tell how they ended.
func TestLossIsMeasured(t *testing.T) {
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	c := losing{devices: 300, inFlight: 0.02, atClient: 0.01, events: 120, pause: 90 * time.Minute}
	hours, says, is := newMeasuring(t).compare(lossy(rand.New(rand.NewPCG(3, 5)), c, from, 7*time.Hour))
	for _, hour := range hours[1:5] {
		for what, d := range map[string]float64{
			"in flight":     says[hour].share(says[hour].InFlight) - is[hour].share(is[hour].InFlight),
			"at the client": says[hour].share(says[hour].AtClient) - is[hour].share(is[hour].AtClient),
		} {
			t.Logf("%s lost %s: %+.4f percentage points off, of %d events", hour.Format("15:04"), what, 100*d, is[hour].Arrived)
			if math.Abs(d) > 0.001 {
				t.Errorf("%s lost %s: %+v was measured, %+v is true", hour.Format("15:04"), what, says[hour], is[hour])
			}
		}
	}
}

// TestLossAsFarAsItCanBeKnown loses so much that whole streams and their ends are gone,
// of devices that are often away for longer than anybody looks ahead.
func TestLossAsFarAsItCanBeKnown(t *testing.T) {
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	c := losing{devices: 150, inFlight: 0.4, atClient: 0.3, events: 12, pause: 9 * time.Hour}
	newMeasuring(t).compare(lossy(rand.New(rand.NewPCG(11, 13)), c, from, 20*time.Hour))
}
