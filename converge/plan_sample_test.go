package converge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reedbed/reedbed/dataset"
)

// dated is a project of three days, of which two are closed: a follows side0 from
// the second day on, b reads a.
func dated(t *testing.T) *world {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.sides["side0"] = []int64{1}
	w.stages = []definition{
		{
			name: "a", grain: dataset.Hour, windows: map[string]string{"raw": "same", "side0": w.from(24)},
			program: program{Op: "map", K: 2, Inputs: []string{"raw", "side0"}},
		},
		{name: "b", grain: dataset.Day, windows: map[string]string{"a": "same"}, program: program{Op: "sum", K: 1, Inputs: []string{"a"}}},
	}
	w.start()
	w.load(1, 2, 30, 50)
	w.settle()
	w.closeTo(49)
	w.settle() // a pass may have begun before the watermark moved
	return w
}

func (w *world) from(hour int64) string {
	return "latest, from: " + string(w.partition(dataset.Day, hour))
}

// side gives side0 new content and deploys it.
func (w *world) side(values ...int64) {
	w.pass(time.Second)
	w.sides["side0"] = values
	w.deploy()
	w.settle()
	w.check()
	w.pass(time.Second)
}

// counts are the partitions that a plan predicts, by dataset.
func counts(p Plan) map[string]int64 {
	out := map[string]int64{}
	for _, a := range p.Affected {
		out[a.Dataset] = a.Cost.Partitions
	}
	return out
}

// TestPlanOfASideInput tries what follows the side input with its new rows, and
// leaves out what reads it as of its close.
func TestPlanOfASideInput(t *testing.T) {
	w := dated(t)
	w.sides["side0"] = []int64{7}
	plan, _ := w.plan(9)
	files := []string{"data/side0.csv"}
	want := []Sample{
		{Dataset: "a", Partition: string(w.partition(dataset.Hour, 30)), Files: files, RowsBefore: 1, RowsAfter: 1},
		{Dataset: "a", Partition: string(w.partition(dataset.Hour, 50)), Files: files, RowsBefore: 1, RowsAfter: 1},
	}
	if d := cmp.Diff(want, plan.Samples); d != "" {
		t.Errorf("a reads side0 itself, b does not: %s", d)
	}
	// New code and new rows: what reads side0 as of its close has the new code only.
	w.stages[0].program.K = 3
	plan, _ = w.plan(9)
	if len(plan.Samples) != 4 || cmp.Diff([]string{"data/side0.csv", "stages/a.sql"}, plan.Samples[0].Files) != "" {
		t.Errorf("%+v", plan.Samples)
	}
	w.stages[0].program.K = 2
	// The rows are the same, written otherwise.
	w.sides["side0"] = []int64{1}
	project := w.project()
	w.must(os.WriteFile(filepath.Join(project.DataDir, "side0.csv"), []byte("v\n1"), 0o600))
	plan, err := w.converger.Plan(t.Context(), project, PlanOptions{Sample: 9})
	if err != nil || len(plan.Samples) > 0 || len(plan.Changes) != 1 {
		t.Errorf("%v, %+v", err, plan)
	}
}

// TestPlanOfASideInputThatIsPinned: whoever reads it through a pin sees nothing of
// the new rows.
func TestPlanOfASideInputThatIsPinned(t *testing.T) {
	w := dated(t)
	pin, err := w.catalog.Pin(t.Context(), dataset.Pin{Stage: "a", Input: "side0", Reason: "x", Actor: "x"})
	w.must(err)
	w.sides["side0"] = []int64{7}
	plan, _ := w.plan(9)
	if len(plan.Affected) > 0 || len(plan.Samples) > 0 || !plan.Changes[0].Recomputes {
		t.Errorf("%+v", plan)
	}
	w.stages[0].comment = "-- else\n"
	w.stages[0].windows["side0"] = w.from(0)
	if plan, _ = w.plan(9); len(plan.Affected) > 0 {
		t.Errorf("another day does not matter through a pin: %+v", plan.Affected)
	}
	w.stages[0].program.K = 3
	plan, _ = w.plan(9)
	pinned := w.tries(t)
	_, err = w.catalog.Unpin(t.Context(), pin.ID, "x")
	w.must(err)
	if d := cmp.Diff(pinned, w.tries(t)); d == "" {
		t.Error("the new code was tried with the new rows, although a is pinned to the old ones")
	}
	if len(plan.Samples) != 4 {
		t.Errorf("%+v", plan.Samples)
	}
}

