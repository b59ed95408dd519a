package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// world is a random project of a few days, as the catalog has it.
type world struct {
	grains   map[string]dataset.Grain
	existing map[string]map[dataset.Partition]int64 // when it closed, 0 if it is open
	promoted map[string]int64                       // how many of them
	stages   []Planned                              // upstream first
	isNew    map[string]bool
	since    map[string]dataset.Partition // from when on stages followed rates before
	rates    []int64                      // the content of its versions, made at 10, 20, ...
	pinned   map[string]bool              // stages that read rates through a pin
	sides    []string                     // that changed
}

// ratesAt is what rates was at a time.
func (w world) ratesAt(at int64) int64 {
	return w.rates[min(max(at/10, 1), int64(len(w.rates)))-1]
}

const worldDays = 4

var worldBase = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// slots lists every partition of a grain the world has room for.
func slots(g dataset.Grain) []dataset.Partition {
	if g == dataset.None {
		return []dataset.Partition{dataset.Whole}
	}
	return slices.Collect(dataset.Interval{Start: worldBase, End: worldBase.Add(worldDays * 24 * time.Hour)}.Each(g))
}

func drawWorld(t *rapid.T) world {
	w := world{
		grains: map[string]dataset.Grain{dataset.Raw: dataset.Hour, "rates": dataset.None}, existing: map[string]map[dataset.Partition]int64{}, promoted: map[string]int64{}, isNew: map[string]bool{},
		since: map[string]dataset.Partition{}, pinned: map[string]bool{}, rates: rapid.SliceOfN(rapid.Int64Range(1, 2), 1, 3).Draw(t, "rates"),
	}
	w.draw(t, dataset.Raw)
	w.existing["rates"] = map[dataset.Partition]int64{dataset.Whole: 0}
	readable := []string{dataset.Raw, "rates"}
	for i := range rapid.IntRange(1, 5).Draw(t, "stages") {
		s := Planned{Name: fmt.Sprint("s", i), Grain: rapid.SampledFrom([]dataset.Grain{dataset.Hour, dataset.Hour, dataset.Day, dataset.None}).Draw(t, "grain")}
		w.isNew[s.Name] = rapid.IntRange(0, 4).Draw(t, "new") == 0
		s.Changed = w.isNew[s.Name] || rapid.IntRange(0, 3).Draw(t, "changed") == 0
		for _, in := range rapid.SliceOfNDistinct(rapid.SampledFrom(readable), 1, min(3, len(readable)), rapid.ID[string]).Draw(t, "inputs") {
			s.Edges = append(s.Edges, dataset.Edge{Input: in, Window: drawWindow(t, s.Grain, w.grains[in])})
			if in == "rates" && s.Edges[len(s.Edges)-1].Window.Kind == dataset.Latest && s.Grain != dataset.None {
				w.since[s.Name] = drawFrom(t)
			}
		}
		w.pinned[s.Name] = !w.isNew[s.Name] && rapid.IntRange(0, 5).Draw(t, "pinned") == 0
		s.Sample = rapid.IntRange(0, 4).Draw(t, "sample")
		w.grains[s.Name], w.grains[s.Name+"_rejected"] = s.Grain, s.Grain
		if !w.isNew[s.Name] {
			w.draw(t, s.Name)
			w.draw(t, s.Name+"_rejected")
		}
		w.stages, readable = append(w.stages, s), append(readable, s.Name, s.Name+"_rejected")
	}
	if rapid.Bool().Draw(t, "side changed") {
		w.sides = []string{"rates"}
	}
	return w
}

func drawWindow(t *rapid.T, to, from dataset.Grain) dataset.Window {
	texts := []string{"same", "same", "-1h..+1h", "-2d..0d", "-3h..-2h", "+1d..+2d", "all"}
	switch {
	case from == dataset.None:
		texts = []string{"latest", "as-of"}
	case to == dataset.None:
		texts = []string{"all"}
	}
	w, err := dataset.ParseWindow(rapid.SampledFrom(texts).Draw(t, "window"))
	if err != nil {
		t.Fatal(err)
	}
	if w.Kind == dataset.Latest && to != dataset.None {
		w.From = drawFrom(t)
	}
	return w
}

// drawFrom draws the day from which on a stage follows an input.
func drawFrom(t *rapid.T) dataset.Partition {
	day := rapid.IntRange(-1, worldDays).Draw(t, "from")
	if day < 0 {
		return ""
	}
	return dataset.PartitionAt(dataset.Day, worldBase.AddDate(0, 0, day))
}

func (w world) draw(t *rapid.T, name string) {
	w.existing[name] = map[dataset.Partition]int64{}
	w.promoted[name] = rapid.SampledFrom([]int64{0, 1, 5}).Draw(t, "promoted")
	for _, p := range slots(w.grains[name]) {
		if rapid.IntRange(0, 2).Draw(t, "there") == 0 {
			w.existing[name][p] = 0
			if p != dataset.Whole { // which never closes
				w.existing[name][p] = rapid.SampledFrom([]int64{0, 0, 0, 5, 15, 25, 35}).Draw(t, "closed")
			}
		}
	}
}

