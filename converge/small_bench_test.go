package converge

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
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

// timedEngine notes how long the engine works on builds.
type timedEngine struct {
	Engine
	mu        sync.Mutex
	cpu, wall time.Duration
	builds    int
}

func (e *timedEngine) Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	out, err := e.Engine.Build(ctx, job)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cpu, e.wall, e.builds = e.cpu+out.Usage.CPU, e.wall+out.Usage.Wall, e.builds+1
	return out, err
}

// small is a stage over many partitions of a few rows each, on the real engine.
type small struct {
	*Converger
	engine *timedEngine
}

const smallPartitions = 1000

func newSmall(b *testing.B) small {
	pool, err := engine.NewPool(engine.Options{Dir: b.TempDir(), StageWorkers: 2})
	check(b, err)
	b.Cleanup(func() { check(b, pool.Close()) })
	dir := b.TempDir()
	root, err := disk.Open(dir)
	check(b, err)
	objects, err := store.Open(root)
	check(b, err)
	catalog, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(dir, "catalog.db")})
	check(b, err)
	b.Cleanup(func() { check(b, catalog.Close()) })
	columns := []dataset.Column{{Name: "v", Type: "BIGINT"}}
	raw := dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour, Columns: columns}
	check(b, catalog.EnsureDataset(b.Context(), raw, 5*time.Minute))
	made, err := pool.Build(b.Context(), engine.BuildJob{SQL: "SELECT i AS v FROM range(20) r(i)"})
	check(b, err)
	object, err := objects.Adopt(made.Output.Path, "parquet")
	check(b, err)
	commit := dataset.LoadCommit{Loaded: smallPartitions * 20}
	commit.To.Record, commit.To.Event = 1, smallPartitions*20
	for i := range smallPartitions {
		commit.Segments = append(commit.Segments, dataset.NewSegment{
			Dataset: dataset.Raw, Partition: dataset.PartitionAt(dataset.Hour, time.Date(2024, 1, 1, i, 0, 0, 0, time.UTC)),
			Object: object.ID, Rows: 20, Bytes: object.Bytes, Hash: made.Output.Hash,
		})
	}
	check(b, catalog.CommitLoad(b.Context(), commit))
	s := small{engine: &timedEngine{Engine: pool}}
	s.Converger = New(Options{
		Catalog: catalog, Engine: s.engine, Store: objects, Semantics: stage.Semantics{Engine: engine.Semantics}, HashScheme: "test",
		Workers: 2, Log: slog.New(slog.DiscardHandler), Watermark: func(context.Context) (time.Time, error) { return time.Now(), nil },
	})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.Cleanup(func() { cancel(); check(b, <-ended) })
	return s
}

// define deploys the stage with a number in its SQL, and converges.
func (s small) define(b *testing.B, n int) {
	text := fmt.Sprintf("/* @stage\nowner: test\npartition: hour\ninputs:\n  raw: {window: same}\n*/\nSELECT count(*) AS n, sum(v + %d) AS s FROM raw", n)
	problems, err := s.Deploy(b.Context(), Project{Stages: fstest.MapFS{"counts.sql": {Data: []byte(text)}}})
	check(b, err)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	check(b, s.Settle(b.Context()))
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSmallPartitions recomputes them for a new definition each time: what
// is not the engine's is the price of scheduling, durability included.
func BenchmarkSmallPartitions(b *testing.B) {
	s := newSmall(b)
	n := 0
	for b.Loop() {
		n++
		s.define(b, n)
	}
	total := time.Duration(n * smallPartitions)
	b.ReportMetric(float64(b.Elapsed()/total)/1e6, "ms/partition")
	b.ReportMetric(float64(s.engine.wall/total)/1e6, "engine-ms/partition")
	b.ReportMetric(float64(s.engine.cpu/total)/1e6, "engine-cpu-ms/partition")
}

// BenchmarkRollback goes back and forth between two definitions: every answer
// is on record.
func BenchmarkRollback(b *testing.B) {
	s := newSmall(b)
	s.define(b, 1)
	s.define(b, 2)
	before := s.engine.builds
	n := 0
	for b.Loop() {
		n++
		s.define(b, 1+n%2)
	}
	if s.engine.builds != before {
		b.Errorf("%d builds", s.engine.builds-before)
	}
	b.ReportMetric(float64(b.Elapsed()/time.Duration(n*smallPartitions))/1e6, "ms/partition")
}
