package node

import (
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
	found, err := n.catalog.CompactionCandidates(t.Context(), 2, 1)
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
		if err := n.collectOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(step.want, []bool{there(one), there(two), there(both.ID)}); d != "" {
			t.Errorf("%s: %s", step.name, d)
		}
	}
	age(t, n.store, one)
	if err := n.sweepOrphans(t.Context()); err != nil {
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