// record writes the world into a catalog, as it is before the plan.
func (w world) record(t *rapid.T, c *Catalog) {
	var deployed []dataset.Deployment
	for i, s := range w.stages {
		if w.isNew[s.Name] {
			continue
		}
		d := dataset.Deployment{
			Spec: dataset.Spec{Name: s.Name, Kind: dataset.Computed, Grain: s.Grain}, CodeIdentity: []byte("old"), Depth: i + 1,
			Rejected: &dataset.Spec{Name: s.Name + "_rejected", Kind: dataset.Rejected, Grain: s.Grain},
		}
		deployed = append(deployed, d) // edges are the plan's business
	}
	if _, err := c.Deploy(t.Context(), deployed, nil); err != nil {
		t.Fatal(err)
	}
	err := c.update(t.Context(), func(x *tx) error {
		for name, all := range w.existing {
			err := x.exec("INSERT INTO sums (dataset_id, level, starts, count, leaves) SELECT id, ?, 0, ?, zeroblob(32) FROM datasets WHERE name = ?",
				byYear, w.promoted[name], name)
			if err != nil {
				return err
			}
			for p, closed := range all {
				err := x.exec("INSERT INTO partitions (dataset_id, name, starts, ends, closed_at) SELECT id, ?, ?, ?, ? FROM datasets WHERE name = ?",
					p, micros(p.Start()), micros(p.End()), nullable(closed), name)
				if err != nil {
					return err
				}
			}
		}
		return w.recordRates(x)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// recordRates writes the versions of rates, and how the stages read it.
func (w world) recordRates(x *tx) error {
	const of = "FROM datasets d JOIN partitions p ON p.dataset_id = d.id WHERE d.name = 'rates'"
	for i, content := range w.rates {
		err := x.exec("INSERT INTO versions (partition_id, number, rows, bytes, hash, origin, created_at) SELECT p.id, ?, ?, 1, x'', 'side', ? "+of, i+1, content, 10*(i+1))
		if err != nil {
			return err
		}
	}
	if err := x.exec("INSERT INTO pointers (partition_id, version, generation, promoted_at) SELECT p.id, ?, 1, 1 "+of, len(w.rates)); err != nil {
		return err
	}
	const both = "FROM datasets s, datasets i WHERE s.name = ? AND i.name = 'rates'"
	for name, since := range w.since {
		if err := x.exec("INSERT INTO edges (dataset_id, input_id, producer_id, kind, lo, hi, since) SELECT s.id, i.id, i.id, 'latest', 0, 0, ? "+both, since, name); err != nil {
			return err
		}
	}
	for name, pinned := range w.pinned {
		if !pinned {
			continue
		}
		if err := x.exec("INSERT INTO pins (stage_id, input_id, name, reason, actor, created_at) SELECT s.id, i.id, '', '', '', 1 "+both, name); err != nil {
			return err
		}
	}
	return nil
}

// oracle goes through all partitions of all stages.
func (w world) oracle() map[string][]dataset.Partition {
	out := map[string][]dataset.Partition{}
	for _, name := range w.sides {
		out[name] = []dataset.Partition{dataset.Whole}
	}
	for _, s := range w.stages {
		for _, p := range slots(s.Grain) {
			if w.reaches(s, p, out) {
				out[s.Name] = append(out[s.Name], p)
			}
		}
	}
	return out
}

func (w world) reaches(s Planned, p dataset.Partition, reached map[string][]dataset.Partition) bool {
	closedAt, exists := w.existing[s.Name][p]
	closed := closedAt != 0
	anchored := slices.ContainsFunc(s.Edges, func(e dataset.Edge) bool {
		there := slices.Clone(reached[producer(e.Input)])
		for q := range w.existing[e.Input] {
			there = append(there, q)
		}
		return slices.ContainsFunc(there, func(q dataset.Partition) bool { return q != dataset.Whole && p.Interval().Overlaps(q.Interval()) })
	})
	if s.Changed {
		return exists || anchored || s.Grain == dataset.None
	}
	return slices.ContainsFunc(s.Edges, func(e dataset.Edge) bool {
		if e.Input == "rates" {
			return (exists || s.Grain == dataset.None) && !w.pinned[s.Name] && w.readsOtherRates(s, e.Window, p, closedAt)
		}
		from := reached[producer(e.Input)]
		own := slices.ContainsFunc(from, func(q dataset.Partition) bool { return p.Interval().Overlaps(q.Interval()) })
		switch {
		case len(from) == 0:
			return false
		case s.Grain == dataset.None:
			return true
		case e.Window.Kind == dataset.AsOf:
			return exists && !closed
		case e.Window.Kind == dataset.Latest:
			return exists && (!closed || e.Window.Follows(p))
		case e.Window.Kind == dataset.All:
			return exists || own || anchored && w.promoted[e.Input] <= 1 // it may be the first there is to read
		}
		reads := slices.ContainsFunc(from, func(q dataset.Partition) bool { return e.Window.Reads(p).Overlaps(q.Interval()) })
		return anchored && (reads || own && (e.Window.Lo > 0 || e.Window.Hi < 0))
	})
}

// readsOtherRates compares what a partition reads of rates before and after; new
// rates are unlike all that were before.
func (w world) readsOtherRates(s Planned, window dataset.Window, p dataset.Partition, closedAt int64) bool {
	read := func(window dataset.Window, latest int64) int64 {
		if closedAt != 0 && !window.Follows(p) {
			return w.ratesAt(closedAt)
		}
		return latest
	}
	latest := w.ratesAt(1000)
	before, after := window, latest
	if window.Kind == dataset.Latest {
		before.From = w.since[s.Name]
	}
	if len(w.sides) > 0 {
		after = -1
	}
	return read(before, latest) != read(window, after)
}

// TestReachIsWhatReadsWhatChanges compares the plan's set operations with a walk
// over every partition.
func TestReachIsWhatReadsWhatChanges(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		c, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			_ = os.Remove(path)
		}()
		for _, s := range []dataset.Spec{{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour}, {Name: "rates", Kind: dataset.Side, Grain: dataset.None}} {
			if err := c.EnsureDataset(t.Context(), s, 0); err != nil {
				t.Fatal(err)
			}
		}
		w := drawWorld(t)
		w.record(t, c)
		got := map[string][]dataset.Partition{}
		err = c.view(t.Context(), func(x *tx) error {
			found, err := x.reach(w.stages, w.sides)
			if err != nil {
				return err
			}
			err = x.each("SELECT name, starts FROM reach ORDER BY name, starts", nil, func(scan func(...any) error) error {
				var name string
				var starts int64
				err := scan(&name, &starts)
				got[name] = append(got[name], dataset.PartitionAt(w.grains[name], fromMicros(starts)))
				return err
			})
			for _, f := range found {
				all := got[f.Dataset]
				if f.Cost.Partitions != int64(len(all)) || f.First != all[0] || f.Last != all[len(all)-1] {
					t.Errorf("%s: %+v, of %v", f.Dataset, f, all)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(w.oracle(), got); d != "" {
			t.Errorf("the plan reaches other partitions: %s\n%+v", d, w.stages)
		}
	})
}

// TestReachCounts checks what a plan says that recomputing takes.
func TestReachCounts(t *testing.T) {
	c, _ := openTest(t)
	deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	for i, h := range []string{"10", "11", "12"} {
		p := dataset.Partition("2026-04-01T" + h)
		load(t, c, segment(dataset.Raw, p, "r"+h, 1))
		if i == 2 {
			break // nobody computed the last one
		}
		out := segment("s", p, "s"+h, int64(10*(i+1)))
		b := dataset.Build{
			CodeIdentity: []byte("code of s"), TraceKey: []byte(h), CPU: time.Duration(i+1) * time.Second, Wall: 4 * time.Second, Content: &dataset.NewContent{Segment: &out},
		}
		tasks, err := listDue(t.Context(), c, Ask{Limit: 9, All: true})
		if err != nil || len(tasks) != 1 {
			t.Fatal(tasks, err)
		}
		b.Task = tasks[0]
		if err := c.CommitBuild(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Reach(t.Context(), []Planned{{Name: "s", Grain: dataset.Hour, Changed: true, Identity: []byte("code of s"), Edges: []dataset.Edge{{Input: dataset.Raw, Window: dataset.Same}}}}, nil)
	want := []Reached{{
		Dataset: "s", Because: []string{"s"}, First: "2026-04-01T10", Last: "2026-04-01T12", Unknown: 1, Recorded: 2,
		Cost: dataset.Cost{Partitions: 3, Rows: 10 + 20 + 15, Bytes: 1000 + 2000 + 1500, CPU: 1 + 2 + 1.5, Wall: 12},
	}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
}

// BenchmarkReach plans a change of a stage with 10,000 partitions, and of what
// reads it through a window of 28 days.
func BenchmarkReach(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(strings.TrimSpace(fmt.Sprintf("partitions=%d", n)), func(b *testing.B) {
			c, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "catalog.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			if err := c.EnsureDataset(b.Context(), dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour}, 0); err != nil {
				b.Fatal(err)
			}
			big(b, c, n)
			stages := []Planned{
				{Name: "s", Grain: dataset.Hour, Changed: true, Identity: []byte("x"), Edges: []dataset.Edge{{Input: dataset.Raw, Window: dataset.Same}}},
				{Name: "day", Grain: dataset.Day, Edges: []dataset.Edge{{Input: "s", Window: dataset.Window{Kind: dataset.Span, Lo: -27 * 24 * time.Hour}}}},
			}
			for b.Loop() {
				found, err := c.Reach(b.Context(), stages, nil)
				if err != nil || len(found) != 2 || found[0].Cost.Partitions != int64(n) {
					b.Fatal(found, err)
				}
			}
		})
	}
}
