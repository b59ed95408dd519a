package converge

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// draw makes a random project.
func (w *world) draw(t *rapid.T) {
	for i := range rapid.IntRange(0, 2).Draw(t, "sides") {
		w.sides[fmt.Sprintf("side%d", i)] = []int64{int64(i + 1)}
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "stages") {
		w.stages = append(w.stages, w.drawStage(t, fmt.Sprintf("s%d", i)))
	}
}

func (w *world) drawStage(t *rapid.T, name string) definition {
	d := definition{
		name: name, windows: map[string]string{}, program: program{Op: "sum", K: rapid.Int64Range(1, 4).Draw(t, "k")},
		grain: rapid.SampledFrom([]dataset.Grain{dataset.Hour, dataset.Hour, dataset.Day, dataset.None}).Draw(t, "grain"),
	}
	d.rejects = rapid.SampledFrom([]string{"", "", "mod 2", "mod 3"}).Draw(t, "rejects")
	choices := []string{dataset.Raw}
	for _, up := range w.stages {
		choices = append(choices, up.name)
		if up.rejects != "" {
			choices = append(choices, up.name+"_rejected")
		}
	}
	for range rapid.IntRange(1, 2).Draw(t, "inputs") {
		in := rapid.SampledFrom(choices).Draw(t, "input")
		d.windows[in] = w.drawWindow(t, d.grain, in)
	}
	for _, side := range slices.Sorted(maps.Keys(w.sides)) {
		if rapid.Bool().Draw(t, "reads side") {
			d.windows[side] = w.drawWindow(t, d.grain, side)
		}
	}
	d.program.Inputs = slices.Sorted(maps.Keys(d.windows))
	cut := slices.DeleteFunc(slices.Clone(d.program.Inputs), func(in string) bool { return !w.timed(in) })
	if len(cut) == 1 && rapid.IntRange(0, 3).Draw(t, "row-wise") > 0 {
		d.program.Op = "map"
		if d.grain != dataset.None {
			d.windows[cut[0]] = "same"
		}
	}
	return d
}

func (w *world) drawWindow(t *rapid.T, g dataset.Grain, in string) string {
	_, isSide := w.sides[in]
	switch {
	case !w.timed(in) && (g == dataset.None || !isSide):
		return "latest"
	case !w.timed(in):
		return rapid.SampledFrom([]string{"latest", "as-of"}).Draw(t, "window")
	case g == dataset.None:
		return "all"
	}
	return rapid.SampledFrom([]string{"same", "same", "-1h..+1h", "-2d..0d", "-2h..-1h", "all"}).Draw(t, "window")
}

// step does one random thing to the world while it runs.
func (w *world) step(t *rapid.T) {
	switch rapid.SampledFrom([]string{"load", "load", "load", "side", "define", "define", "close", "compact", "settle", "settle", "restart", "kill", "fail"}).Draw(t, "step") {
	case "load":
		w.load(rapid.SliceOfN(rapid.Int64Range(0, hours-1), 1, 6).Draw(t, "hours")...)
	case "side":
		w.settle() // as-of looks at the moment of closing
		for _, name := range slices.Sorted(maps.Keys(w.sides)) {
			w.sides[name] = []int64{rapid.Int64Range(1, 2).Draw(t, name)}
		}
		w.deploy()
	case "define":
		w.redefine(t)
	case "close":
		w.mark.Store(w.base.Add(time.Duration(rapid.Int64Range(0, 2*hours).Draw(t, "watermark")) * time.Hour).UnixMicro())
		w.settle()
	case "compact":
		w.compact()
	case "settle":
		w.settle()
		w.check()
		w.collect()
	case "restart":
		w.stop()
		w.start()
	case "kill":
		w.kill(rapid.IntRange(0, 3).Draw(t, "builds before"))
	case "fail":
		n := rapid.Uint64Range(1, 3).Draw(t, "every")
		var asked atomic.Uint64
		w.engine.setFail(func() error {
			if asked.Add(1)%n == 0 {
				return errWorker
			}
			return nil
		})
	}
}

// redefine changes what a stage computes, its text only, or breaks its file.
func (w *world) redefine(t *rapid.T) {
	d := &w.stages[rapid.IntRange(0, len(w.stages)-1).Draw(t, "stage")]
	switch rapid.IntRange(0, 5).Draw(t, "change") {
	case 0:
		d.comment = rapid.SampledFrom([]string{"", "-- in other words\n"}).Draw(t, "comment")
	case 1:
		if d.rejects != "" {
			d.rejects = rapid.SampledFrom([]string{"mod 2", "mod 3"}).Draw(t, "rejects")
		}
	case 2:
		d.broken = true
		w.deploy()
		d.broken = false
		return // until the next deployment
	default:
		d.program.K = rapid.Int64Range(1, 4).Draw(t, "k")
	}
	w.deploy()
}

// kill stops everything in the middle of a build and starts again.
func (w *world) kill(after int) {
	var asked atomic.Int64
	dying := make(chan struct{}, 100)
	w.engine.setFail(func() error {
		if asked.Add(1) <= int64(after) {
			return nil
		}
		dying <- struct{}{}
		time.Sleep(time.Millisecond) //nolint:forbidigo // what fails at once would be asked again at once
		return errWorker
	})
	w.load(0, 1)
	select {
	case <-dying:
	case <-time.After(50 * time.Millisecond):
	}
	w.stop()
	w.start()
}

// TestConvergesToWhatScratchGives runs random projects under random loads,
// changes, failures and restarts. After Settle everything promoted is what an
// obvious computation over all raw rows gives.
func TestConvergesToWhatScratchGives(t *testing.T) {
	parent := fast(t)
	begun := time.Now()
	long := flag.Lookup("rapid.checks").Value.String() != "100" // asked for
	rapid.Check(t, func(t *rapid.T) {
		if time.Since(begun) > 25*time.Second && !long {
			return
		}
		dir, err := os.MkdirTemp(parent, "reedbed-converge-") //nolint:usetesting // in memory, where there is such a folder
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := newWorld(t, dir)
		w.draw(t)
		w.start()
		defer w.close()
		w.load(rapid.SliceOfN(rapid.Int64Range(0, hours-1), 1, 10).Draw(t, "first hours")...)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			w.step(t)
		}
		w.settle()
		w.check()
		w.checkStatus()
		// A restart finds nothing to do.
		w.engine.repeats(true)
		w.stop()
		w.start()
		w.settle()
		if n := len(w.engine.builds); n > 0 {
			t.Fatalf("a restart of what had converged computed %d partitions", n)
		}
	})
}

func (w *world) checkStatus() {
	s, err := w.catalog.Status(context.Background())
	w.must(err)
	for _, d := range s.Datasets {
		if sum := d.Fresh + d.Stale + d.Running + d.Deferred + d.Held + d.Waived + d.Failed + d.Erased + d.Absent; sum != d.Partitions || d.Fresh+d.Absent != sum {
			w.tb.Fatalf("after Settle: %+v", d)
		}
	}
}
