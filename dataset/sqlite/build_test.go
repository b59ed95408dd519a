package sqlite

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

func deploy(t *testing.T, c *Catalog, stages ...dataset.Deployment) {
	t.Helper()
	if _, err := c.Deploy(t.Context(), stages, nil); err != nil {
		t.Fatal(err)
	}
}

func closeAll(t *testing.T, c *Catalog) {
	t.Helper()
	if _, err := c.ClosePartitions(t.Context(), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
}

func tasks(t *testing.T, c *Catalog) []dataset.Task {
	t.Helper()
	out, err := listDue(t.Context(), c, Ask{Limit: 1000, All: true})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func commit(t *testing.T, c *Catalog, k dataset.Task, key string, b dataset.Build) {
	t.Helper()
	b.Task, b.CodeIdentity, b.TraceKey = k, []byte("code of "+k.Dataset), []byte(key)
	if err := c.CommitBuild(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func objectsOf(t *testing.T, c *Catalog, name string) []string {
	t.Helper()
	snap, err := c.Snapshot(t.Context(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	return snap.Tables[0].Objects
}

func refusing(s dataset.Deployment) dataset.Deployment {
	r := s.Spec
	r.Name, r.Kind = r.Name+"_rejected", dataset.Rejected
	s.Rejected = &r
	return s
}

// TestRefusedRowsStayInStep goes back to an earlier run whose output is what is
// promoted but whose refused rows are not, with compactions in between.
func TestRefusedRowsStayInStep(t *testing.T) {
	c, _ := openTest(t)
	const p = "2026-04-01T10"
	load(t, c, segment(dataset.Raw, p, "a", 1))
	deploy(t, c, refusing(stageOver("s", dataset.Raw, "same", dataset.Hour, 1)), stageOver("r", "s_rejected", "same", dataset.Hour, 2))
	same, one, two := segment("s", p, "same", 5), segment("s_rejected", p, "one", 1), segment("s_rejected", p, "two", 2)
	commit(t, c, tasks(t, c)[0], "first", dataset.Build{Content: &dataset.NewContent{Segment: &same, Rejected: &one}})
	if d := cmp.Diff([]string{"r@" + p}, due(t, c)); d != "" {
		t.Fatalf("the reader of refused rows: %s", d)
	}
	build(t, c, "r", "x", 1)
	closeAll(t, c)
	load(t, c, segment(dataset.Raw, p, "b", 1))
	commit(t, c, tasks(t, c)[0], "second", dataset.Build{Content: &dataset.NewContent{Segment: &same, Rejected: &two}})
	if d := cmp.Diff([]string{"two"}, objectsOf(t, c, "s_rejected")); d != "" {
		t.Fatal(d)
	}
	build(t, c, "r", "y", 1)
	load(t, c, segment(dataset.Raw, p, "c", 1))
	prior, err := c.Prior(t.Context(), "s", p, []byte("first"))
	if err != nil || !prior.Reusable || prior.Fresh {
		t.Fatalf("the output is the same, the refused rows are not: %+v, %v", prior, err)
	}
	commit(t, c, tasks(t, c)[0], "first", dataset.Build{Reuse: true})
	if d := cmp.Diff([]string{"one"}, objectsOf(t, c, "s_rejected")); d != "" {
		t.Errorf("after going back: %s", d)
	}
	if d := cmp.Diff([]string{"r@" + p}, due(t, c)); d != "" {
		t.Errorf("the reader of refused rows: %s", d)
	}
	if prior, err = c.Prior(t.Context(), "s", p, []byte("first")); err != nil || !prior.Fresh {
		t.Errorf("after going back: %+v, %v", prior, err)
	}
	// Nothing to read any more: both go.
	build(t, c, "r", "x", 1)
	load(t, c, segment(dataset.Raw, p, "d", 1))
	commit(t, c, tasks(t, c)[0], "none", dataset.Build{Absent: true})
	if got := append(objectsOf(t, c, "s"), objectsOf(t, c, "s_rejected")...); len(got) != 0 {
		t.Errorf("left over: %v", got)
	}
}

func TestBuildOfAReplacedDefinitionIsRefused(t *testing.T) {
	c, _ := openTest(t)
	ctx := t.Context()
	const p = "2026-04-01T10"
	load(t, c, segment(dataset.Raw, p, "a", 1))
	s := stageOver("s", dataset.Raw, "same", dataset.Hour, 1)
	deploy(t, c, s)
	old, out := tasks(t, c)[0], segment("s", p, "old", 1)
	stale := dataset.Build{Task: old, CodeIdentity: s.CodeIdentity, TraceKey: []byte("k"), Content: &dataset.NewContent{Segment: &out}}
	for name, step := range map[string]func() error{
		"deployed anew": func() error {
			s.CodeIdentity = []byte("new")
			_, err := c.Deploy(ctx, []dataset.Deployment{s}, nil)
			return err
		},
		"paused":  func() error { _, err := c.Deploy(ctx, nil, []string{"s"}); return err },
		"retired": func() error { _, err := c.Deploy(ctx, nil, nil); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if err := c.CommitBuild(ctx, stale); !errors.Is(err, dataset.ErrSuperseded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	deploy(t, c, s)
	if d := cmp.Diff([]string{"s@" + p}, due(t, c)); d != "" {
		t.Error(d)
	}
}

// What judged a version as nobody does any more does not decide about it: that would
// answer for what judges it now.
func TestBuildJudgedByAReplacedGateIsRefused(t *testing.T) {
	c, _ := openTest(t)
	const p = "2026-04-01T10"
	load(t, c, segment(dataset.Raw, p, "a", 1))
	s := stageOver("s", dataset.Raw, "same", dataset.Hour, 1)
	s.Gate = []byte("before")
	deploy(t, c, s)
	s.Gate = []byte("after")
	deploy(t, c, s)
	out := segment("s", p, "x", 1)
	b := dataset.Build{Task: tasks(t, c)[0], CodeIdentity: s.CodeIdentity, Gate: []byte("before"), TraceKey: []byte("k"), Content: &dataset.NewContent{Segment: &out}}
	if err := c.CommitBuild(t.Context(), b); !errors.Is(err, dataset.ErrSuperseded) {
		t.Errorf("by the gate before: %v", err)
	}
	if d := cmp.Diff([]string{"s@" + p}, due(t, c)); d != "" {
		t.Error(d)
	}
	b.Gate = []byte("after")
	if err := c.CommitBuild(t.Context(), b); err != nil {
		t.Error(err)
	}
}

// TestNoCauseIsLost covers the races between a running task and what makes its
// partition dirty again.
func TestNoCauseIsLost(t *testing.T) {
	const p = "2026-04-01T10"
	t.Run("everything is read while the first run is under way", func(t *testing.T) {
		c, _ := openTest(t)
		load(t, c, segment(dataset.Raw, p, "a", 1))
		deploy(t, c, stageOver("s", dataset.Raw, "all", dataset.Hour, 1))
		running, out := tasks(t, c)[0], segment("s", p, "x", 1)
		load(t, c, segment(dataset.Raw, "2026-04-01T12", "b", 1))
		commit(t, c, running, "k", dataset.Build{Content: &dataset.NewContent{Segment: &out}})
		if got := due(t, c); !slices.Contains(got, "s@"+p) {
			t.Errorf("due: %v", got)
		}
	})
	t.Run("a task read before the entry was answered", func(t *testing.T) {
		c, _ := openTest(t)
		load(t, c, segment(dataset.Raw, p, "a", 1))
		deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
		running, out := tasks(t, c)[0], segment("s", p, "x", 1)
		late := running // chosen again just before the first run was committed
		commit(t, c, running, "k", dataset.Build{Content: &dataset.NewContent{Segment: &out}})
		load(t, c, segment(dataset.Raw, p, "b", 1))
		commit(t, c, late, "k", dataset.Build{Reuse: true})
		if d := cmp.Diff([]string{"s@" + p}, due(t, c)); d != "" {
			t.Error(d)
		}
	})
	t.Run("reported as failed but committed", func(t *testing.T) {
		c, k := openTest(t)
		load(t, c, segment(dataset.Raw, p, "a", 1))
		deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
		running, out := tasks(t, c)[0], segment("s", p, "x", 1)
		commit(t, c, running, "k", dataset.Build{Content: &dataset.NewContent{Segment: &out}})
		if err := c.FailBuild(t.Context(), running, []byte("k"), "the disk", k.t.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := due(t, c); len(got) != 0 {
			t.Errorf("due: %v", got)
		}
	})
}

func TestReadersOfOtherGrainsAndShiftedWindows(t *testing.T) {
	c, _ := openTest(t)
	deploy(
		t, c, stageOver("daily", dataset.Raw, "same", dataset.Day, 1), stageOver("finer", "daily", "same", dataset.Hour, 2),
		stageOver("before", dataset.Raw, "-1h..-1h", dataset.Hour, 1),
	)
	load(t, c, segment(dataset.Raw, "2026-04-01T10", "a", 1))
	load(t, c, segment(dataset.Raw, "2026-04-01T11", "b", 1))
	if got := due(t, c); !slices.Contains(got, "before@2026-04-01T11") {
		t.Errorf("an hour that reads the one before it came to exist after it: %v", got)
	}
	build(t, c, "daily", "x", 1)
	if got := due(t, c); len(slices.DeleteFunc(got, func(s string) bool { return s[:5] != "finer" })) != 24 {
		t.Errorf("an hourly reader of a day is due as %v", got)
	}
}

// TestDependencyOrder deploys a long history at once: nothing may run before
// what it reads, even where that comes far behind in the queue.
func TestDependencyOrder(t *testing.T) {
	c, _ := openTest(t)
	for day := range 40 {
		p := dataset.PartitionAt(dataset.Hour, time.Date(2026, 1, 1+day, 3, 0, 0, 0, time.UTC))
		load(t, c, segment(dataset.Raw, p, "a"+string(p), 1))
	}
	stages := []dataset.Deployment{stageOver("daily", dataset.Raw, "same", dataset.Day, 1), stageOver("trailing", "daily", "-27d..0d", dataset.Day, 2)}
	deploy(t, c, stages...)
	build(t, c, "daily", "x", 1)
	build(t, c, "trailing", "x", 1)
	for i := range stages {
		stages[i].CodeIdentity = append(stages[i].CodeIdentity, " again"...)
	}
	deploy(t, c, stages...)
	done := map[dataset.Partition]bool{}
	runs := 0
	for {
		some, err := listDue(t.Context(), c, Ask{Limit: 1, All: false})
		if err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			break
		}
		k := some[0]
		if runs++; k.Dataset == "daily" {
			done[k.Partition] = true
		} else {
			for p := range (dataset.Window{Kind: dataset.Span, Lo: -27 * 24 * time.Hour}).Reads(k.Partition).Each(dataset.Day) {
				if p >= "2026-01-01" && !done[p] {
					t.Fatalf("%s ran before %s", k.Partition, p)
				}
			}
		}
		s := segment(k.Dataset, k.Partition, "second"+string(k.Partition), 2)
		b := dataset.Build{Task: k, CodeIdentity: []byte("code of " + k.Dataset + " again"), TraceKey: []byte("second"), Content: &dataset.NewContent{Segment: &s}}
		if err := c.CommitBuild(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 80 {
		t.Errorf("%d runs for 80 partitions", runs)
	}
}

func TestFailureHoldsUpNobody(t *testing.T) {
	c, k := openTest(t)
	ctx := t.Context()
	const p = "2026-05-01T12"
	deploy(t, c, stageOver("up", dataset.Raw, "same", dataset.Hour, 1), stageOver("down", "up", "same", dataset.Hour, 2))
	load(t, c, segment(dataset.Raw, p, "a", 1))
	build(t, c, "up", "x", 1)
	load(t, c, segment(dataset.Raw, p, "b", 1))
	if d := cmp.Diff([]string{"up@" + p}, due(t, c)); d != "" {
		t.Fatalf("the reader must wait for what is about to change: %s", d)
	}
	if err := c.FailBuild(ctx, tasks(t, c)[0], []byte("k"), "no", k.t.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"down@" + p}, due(t, c)); d != "" {
		t.Errorf("the reader goes on with the last good version: %s", d)
	}
	build(t, c, "down", "x", 1)
	load(t, c, segment(dataset.Raw, p, "c", 1))
	if some, err := listDue(ctx, c, Ask{Limit: 9, All: false}); err != nil || len(some) != 0 {
		t.Errorf("a load frees what fails only after the debounce: %v, %v", some, err)
	}
	k.t = k.t.Add(2 * time.Minute)
	if d := cmp.Diff([]string{"up@" + p}, due(t, c)); d != "" {
		t.Errorf("after the debounce: %s", d)
	}
}

func TestClosingWaitsForWhatCanStillCome(t *testing.T) {
	c, _ := openTest(t)
	deploy(t, c, refusing(stageOver("sessions", dataset.Raw, "-1h..+1h", dataset.Hour, 1)))
	load(t, c, segment(dataset.Raw, "2026-04-01T10", "a", 1))
	out, no := segment("sessions", "2026-04-01T10", "x", 1), segment("sessions_rejected", "2026-04-01T10", "n", 1)
	commit(t, c, tasks(t, c)[0], "k", dataset.Build{Content: &dataset.NewContent{Segment: &out, Rejected: &no}})
	for _, step := range []struct {
		clock string
		want  int
	}{{"11:04:59", 0}, {"11:05:00", 1}, {"12:04:59", 0}, {"12:05:00", 1}, {"13:00:00", 0}} {
		mark, err := time.Parse(time.DateTime, "2026-04-01 "+step.clock)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.ClosePartitions(t.Context(), mark); err != nil || n != step.want {
			t.Errorf("at %s closed %d, %v; want %d", step.clock, n, err, step.want)
		}
	}
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Datasets {
		if d.Open != 0 {
			t.Errorf("%s has %d open partitions", d.Name, d.Open)
		}
	}
}

func TestAsOfKeepsWhatWasPromotedAtTheClose(t *testing.T) {
	c, _ := openTest(t)
	ctx := t.Context()
	side := func(object string) {
		t.Helper()
		s := segment("rates", dataset.Whole, object, int64(len(object)))
		if _, err := c.CommitSide(ctx, dataset.Spec{Name: "rates", Kind: dataset.Side, Grain: dataset.None}, "", s); err != nil {
			t.Fatal(err)
		}
	}
	side("1")
	side("22") // before the close: the one that counts, although the partition's time is long over
	s := stageOver("s", dataset.Raw, "same", dataset.Hour, 1)
	s.Edges = append(s.Edges, dataset.Edge{Input: "rates", Window: dataset.Window{Kind: dataset.AsOf}})
	deploy(t, c, s)
	const p = "2026-04-01T10"
	load(t, c, segment(dataset.Raw, p, "a", 1))
	build(t, c, "s", "x", 1)
	closeAll(t, c)
	side("333")
	if got := due(t, c); len(got) != 0 {
		t.Errorf("closed history follows: %v", got)
	}
	inputs, _, err := c.Inputs(ctx, "s", p)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(inputs, func(q dataset.Promoted) bool { return q.Dataset == "rates" }); inputs[i].Rows != 2 {
		t.Errorf("reads the version with %d rows, want the one promoted at the close", inputs[i].Rows)
	}
}

func TestRejectedDatasetComesAndGoesWithItsRule(t *testing.T) {
	c, _ := openTest(t)
	s := refusing(stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	for i := range 4 { // deployed, paused, deployed, deployed: it must stay
		var err error
		if i == 1 {
			_, err = c.Deploy(t.Context(), nil, []string{"s"})
		} else {
			_, err = c.Deploy(t.Context(), []dataset.Deployment{s}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Snapshot(t.Context(), []string{"s_rejected"}); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
	s.Rejected = nil
	deploy(t, c, s)
	if _, err := c.Snapshot(t.Context(), []string{"s_rejected"}); !errors.Is(err, ErrNoDataset) {
		t.Errorf("without a rule: %v", err)
	}
}

func TestKindAndGrainNeverChange(t *testing.T) {
	c, _ := openTest(t)
	deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	for want, s := range map[bool]dataset.Spec{
		false: {Name: "s", Kind: dataset.Computed, Grain: dataset.Hour},
		true:  {Name: "s", Kind: dataset.Computed, Grain: dataset.Day},
	} {
		if why, err := c.Conflict(t.Context(), s); err != nil || (why != nil) != want {
			t.Errorf("%+v: %v, %v", s, why, err)
		}
	}
	if err := c.EnsureDataset(t.Context(), dataset.Spec{Name: "s", Kind: dataset.Side, Grain: dataset.Hour}, 0); err == nil {
		t.Error("a stage became a side input")
	}
}

func TestSegmentsThatAreGoneAreNotReadAsNothing(t *testing.T) {
	c, k := openTest(t)
	const p = "2026-05-01T12"
	deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	load(t, c, segment(dataset.Raw, p, "a", 1))
	build(t, c, "s", "x", 1)
	old, err := c.Promoted(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	load(t, c, segment(dataset.Raw, p, "b", 1))
	build(t, c, "s", "y", 2)
	if _, err := c.Segments(t.Context(), old); err != nil {
		t.Errorf("within the grace: %v", err)
	}
	k.t = k.t.Add(time.Hour)
	if gone, err := c.Collect(context.Background(), time.Minute); err != nil || len(gone) != 1 {
		t.Fatalf("collected %v, %v", gone, err)
	}
	if _, err := c.Segments(t.Context(), old); !errors.Is(err, dataset.ErrSegmentGone) {
		t.Errorf("after it: %v", err)
	}
}

// listDue lists live work and then history.
func listDue(ctx context.Context, c *Catalog, ask Ask) ([]dataset.Task, error) {
	due, err := c.Due(ctx, ask)
	return append(due.Live, due.History...), err
}
