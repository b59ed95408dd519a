package converge

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// draw makes a random project: most are small.
func (w *world) draw(t *rapid.T) {
	for i := range rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "sides") {
		w.sides[fmt.Sprintf("side%d", i)] = []int64{int64(i + 1)}
	}
	for i := range rapid.SampledFrom([]int{1, 2, 2, 3, 3, 3, 4, 7}).Draw(t, "stages") {
		w.stages = append(w.stages, w.drawStage(t, fmt.Sprintf("s%d", i)))
	}
}

func (w *world) drawStage(t *rapid.T, name string) definition {
	d := definition{
		name: name, windows: map[string]string{}, program: program{Op: "sum", K: rapid.Int64Range(1, 4).Draw(t, "k")},
		grain: rapid.SampledFrom([]dataset.Grain{dataset.Hour, dataset.Hour, dataset.Day, dataset.None}).Draw(t, "grain"),
		late:  rapid.SampledFrom([]string{"", "", "{debounce: 1m}", "{allowance: 3h}"}).Draw(t, "late"),
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
	d.program.Whole = map[string]bool{}
	for _, in := range d.program.Inputs {
		d.program.Whole[in] = !w.timed(in)
	}
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
		return rapid.SampledFrom([]string{"as-of", w.drawFrom(t)}).Draw(t, "window")
	case g == dataset.None:
		return "all"
	}
	return rapid.SampledFrom([]string{"same", "same", "-1h..+1h", "-2d..0d", "-13d..0d", "-2h..-1h", "all"}).Draw(t, "window")
}

// drawFrom draws a window in which all of history follows a side input, or what is
// younger than some day.
func (w *world) drawFrom(t *rapid.T) string {
	day := func(hour int64) string { return "latest, from: " + string(w.partition(dataset.Day, hour)) }
	return rapid.SampledFrom([]string{"latest", "latest", day(24), day(present - 24), day(present)}).Draw(t, "from")
}

// drawHours draws what hours the rows of a load have: recent ones, or such as
// are two weeks late.
func drawHours(t *rapid.T, most int) []int64 {
	width := rapid.SampledFrom([]int64{2, 2, 3, 3, 8, 40}).Draw(t, "width")
	from := rapid.SampledFrom([]int64{present - width, present - width, present - 1, present - 36, 20}).Draw(t, "from")
	return rapid.SliceOfN(rapid.Int64Range(from, from+width-1), 1, most).Draw(t, "hours")
}

// step does one random thing to the world while it runs.
func (w *world) step(t *rapid.T) {
	w.pass(time.Second)
	switch rapid.SampledFrom([]string{
		"load", "load", "load", "load", "side", "define", "define", "close", "compact", "settle", "settle",
		"restart", "kill", "kill", "fail", "remove", "back",
	}).Draw(t, "step") {
	case "load":
		w.load(drawHours(t, 3)...)
	case "side":
		w.settle() // as-of looks at the moment of closing
		w.pass(time.Second)
		w.drawSides(t)
		w.deploy()
	case "define":
		w.redefine(t)
	case "close":
		w.closeTo(rapid.SampledFrom([]int64{20, present - 36, present - 2, present - 1, present + 100}).Draw(t, "watermark"))
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
		w.killed(t)
	case "fail":
		w.failEvery(rapid.Uint64Range(1, 3).Draw(t, "every"))
	case "remove":
		w.remove(t)
	case "back":
		w.thereAndBack(t)
	}
}

func (w *world) drawSides(t *rapid.T) {
	for _, name := range slices.Sorted(maps.Keys(w.sides)) {
		w.sides[name] = []int64{rapid.Int64Range(1, 2).Draw(t, name)}
	}
}

// redefine changes what a stage computes, its text only, or breaks its file
// until the next deployment.
func (w *world) redefine(t *rapid.T) {
	d := &w.stages[rapid.IntRange(0, len(w.stages)-1).Draw(t, "stage")]
	switch rapid.IntRange(0, 6).Draw(t, "change") {
	case 6:
		for _, name := range slices.Sorted(maps.Keys(d.windows)) {
			if _, dated := strings.CutPrefix(d.windows[name], "latest"); dated && d.grain != dataset.None && w.sides[name] != nil {
				d.windows[name] = w.drawFrom(t)
			}
		}
	case 0:
		d.comment = rapid.SampledFrom([]string{"", "-- in other words\n"}).Draw(t, "comment")
	case 1:
		if d.rejects != "" {
			d.rejects = rapid.SampledFrom([]string{"mod 2", "mod 3"}).Draw(t, "rejects")
		}
	case 2:
		d.broken = true
		defer func() { d.broken = false }()
	default:
		d.program.K = rapid.Int64Range(1, 4).Draw(t, "k")
	}
	w.deploy()
}

