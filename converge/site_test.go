package converge

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// hit is a row of raw: somebody clicked. A malformed one has negative
// milliseconds, a poisoned one none.
type hit struct {
	visitor, agent, ms int64
	at                 time.Time
}

// site is a project of six datasets on the real engine:
// raw -> clean -> sessions -> daily -> w28 -> report, where spam_model says which
// agents clean leaves out.
type site struct {
	*Converger
	t       *testing.T
	pool    *engine.Pool
	store   *store.Store
	catalog *sqlite.Catalog
	ledger  *ledger
	data    string

	today  time.Time         // its first moment; all before is closed
	stages map[string]string // by name
	rules  rules
	raw    map[dataset.Partition][]hit
}

// rules are what the stages' texts say, for the oracle.
type rules struct {
	least int64 // milliseconds of a click that counts
	heal  bool  // negative milliseconds are a wrong sign
	spam  []int64
}

const (
	cleanText = `/* @stage
owner: web
partition: hour
inputs: {raw: {window: same}, spam_model: {window: latest}}
rejects: ms < 0
key: [visitor, seen]
*/
WITH good AS (SELECT agent FROM spam_model)
SELECT visitor, seen, ms FROM raw WHERE (ms >= 20 OR ms < 0) AND agent NOT IN (SELECT v FROM (SELECT agent AS v FROM good))`

	sessionsText = `/* @stage
owner: web
partition: hour
inputs: {clean: {window: -1h..+1h}}
*/
WITH paused AS (SELECT visitor, seen, COALESCE(seen - lag(seen) OVER (PARTITION BY visitor ORDER BY seen) > INTERVAL 30 MINUTES, true) AS starts FROM clean),
numbered AS (SELECT visitor, seen, count(*) FILTER (WHERE starts) OVER (PARTITION BY visitor ORDER BY seen) AS session FROM paused)
SELECT visitor, min(seen) AS began, count(*) AS clicks FROM numbered GROUP BY visitor, session
HAVING min(seen) >= getvariable('partition_start')::TIMESTAMPTZ AND min(seen) < getvariable('partition_end')::TIMESTAMPTZ`

	dailyText = `/* @stage
owner: finance
partition: day
inputs: {sessions: {window: same}}
*/
SELECT getvariable('partition_start')::TIMESTAMPTZ AS day, count(*) AS sessions, COALESCE(sum(clicks), 0)::BIGINT AS clicks FROM sessions`

	w28Text = `/* @stage
owner: finance
partition: day
inputs: {daily: {window: -27d..0d}}
*/
SELECT getvariable('partition_start')::TIMESTAMPTZ AS day, sum(sessions)::BIGINT AS sessions, sum(clicks)::BIGINT AS clicks FROM daily`

	reportText = `/* @stage
owner: board
partition: none
inputs: {w28: {window: all}}
*/
SELECT max(sessions) AS most, sum(clicks)::BIGINT AS clicks FROM w28`
)

func hitColumns() []dataset.Column {
	return []dataset.Column{{Name: "visitor", Type: "BIGINT"}, {Name: "seen", Type: "TIMESTAMP WITH TIME ZONE"}, {Name: "agent", Type: "BIGINT"}, {Name: "ms", Type: "BIGINT"}}
}

