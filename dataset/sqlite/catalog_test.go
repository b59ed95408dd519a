package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

// clock is a clock the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { c.t = c.t.Add(time.Millisecond); return c.t }

func openTest(t *testing.T) (*Catalog, *clock) {
	t.Helper()
	k := &clock{time.Date(2026, 5, 1, 12, 30, 0, 0, time.UTC)}
	c, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "catalog.db"), Now: k.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range []dataset.Spec{
		{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour},
		{Name: dataset.Quarantine, Kind: dataset.Builtin, Grain: dataset.Hour},
	} {
		if err := c.EnsureDataset(t.Context(), s, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	return c, k
}

// segment is a made-up object whose hash is a function of its name and rows.
func segment(name string, p dataset.Partition, object string, rows int64) dataset.NewSegment {
	h := dataset.ContentHash{uint64(rows), uint64(len(object)), uint64(object[0]), uint64(object[len(object)-1])}
	return dataset.NewSegment{Dataset: name, Partition: p, Object: object, Rows: rows, Bytes: rows * 100, Hash: h}
}

// load commits raw segments that follow on from the catalog's cursor.
func load(t *testing.T, c *Catalog, segments ...dataset.NewSegment) {
	t.Helper()
	from, err := c.LoadCursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit := dataset.LoadCommit{From: from, To: from, Segments: segments}
	for _, s := range segments {
		commit.Loaded += s.Rows
	}
	commit.To.Record, commit.To.Event = from.Record+1, from.Event+uint64(commit.Loaded)
	if err := c.CommitLoad(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

func stageOver(name, input, window string, grain dataset.Grain, depth int) dataset.Deployment {
	w, err := dataset.ParseWindow(window)
	if err != nil {
		panic(err)
	}
	return dataset.Deployment{
		Spec: dataset.Spec{Name: name, Kind: dataset.Computed, Grain: grain}, CodeIdentity: []byte("code of " + name),
		Edges: []dataset.Edge{{Input: input, Window: w}}, Allowance: 5 * time.Minute, Interval: time.Minute, Depth: depth, File: name + ".sql",
	}
}

func due(t *testing.T, c *Catalog) []string {
	t.Helper()
	tasks, err := listDue(t.Context(), c, Ask{Limit: 1000, All: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, k := range tasks {
		out = append(out, k.Dataset+"@"+string(k.Partition))
	}
	return out
}

// build answers every due task of a dataset with one segment a partition.
func build(t *testing.T, c *Catalog, name, object string, rows int64) {
	t.Helper()
	tasks, err := listDue(t.Context(), c, Ask{Limit: 1000, All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range tasks {
		if k.Dataset != name {
			continue
		}
		s := segment(name, k.Partition, object+string(k.Partition), rows)
		inputs, _, err := c.Inputs(t.Context(), name, k.Partition)
		if err != nil {
			t.Fatal(err)
		}
		b := dataset.Build{Task: k, CodeIdentity: []byte("code of " + name), TraceKey: []byte(object), Inputs: inputs, Content: &dataset.NewContent{Segment: &s}}
		if err := c.CommitBuild(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadIsOneStep(t *testing.T) {
	c, _ := openTest(t)
	load(t, c, segment(dataset.Raw, "2026-05-01T12", "a", 3), segment(dataset.Quarantine, "2026-05-01T12", "q", 0))
	load(t, c, segment(dataset.Raw, "2026-05-01T12", "b", 4))

	before, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		commit dataset.LoadCommit
		want   error
	}{
		"stale cursor": {dataset.LoadCommit{To: dataset.Cursor{Record: 9, Event: 1}, Loaded: 1, Segments: []dataset.NewSegment{segment(dataset.Raw, "2026-05-01T13", "z", 1)}}, dataset.ErrCursorMoved},
		"rows do not add up": {dataset.LoadCommit{
			From: dataset.Cursor{Record: 2, Event: 7}, To: dataset.Cursor{Record: 3, Event: 9},
			Loaded: 1, Segments: []dataset.NewSegment{segment(dataset.Raw, "2026-05-01T13", "z", 1)},
		}, nil},
		"not the loader's dataset": {dataset.LoadCommit{
			From: dataset.Cursor{Record: 2, Event: 7}, To: dataset.Cursor{Record: 3, Event: 7},
			Segments: []dataset.NewSegment{segment("plays", "2026-05-01T13", "z", 0)},
		}, nil},
	} {
		err := c.CommitLoad(t.Context(), bad.commit)
		if err == nil || bad.want != nil && !errors.Is(err, bad.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	after, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("a refused commit changed something: %s", d)
	}
	if after.Load != (LoadTotals{Events: 7, Loaded: 7}) {
		t.Errorf("totals %+v", after.Load)
	}
}

func TestCompactionChangesNoContentAndDropsNoLoad(t *testing.T) {
	c, _ := openTest(t)
	const p = "2026-05-01T12"
	parts := []dataset.NewSegment{segment(dataset.Raw, p, "a", 1), segment(dataset.Raw, p, "b", 2)}
	load(t, c, parts[0])
	load(t, c, parts[1])
	deploy(t, c, stageOver("plays", dataset.Raw, "same", dataset.Hour, 1))
	build(t, c, "plays", "x", 1)
	found, last, err := c.CompactionCandidates(t.Context(), 0, 2, 10)
	if err != nil || len(found) != 1 {
		t.Fatalf("candidates %+v, %v", found, err)
	}
	if again, _, err := c.CompactionCandidates(t.Context(), last, 2, 10); err != nil || len(again) != 0 {
		t.Errorf("candidates with nothing new: %+v, %v", again, err)
	}
	load(t, c, segment(dataset.Raw, p, "c", 4)) // comes in while the compaction works
	if again, _, err := c.CompactionCandidates(t.Context(), last, 2, 10); err != nil || len(again) != 1 || len(again[0].Segments) != 3 {
		t.Errorf("candidates with one new segment: %+v, %v", again, err)
	}
	build(t, c, "plays", "y", 1)

	merged := dataset.NewSegment{Dataset: dataset.Raw, Partition: p, Object: "ab", Rows: 3, Hash: parts[0].Hash.Add(parts[1].Hash)}
	k := dataset.Compaction{Dataset: dataset.Raw, Partition: p, Segment: merged}
	for _, s := range found[0].Segments {
		k.Replaced = append(k.Replaced, s.ID)
	}
	short := k
	short.Segment.Rows = 2
	if err := c.CommitCompaction(t.Context(), short); err == nil {
		t.Error("a compaction that loses a row was accepted")
	}
	if err := c.CommitCompaction(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if err := c.CommitCompaction(t.Context(), k); !errors.Is(err, dataset.ErrSegmentGone) {
		t.Errorf("compacting gone segments: %v", err)
	}
	if got := due(t, c); len(got) != 0 {
		t.Errorf("compaction made %v stale", got)
	}
	snap, err := c.Snapshot(t.Context(), []string{dataset.Raw})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"c", "ab"}, snap.Tables[0].Objects); d != "" || snap.Tables[0].Rows != 7 {
		t.Errorf("after compaction: %s, %d rows", d, snap.Tables[0].Rows)
	}
}

func TestDirtyingReachesExactlyTheReaders(t *testing.T) {
	c, _ := openTest(t)
	stages := []dataset.Deployment{
		stageOver("hourly", dataset.Raw, "same", dataset.Hour, 1),
		stageOver("sessions", dataset.Raw, "-1h..+1h", dataset.Hour, 1),
		stageOver("daily", "hourly", "same", dataset.Day, 2),
		stageOver("trailing", "daily", "-2d..0d", dataset.Day, 3),
	}
	for _, p := range []dataset.Partition{"2026-04-01T10", "2026-04-01T11", "2026-04-01T12", "2026-04-01T14", "2026-04-02T00", "2026-04-09T00"} {
		load(t, c, segment(dataset.Raw, p, "first", 1))
	}
	if _, err := c.Deploy(t.Context(), stages, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hourly", "sessions", "daily", "trailing"} {
		build(t, c, name, "one", 1)
	}
	if got := due(t, c); len(got) != 0 {
		t.Fatalf("not converged: %v", got)
	}
	if _, err := c.ClosePartitions(t.Context(), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	load(t, c, segment(dataset.Raw, "2026-04-01T11", "late", 1))
	want := []string{"sessions@2026-04-01T12", "hourly@2026-04-01T11", "sessions@2026-04-01T11", "sessions@2026-04-01T10"}
	if d := cmp.Diff(want, due(t, c)); d != "" {
		t.Errorf("a late event: %s", d)
	}
	build(t, c, "hourly", "two", 2)
	build(t, c, "sessions", "one", 1) // equal output: nothing below may move
	build(t, c, "daily", "two", 2)
	want = []string{"trailing@2026-04-02", "trailing@2026-04-01"} // the third has no reason to exist
	if d := cmp.Diff(want, due(t, c)); d != "" {
		t.Errorf("below: %s", d)
	}
}

func TestGoingBackIsAPointerMove(t *testing.T) {
	ctx := t.Context()
	const p = "2026-04-01T10"
	c, _ := openTest(t)
	load(t, c, segment(dataset.Raw, p, "a", 1))
	deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	build(t, c, "s", "one", 1)
	if _, err := c.ClosePartitions(ctx, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	load(t, c, segment(dataset.Raw, p, "b", 1))
	build(t, c, "s", "two", 2)
	objects := func() []string {
		snap, err := c.Snapshot(ctx, []string{"s"})
		if err != nil {
			t.Fatal(err)
		}
		return snap.Tables[0].Objects
	}
	if d := cmp.Diff([]string{"two" + p}, objects()); d != "" {
		t.Fatal(d)
	}
	load(t, c, segment(dataset.Raw, p, "c", 1))
	prior, err := c.Prior(ctx, "s", p, []byte("one"))
	if err != nil || !prior.Reusable || prior.Fresh {
		t.Fatalf("no trace of the first run: %+v, %v", prior, err)
	}
	tasks, err := listDue(ctx, c, Ask{Limit: 10, All: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CommitBuild(ctx, dataset.Build{Task: tasks[0], CodeIdentity: []byte("code of s"), TraceKey: []byte("one"), Reuse: true}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"one" + p}, objects()); d != "" {
		t.Errorf("after going back: %s", d)
	}
	// Appending to what was gone back to must not bring the later version's rows.
	load(t, c, segment(dataset.Raw, p, "d", 1))
	if tasks, err = listDue(ctx, c, Ask{Limit: 10, All: true}); err != nil {
		t.Fatal(err)
	}
	prior, err = c.Prior(ctx, "s", p, []byte("three"))
	if err != nil {
		t.Fatal(err)
	}
	more := segment("s", p, "more", 1)
	b := dataset.Build{Task: tasks[0], CodeIdentity: []byte("code of s"), TraceKey: []byte("three"), Content: &dataset.NewContent{Growth: dataset.Grew, Base: prior.Promoted, Segment: &more}}
	if err := c.CommitBuild(ctx, b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"one" + p, "more"}, objects()); d != "" {
		t.Errorf("after appending: %s", d)
	}
}

func TestDirtyAgainWhileRunning(t *testing.T) {
	c, _ := openTest(t)
	ctx := t.Context()
	const p = "2026-04-01T10"
	load(t, c, segment(dataset.Raw, p, "a", 1))
	deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	tasks, err := listDue(ctx, c, Ask{Limit: 10, All: false})
	if err != nil || len(tasks) != 1 {
		t.Fatal(tasks, err)
	}
	load(t, c, segment(dataset.Raw, p, "b", 1)) // while the task runs
	out := segment("s", p, "one", 1)
	if err := c.CommitBuild(ctx, dataset.Build{Task: tasks[0], CodeIdentity: []byte("code of s"), TraceKey: []byte("k"), Content: &dataset.NewContent{Segment: &out}}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"s@" + p}, due(t, c)); d != "" {
		t.Errorf("the second load was forgotten: %s", d)
	}
	if tasks, err = listDue(ctx, c, Ask{Limit: 10, All: false}); err != nil || len(tasks) != 0 {
		t.Errorf("it may not run at once, its debounce is a minute: %v, %v", tasks, err)
	}
	s, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Datasets[len(s.Datasets)-1]; got.Deferred != 1 || got.Fresh != 0 {
		t.Errorf("status %+v, want one deferred", got)
	}
}

func TestPausedStageCatchesUp(t *testing.T) {
	c, _ := openTest(t)
	ctx := t.Context()
	s := []dataset.Deployment{stageOver("s", dataset.Raw, "same", dataset.Hour, 1)}
	load(t, c, segment(dataset.Raw, "2026-04-01T10", "a", 1))
	for _, step := range []struct {
		deploy []dataset.Deployment
		paused []string
		want   []string
	}{
		{s, nil, []string{"s@2026-04-01T10"}},
		{nil, []string{"s"}, nil},
		{s, nil, []string{"s@2026-04-01T10", "s@2026-04-01T11"}},
	} {
		if _, err := c.Deploy(ctx, step.deploy, step.paused); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(step.want, slices.Sorted(slices.Values(due(t, c)))); d != "" {
			t.Errorf("due: %s", d)
		}
		build(t, c, "s", "x", 1)
		status, err := c.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		stale := int64(0)
		if step.deploy == nil {
			stale = 1 // who does not look cannot say that it is fresh
			load(t, c, segment(dataset.Raw, "2026-04-01T11", "b", 1))
		}
		if got := status.Datasets[len(status.Datasets)-1]; got.Stale != stale {
			t.Errorf("paused %v: %+v", step.paused, got)
		}
	}
}

func TestCollectKeepsWhatSomebodyReads(t *testing.T) {
	c, k := openTest(t)
	ctx := t.Context()
	const p = "2026-05-01T12"
	load(t, c, segment(dataset.Raw, p, "a", 1))
	load(t, c, segment(dataset.Raw, p, "b", 1))
	revision, err := c.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Lease(ctx, "reader", revision, time.Hour); err != nil {
		t.Fatal(err)
	}
	found, _, err := c.CompactionCandidates(ctx, 0, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	both := dataset.Compaction{Dataset: dataset.Raw, Partition: p}
	both.Segment = dataset.NewSegment{Dataset: dataset.Raw, Partition: p, Object: "ab", Rows: 2}
	for _, s := range found[0].Segments {
		both.Replaced, both.Segment.Hash = append(both.Replaced, s.ID), both.Segment.Hash.Add(s.Hash)
	}
	if err := c.CommitCompaction(ctx, both); err != nil {
		t.Fatal(err)
	}
	collect := func() []string {
		t.Helper()
		gone, err := c.Collect(ctx, 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return gone
	}
	if gone := collect(); len(gone) != 0 {
		t.Errorf("collected %v within the grace", gone)
	}
	k.t = k.t.Add(20 * time.Minute)
	if gone := collect(); len(gone) != 0 {
		t.Errorf("collected %v under a lease", gone)
	}
	if err := c.Unlease(ctx, "reader"); err != nil {
		t.Fatal(err)
	}
	if gone := collect(); len(gone) != 2 {
		t.Errorf("collected %v, want a and b", gone)
	}
	if named, err := c.Named(ctx, "ab"); err != nil || !named {
		t.Errorf("the live object is unnamed: %v, %v", named, err)
	}
}

func TestReadOnlyRefusesAnEmptyCatalog(t *testing.T) {
	_, err := Open(context.Background(), Options{Path: filepath.Join(t.TempDir(), "none.db"), ReadOnly: true})
	if err == nil {
		t.Error("opened a catalog that is not there")
	}
}
