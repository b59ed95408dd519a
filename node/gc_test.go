package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// bare is a node with storage only; the catalog's clock is the test's.
func bare(t *testing.T, clock *time.Time) *Node {
	t.Helper()
	dir := t.TempDir()
	n := &Node{log: slog.New(slog.DiscardHandler)}
	folder, err := openFolder(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	if n.journal, err = journal.Open(folder, journal.Options{SegmentBytes: 1 << 20, MaxRecord: 1 << 16, Reserve: -1}); err != nil {
		t.Fatal(err)
	}
	if n.store, err = openStore(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	n.catalog, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(dir, "catalog.db"), Now: func() time.Time { return *clock }})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Builtins() {
		if err := n.catalog.EnsureDataset(t.Context(), s, 0); err != nil {
			t.Fatal(err)
		}
	}
	n.leases = &leases{catalog: n.catalog, id: "test"}
	t.Cleanup(func() {
		if err := n.journal.Close(); err != nil {
			t.Error(err)
		}
		if err := n.catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func adopt(t *testing.T, s *store.Store, text string) store.Object {
	t.Helper()
	f, err := s.Temp()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := s.Adopt(f.Name(), "parquet")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// age makes an object look as if it had been adopted long ago.
func age(t *testing.T, s *store.Store, id string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(s.Path(id), old, old); err != nil {
		t.Fatal(err)
	}
}

// TestGarbageWaitsForReadersAndCommits walks one object through its life.
func TestGarbageWaitsForReadersAndCommits(t *testing.T) {
	clock := time.Now()
	n := bare(t, &clock)
	load := func(text string) string {
		t.Helper()
		o := adopt(t, n.store, text)
		from, err := n.catalog.LoadCursor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		to := from
		to.Record, to.Event = from.Record+1, from.Event+1
		s := dataset.NewSegment{Dataset: dataset.Raw, Partition: "2026-01-01T00", Object: o.ID, Rows: 1, Bytes: o.Bytes}
		if err := n.catalog.CommitLoad(t.Context(), dataset.LoadCommit{From: from, To: to, Loaded: 1, Segments: []dataset.NewSegment{s}}); err != nil {
			t.Fatal(err)
		}
		return o.ID
	}
	one, two := load("one"), load("two")
	done, err := n.leases.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := n.catalog.CompactionCandidates(t.Context(), 0, 2, 1)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	both := adopt(t, n.store, "both")
	k := dataset.Compaction{Dataset: dataset.Raw, Partition: "2026-01-01T00", Segment: dataset.NewSegment{Object: both.ID, Rows: 2, Bytes: both.Bytes}}
	for _, s := range found[0].Segments {
		k.Replaced = append(k.Replaced, s.ID)
	}
	if err := n.catalog.CommitCompaction(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	there := func(id string) bool { _, err := os.Stat(n.store.Path(id)); return err == nil }
	age(t, n.store, one)
	age(t, n.store, two)
	for _, step := range []struct {
		name string
		do   func()
		want []bool
	}{
		{"within the grace", func() {}, []bool{true, true, true}},
		{"while somebody reads", func() { clock = clock.Add(time.Hour) }, []bool{true, true, true}},
		{"adopted again, not committed yet", func() { done(); adopt(t, n.store, "one") }, []bool{true, false, true}},
	} {
		step.do()
		if _, err := n.collectOnce(t.Context(), gcGrace); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(step.want, []bool{there(one), there(two), there(both.ID)}); d != "" {
			t.Errorf("%s: %s", step.name, d)
		}
	}
	age(t, n.store, one)
	if err := n.sweepOrphans(t.Context(), gcGrace); err != nil {
		t.Fatal(err)
	}
	if there(one) || !there(both.ID) {
		t.Error("the sweep took the wrong one")
	}
}

func TestWatermarkFollowsWhatIsLoaded(t *testing.T) {
	clock := time.Now()
	n := bare(t, &clock)
	if mark, err := n.watermark(t.Context()); err != nil || time.Since(mark) > time.Minute {
		t.Errorf("nothing waits: %v, %v", mark, err)
	}
	if _, err := n.journal.Append(t.Context(), journal.Record{Payload: []byte("x"), Events: 1}); err != nil {
		t.Fatal(err)
	}
	if mark, err := n.watermark(t.Context()); err != nil || !mark.IsZero() {
		t.Errorf("an event waits and none is loaded: %v, %v", mark, err)
	}
	received := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	to := dataset.Cursor{Record: 1, Event: 1, ReceivedTo: received}
	if err := n.catalog.CommitLoad(t.Context(), dataset.LoadCommit{To: to, Repeats: 1}); err != nil {
		t.Fatal(err)
	}
	if mark, err := n.watermark(t.Context()); err != nil || time.Since(mark) > time.Minute {
		t.Errorf("it is loaded: %v, %v", mark, err)
	}
	if _, err := n.journal.Append(t.Context(), journal.Record{Payload: []byte("y"), Events: 1}); err != nil {
		t.Fatal(err)
	}
	if mark, err := n.watermark(t.Context()); err != nil || !mark.Equal(received) {
		t.Errorf("another waits: %v, %v", mark, err)
	}
}

func TestRunningTasksAreCountedOnce(t *testing.T) {
	d := sqlite.DatasetStatus{Partitions: 10, Fresh: 5, Stale: 1, Deferred: 2, Failed: 2}
	markRunning(&d, 4)
	if d := cmp.Diff(sqlite.DatasetStatus{Partitions: 10, Fresh: 5, Running: 4, Failed: 1}, d); d != "" {
		t.Error(d)
	}
	markRunning(&d, 9) // answered meanwhile: there is no more to count
	if sum := d.Fresh + d.Stale + d.Running + d.Deferred + d.Failed; sum != d.Partitions {
		t.Errorf("%+v does not add up", d)
	}
}

func TestShortPath(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("d", 120))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/tmp/x", filepath.Join(long, "control.sock")} {
		short, done, err := shortPath(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(short) >= 100 {
			t.Errorf("%s has %d bytes", short, len(short))
		}
		if path != "/tmp/x" {
			if err := os.WriteFile(short, nil, 0o600); err != nil {
				t.Errorf("the short name leads nowhere: %v", err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
		done()
	}
}

func TestProblemsAreReplacedByFolder(t *testing.T) {
	n := &Node{}
	n.problems.set("dashboards", []stage.Problem{{File: "d"}}) // read before the stages, and kept when they are
	n.problems.set("stages", []stage.Problem{{File: "a"}, {File: "b"}})
	n.problems.set("stages", []stage.Problem{{File: "c"}})
	if d := cmp.Diff([]stage.Problem{{File: "c"}, {File: "d"}}, n.Problems()); d != "" {
		t.Error(d)
	}
}

// TestGarbageCollectionCutOffAnywhere ends a garbage collection after each of its
// steps. The next one finishes it, and at no time is a file missing that readers see.
func TestGarbageCollectionCutOffAnywhere(t *testing.T) {
	steps := []func(n *Node, ctx context.Context) error{
		func(n *Node, ctx context.Context) error { _, err := n.catalog.Free(ctx, 0); return err },
		func(n *Node, ctx context.Context) error { return n.leases.renew(ctx) },
		func(n *Node, ctx context.Context) error { _, err := n.catalog.Collect(ctx, 0); return err }, // the files stay behind
		func(n *Node, ctx context.Context) error { return n.sweepOrphans(ctx, 0) },
	}
	for cut := range len(steps) + 1 {
		clock := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		n := bare(t, &clock)
		objects := versions(t, n, &clock, 3)
		for _, step := range steps[:cut] {
			clock = clock.Add(time.Second)
			if err := step(n, t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(n.store.Path(objects[2])); err != nil {
				t.Errorf("cut off after step %d: %v", cut, err)
			}
		}
		for range 2 { // the first may free only
			clock = clock.Add(time.Second)
			if _, err := n.gc(t.Context(), GC{}); err != nil {
				t.Fatal(err)
			}
		}
		for i, id := range objects {
			if _, err := os.Stat(n.store.Path(id)); (err == nil) != (i == 2) {
				t.Errorf("cut off after step %d: version %d: %v", cut, i+1, err)
			}
		}
	}
}

// TestGarbageCollectionFails when a file cannot be removed: it says so, and the
// next one removes it.
func TestGarbageCollectionFails(t *testing.T) {
	clock := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	n := bare(t, &clock)
	objects := versions(t, n, &clock, 2)
	path := n.store.Path(objects[0])
	if err := errors.Join(os.Rename(path, path+".aside"), os.MkdirAll(filepath.Join(path, "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Second)
	if _, err := n.gc(t.Context(), GC{}); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Second)
	if _, err := n.gc(t.Context(), GC{}); err == nil {
		t.Error("nothing was said of a file that could not be removed")
	}
	if err := errors.Join(os.RemoveAll(path), os.Rename(path+".aside", path)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.gc(t.Context(), GC{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

// versions builds a closed partition of a stage n times, and returns the objects.
func versions(t *testing.T, n *Node, clock *time.Time, count int) []string {
	t.Helper()
	s := dataset.Deployment{
		Spec: dataset.Spec{Name: "s", Kind: dataset.Computed, Grain: dataset.Hour}, CodeIdentity: []byte("code"),
		Edges: []dataset.Edge{{Input: dataset.Raw, Window: dataset.Same}},
	}
	if _, err := n.catalog.Apply(t.Context(), dataset.Application{Stages: []dataset.Deployment{s}}); err != nil {
		t.Fatal(err)
	}
	var objects []string
	for i := range count {
		*clock = clock.Add(time.Second)
		raw := adopt(t, n.store, fmt.Sprint("raw", i))
		from, err := n.catalog.LoadCursor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		to := from
		to.Record, to.Event = from.Record+1, from.Event+1
		in := dataset.NewSegment{Dataset: dataset.Raw, Partition: "2026-01-01T00", Object: raw.ID, Rows: 1, Bytes: raw.Bytes}
		if err := n.catalog.CommitLoad(t.Context(), dataset.LoadCommit{From: from, To: to, Loaded: 1, Segments: []dataset.NewSegment{in}}); err != nil {
			t.Fatal(err)
		}
		due, err := n.catalog.Due(t.Context(), sqlite.Ask{Limit: 9, All: true})
		if err != nil || len(due.History) != 1 {
			t.Fatal(due, err)
		}
		o := adopt(t, n.store, fmt.Sprint("out", i))
		objects = append(objects, o.ID)
		out := dataset.NewSegment{Dataset: "s", Partition: "2026-01-01T00", Object: o.ID, Rows: int64(i + 1), Bytes: o.Bytes}
		b := dataset.Build{Task: due.History[0], CodeIdentity: []byte("code"), TraceKey: []byte{byte(i)}, Content: &dataset.NewContent{Segment: &out}}
		if err := n.catalog.CommitBuild(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if _, err := n.catalog.ClosePartitions(t.Context(), *clock); err != nil {
			t.Fatal(err)
		}
	}
	*clock = clock.Add(time.Second)
	return objects
}