// newSite makes the project and puts it to work, with spam agent 9 known.
func newSite(t *testing.T) *site {
	t.Helper()
	c := &site{
		t: t, pool: newPool(t), data: t.TempDir(), raw: map[dataset.Partition][]hit{}, rules: rules{least: 20, spam: []int64{9}},
		today:  time.Now().UTC().Add(-2 * time.Hour).Truncate(24 * time.Hour),
		stages: map[string]string{"clean": cleanText, "sessions": sessionsText, "daily": dailyText, "w28": w28Text, "report": reportText},
	}
	root, err := disk.Open(t.TempDir())
	c.must(err)
	c.store, err = store.Open(root)
	c.must(err)
	path := filepath.Join(t.TempDir(), "catalog.db")
	c.must(os.WriteFile(path, newCatalog(t), 0o600))
	c.ledger, err = openLedger(path)
	c.must(err)
	c.catalog, err = sqlite.Open(t.Context(), sqlite.Options{Path: path})
	c.must(err)
	raw := dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour, Columns: hitColumns()}
	c.must(c.catalog.EnsureDataset(t.Context(), raw, 5*time.Minute))
	c.Converger = New(Options{
		Catalog: c.catalog, Engine: c.pool, Store: c.store, Semantics: stage.Semantics{Engine: engine.Semantics, Functions: engine.Functions()},
		HashScheme: "test", Workers: workers, Log: slog.New(c.ledger),
		Watermark: func(context.Context) (time.Time, error) { return time.Now(), nil },
	})
	c.deploy()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		for _, err := range []error{c.catalog.Close(), c.ledger.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

func (c *site) must(err error) {
	if err != nil {
		c.t.Helper()
		c.t.Fatal(err)
	}
}

func (c *site) deploy() {
	c.t.Helper()
	var text strings.Builder
	text.WriteString("agent\n")
	for _, a := range c.rules.spam {
		fmt.Fprintln(&text, a)
	}
	c.must(os.WriteFile(filepath.Join(c.data, "spam_model.csv"), []byte(text.String()), 0o600))
	files := fstest.MapFS{}
	for name, text := range c.stages {
		files[name+".sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	problems, err := c.Deploy(c.t.Context(), Project{Stages: files, Data: os.DirFS(c.data), DataDir: c.data})
	c.must(err)
	if len(problems) > 0 {
		c.t.Fatal(problems)
	}
}

// segment writes clicks of one hour to a file.
func (c *site) segment(hour dataset.Partition, rows []hit) dataset.NewSegment {
	c.t.Helper()
	var values []string
	for _, r := range rows {
		values = append(values, fmt.Sprintf("(%d::BIGINT, TIMESTAMPTZ '%s+00', %d::BIGINT, %d::BIGINT)", r.visitor, r.at.UTC().Format(time.DateTime), r.agent, r.ms))
	}
	return build(c.t, c.pool, c.store, "SELECT * FROM (VALUES "+strings.Join(values, ", ")+") t(visitor, seen, agent, ms)", hour)
}

// load adds clicks, as the loader does, and waits until nothing is due.
func (c *site) load(rows ...hit) {
	c.t.Helper()
	byHour := map[dataset.Partition][]hit{}
	for _, r := range rows {
		hour := dataset.PartitionAt(dataset.Hour, r.at)
		byHour[hour] = append(byHour[hour], r)
	}
	from, err := c.catalog.LoadCursor(c.t.Context())
	c.must(err)
	commit := dataset.LoadCommit{From: from, To: from, Loaded: int64(len(rows))}
	commit.To.Record, commit.To.Event = from.Record+1, from.Event+uint64(len(rows))
	for hour, rows := range byHour {
		commit.Segments = append(commit.Segments, c.segment(hour, rows))
		c.raw[hour] = append(c.raw[hour], rows...)
	}
	c.must(c.catalog.CommitLoad(c.t.Context(), commit))
	c.settle()
}

func (c *site) settle() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Minute)
	defer cancel()
	c.must(c.Settle(ctx))
}

// content is all rows of a dataset as text, sorted.
func (c *site) content(name string) []string {
	c.t.Helper()
	promoted, err := c.catalog.Promoted(c.t.Context(), name)
	c.must(err)
	segments, err := c.catalog.Segments(c.t.Context(), promoted)
	c.must(err)
	var files []string
	for _, s := range segments {
		files = append(files, c.store.Path(s.Object))
	}
	if len(files) == 0 {
		return nil
	}
	columns := map[string]string{
		"clean": "visitor, epoch(seen)::BIGINT, ms", "clean_rejected": "visitor, epoch(seen)::BIGINT, ms", "sessions": "visitor, epoch(began)::BIGINT, clicks",
		"daily": "epoch(day)::BIGINT, sessions, clicks", "w28": "epoch(day)::BIGINT, sessions, clicks", "report": "most, clicks",
	}
	var text bytes.Buffer
	_, err = c.pool.Query(c.t.Context(), engine.QueryJob{
		SQL: "SELECT concat_ws(' ', " + columns[name] + ") FROM t", Tables: []engine.Table{{Name: "t", Files: files}}, Format: "csv",
		Limits: engine.Limits{Rows: 1e6},
	}, &text)
	c.must(err)
	lines := strings.Fields(strings.ReplaceAll(text.String(), " ", "/"))[1:] // below the header
	slices.Sort(lines)
	return lines
}

// history makes days of hits, the last one yesterday, by seven visitors: before
// one o'clock, and where the tests look also in the hours before that and around
// midnight.
func (c *site) history(days int) []hit {
	var out []hit
	for d := range days {
		day, hours := c.today.AddDate(0, 0, d-days), []int{12}
		if ago := days - d; ago < 4 || (ago > 38 && ago < 44) {
			hours = []int{0, 10, 11, 12, 23}
		}
		for i, h := range hours {
			for v := range int64(4) {
				visitor := (v+int64(d+i))%7 + 1
				at := day.Add(time.Duration(h)*time.Hour + time.Duration(5+11*v)*time.Minute + time.Duration(d%60)*time.Second)
				agent := cmp.Or((visitor+int64(d))%10, 1)
				out = append(out, hit{visitor, agent, 10 + 7*v + int64(d%5), at})
			}
		}
	}
	return out
}
