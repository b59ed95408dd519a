package converge

import (
	"os"
	"testing"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// TestNothingIsComputedTwice goes forth and back with definitions and side
// inputs over closed history: what was computed once is found again, refused
// rows included, also after restarts, compactions and garbage collection.
func TestNothingIsComputedTwice(t *testing.T) {
	dir, err := os.MkdirTemp(fast(t), "reedbed-converge-") //nolint:usetesting // in memory, where there is such a folder
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w := newWorld(t, dir)
	w.sides["side0"] = []int64{1}
	w.stages = []definition{
		{
			name: "a", grain: dataset.Hour, rejects: "mod 3", windows: map[string]string{"raw": "same", "side0": "latest"},
			program: program{"map", 2, []string{"raw", "side0"}},
		},
		{name: "b", grain: dataset.Day, windows: map[string]string{"a": "-1h..+1h"}, program: program{"sum", 1, []string{"a"}}},
		{name: "c", grain: dataset.Hour, windows: map[string]string{"a_rejected": "same"}, program: program{"map", 3, []string{"a_rejected"}}},
	}
	w.start()
	defer w.close()
	w.load(1, 2, 2, 3, 30, 30, 30, 50)
	w.settle()
	w.mark.Store(w.base.Add(1000 * time.Hour).UnixMicro())
	w.settle()
	original := len(w.engine.builds)
	steps := []func(){
		func() { w.stages[0].program.K = 3 }, func() { w.stages[0].program.K = 2 },
		func() { w.sides["side0"] = []int64{2, 5} }, func() { w.stages[0].rejects = "mod 2" },
		func() { w.sides["side0"] = []int64{1} }, func() { w.stages[0].rejects = "mod 3" },
		func() { w.stages[1].comment = "-- in other words\n" }, func() { w.stages[2].program.K = 4 }, func() { w.stages[2].program.K = 3 },
	}
	for i, step := range steps {
		step()
		w.deploy()
		w.settle()
		w.check()
		w.compact()
		w.collect()
		if i%3 == 2 {
			w.stop()
			w.start()
		}
		if again := w.engine.repeats(false); len(again) > 0 {
			t.Fatalf("step %d computed again: %q", i, again)
		}
	}
	t.Logf("%d builds at first, %d in all", original, len(w.engine.builds))
	if len(w.engine.builds) == original {
		t.Error("no change computed anything")
	}
}