// remove takes a stage that nobody reads out of the project, or brings one back.
func (w *world) remove(t *rapid.T) {
	d := &w.stages[rapid.IntRange(0, len(w.stages)-1).Draw(t, "stage")]
	for _, other := range w.stages {
		_, readsIt := other.windows[d.name]
		_, refusedOfIt := other.windows[d.name+"_rejected"]
		_, itReads := d.windows[other.name]
		_, itReadsRefused := d.windows[other.name+"_rejected"]
		if (!other.gone && (readsIt || refusedOfIt)) || (other.gone && (itReads || itReadsRefused)) {
			return
		}
	}
	d.gone = !d.gone
	w.deploy()
}

// closeTo moves the watermark on to an hour.
func (w *world) closeTo(hour int64) {
	w.mark.Store(max(w.mark.Load(), w.base.Add(time.Duration(hour)*time.Hour).UnixMicro()))
	w.settle()
}

// thereAndBack changes definitions, and side inputs if everything is closed, and
// changes them back: that computes nothing, but for stages that are not cut by
// time, which never close and forget what came of other side inputs.
func (w *world) thereAndBack(t *rapid.T) {
	w.lift()
	w.settle()
	closed := rapid.Bool().Draw(t, "closed")
	if closed {
		w.closeTo(present + 100)
	}
	stages, sides := slices.Clone(w.stages), maps.Clone(w.sides)
	for range rapid.IntRange(1, 2).Draw(t, "changes") {
		w.pass(time.Second)
		w.redefine(t)
		if rapid.Bool().Draw(t, "settles") {
			w.settle()
			w.check()
		}
	}
	w.settle()
	w.pass(time.Second)
	if closed {
		w.drawSides(t)
		w.deploy()
		w.settle()
		w.check()
		w.pass(time.Second)
	}
	timed, whole, ran := w.ledger.timed, w.ledger.whole, len(w.ledger.ran)
	w.stages, w.sides = stages, sides
	w.deploy()
	w.settle()
	w.check()
	if n, m := w.ledger.timed-timed, w.ledger.whole-whole; n > 0 || (m > 0 && !closed) {
		w.tb.Fatalf("going back to what was on record computed %v", w.ledger.ran[ran:])
	}
}

func (w *world) failEvery(n uint64) {
	var asked atomic.Uint64
	w.engine.setBarrier(func(_ context.Context, done bool) error {
		if !done && asked.Add(1)%n == 0 {
			return errWorker
		}
		return nil
	})
}

