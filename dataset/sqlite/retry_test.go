package sqlite

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

// refuse commits quarantine segments that follow on from the catalog's cursor,
// and returns what is live of them.
func refuse(t *testing.T, c *Catalog, segments ...dataset.NewSegment) []dataset.Segment {
	t.Helper()
	from, err := c.LoadCursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit := dataset.LoadCommit{From: from, To: from, Segments: segments}
	for _, s := range segments {
		commit.Quarantined += s.Rows
	}
	commit.To.Record, commit.To.Event = from.Record+1, from.Event+uint64(commit.Quarantined)
	if err := c.CommitLoad(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	return untried(t, c, nil)
}

func untried(t *testing.T, c *Catalog, identity []byte) []dataset.Segment {
	t.Helper()
	found, err := c.QuarantineSegments(t.Context(), identity, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// totals are the sums of loads and the promoted rows of both datasets.
func totals(t *testing.T, c *Catalog) (LoadTotals, map[string]int64) {
	t.Helper()
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int64{}
	for _, d := range s.Datasets {
		rows[d.Name] = d.Rows
	}
	return s.Load, rows
}

const noon = dataset.Partition("2026-05-01T12")

func TestRetryIsOneStep(t *testing.T) {
	c, _ := openTest(t)
	deploy(t, c, stageOver("junk", dataset.Quarantine, "same", dataset.Hour, 1), stageOver("plays", dataset.Raw, "same", dataset.Hour, 1))
	live := refuse(t, c, segment(dataset.Quarantine, noon, "q", 5))
	build(t, c, "junk", "j", 1)
	at, err := c.LoadCursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stay := segment(dataset.Quarantine, noon, "rest", 2)
	r := dataset.Retry{
		At: at, Replaced: live[0], With: &stay, Added: []dataset.NewSegment{segment(dataset.Raw, "2026-05-01T03", "r", 2)},
		Loaded: 2, Repeats: 1, Identity: []byte("one"), Sources: []string{"web"},
	}
	for name, bad := range map[string]struct {
		spoil func(*dataset.Retry)
		want  error
	}{
		"cursor moved":            {func(r *dataset.Retry) { r.At.Event++ }, dataset.ErrCursorMoved},
		"retried meanwhile":       {func(r *dataset.Retry) { r.At.Retries++ }, dataset.ErrCursorMoved},
		"segment is gone":         {func(r *dataset.Retry) { r.Replaced.ID = 99 }, dataset.ErrSegmentGone},
		"another segment":         {func(r *dataset.Retry) { r.Replaced.Hash[0]++ }, dataset.ErrSegmentGone},
		"does not add up":         {func(r *dataset.Retry) { r.Repeats++ }, nil},
		"rows of raw are missing": {func(r *dataset.Retry) { r.Loaded, r.Repeats = 1, 2 }, nil},
		"not raw":                 {func(r *dataset.Retry) { r.Added = []dataset.NewSegment{segment("plays", noon, "r", 2)} }, nil},
	} {
		broken := r
		bad.spoil(&broken)
		if _, err := c.CommitRetry(t.Context(), broken); err == nil || bad.want != nil && !errors.Is(err, bad.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if sums, _ := totals(t, c); sums.Quarantined != 5 {
		t.Fatalf("a refused retry left %+v", sums)
	}

	stays, err := c.CommitRetry(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	sums, rows := totals(t, c)
	if want := (LoadTotals{Events: 5, Loaded: 2, Quarantined: 2, Repeats: 1}); sums != want {
		t.Errorf("sums %+v, want %+v", sums, want)
	}
	if rows[dataset.Raw] != 2 || rows[dataset.Quarantine] != 2 {
		t.Errorf("rows %v", rows)
	}
	if diff := cmp.Diff([]string{"junk@2026-05-01T12", "plays@2026-05-01T03"}, due(t, c)); diff != "" {
		t.Errorf("readers (-want +got):\n%s", diff)
	}
	if found := untried(t, c, []byte("one")); len(found) != 0 {
		t.Errorf("what stays is to be tried again: %+v", found)
	}
	if found := untried(t, c, []byte("two")); len(found) != 1 || found[0].ID != stays || found[0].Hash != stay.Hash {
		t.Errorf("segment %d stays, found %+v", stays, found)
	}
	if _, err := c.CommitRetry(t.Context(), r); !errors.Is(err, dataset.ErrCursorMoved) {
		t.Errorf("the same step again: %v", err)
	}
	why, err := c.Why(t.Context(), dataset.Reference{Dataset: dataset.Raw, Partition: "2026-05-01T03"})
	if err != nil {
		t.Fatal(err)
	}
	if got := why.Version.Causes[0].Detail; got != "3 events of quarantine@2026-05-01T12 decode now, from web" {
		t.Errorf("why: %q", got)
	}
}

// An hour of quarantine in which everything decodes now is as if nothing had been
// refused in it, and goes on when something is.
func TestEmptyQuarantineIsAbsent(t *testing.T) {
	c, _ := openTest(t)
	live := refuse(t, c, segment(dataset.Quarantine, noon, "q", 3))
	at, _ := c.LoadCursor(t.Context())
	_, err := c.CommitRetry(t.Context(), dataset.Retry{At: at, Replaced: live[0], Added: []dataset.NewSegment{segment(dataset.Raw, noon, "r", 3)}, Loaded: 3})
	if err != nil {
		t.Fatal(err)
	}
	promoted, err := c.Promoted(t.Context(), dataset.Quarantine)
	if err != nil || len(promoted) != 0 {
		t.Fatalf("promoted %+v, %v", promoted, err)
	}
	refuse(t, c, segment(dataset.Quarantine, noon, "z", 1))
	sums, rows := totals(t, c)
	if want := (LoadTotals{Events: 4, Loaded: 3, Quarantined: 1}); sums != want || rows[dataset.Quarantine] != 1 {
		t.Errorf("sums %+v, rows %v", sums, rows)
	}
	snapshot, err := c.Snapshot(t.Context(), []string{dataset.Quarantine})
	if err != nil || len(snapshot.Tables[0].Objects) != 1 {
		t.Errorf("%+v, %v", snapshot, err)
	}
	if wrong, err := c.Miscounted(t.Context()); err != nil || wrong != nil {
		t.Errorf("miscounted %v, %v", wrong, err)
	}
}

// Compaction knows how what it joins was tried.
func TestCompactionCarriesTries(t *testing.T) {
	c, _ := openTest(t)
	refuse(t, c, segment(dataset.Quarantine, noon, "q", 1))
	live := refuse(t, c, segment(dataset.Quarantine, noon, "p", 2))
	join := func(name string, of ...dataset.Segment) {
		t.Helper()
		k := dataset.Compaction{Dataset: dataset.Quarantine, Partition: noon, Segment: dataset.NewSegment{Dataset: dataset.Quarantine, Partition: noon, Object: name}}
		for _, s := range of {
			k.Replaced, k.Segment.Rows, k.Segment.Hash = append(k.Replaced, s.ID), k.Segment.Rows+s.Rows, k.Segment.Hash.Add(s.Hash)
		}
		if err := c.CommitCompaction(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.MarkTried(t.Context(), []int64{live[0].ID, live[1].ID, 99}, []byte("one")); err != nil {
		t.Fatal(err)
	}
	join("both", live...)
	if found := untried(t, c, []byte("one")); len(found) != 0 {
		t.Errorf("both were tried, and %+v is to be", found)
	}
	live = refuse(t, c, segment(dataset.Quarantine, noon, "new", 1))
	join("all", live...)
	if found := untried(t, c, []byte("one")); len(found) != 1 {
		t.Errorf("one was not tried, and only %+v is to be", found)
	}
}
