package converge

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// counted counts the builds of each stage on the real engine.
type counted struct {
	*engine.Pool
	mu     sync.Mutex
	stages map[string]string // name by SQL
	builds map[string]int
}

func (c *counted) Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	c.mu.Lock()
	name, ok := c.stages[job.SQL]
	if !ok {
		name = "proof"
	}
	c.builds[name]++
	c.mu.Unlock()
	return c.Pool.Build(ctx, job)
}

func (c *counted) taken() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.builds
	c.builds = map[string]int{}
	return out
}

// click is a row of raw in the tests of columns.
type click struct {
	id      int
	page    string
	seconds int
}

// clicks is a project over clicks at work on the real engine: clean, with a key,
// and readers of some of its columns.
type clicks struct {
	tb        rapid.TB
	pool      *engine.Pool
	engine    *counted
	catalog   *sqlite.Catalog
	store     *store.Store
	converger *Converger
	close     func()
}

// readers of clean, by name: what they compute.
var readers = map[string]string{
	"pages":  "SELECT page, count(*) AS n FROM clean GROUP BY page",
	"rows":   "SELECT count(*) AS n FROM clean",
	"whole":  "SELECT count(*) AS n, max(hash(clean)) % 1000 AS h FROM clean",
	"long":   "SELECT id, page FROM clean WHERE seconds > 5",
	"sorted": "SELECT first(page ORDER BY id) AS first FROM clean",
}

func newClicks(tb rapid.TB, pool *engine.Pool, dir string) *clicks {
	w := &clicks{tb: tb, pool: pool, engine: &counted{Pool: pool, stages: map[string]string{}, builds: map[string]int{}}}
	w.must(os.Mkdir(filepath.Join(dir, "store"), 0o700))
	root, err := disk.Open(filepath.Join(dir, "store"))
	w.must(err)
	w.store, err = store.Open(root)
	w.must(err)
	w.catalog, err = sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(dir, "catalog.db")})
	w.must(err)
	columns := []dataset.Column{{Name: "id", Type: "INTEGER"}, {Name: "page", Type: "VARCHAR"}, {Name: "seconds", Type: "INTEGER"}}
	w.must(w.catalog.EnsureDataset(context.Background(), dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour, Columns: columns}, time.Minute))
	w.converger = New(Options{
		Catalog: w.catalog, Engine: w.engine, Store: w.store, Semantics: stage.Semantics{Engine: 1}, HashScheme: engine.HashScheme, Workers: 2,
		Watermark: func(context.Context) (time.Time, error) { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), nil },
		Log:       slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.converger.Run(ctx) }()
	w.close = func() {
		cancel()
		w.must(<-ended)
		w.must(w.catalog.Close())
	}
	return w
}

func (w *clicks) must(err error) {
	if err != nil {
		w.tb.Helper()
		w.tb.Fatal(err)
	}
}

// deploy puts clean to work as the given SELECT, with its readers.
func (w *clicks) deploy(clean string) {
	files := fstest.MapFS{"clean.sql": &fstest.MapFile{Data: []byte("/* @stage\nowner: t\npartition: hour\nkey: [id]\ninputs: {raw: {window: same}}\n*/\n" + clean)}}
	w.engine.mu.Lock()
	w.engine.stages = map[string]string{clean: "clean"}
	for name, sql := range readers {
		w.engine.stages[sql] = name
		files[name+".sql"] = &fstest.MapFile{Data: []byte("/* @stage\nowner: t\npartition: hour\ninputs: {clean: {window: same}}\n*/\n" + sql)}
	}
	w.engine.mu.Unlock()
	problems, err := w.converger.Deploy(context.Background(), Project{Stages: files})
	w.must(err)
	if len(problems) > 0 {
		w.tb.Fatalf("problems: %v", problems)
	}
	w.settle()
}

func (w *clicks) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.must(w.converger.Settle(ctx))
	s, err := w.catalog.Status(ctx)
	w.must(err)
	if len(s.Errors) > 0 {
		w.tb.Fatalf("failed: %v", s.Errors)
	}
}

func (w *clicks) load(hour int, rows ...click) {
	p := dataset.Partition(fmt.Sprintf("2026-04-01T%02d", hour))
	var values []string
	for _, r := range rows {
		values = append(values, fmt.Sprintf("(%d, '%s', %d)", r.id, r.page, r.seconds))
	}
	out, err := w.pool.Build(context.Background(), engine.BuildJob{SQL: "SELECT * FROM (VALUES " + strings.Join(values, ", ") + ") t(id, page, seconds)"})
	w.must(err)
	object, err := w.store.Adopt(out.Output.Path, "parquet")
	w.must(err)
	from, err := w.catalog.LoadCursor(context.Background())
	w.must(err)
	commit := dataset.LoadCommit{From: from, To: from, Loaded: int64(len(rows)), Segments: []dataset.NewSegment{{
		Dataset: dataset.Raw, Partition: p, Object: object.ID, Rows: out.Output.Rows, Bytes: object.Bytes, Hash: out.Output.Hash,
	}}}
	commit.To.Record, commit.To.Event = from.Record+1, from.Event+uint64(len(rows))
	w.must(w.catalog.CommitLoad(context.Background(), commit))
	w.converger.Wake()
	w.settle()
}