// killed ends everything in the middle: before some build, when one is done and
// nobody knows, when its result was taken and is not on record, or within a
// deployment. Then it starts again from the files.
func (w *world) killed(t *rapid.T) {
	after := rapid.IntRange(0, 3).Draw(t, "builds before")
	at := rapid.SampledFrom([]string{"begin", "end", "taken", "deploy"}).Draw(t, "killed at")
	w.settle()
	w.pass(time.Second)
	if at == "deploy" {
		w.drawSides(t)
		ctx, kill := context.WithCancel(context.Background())
		w.engine.killAfter(after, kill)
		_, _ = w.deployWithin(ctx) // what it says nobody lives to read
		w.reopen()
		return
	}
	var asked atomic.Int64
	dying := make(chan struct{}, workers)
	w.engine.setBarrier(func(ctx context.Context, done bool) error {
		if done != (at != "begin") || asked.Add(1) <= int64(after) {
			return nil
		}
		if at == "taken" {
			w.kill()
		}
		dying <- struct{}{}
		if at == "taken" {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	})
	w.load(drawHours(t, 3)...)
	ctx, cancel := context.WithCancel(context.Background())
	settled := make(chan error, 1)
	go func() { settled <- w.converger.Settle(ctx) }()
	select {
	case <-dying:
		cancel()
		<-settled
	case err := <-settled:
		cancel()
		w.must(err)
	}
	w.reopen()
}

// TestConvergesToWhatScratchGives runs random projects under random loads,
// changes, failures and deaths. Once nothing is due, everything promoted is what
// an obvious computation over all raw rows gives, and nothing was computed twice
// under one trace key.
//
// REEDBED_CASES says how many; -rapid.seed, with the seed that a failure prints,
// begins with the one that failed.
func TestConvergesToWhatScratchGives(t *testing.T) {
	shards(t, 1, func(t *testing.T, check func(*testing.T, func(*rapid.T))) {
		synctest.Test(t, func(t *testing.T) {
			catalog := newCatalog(t)
			check(t, func(t *rapid.T) { live(t, nil, catalog) })
		})
	})
}

// live is one random case.
func live(t *rapid.T, b backend, catalog []byte) {
	w := newWorld(t, b, catalog)
	defer w.close()
	w.draw(t)
	w.start()
	w.load(drawHours(t, 5)...)
	for range rapid.SampledFrom([]int{1, 2, 2, 3, 3, 4, 5, 10}).Draw(t, "steps") {
		w.step(t)
	}
	w.settle()
	w.check()
	w.checkStatus()
	w.recheck()
	w.checkLedger()
	// A restart finds nothing to do.
	before := w.engine.succeeded.Load()
	w.reopen()
	w.settle()
	if n := w.engine.succeeded.Load() - before; n > 0 {
		t.Fatalf("a restart of what had converged computed %d partitions", n)
	}
}

// cases is how many random projects are tried; one in fifty with -short.
const cases = 200

// shards runs cases, or as many as REEDBED_CASES says, divided by cost, in
// parallel: each shard a hundred, with a seed of its own.
func shards(t *testing.T, cost int, shard func(t *testing.T, check func(*testing.T, func(*rapid.T)))) {
	number := func(text string) uint64 {
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	n := cases
	if text := os.Getenv("REEDBED_CASES"); text != "" {
		n = int(number(text))
	}
	const each = 100
	if testing.Short() {
		n /= 50
	}
	n = max(1, n/cost)
	set := func(name string, value uint64) {
		if err := flag.Set(name, strconv.FormatUint(value, 10)); err != nil {
			t.Fatal(err)
		}
	}
	seed, checks := number(flag.Lookup("rapid.seed").Value.String()), number(flag.Lookup("rapid.checks").Value.String())
	t.Cleanup(func() {
		set("rapid.seed", seed)
		set("rapid.checks", checks)
	})
	base := cmp.Or(seed, rand.Uint64N(1<<40))
	t.Logf("%d cases; -rapid.seed=%d", n, base)
	var starting sync.Mutex
	for i := 0; i*each < n; i++ {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			shard(t, func(t *testing.T, property func(*rapid.T)) {
				// rapid reads its flags, of which a process has one set, before the first case.
				starting.Lock()
				begun := sync.OnceFunc(starting.Unlock)
				set("rapid.seed", base+uint64(i)<<20)
				here := min(each, n-i*each)
				if testing.Short() {
					here *= 5 // which rapid undoes
				}
				set("rapid.checks", uint64(here))
				if err := flag.Set("rapid.shrinktime", "0s"); err != nil { // a bubble's clock stands still meanwhile
					t.Fatal(err)
				}
				rapid.Check(noDeadline{t}, func(t *rapid.T) {
					begun()
					property(t)
				})
			})
		})
	}
}

// noDeadline keeps rapid from asking for the deadline of a test in a synctest
// bubble, where there is none.
type noDeadline struct{ rapid.TB }

func (w *world) checkStatus() {
	s, err := w.catalog.Status(context.Background())
	w.must(err)
	for _, d := range s.Datasets {
		if sum := d.Fresh + d.Stale + d.Running + d.Deferred + d.Held + d.Waived + d.Failed + d.Erased + d.Absent; sum != d.Partitions || d.Fresh+d.Absent != sum {
			w.tb.Fatalf("after Settle: %+v", d)
		}
	}
}

// checkLedger looks for work that was done in vain.
func (w *world) checkLedger() {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	if len(w.ledger.twice) > 0 {
		w.tb.Fatalf("computed again: %q", w.ledger.twice)
	}
	if n, most := w.engine.succeeded.Load(), int64(w.ledger.timed+w.ledger.whole+w.ledger.dropped)+w.lost; n > most {
		w.tb.Fatalf("the engine computed %d partitions; %d were taken, %d were of a definition replaced meanwhile, at most %d were lost with a process",
			n, w.ledger.timed+w.ledger.whole, w.ledger.dropped, w.lost)
	}
	for _, f := range w.ledger.failures {
		if !strings.Contains(f, errWorker.Error()) {
			w.tb.Fatalf("failed by itself: %s", f)
		}
	}
}
