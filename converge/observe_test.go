package converge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reedbed/reedbed/anomaly"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/load"
	"github.com/reedbed/reedbed/store"
)

// observing is an Observer over an empty catalog at some time, on the real engine.
func observing(t *testing.T, now time.Time) *Observer {
	t.Helper()
	pool, err := engine.NewPool(engine.Options{Dir: t.TempDir(), StageWorkers: 1})
	if err != nil {
		t.Fatal(err)
	}
	root, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "catalog.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for name, columns := range map[string][]dataset.Column{dataset.Raw: load.RawColumns(), dataset.Quarantine: load.QuarantineColumns()} {
		if err := catalog.EnsureDataset(t.Context(), dataset.Spec{Name: name, Kind: dataset.Builtin, Grain: dataset.Hour, Columns: columns}, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := errors.Join(pool.Close(), catalog.Close(), root.Close()); err != nil {
			t.Error(err)
		}
	})
	return &Observer{Catalog: catalog, Engine: pool, Store: s, Allowance: 5 * time.Minute}
}

// load puts what a SELECT gives into an hour of raw or quarantine.
func (o *Observer) load(t *testing.T, name string, start time.Time, columns []dataset.Column, sql string) {
	t.Helper()
	built, err := o.Engine.(*engine.Pool).Build(t.Context(), engine.BuildJob{
		SQL: "SELECT * FROM shape UNION ALL BY NAME " + sql, Tables: []engine.Table{{Name: "shape", Columns: columns}},
	})
	if err != nil {
		t.Fatal(err)
	}
	object, err := o.Store.Adopt(built.Output.Path, "parquet")
	if err != nil {
		t.Fatal(err)
	}
	from, err := o.Catalog.LoadCursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := dataset.LoadCommit{From: from, To: from, Segments: []dataset.NewSegment{{
		Dataset: name, Partition: dataset.PartitionAt(dataset.Hour, start), Object: object.ID, Rows: built.Output.Rows, Bytes: object.Bytes, Hash: built.Output.Hash,
	}}}
	if c.Loaded = built.Output.Rows; name == dataset.Quarantine {
		c.Loaded, c.Quarantined = 0, built.Output.Rows
	}
	c.To.Record, c.To.Event = from.Record+1, from.Event+uint64(built.Output.Rows)
	if err := o.Catalog.CommitLoad(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// events is an hour of 5,000 events: of ten plays two are skipped and one a like; one
// in five has no country; the last 100 came late, and robots sent 500.
const events = `SELECT
	'e' || range AS event_id, 'web' AS source, 'track' AS type,
	CASE WHEN range %% 10 < 7 THEN 'play' WHEN range %% 10 < 9 THEN 'skip' WHEN range < 4990 THEN 'like' ELSE 'seldom ' || range END AS name,
	TIMESTAMPTZ '%[1]s' + to_seconds(range %% 3000) AS occurred_at,
	TIMESTAMPTZ '%[1]s' + to_seconds(range %% 3000 + CASE WHEN range >= 4900 THEN 90 ELSE 1 END) AS received_at,
	'v' || range %% 100 AS anonymous_id,
	CASE WHEN range %% 10 = 3 THEN 'curl/8' ELSE 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' END AS user_agent,
	json_object('app', json_object('name', 'radio', 'version', CASE WHEN range %% 2 = 0 THEN '1' ELSE '2' END)) AS context,
	CASE WHEN range %% 5 = 0 THEN '{"a/b~c \"d":null}'::JSON ELSE json_object('a/b~c "d', CASE WHEN range %% 4 = 0 THEN 'at' ELSE 'de' END, 'id', 'x' || range) END AS properties
	FROM range(%[2]d)`

// The one job counts what is asked of it, and no rare value leaves the engine.
func TestObserve(t *testing.T) {
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	o := observing(t, noon)
	o.load(t, dataset.Raw, noon, load.RawColumns(), fmt.Sprintf(events, "2026-05-04 12:00:00+00", 5000))
	o.load(t, dataset.Quarantine, noon, load.QuarantineColumns(), `SELECT 'q' || range AS quarantine_id, 'web' AS source, TIMESTAMPTZ '2026-05-04 12:00:00+00' AS received_at FROM range(7)`)
	got, err := o.look(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	at := map[anomaly.Series]anomaly.Observation{}
	for _, s := range got.Hour.Series {
		at[s.Series] = s
	}
	web := anomaly.Series{Source: "web"}
	want := map[anomaly.Series]anomaly.Observation{
		web:                                 {Rows: 5000, Slow: [3]int64{100, 100, 0}, Robots: 500, Crowd: 500, Refused: 7},
		{Source: "web", Event: "play"}:      {Rows: 3500, Slow: [3]int64{70, 70, 0}, Robots: 500},
		{Source: "web", Event: "skip"}:      {Rows: 1000, Slow: [3]int64{20, 20, 0}},
		{Source: "web", Event: "like"}:      {Rows: 499, Slow: [3]int64{9, 9, 0}},
		{Source: "web", Version: "radio 1"}: {Rows: 2500, Slow: [3]int64{50, 50, 0}},
		{Source: "web", Version: "radio 2"}: {Rows: 2500, Slow: [3]int64{50, 50, 0}, Robots: 500},
		{Source: "web", Event: "skip", Field: `a/b~c "d`}: {
			Rows: 1000, Values: []fingerprint.Value{{Text: "de", Rows: 750}, {Text: "at", Rows: 250}},
		},
		{Source: "web", Event: "skip", Field: "id"}: {Rows: 1000},
		{Source: "web", Event: "like", Field: "id"}: {Rows: 499},
	}
	for s, x := range want {
		x.Series = s
		if d := cmp.Diff(x, at[s], cmpopts.IgnoreFields(anomaly.Observation{}, "ByVersion")); d != "" {
			t.Errorf("%s: %s", s, d)
		}
	}
	plays := at[anomaly.Series{Source: "web", Event: "play", Field: `a/b~c "d`}]
	if share := float64(plays.Missing) / float64(plays.Rows); plays.Rows < 1800 || plays.Rows > 2200 || share < .24 || share > .33 {
		t.Errorf("of 3,500 plays of which two in seven lack a country, %d of %d do", plays.Missing, plays.Rows)
	}
	parts := anomaly.Part{}
	for _, p := range plays.ByVersion {
		parts.Rows, parts.Missing = parts.Rows+p.Rows, parts.Missing+p.Missing
	}
	if len(plays.ByVersion) != 2 || parts.Rows != plays.Rows || parts.Missing != plays.Missing {
		t.Errorf("versions have %+v of %+v", plays.ByVersion, plays)
	}
	for s := range at {
		if strings.HasPrefix(s.Event, "seldom") {
			t.Errorf("what few rows have is named: %s", s)
		}
	}
	if got.Rows != 5000 || got.Hour.Unwatched != (anomaly.Unwatched{}) {
		t.Errorf("%d rows, and unwatched are %+v", got.Rows, got.Hour.Unwatched)
	}
}

// Hours are looked at when they close, once each: the last two are judged. What falls
// to nothing is an anomaly from then until it is back.
func TestHoursAreJudgedAtTheirClose(t *testing.T) {
	noon := time.Date(2026, 5, 14, 12, 0, 0, 0, time.UTC)
	o := observing(t, noon)
	for i := range 10 * 24 { // as it was for ten days
		h := anomaly.Hour{Start: noon.Add(-time.Duration(i+1) * time.Hour), Series: []anomaly.Observation{{
			Series: anomaly.Series{Source: "web"}, Rows: 5000 + int64(i%7), Slow: [3]int64{100, 100, 0}, Robots: 500, Crowd: 500,
		}}}
		if err := o.Catalog.RecordWatched(t.Context(), sqlite.Watched{Hour: h, Rows: 5000, Judged: true}, nil); err != nil {
			t.Fatal(err)
		}
	}
	o.load(t, dataset.Raw, noon.Add(time.Hour), load.RawColumns(), fmt.Sprintf(events, "2026-05-14 13:00:00+00", 5000))
	var got []string
	for _, minutes := range []int{64, 65, 65, 125} {
		done, ok, err := o.Step(t.Context(), noon.Add(time.Duration(minutes)*time.Minute), true)
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		fmt.Fprint(&said, minutes, " ", ok, " ", done.Judged)
		for _, a := range done.Changed {
			fmt.Fprint(&said, " ", a.Key(), " until ", a.Until.Format("15"), ": ", a.Detail())
		}
		got = append(got, said.String())
	}
	want := []string{
		"64 false false",
		"65 true true fewer/web until 00: 0 events, in no hour it is compared with fewer than 5000",
		"65 false false",
		"125 true true fewer/web until 13: as expected again from 2026-05-14T13 on: 5000 events in that hour",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	known, err := o.Catalog.Anomalies(t.Context(), time.Time{})
	if err != nil || len(known) != 1 || known[0].Until.IsZero() {
		t.Errorf("on record are %+v, %v", known, err)
	}
}

// An hour of the past is recorded when there is time, and judged no more; one that
// cannot be read is recorded as unknown.
func TestHoursOfThePast(t *testing.T) {
	noon := time.Date(2026, 5, 14, 12, 0, 0, 0, time.UTC)
	o := observing(t, noon)
	for i := range 2 {
		start := noon.Add(-time.Duration(i+5) * time.Hour)
		o.load(t, dataset.Raw, start, load.RawColumns(), fmt.Sprintf(events, start.Format("2006-01-02 15:04:05+00"), 1000))
	}
	if _, err := o.Catalog.ClosePartitions(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	sound := o.Engine
	step := func(idle bool) string {
		t.Helper()
		done, ok, err := o.Step(t.Context(), noon, idle)
		if done.Judged == done.Past && err == nil && ok {
			t.Errorf("%s is judged and past", done.Start)
		}
		return fmt.Sprint(done.Start.Format("15 "), len(done.Series) > 0, done.Judged, ok, err != nil)
	}
	got := []string{step(true), step(true), step(false), step(true)}
	o.Engine = failing{}
	got = append(got, step(true))
	o.Engine = sound
	got = append(got, step(true))
	want := []string{
		"09 false true true false", "10 false true true false", // closed last
		"00 false false false false", "07 true false true false", // once there is time
		"06 false false false true", "00 false false false false", // and not tried again
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// An hour that cannot be looked at is unknown after some tries, and the next one is
// judged.
func TestHourThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	noon := time.Date(2026, 5, 14, 12, 0, 0, 0, time.UTC)
	o := observing(t, noon)
	start := noon.Add(-3 * time.Hour)
	o.load(t, dataset.Raw, start, load.RawColumns(), fmt.Sprintf(events, start.Format("2006-01-02 15:04:05+00"), 10))
	o.Engine = failing{}
	for i := range triesOfHour {
		if _, judged, err := o.Catalog.WatchedSince(t.Context(), start); err != nil || judged {
			t.Fatalf("given up after %d tries, %v", i, err)
		}
		if _, _, err := o.Step(t.Context(), noon, true); !errors.Is(err, engine.ErrLimit) {
			t.Fatal(err)
		}
	}
	done, ok, err := o.Step(t.Context(), noon, true)
	if err != nil || !ok || !done.Judged || !done.Start.Equal(start.Add(time.Hour)) {
		t.Fatalf("%+v, %t, %v", done, ok, err)
	}
	hours, _, err := o.Catalog.WatchedHours(t.Context(), []time.Time{start})
	if d := cmp.Diff([]anomaly.Hour{anomaly.Unknown(start)}, hours); d != "" || err != nil {
		t.Error(d, err)
	}
}

// failing is an engine that fails.
type failing struct{}

func (failing) Observe(context.Context, engine.QueryJob, io.Writer) (engine.QueryResult, error) {
	return engine.QueryResult{}, engine.ErrLimit
}