// tries computes the last partition of a as planned.
func (w *world) tries(t *testing.T) dataset.ContentHash {
	t.Helper()
	d, err := w.converger.propose(t.Context(), PlanOptions{}, func(d *proposal) (err error) {
		d.def, err = d.fromFolder(t.Context(), w.project(), d.before)
		return err
	})
	defer d.def.discard()
	w.must(err)
	res, err := d.try(t.Context(), d.set["a"], w.partition(dataset.Hour, 50), d.def.contents())
	w.must(err)
	remove(res)
	return res.Output.Hash
}

// TestPlanOfAMovedDate predicts the partitions whose reading changes, not all that
// are looked at.
func TestPlanOfAMovedDate(t *testing.T) {
	w := dated(t)
	w.side(7)
	for _, c := range []struct {
		name, window string
		says         string
		want         map[string]int64
	}{
		{"earlier", w.from(0), "would follow it", map[string]int64{"a": 2, "b": 1}},
		{"back", w.from(24), "would read it as of their close", map[string]int64{"a": 2, "b": 1}},
		{"later", w.from(72), "would read it as of their close", map[string]int64{"a": 1, "b": 1}},
		{"always", "latest", "would follow it", map[string]int64{"a": 3, "b": 2}},
		{"a day before all", w.from(-240), "before", map[string]int64{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.tb = t
			w.stages[0].windows = map[string]string{"raw": "same", "side0": c.window}
			plan, before := w.plan(9)
			if d := cmp.Diff(c.want, counts(plan)); d != "" {
				t.Error(d)
			}
			change := plan.Changes[0]
			if change.File != "stages/a.sql" || change.Recomputes != (len(c.want) > 0) || len(change.Changes) != 1 || !strings.Contains(change.Changes[0], c.says) {
				t.Errorf("in words: %+v", change)
			}
			done, err := w.converger.Apply(t.Context(), w.project(), "test")
			w.must(err)
			w.settle()
			w.check()
			w.within(done.ID)
			w.sampled(plan, before)
			if n := int64(len(plan.Samples)); n != c.want["a"] {
				t.Errorf("samples of a: %+v", plan.Samples)
			}
			w.pass(time.Second)
		})
	}
	w.tb = t
}

// TestPlanOfAMovedDateWithoutADifference: the side input is as it was when the
// partitions closed.
func TestPlanOfAMovedDateWithoutADifference(t *testing.T) {
	w := dated(t)
	w.stages[0].windows = map[string]string{"raw": "same", "side0": w.from(0)}
	plan, _ := w.plan(9)
	if len(plan.Affected) > 0 || len(plan.Changes) != 1 || plan.Changes[0].Recomputes {
		t.Errorf("%+v", plan)
	}
	// With new rows it does make a difference.
	w.sides["side0"] = []int64{7}
	plan, before := w.plan(9)
	if d := cmp.Diff(map[string]int64{"a": 4, "b": 3}, counts(plan)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a", "side0"}, plan.Affected[0].Because); d != "" {
		t.Error(d)
	}
	_, err := w.converger.Apply(t.Context(), w.project(), "test")
	w.must(err)
	w.settle()
	w.check()
	w.sampled(plan, before)
}

// TestPlanNamesUnstableStages when they would be recomputed, also by another
// revision with the same code.
func TestPlanNamesUnstableStages(t *testing.T) {
	w := dated(t)
	of, err := w.catalog.Recorded(t.Context(), "b", w.partition(dataset.Day, 50))
	w.must(err)
	w.must(w.catalog.MarkUnstable(t.Context(), of.Definition, "b@x: 3 rows"))
	w.stages[1].comment = "-- in other words\n"
	w.deploy()
	if plan, _ := w.plan(0); len(plan.Affected) > 0 {
		t.Fatalf("void: %+v", plan)
	}
	w.sides["side0"] = []int64{7}
	plan, _ := w.plan(0)
	got := map[string]string{}
	for _, a := range plan.Affected {
		got[a.Dataset] = a.Unstable
	}
	if d := cmp.Diff(map[string]string{"a": "", "b": "b@x: 3 rows"}, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}
