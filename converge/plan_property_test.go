package converge

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// TestPlanCoversWhatIsComputed deploys random changes of random projects. What is
// computed afterwards is within what the plan said, and everything is as a
// computation from scratch has it; rolled back, it is again as before.
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
	w.start()
	w.load(drawHours(t, 8)...)
	w.settle()
	if rapid.Bool().Draw(t, "closed") {
		w.closeTo(present + 100)
	}
	w.settle() // a pass may have begun before the watermark moved
	w.pass(time.Second)
	stages, sides := slices.Clone(w.stages), maps.Clone(w.sides)
	for range rapid.IntRange(1, 2).Draw(t, "changes") {
		d := &w.stages[rapid.IntRange(0, len(w.stages)-1).Draw(t, "stage")]
		d.program.K = rapid.Int64Range(1, 4).Draw(t, "k")
		d.comment = rapid.SampledFrom([]string{"", "-- in other words\n"}).Draw(t, "comment")
	}
	if rapid.Bool().Draw(t, "sides") {
		w.drawSides(t)
	}
	plan, err := w.converger.Plan(t.Context(), w.project(), PlanOptions{})
	w.must(err)
	done, err := w.converger.Apply(t.Context(), w.project(), "test")
	w.must(err)
	if d := cmp.Diff(plan, done.Plan); d != "" {
		t.Fatalf("what was deployed is not what was planned: %s", d)
	}
	if (done.ID == 0) == plan.Pending() {
		t.Fatalf("apply %d of a plan with changes %v", done.ID, plan.Changes)
	}
	w.settle()
	w.check()
	w.within(done.ID)
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
