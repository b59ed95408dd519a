package converge

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// TestPlanCoversWhatIsComputed deploys random changes of random projects. What is
// computed afterwards is within what the plan said, and everything is as a
// computation from scratch has it, and as the samples said; rolled back, it is
// again as before.
func TestPlanCoversWhatIsComputed(t *testing.T) {
	shards(t, 5, func(t *testing.T, check func(*testing.T, func(*rapid.T))) {
		synctest.Test(t, func(t *testing.T) {
			catalog := newCatalog(t)
			check(t, func(t *rapid.T) { revised(t, catalog) })
		})
	})
}

func revised(t *rapid.T, catalog []byte) {
	w := newWorld(t, nil, catalog)
	defer w.close()
	w.draw(t)
	w.dateSome(t)
	w.start()
	w.load(drawHours(t, 8)...)
	w.settle()
	for range rapid.SampledFrom([]int{0, 1, 1, 2}).Draw(t, "closings") { // closed partitions remember different side inputs
		w.pass(time.Second)
		w.closeTo(rapid.SampledFrom([]int64{20, present - 36, present - 1, present + 100, present + 100}).Draw(t, "watermark"))
		w.settle() // a pass may have begun before the watermark moved
		w.pass(time.Second)
		w.drawSides(t)
		w.deploy()
		w.settle()
	}
	w.pass(time.Second)
	stages, sides := w.stages, maps.Clone(w.sides)
	w.revise(t)
	plan, before := w.plan(3)
	done, err := w.converger.Apply(t.Context(), w.project(), "test")
	w.must(err)
	if d := cmp.Diff(plan, done.Plan, cmpopts.IgnoreFields(Plan{}, "Samples")); d != "" {
		t.Fatalf("what was deployed is not what was planned: %s", d)
	}
	if (done.ID == 0) == plan.Pending() {
		t.Fatalf("apply %d of a plan with changes %v", done.ID, plan.Changes)
	}
	w.settle()
	w.check()
	w.within(done.ID)
	w.sampled(plan, before)
	if done.ID == 0 {
		return
	}
	w.pass(time.Second)
	sameSides := maps.EqualFunc(sides, w.sides, slices.Equal[[]int64])
	w.stages, w.sides = stages, sides
	back, err := w.converger.Rollback(t.Context(), nil, 0, "test")
	w.must(err)
	w.settle()
	w.check()
	w.within(back.ID)
	if score, err := w.catalog.Score(t.Context(), back.ID); err != nil || score.Executions > 0 && sameSides {
		t.Fatalf("rolling back computed %d partitions (%v)", score.Executions, err)
	}
}

// dateSome lets more stages follow a side input from some day on.
func (w *world) dateSome(t *rapid.T) {
	const side = "side0"
	if w.sides[side] == nil {
		w.sides[side] = []int64{1}
	}
	for i := range w.stages {
		d := &w.stages[i]
		if d.grain == dataset.None || d.windows[side] != "" || rapid.Bool().Draw(t, "not dated") {
			continue
		}
		d.windows[side], d.program.Whole[side] = w.drawFrom(t), true
		d.program.Inputs = slices.Sorted(maps.Keys(d.windows))
	}
}

// revise changes some of the definitions, from a copy of them: what stages compute,
// their text only, the days from which on they follow side inputs, and these.
func (w *world) revise(t *rapid.T) {
	w.stages = slices.Clone(w.stages)
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		d := &w.stages[rapid.IntRange(0, len(w.stages)-1).Draw(t, "stage")]
		d.program.K = rapid.Int64Range(1, 4).Draw(t, "k")
		d.comment = rapid.SampledFrom([]string{"", "-- in other words\n"}).Draw(t, "comment")
	}
	if rapid.Bool().Draw(t, "dates") {
		for i := range w.stages {
			w.redate(t, &w.stages[i])
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "sides") == 0 {
		w.drawSides(t)
	}
}

func (w *world) redate(t *rapid.T, d *definition) {
	d.windows = maps.Clone(d.windows)
	for _, name := range slices.Sorted(maps.Keys(d.windows)) {
		if strings.HasPrefix(d.windows[name], "latest") && d.grain != dataset.None && w.sides[name] != nil {
			d.windows[name] = w.drawFrom(t)
		}
	}
}

// plan plans the files with samples, and checks that nothing is left of it. Before
// is what was promoted.
func (w *world) plan(samples int) (plan Plan, before map[string]map[dataset.Partition][]row) {
	before = w.contents()
	out := filepath.Join(w.dir, "out")
	had, err := os.ReadDir(out)
	w.must(err)
	plan, err = w.converger.Plan(context.Background(), w.project(), PlanOptions{Sample: samples})
	w.must(err)
	left, err := os.ReadDir(out)
	w.must(err)
	if len(left) != len(had) || cmp.Diff(before, w.contents()) != "" {
		w.tb.Fatalf("planning left something behind: %v", left)
	}
	return plan, before
}

// sampled checks samples against what has come of the plan. Where something
// further up changed as well, they need not agree.
func (w *world) sampled(plan Plan, before map[string]map[dataset.Partition][]row) {
	affected := map[string]bool{}
	for _, a := range plan.Affected {
		affected[a.Dataset] = true
	}
	after := w.contents()
	for _, s := range plan.Samples {
		i := slices.IndexFunc(w.stages, func(d definition) bool { return d.name == s.Dataset })
		above := slices.ContainsFunc(w.stages[i].program.Inputs, func(in string) bool { return affected[strings.TrimSuffix(in, "_rejected")] })
		was, is := before[s.Dataset][dataset.Partition(s.Partition)], after[s.Dataset][dataset.Partition(s.Partition)]
		if s.Problem != "" || len(s.Files) == 0 || s.RowsBefore != int64(len(was)) {
			w.tb.Fatalf("a sample of %d rows: %+v", len(was), s)
		}
		if !above && (s.RowsAfter != int64(len(is)) || s.Equal != slices.Equal(was, is)) {
			w.tb.Fatalf("from %v became %v, and the sample says %+v", was, is, s)
		}
	}
}

// within checks that no more was computed for an apply than was predicted.
func (w *world) within(apply int64) {
	if apply == 0 {
		return
	}
	score, err := w.catalog.Score(context.Background(), apply)
	w.must(err)
	for _, d := range score.Datasets {
		if d.Executions > d.Predicted.Partitions {
			w.tb.Fatalf("%s: %d partitions were computed and %d predicted", d.Dataset, d.Executions, d.Predicted.Partitions)
		}
	}
	if score.Action == dataset.First {
		w.tb.Fatal("that was no first deployment")
	}
}
