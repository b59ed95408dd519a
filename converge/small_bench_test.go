package converge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"
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

// timedEngine adds up what builds cost.
type timedEngine struct {
	Engine
	mu     sync.Mutex
	sum    engine.Usage
	builds int
}

func (e *timedEngine) Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	out, err := e.Engine.Build(ctx, job)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sum.CPU, e.sum.SQL, e.sum.Wall = e.sum.CPU+out.Usage.CPU, e.sum.SQL+out.Usage.SQL, e.sum.Wall+out.Usage.Wall
	e.builds++
	return out, err
}

// small is a stage over many partitions of a few rows each, on the real engine.
type small struct {
	*Converger
	engine *timedEngine
	pool   *engine.Pool
	stop   func() // ends convergence, and the workers
}

const smallPartitions = 1000

func newSmall(b *testing.B) small {
	pool, err := engine.NewPool(engine.Options{Dir: b.TempDir(), StageWorkers: 2})
	check(b, err)
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
	s := small{engine: &timedEngine{Engine: pool}, pool: pool}
	s.Converger = New(Options{
		Catalog: catalog, Engine: s.engine, Store: objects, Semantics: stage.Semantics{Engine: engine.Semantics}, HashScheme: "test",
		Workers: 2, Log: slog.New(slog.DiscardHandler), Watermark: func(context.Context) (time.Time, error) { return time.Now(), nil },
	})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() { cancel(); check(b, errors.Join(<-ended, pool.Close())) })
	b.Cleanup(s.stop)
	return s
}

// define deploys stages with a number in their SQL, each of which reads the one
// before, and converges.
func (s small) define(b *testing.B, stages, n int) {
	files, from, list := fstest.MapFS{}, dataset.Raw, "count(*) AS n, sum(v + %d) AS s"
	for i := range stages {
		text := fmt.Sprintf("/* @stage\nowner: test\npartition: hour\ninputs:\n  %s: {window: same}\n*/\nSELECT "+list+" FROM %[1]s", from, n)
		from, list = fmt.Sprint("stage", i), "n, s + %d AS s"
		files[from+".sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	problems, err := s.Deploy(b.Context(), Project{Stages: files})
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

// BenchmarkSmallPartitions recomputes them for a new definition each time.
//
// The overhead of scheduling is the CPU time of everything, this process and its
// workers with their start and end, less what the workers spent in the statements
// that compute, store and hash rows (sql-ms), for each partition: due work, trace
// keys, the pipes, files opened and bound for the job, durability, the catalog.
// Time on the clock depends on the disk and on who else uses the machine.
func BenchmarkSmallPartitions(b *testing.B) {
	for _, stages := range []int{1, 4} {
		b.Run(fmt.Sprint("stages=", stages), func(b *testing.B) { benchmarkSmall(b, stages) })
	}
}

func benchmarkSmall(b *testing.B, stages int) {
	s := newSmall(b)
	n := 0
	began, earlier := used(b, syscall.RUSAGE_SELF), used(b, syscall.RUSAGE_CHILDREN)
	for b.Loop() {
		n++
		s.define(b, stages, n)
	}
	own := used(b, syscall.RUSAGE_SELF) - began
	s.stop()
	all := own + used(b, syscall.RUSAGE_CHILDREN) - earlier
	for unit, spent := range map[string]time.Duration{
		"clock-ms": b.Elapsed(), "total-ms": all, "overhead-ms": all - s.engine.sum.SQL,
		"own-ms": own, "worker-ms": s.engine.sum.CPU, "sql-ms": s.engine.sum.SQL,
	} {
		b.ReportMetric(spent.Seconds()*1e3/float64(n*stages*smallPartitions), unit+"/partition")
	}
}

// used is the CPU time of this process, or of its children that ended.
func used(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	check(b, syscall.Getrusage(who, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRollback goes back and forth between two definitions: every answer
// is on record.
func BenchmarkRollback(b *testing.B) {
	s := newSmall(b)
	s.define(b, 1, 1)
	s.define(b, 1, 2)
	before := s.engine.builds
	n := 0
	for b.Loop() {
		n++
		s.define(b, 1, 1+n%2)
	}
	if s.engine.builds != before {
		b.Errorf("%d builds", s.engine.builds-before)
	}
	b.ReportMetric(float64(b.Elapsed()/time.Duration(n*smallPartitions))/1e6, "ms/partition")
}
