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
}

func (e *timedEngine) Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	out, err := e.Engine.Build(ctx, job)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cpu, e.wall = e.cpu+out.Usage.CPU, e.wall+out.Usage.Wall
	return out, err
}

// BenchmarkSmallPartitions recomputes many partitions of a few rows each: what
// is not the engine's is the price of scheduling, durability included.
func BenchmarkSmallPartitions(b *testing.B) {
	const partitions = 500
	pool, err := engine.NewPool(engine.Options{Dir: b.TempDir(), StageWorkers: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	dir := b.TempDir()
	root, err := disk.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	objects, err := store.Open(root)
	if err != nil {
		b.Fatal(err)
	}
	catalog, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(dir, "catalog.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer catalog.Close()
	columns := []dataset.Column{{Name: "v", Type: "BIGINT"}}
	if err := catalog.EnsureDataset(b.Context(), dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour, Columns: columns}, 5*time.Minute); err != nil {
		b.Fatal(err)
	}
	made, err := pool.Build(b.Context(), engine.BuildJob{SQL: "SELECT i AS v FROM range(20) r(i)"})
	if err != nil {
		b.Fatal(err)
	}
	object, err := objects.Adopt(made.Output.Path, "parquet")
	if err != nil {
		b.Fatal(err)
	}
	commit := dataset.LoadCommit{Loaded: partitions * 20}
	commit.To.Record, commit.To.Event = 1, partitions*20
	for i := range partitions {
		commit.Segments = append(commit.Segments, dataset.NewSegment{
			Dataset: dataset.Raw, Partition: dataset.PartitionAt(dataset.Hour, time.Date(2024, 1, 1, i, 0, 0, 0, time.UTC)),
			Object: object.ID, Rows: 20, Bytes: object.Bytes, Hash: made.Output.Hash,
		})
	}
	if err := catalog.CommitLoad(b.Context(), commit); err != nil {
		b.Fatal(err)
	}
	timed := &timedEngine{Engine: pool}
	c := New(Options{
		Catalog: catalog, Engine: timed, Store: objects, Semantics: stage.Semantics{Engine: engine.Semantics}, HashScheme: "test",
		Workers: 2, Log: slog.New(slog.DiscardHandler), Watermark: func(context.Context) (time.Time, error) { return time.Now(), nil },
	})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		n++
		text := fmt.Sprintf("/* @stage\nowner: test\npartition: hour\ninputs:\n  raw: {window: same}\n*/\nSELECT count(*) AS n, sum(v + %d) AS s FROM raw", n)
		problems, err := c.Deploy(b.Context(), Project{Stages: fstest.MapFS{"counts.sql": {Data: []byte(text)}}})
		if err != nil || len(problems) > 0 {
			b.Fatal(problems, err)
		}
		if err := c.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	total := time.Duration(n * partitions)
	b.ReportMetric(float64(b.Elapsed()/total)/1e6, "ms/partition")
	b.ReportMetric(float64(timed.wall/total)/1e6, "engine-ms/partition")
	b.ReportMetric(float64(timed.cpu/total)/1e6, "engine-cpu-ms/partition")
}
