package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

// reusable says which of the trace keys k1, k2 and so on of a partition of s need
// no run.
func reusable(t *testing.T, c *Catalog, p dataset.Partition, n int) []int {
	t.Helper()
	var out []int
	for i := range n {
		prior, err := c.Prior(t.Context(), "s", p, fmt.Appendf(nil, "k%d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		if prior.Reusable {
			out = append(out, i+1)
		}
	}
	return out
}

func TestFreeKeepsTheLastVersionsAndWhatAnybodySees(t *testing.T) {
	c, k := openWith(t, refusing(overRaw("s")), over("r", "s"), over("q", "s"))
	const p = "2026-04-01T10"
	versionsOfS(t, c, p, 7)
	build(t, c, "r", "x", 1)
	build(t, c, "q", "x", 1)
	held := pin(t, c, dataset.Pin{Stage: "r", Input: "s", Partition: p, Version: 1})
	if _, err := c.Promote(t.Context(), dataset.Promotion{Dataset: "s", Partition: p, Version: 2, Reason: "x", Actor: "x"}); err != nil {
		t.Fatal(err)
	}
	k.t = k.t.Add(time.Hour)
	collect(t, c, 0) // of raw and of the readers
	// 1 is pinned and 2 promoted; of 3 to 7 the last three stay.
	freed, err := c.Free(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Freed{Versions: 4, Bytes: 1400}, freed); d != "" {
		t.Errorf("freed: %s", d)
	}
	if gone := collect(t, c, time.Minute); len(gone) != 0 {
		t.Errorf("collected at once: %v", gone)
	}
	k.t = k.t.Add(time.Hour)
	if d := cmp.Diff([]string{"no3", "no4", "out3", "out4"}, collect(t, c, time.Minute)); d != "" {
		t.Errorf("collected: %s", d)
	}
	if d := cmp.Diff([]int{1, 2, 5, 6, 7}, reusable(t, c, p, 7)); d != "" {
		t.Errorf("what needs no run: %s", d)
	}
	_, err = c.Promote(t.Context(), dataset.Promotion{Dataset: "s", Partition: p, Version: 3})
	refusal(t, err, "cannot_promote")
	stillThere(t, c, "r", p)
	// Without the pin nothing holds version 1 and what was refused with it.
	unpin(t, c, held.ID)
	if freed, err := c.Free(t.Context(), 3); err != nil || freed.Versions != 2 {
		t.Errorf("after unpinning: %+v, %v", freed, err)
	}
	if freed, err := c.Free(t.Context(), 3); err != nil || freed.Versions != 0 {
		t.Errorf("freed twice: %+v, %v", freed, err)
	}
}

// TestFreedVersionIsComputedAgain goes back to a key whose files are gone: it is
// computed, and the trace leads to the new version.
func TestFreedVersionIsComputedAgain(t *testing.T) {
	c, _ := openWith(t, refusing(overRaw("s")))
	const p = "2026-04-01T10"
	versionsOfS(t, c, p, 3)
	if _, err := c.Free(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if got := reusable(t, c, p, 3); !slices.Equal(got, []int{3}) {
		t.Errorf("reusable without retention: %v", got)
	}
	load(t, c, segment(dataset.Raw, p, "back", 1))
	out, no := segment("s", p, "again1", 1), segment("s_rejected", p, "againno1", 1)
	commit(t, c, tasks(t, c)[0], "k1", dataset.Build{Content: &dataset.NewContent{Segment: &out, Rejected: &no}})
	if got := reusable(t, c, p, 3); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("after computing it again: %v", got)
	}
	if d := cmp.Diff([]string{"again1", "againno1"}, append(objectsOf(t, c, "s"), objectsOf(t, c, "s_rejected")...)); d != "" {
		t.Error(d)
	}
}

func TestOpenPartitionsAndBuiltinsAreNotFreed(t *testing.T) {
	c, _ := openWith(t, overRaw("s"))
	load(t, c, segment(dataset.Raw, "2026-05-01T12", "a", 1), segment(dataset.Raw, "2026-04-01T12", "b", 1))
	build(t, c, "s", "x", 1)
	if freed, err := c.Free(t.Context(), 0); err != nil || freed != (Freed{}) {
		t.Errorf("%+v, %v", freed, err)
	}
}

// TestFreeWaitsForLeases: who reads what was promoted at a revision goes on to,
// however many versions follow and however little is kept.
func TestFreeWaitsForLeases(t *testing.T) {
	c, k := openWith(t, refusing(overRaw("s")))
	const p = "2026-04-01T10"
	versionsOfS(t, c, p, 1)
	seen, err := c.Snapshot(t.Context(), []string{"s"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Lease(t.Context(), "reader", seen.Revision, 10*time.Hour); err != nil {
		t.Fatal(err)
	}
	load(t, c, segment(dataset.Raw, p, "late", 1))
	out := segment("s", p, "next", 2)
	commit(t, c, tasks(t, c)[0], "next", dataset.Build{Content: &dataset.NewContent{Segment: &out}})
	if _, err := c.Free(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	k.t = k.t.Add(time.Hour)
	if gone := collect(t, c, 0); slices.Contains(gone, seen.Tables[0].Objects[0]) {
		t.Errorf("collected %v under a lease", gone)
	}
	if err := c.Unlease(t.Context(), "reader"); err != nil {
		t.Fatal(err)
	}
	if gone := collect(t, c, 0); !slices.Contains(gone, seen.Tables[0].Objects[0]) {
		t.Errorf("collected %v after the lease", gone)
	}
}

// TestCollectLooksAtWhatIsHeldOnce: what stays is out of its way, until what held
// it goes; and it is done with what there is however many transactions it takes.
func TestCollectLooksAtWhatIsHeldOnce(t *testing.T) {
	c, k := openWith(t, overRaw("s"))
	const p = "2026-04-01T10"
	load(t, c, segment(dataset.Raw, p, "raw", 1))
	build(t, c, "s", "one", 1)
	closeAll(t, c)
	load(t, c, segment(dataset.Raw, p, "late", 1))
	build(t, c, "s", "two", 2)
	k.t = k.t.Add(time.Hour)
	// More has ended than one transaction looks at: half of it is held, by version 1 of s.
	const many = 2*endedBatch + 100
	_, err := c.write.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO segments (partition_id, object, rows, bytes, hash, origin, added_in, removed_in, removed_at, removed_rev)
		SELECT s.partition_id, 'x' || n.i, 0, 0, s.hash, 'build', n.i % 2, n.i % 2 + 1, s.removed_at, s.removed_rev
		FROM n, segments s JOIN partitions p ON p.id = s.partition_id JOIN datasets d ON d.id = p.dataset_id WHERE d.name = 's' AND s.removed_in = 2`, many)
	if err != nil {
		t.Fatal(err)
	}
	if gone := collect(t, c, 0); len(gone) != many/2 {
		t.Errorf("collected %d objects", len(gone))
	}
	left := func(condition string) (n int) {
		t.Helper()
		if err := c.write.QueryRow("SELECT COUNT(*) FROM segments WHERE removed_in IS NOT NULL AND " + condition).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if held, others := left("held = 1"), left("held = 0"); held != many/2+1 || others != 0 {
		t.Errorf("%d held, %d to be looked at again", held, others)
	}
	if _, err := c.Free(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	k.t = k.t.Add(time.Hour)
	if gone := collect(t, c, time.Minute); len(gone) != many/2+1 || left("TRUE") != 0 {
		t.Errorf("collected %d objects when nothing held them, %d are left", len(gone), left("TRUE"))
	}
}

func TestPreviewSaysWhatHappensAndChangesNothing(t *testing.T) {
	c, k := openWith(t, refusing(overRaw("s")))
	const p = "2026-04-01T10"
	versionsOfS(t, c, p, 5)
	k.t = k.t.Add(time.Hour)
	for _, grace := range []time.Duration{time.Minute, 0} {
		want, err := c.Preview(t.Context(), 1, grace)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Preview(t.Context(), 1, grace)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want.Removed)
		slices.Sort(again.Removed)
		if d := cmp.Diff(want, again); d != "" {
			t.Errorf("a preview changed something: %s", d)
		}
		freed, err := c.Free(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		got := Garbage{Freed: freed, Removed: collect(t, c, grace)}
		if got.Waiting, err = c.Waiting(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("grace %v: %s", grace, d)
		}
	}
}

func TestTraceOfErasedVersionNeverMatches(t *testing.T) {
	c, _ := openWith(t, refusing(overRaw("s")))
	const p = "2026-04-01T10"
	versionsOfS(t, c, p, 2)
	if _, err := c.write.ExecContext(t.Context(), "UPDATE versions SET erased_at = 1 WHERE number = 1"); err != nil {
		t.Fatal(err)
	}
	if got := reusable(t, c, p, 2); !slices.Equal(got, []int{2}) {
		t.Errorf("reusable: %v", got)
	}
}
