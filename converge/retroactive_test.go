package converge

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// old gives n hours before everything the random projects know.
func old(n int) []int64 {
	hours := make([]int64, n)
	for i := range hours {
		hours[i] = int64(i - n)
	}
	return hours
}

// oneStage is a stage over raw, hour by hour, that multiplies values by k. It
// leaves out the same rows for k = 1 and k = 6.
func oneStage(k int64) []definition {
	return []definition{{
		name: "s", grain: dataset.Hour, windows: map[string]string{dataset.Raw: "same"},
		program: program{Op: "map", K: k, Inputs: []string{dataset.Raw}},
	}}
}

// TestRetroactiveChangeKilled changes a definition over long history, with a real
// catalog and an engine that costs nothing, kills everything half way, and starts
// again. Each partition is computed once, but for those that workers had in hand;
// whoever reads meanwhile sees every hour, as it was or as it will be.
func TestRetroactiveChangeKilled(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 200
	}
	w := newWorld(t, nil, newCatalog(t))
	defer w.close()
	w.stages = oneStage(1)
	w.start()
	w.load(old(n)...)
	w.settle()
	w.check()
	before := w.engine.succeeded.Load()
	if before != int64(n) {
		t.Errorf("%d builds for %d new partitions", before, n)
	}
	var reader sync.WaitGroup
	stop := make(chan struct{})
	seen := 0
	w.stages = oneStage(6)
	w.deploy()
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				w.readWhole(1, 6)
				seen++
			}
		}
	})
	var asked atomic.Int64
	dying := make(chan struct{}, workers)
	w.engine.setBarrier(func(ctx context.Context, done bool) error {
		if done && asked.Add(1) >= int64(n/2) {
			dying <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	<-dying
	w.stop()
	close(stop) // the reader has the same catalog, which is opened again
	reader.Wait()
	if seen == 0 {
		t.Error("void: nobody read meanwhile")
	}
	done := w.ledger.count() - n
	if done < n/2-1-workers {
		t.Errorf("only %d of %d partitions were on record when everything was killed", done, n)
	}
	w.reopen()
	w.settle()
	w.check()
	if again := w.engine.succeeded.Load() - before - int64(n); again > workers {
		t.Errorf("%d partitions were computed twice by %d workers", again, workers)
	}
	w.lost = workers
	w.checkLedger()
	w.readWhole(6, 6)
	t.Logf("killed after %d of %d partitions; seen whole %d times meanwhile", done, n, seen)
}

// readWhole reads what is promoted as a reader does, and finds each hour computed
// with one of two factors.
func (w *world) readWhole(a, b int64) {
	s, err := w.catalog.Snapshot(context.Background(), []string{"s"})
	if err != nil {
		w.tb.Errorf("read: %v", err)
		return
	}
	var files []string
	for _, o := range s.Tables[0].Objects {
		files = append(files, w.store.Path(o))
	}
	rows, err := w.engine.read([][]string{files})
	if err != nil {
		w.tb.Errorf("read: %v", err)
		return
	}
	want := map[int64]int64{}
	for hour, raw := range w.raw {
		if raw[0].Value%5 != 1 {
			want[hour] = raw[0].Value
		}
	}
	for _, r := range rows[0] {
		if v, ok := want[r.Hour]; !ok || (r.Value != v*a && r.Value != v*b) {
			w.tb.Errorf("a reader saw %d in hour %d, which has %d", r.Value, r.Hour, v)
		}
		delete(want, r.Hour)
	}
	if len(want) > 0 {
		w.tb.Errorf("a reader saw nothing of %d hours", len(want))
	}
}

// BenchmarkRetroactiveChange is what ten thousand partitions cost beside their
// computation: catalog and objects on disk, an engine that costs next to nothing.
func BenchmarkRetroactiveChange(b *testing.B) {
	const n = 10_000
	w := newWorldIn(b.TempDir(), b, nil, newCatalog(b))
	defer w.close()
	w.stages = oneStage(1)
	w.start()
	w.load(old(n)...)
	ctx := context.Background()
	w.must(w.converger.Settle(ctx))
	k := int64(1)
	for b.Loop() {
		k += 5
		w.stages = oneStage(k)
		w.deploy()
		w.must(w.converger.Settle(ctx))
	}
	b.ReportMetric(float64(b.Elapsed())/float64(time.Millisecond)/float64(b.N)/n, "ms/partition")
}