// check computes every reader's partitions from what is promoted of clean.
func (w *clicks) check() {
	ctx := context.Background()
	inputs, err := w.catalog.Promoted(ctx, "clean")
	w.must(err)
	for name, sql := range readers {
		promoted, err := w.catalog.Promoted(ctx, name)
		w.must(err)
		got := map[dataset.Partition]dataset.ContentHash{}
		for _, q := range promoted {
			got[q.Partition] = q.Hash
		}
		want := map[dataset.Partition]dataset.ContentHash{}
		for _, q := range inputs {
			segments, err := w.catalog.Segments(ctx, []dataset.Promoted{q})
			w.must(err)
			t := engine.Table{Name: "clean"}
			for _, s := range segments {
				t.Files = append(t.Files, w.store.Path(s.Object))
			}
			out, err := w.pool.Build(ctx, engine.BuildJob{SQL: sql, Tables: []engine.Table{t}})
			w.must(err)
			w.must(os.Remove(out.Output.Path))
			want[q.Partition] = out.Output.Hash
		}
		if d := cmp.Diff(want, got); d != "" {
			w.tb.Fatalf("%s is not what its input gives now: %s", name, d)
		}
	}
}

// ran lists the stages that were computed, and how often.
func (w *clicks) ran() string {
	taken := w.engine.taken()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		out = append(out, fmt.Sprintf("%s %d", name, taken[name]))
	}
	return strings.Join(out, ", ")
}

// TestReadersDependOnTheColumnsTheySee changes clean in ways that its readers see
// and in ways they do not, over an hour computed whole and one that grew.
func TestReadersDependOnTheColumnsTheySee(t *testing.T) {
	w := newClicks(t, newPool(t), t.TempDir())
	defer w.close()
	w.load(1, click{1, "a", 3}, click{2, "b", 9}, click{3, "a", 7})
	w.load(2, click{4, "a", 1}, click{5, "c", 8})
	const plain = "SELECT id, page, seconds FROM raw"
	w.deploy(plain)
	w.load(2, click{6, "c", 2}) // appended: nobody knows of the key of all
	w.check()
	if got := w.ran(); got != "clean 3, long 3, pages 3, rows 3, sorted 3, whole 3" {
		t.Fatalf("at first: %s", got)
	}
	for _, step := range []struct{ what, sql, want string }{
		{"a column nobody names", "SELECT id, page, seconds, 1 AS more FROM raw", "clean 2, proof 1, whole 2"},
		{"another text for the same", "SELECT id, page, seconds, 2 - 1 AS more FROM raw", "clean 2"},
		{"another value nobody names", "SELECT id, page, seconds, 2 AS more FROM raw", "clean 2, whole 2"},
		{"a value of a column that one names", "SELECT id, page, seconds + 3 AS seconds, 2 AS more FROM raw", "clean 2, long 2, whole 2"},
		{"values change places", "SELECT id, CASE id WHEN 1 THEN 'b' WHEN 2 THEN 'a' ELSE page END AS page, seconds + 3 AS seconds, 2 AS more FROM raw", "clean 2, long 1, pages 1, sorted 1, whole 1"},
		{"back", plain, ""},
		{"fewer rows", plain + " WHERE id <> 3", "clean 2, long 1, pages 1, rows 1, sorted 1, whole 1"},
		{"the key is not unique", "SELECT 1 AS id, page, seconds FROM raw", "clean 2, long 2, pages 2, rows 2, sorted 2, whole 2"},
		{"and a column nobody names", "SELECT 1 AS id, page, seconds, 1 AS more FROM raw", "clean 2, long 2, pages 2, rows 2, sorted 2, whole 2"},
	} {
		w.deploy(step.sql)
		w.check()
		if got := w.ran(); got != step.want {
			t.Errorf("%s: computed %q, want %q", step.what, got, step.want)
		}
	}
}

// TestColumnsNeverMislead deploys and loads at random: whatever was spared, what
// is promoted is what the inputs give.
func TestColumnsNeverMislead(t *testing.T) {
	pool := newPool(t)
	begun := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		if time.Since(begun) > 8*time.Second {
			return
		}
		dir, err := os.MkdirTemp("", "reedbed-columns-") //nolint:usetesting // one for each try
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := newClicks(t, pool, dir)
		defer w.close()
		id, page := "id", "page"
		for range rapid.IntRange(2, 6).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "load") == 0 {
				w.load(rapid.IntRange(1, 2).Draw(t, "hour"), rapid.SliceOfN(rapid.Custom(func(t *rapid.T) click {
					return click{rapid.IntRange(1, 9).Draw(t, "id"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "page"), rapid.IntRange(4, 7).Draw(t, "seconds")}
				}), 1, 3).Draw(t, "rows")...)
			} else {
				switch rapid.IntRange(0, 4).Draw(t, "column") {
				case 0:
					id = rapid.SampledFrom([]string{"id", "id", "id % 4", "nullif(id, 1)"}).Draw(t, "id")
				case 1:
					page = rapid.SampledFrom([]string{"page", "upper(page)", "CASE id WHEN 1 THEN 'b' WHEN 2 THEN 'a' ELSE page END"}).Draw(t, "page")
				}
				more := rapid.SampledFrom([]string{"", ", 1 AS more", ", 2 AS more"}).Draw(t, "more")
				seconds := rapid.SampledFrom([]string{"seconds", "seconds", "9 - seconds"}).Draw(t, "seconds")
				w.deploy(fmt.Sprintf("SELECT %s AS id, %s AS page, %s AS seconds%s FROM raw", id, page, seconds, more))
			}
		}
		if _, err := w.catalog.Promoted(context.Background(), "clean"); err == nil {
			w.settle()
			w.check()
		}
	})
}
