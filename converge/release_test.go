package converge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// outside is all that a release group depends on, as it was at one moment.
type outside struct {
	raw    map[int64][]row
	sides  map[string][]int64
	stages []definition
}

// groupWorld is a project whose stages are, but for the last, one release group,
// with every state there was outside it.
type groupWorld struct {
	*world
	states []outside
}

func (g *groupWorld) note() {
	raw := map[int64][]row{}
	for h, rows := range g.raw {
		raw[h] = slices.Clone(rows)
	}
	g.states = append(g.states, outside{raw, maps.Clone(g.sides), slices.Clone(g.stages)})
}

func (g *groupWorld) draw(t *rapid.T) {
	g.sides["side0"] = []int64{1}
	n := rapid.IntRange(2, 4).Draw(t, "stages")
	for i := range n {
		d := g.drawStage(t, fmt.Sprintf("s%d", i))
		for in, text := range d.windows {
			if text == "as-of" {
				d.windows[in] = "latest"
			}
		}
		if d.release = ""; i < n-1 {
			d.release = "g"
		}
		g.stages = append(g.stages, d)
	}
}

// members are the datasets of the group.
func (g *groupWorld) members() []string {
	var out []string
	for _, d := range g.stages {
		if d.release == "" {
			continue
		}
		out = append(out, d.name)
		if d.rejects != "" {
			out = append(out, d.name+"_rejected")
		}
	}
	return out
}

// glance checks that what is promoted of the group at this moment is what one
// single state outside gives, and returns which.
func (g *groupWorld) glance(atLeast int) int {
	names := g.members()
	snapshot, err := g.catalog.Snapshot(context.Background(), names)
	g.must(err)
	seen := map[string][]row{}
	for _, table := range snapshot.Tables {
		var files []string
		for _, object := range table.Objects {
			files = append(files, g.store.Path(object))
		}
		rows, err := g.engine.read([][]string{files})
		g.must(err)
		seen[table.Dataset.Name] = slices.SortedFunc(slices.Values(rows[0]), compareRows)
	}
	var closest string
	for i := len(g.states) - 1; i >= atLeast; i-- {
		diff := cmp.Diff(g.expected(g.states[i], names), seen)
		if diff == "" {
			return i
		}
		if closest == "" || len(diff) < len(closest) {
			closest = diff
		}
	}
	g.tb.Fatalf("the group shows no single state from %d on, of %d: %s", atLeast, len(g.states), closest)
	return 0
}

func (g *groupWorld) expected(o outside, names []string) map[string][]row {
	tables := map[string]table{dataset.Raw: {1, o.raw}}
	for name, values := range o.sides {
		tables[name] = sideTableOf(values)
	}
	for _, d := range o.stages {
		tables[d.name], tables[d.name+"_rejected"] = g.compute(d, tables)
	}
	out := map[string][]row{}
	for _, name := range names {
		var rows []row
		for _, part := range tables[name].rows {
			rows = append(rows, part...)
		}
		out[name] = slices.SortedFunc(slices.Values(rows), compareRows)
	}
	return out
}

// TestReleaseGroupShowsOneState changes what a group of stages reads, again and
// again while it works, and looks at all of the group meanwhile: it must show
// what a single moment outside gives, moments in order, and in the end the last.
func TestReleaseGroupShowsOneState(t *testing.T) {
	begun := time.Now()
	catalog := newCatalog(t)
	rapid.Check(t, func(t *rapid.T) {
		if time.Since(begun) > 10*time.Second {
			return
		}
		g := &groupWorld{world: newWorld(t, nil, catalog)}
		defer g.close()
		g.draw(t)
		g.start()
		g.note()
		g.settle()
		shown := g.glance(0)
		for range rapid.IntRange(1, 5).Draw(t, "rounds") {
			settled := make(chan error, 1)
			go func() { settled <- g.converger.Settle(context.Background()) }()
			for range rapid.IntRange(1, 3).Draw(t, "changes") {
				g.change(t)
				shown = g.glance(shown)
			}
			for done := false; !done; {
				select {
				case err := <-settled:
					g.must(err)
					done = true
				default:
				}
				shown = g.glance(shown)
			}
			if rapid.IntRange(0, 3).Draw(t, "compact") == 0 {
				g.compact()
				shown = g.glance(shown)
			}
		}
		g.settle()
		g.check()
		g.recheck()
		g.glance(len(g.states) - 1)
	})
}

// change does one thing outside the group, and notes the state it leads to.
func (g *groupWorld) change(t *rapid.T) {
	switch rapid.SampledFrom([]string{"load", "load", "load", "side", "define", "fail"}).Draw(t, "change") {
	case "load":
		// What is committed is seen at once: the state must be known before.
		hours := rapid.SliceOfN(rapid.Int64Range(0, 5), 1, 3).Draw(t, "hours")
		before := g.value
		for i, h := range hours {
			g.raw[h] = append(g.raw[h], row{h, before + int64(i) + 1})
		}
		g.note()
		for _, h := range hours {
			g.raw[h] = g.raw[h][:len(g.raw[h])-1]
		}
		g.load(hours...)
	case "side":
		g.sides["side0"] = []int64{rapid.Int64Range(1, 2).Draw(t, "side0")}
		g.note()
		g.deploy()
	case "define":
		g.stages[rapid.IntRange(0, len(g.stages)-1).Draw(t, "stage")].program.K = rapid.Int64Range(1, 4).Draw(t, "k")
		g.note()
		g.deploy()
	case "fail":
		g.failEvery(3)
	}
}

// sick fails what a text is in.
type sick struct {
	backend
	part atomic.Value // string; empty for nothing
}

// Build is the backend's, if it is not to fail.
func (s *sick) Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	if text := s.part.Load().(string); text != "" && strings.Contains(job.SQL, text) {
		return engine.BuildResult{}, errWorker
	}
	return s.backend.Build(ctx, job)
}

// TestFailingMemberKeepsTheGroup lets one stage of a group fail on one hour: the
// others of the group stay on their last release with it, and all follow once
// its input has changed.
func TestFailingMemberKeepsTheGroup(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	defer w.close()
	ill := &sick{backend: w.engine.backend}
	ill.part.Store("")
	w.engine.backend = ill
	same := map[string]string{dataset.Raw: "same"}
	w.stages = []definition{
		{name: "a", grain: dataset.Hour, release: "g", windows: same, program: program{Op: "sum", K: 1, Inputs: []string{dataset.Raw}}},
		{name: "b", grain: dataset.Hour, release: "g", windows: same, program: program{Op: "sum", K: 2, Inputs: []string{dataset.Raw}}},
	}
	w.start()
	w.load(1)
	w.settle()
	w.check()
	before := w.contents()

	ill.part.Store("SELECT sum 2")
	w.load(1, 2)
	if err := w.converger.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := w.contents()
	for _, name := range []string{"a", "b"} {
		if diff := cmp.Diff(before[name], after[name]); diff != "" {
			t.Fatalf("%s went on, but its group is not whole: %s", name, diff)
		}
	}
	s, err := w.catalog.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Errors) == 0 || !strings.HasPrefix(s.Errors[0].Dataset, "b") {
		t.Fatalf("nobody says why: %+v", s.Errors)
	}

	ill.part.Store("")
	w.load(1)
	w.settle()
	w.check()
}
