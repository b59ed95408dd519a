package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/examples"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/load"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// rawSQL makes n made-up plays of one hour, some of them unusable, as rows of raw.
func rawSQL(seed uint64, n int, hour time.Time) string {
	made := map[string]string{
		"source": "'web'", "event_id": fmt.Sprintf("'e%d-' || i", seed), "type": "'track'", "payload_hash": fmt.Sprintf("hash(%d, i)", seed),
		"name":        "CASE WHEN i % 7 = 0 THEN 'Track Paused' ELSE 'Track Played' END",
		"occurred_at": fmt.Sprintf("TIMESTAMPTZ '%s+00' + to_seconds(hash(%d, i, 'at') %% 3600)", hour.Format(time.DateTime), seed),
		"user_id":     fmt.Sprintf("CASE WHEN i %% 11 > 0 THEN 'u' || hash(%d, i, 'user') %% 5 END", seed),
		"properties":  fmt.Sprintf("json_object('track_id', 't' || hash(%d, i, 'track') %% 9, 'played_ms', (hash(%d, i, 'ms') %% 90000)::BIGINT - 1000)", seed, seed),
		"context":     "'{\"app\": {\"name\": \"player\"}}'", "client_ip": fmt.Sprintf("'81.2.69.' || hash(%d, i, 'ip') %% 256", seed),
		"id_conflict": "false", "time_corrected": "false", "time_implausible": "false",
	}
	var columns []string
	for _, c := range load.RawColumns() {
		expr, ok := made[c.Name]
		if !ok {
			expr = "NULL"
		}
		columns = append(columns, fmt.Sprintf("(%s)::%s AS %s", expr, c.Type, c.Name))
	}
	return fmt.Sprintf("SELECT %s FROM range(%d) r(i)", strings.Join(columns, ", "), n)
}

// plays is examples/plays at work on the real engine.
type plays struct {
	*Converger
	catalog *sqlite.Catalog
	reg     *prometheus.Registry
}

func newPlays(t *testing.T, pool *engine.Pool, objects *store.Store) *plays {
	t.Helper()
	catalog, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	raw := dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour, Columns: load.RawColumns()}
	if err := catalog.EnsureDataset(t.Context(), raw, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	p := &plays{catalog: catalog, reg: prometheus.NewRegistry()}
	p.Converger = New(Options{
		Catalog: catalog, Engine: pool, Store: objects, Semantics: stage.Semantics{Engine: engine.Semantics, Functions: engine.Functions()},
		HashScheme: "test", Workers: 2, Log: slog.New(slog.DiscardHandler), Registry: p.reg,
		Watermark: func(context.Context) (time.Time, error) { return time.Time{}, nil },
	})
	problems, err := p.Deploy(t.Context(), playsProject(t))
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// playsProject is the files of examples/plays.
func playsProject(t *testing.T) Project {
	t.Helper()
	stages, failed := fs.Sub(examples.FS, "plays/stages")
	schemas, err := fs.Sub(examples.FS, "plays/schemas")
	if err := errors.Join(failed, err); err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Abs("../examples/plays/data")
	if err != nil {
		t.Fatal(err)
	}
	return Project{Stages: stages, Data: os.DirFS(data), DataDir: data, Schemas: schemas}
}

func (p *plays) load(t *testing.T, segments ...dataset.NewSegment) {
	t.Helper()
	from, err := p.catalog.LoadCursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit := dataset.LoadCommit{From: from, To: from, Segments: segments}
	for _, s := range segments {
		commit.Loaded += s.Rows
	}
	commit.To.Record, commit.To.Event = from.Record+1, from.Event+uint64(commit.Loaded)
	if err := p.catalog.CommitLoad(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := p.catalog.Status(t.Context())
	if err != nil || len(s.Errors) > 0 {
		t.Fatal(s.Errors, err)
	}
}

// hashes are the rows and content of everything promoted.
func (p *plays) hashes(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	sets, err := p.catalog.Datasets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range sets {
		versions, err := p.catalog.Promoted(t.Context(), d.Spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions {
			out[d.Spec.Name+"@"+string(v.Partition)] = fmt.Sprint(v.Rows, v.Hash)
		}
	}
	return out
}

func (p *plays) outcomes(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := p.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "reedbed_stage_runs_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" {
					out[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return out
}

// TestAppendingEqualsRebuilding loads one stream of events in many steps, which
// row-wise stages append, and at once, which builds everything whole.
func TestAppendingEqualsRebuilding(t *testing.T) {
	pool := newPool(t)
	root, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	objects, err := store.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	day := time.Now().UTC().Truncate(24 * time.Hour)
	var all []dataset.NewSegment
	byStep := newPlays(t, pool, objects)
	for step := range 5 {
		var segments []dataset.NewSegment
		for range 1 + rnd.IntN(2) {
			hour := day.Add(time.Duration(rnd.IntN(3)) * time.Hour)
			s := build(t, pool, objects, rawSQL(rnd.Uint64()%1e6, 1+rnd.IntN(300), hour), dataset.PartitionAt(dataset.Hour, hour))
			segments = append(segments, s)
		}
		byStep.load(t, segments...)
		all = append(all, segments...)
		t.Log("step", step, byStep.outcomes(t))
	}
	atOnce := newPlays(t, pool, objects)
	atOnce.load(t, all...)
	want, got := atOnce.hashes(t), byStep.hashes(t)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("appending gave something else than building whole: %s", d)
	}
	if n := byStep.outcomes(t)["appended"]; n < 3 {
		t.Errorf("only %v tasks appended", n)
	}
	for _, name := range []string{"plays", "plays_rejected", "plays_classified", "play_counts", "listening_sessions", "royalties", "top_28d"} {
		if v, err := byStep.catalog.Promoted(t.Context(), name); err != nil || len(v) == 0 {
			t.Errorf("nothing in %s: %v", name, err)
		}
	}
}

func build(t *testing.T, pool *engine.Pool, objects *store.Store, sql string, p dataset.Partition) dataset.NewSegment {
	t.Helper()
	res, err := pool.Build(t.Context(), engine.BuildJob{SQL: sql})
	if err != nil {
		t.Fatal(err)
	}
	o, err := objects.Adopt(res.Output.Path, "parquet")
	if err != nil {
		t.Fatal(err)
	}
	return dataset.NewSegment{Dataset: dataset.Raw, Partition: p, Object: o.ID, Rows: res.Output.Rows, Bytes: o.Bytes, Hash: res.Output.Hash}
}
