package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// history is a catalog with stages that are computed, though nothing runs: what
// a stage makes is a hash of its trace key.
type history struct {
	t      *rapid.T
	c      *Catalog
	stages []dataset.Deployment
	loads  int
	built  map[string]int // how often each partition was computed
}

func newHistory(t *rapid.T, dir string, stages []dataset.Deployment) *history {
	c, err := Open(context.Background(), Options{Path: filepath.Join(dir, "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	h := &history{t: t, c: c, stages: stages, built: map[string]int{}}
	h.must(c.EnsureDataset(context.Background(), dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour}, 0))
	_, err = h.deployAll()
	h.must(err)
	return h
}

// drawStages draws a project, each stage over one or two of raw and those before it.
func drawStages(t *rapid.T, most int) (out []dataset.Deployment) {
	inputs := []string{dataset.Raw}
	grains := map[string]dataset.Grain{dataset.Raw: dataset.Hour}
	for i := range rapid.IntRange(1, most).Draw(t, "stages") {
		name := fmt.Sprintf("s%d", i)
		grain := rapid.SampledFrom([]dataset.Grain{dataset.Hour, dataset.Hour, dataset.Day, dataset.None}).Draw(t, "grain")
		var edges []dataset.Edge
		for _, in := range slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.SampledFrom(inputs), 1, 2, rapid.ID).Draw(t, "inputs"))) {
			windows := []string{"same", "same", "-1h..+1h", "-3d..0d", "-2h..-1h", "+1d..+2d", "-800d..0d", "all"}
			switch {
			case grains[in] == dataset.None:
				windows = []string{"latest", "as-of"}
			case grain == dataset.None:
				windows = []string{"all"}
			}
			edges = append(edges, edgeTo(t, in, rapid.SampledFrom(windows).Draw(t, "window")))
		}
		out = append(out, historyStage(name, grain, i+1, edges...))
		inputs, grains[name] = append(inputs, name), grain
	}
	return out
}

// drawDated draws a project that reads something not cut by time as of a close.
func drawDated(t *rapid.T) []dataset.Deployment {
	model := edgeTo(t, "model", "as-of")
	if rapid.Bool().Draw(t, "from a day on") {
		model = edgeTo(t, "model", "latest")
		model.Window.From = "2026-01-01"
	}
	grain := rapid.SampledFrom([]dataset.Grain{dataset.Hour, dataset.Day}).Draw(t, "grain")
	return []dataset.Deployment{
		historyStage("model", dataset.None, 1, edgeTo(t, dataset.Raw, "all")),
		historyStage("scored", grain, 2, model, edgeTo(t, dataset.Raw, "same")),
		historyStage("wide", grain, 3, edgeTo(t, "scored", "-1d..0d")),
	}
}

func historyStage(name string, g dataset.Grain, depth int, edges ...dataset.Edge) dataset.Deployment {
	return dataset.Deployment{
		Spec: dataset.Spec{Name: name, Kind: dataset.Computed, Grain: g}, Depth: depth, CodeIdentity: []byte("code of " + name), Edges: edges,
	}
}

func edgeTo(t *rapid.T, input, window string) dataset.Edge {
	w, err := dataset.ParseWindow(window)
	if err != nil {
		t.Fatal(err)
	}
	return dataset.Edge{Input: input, Window: w}
}

func (h *history) deployAll() ([]string, error) {
	return h.c.Deploy(context.Background(), h.stages, nil)
}

// dueNow lists what is due, postponed or not.
func (h *history) dueNow() []dataset.Task {
	due, err := listDue(context.Background(), h.c, Ask{Limit: 100_000, All: true})
	h.must(err)
	return due
}

func (h *history) must(err error) {
	if err != nil {
		h.t.Helper()
		h.t.Fatal(err)
	}
}

// hour draws an hour out of few, some years apart.
func (h *history) hour() dataset.Partition {
	day := rapid.SampledFrom([]string{"2024-02-28", "2024-02-29", "2025-12-31", "2026-01-01", "2026-04-01", "2026-04-02"}).Draw(h.t, "day")
	return dataset.Partition(fmt.Sprintf("%sT%02d", day, rapid.SampledFrom([]int{0, 1, 2, 22, 23}).Draw(h.t, "hour")))
}

func (h *history) load() {
	from, err := h.c.LoadCursor(context.Background())
	h.must(err)
	h.loads++
	l := dataset.LoadCommit{From: from, To: from, Loaded: 1, Segments: []dataset.NewSegment{{
		Dataset: dataset.Raw, Partition: h.hour(), Object: fmt.Sprint("load", h.loads), Rows: 1, Bytes: 1, Hash: hashOf(fmt.Sprint(h.loads)),
	}}}
	l.To.Event, l.To.Record = from.Event+1, from.Record+1
	h.must(h.c.CommitLoad(context.Background(), l))
}

// pin has a stage read some input as it is now, all of it or one partition.
func (h *history) pin() {
	s := rapid.SampledFrom(h.stages).Draw(h.t, "pinned stage")
	p := dataset.Pin{Stage: s.Spec.Name, Input: rapid.SampledFrom(s.Edges).Draw(h.t, "pinned input").Input, Reason: "x", Actor: "x"}
	there, err := h.c.Promoted(context.Background(), p.Input)
	h.must(err)
	if len(there) > 0 && rapid.Bool().Draw(h.t, "one partition") {
		p.Partition = rapid.SampledFrom(there).Draw(h.t, "pinned partition").Partition
	}
	_, err = h.c.Pin(context.Background(), p)
	if _, refused := errors.AsType[*dataset.Refusal](err); !refused {
		h.must(err)
	}
}

func hashOf(s string) dataset.ContentHash {
	sum := sha256.Sum256([]byte(s))
	return dataset.HashFromBytes(sum[:])
}

func (h *history) stage(name string) dataset.Deployment {
	return h.stages[slices.IndexFunc(h.stages, func(s dataset.Deployment) bool { return s.Spec.Name == name })]
}

// keyNow is the trace key a partition would get, from the list of all it reads;
// nil if it should not exist.
func (h *history) keyNow(stage string, p dataset.Partition) []byte {
	in, anchored, err := h.c.Inputs(context.Background(), stage, p)
	h.must(err)
	timed, some := false, false
	for _, e := range h.stage(stage).Edges {
		if e.Window.Kind == dataset.Span || e.Window.Kind == dataset.All {
			timed = true
			some = some || slices.ContainsFunc(in, func(q dataset.Promoted) bool { return q.Dataset == e.Input && q.Version != 0 })
		}
	}
	if !anchored || timed && !some {
		return nil
	}
	return dataset.TraceKey(stage, p, h.stage(stage).CodeIdentity, dataset.Reads(in))
}

// converge answers everything that is due, in the order of the catalog.
func (h *history) converge() {
	for range 20_000 {
		due := h.dueNow()
		if len(due) == 0 {
			return
		}
		h.answer(due[0])
	}
	h.t.Fatal("does not converge")
}

func (h *history) answer(k dataset.Task) {
	ctx := context.Background()
	b := dataset.Build{Task: k, CodeIdentity: h.stage(k.Dataset).CodeIdentity}
	key, stands, err := h.c.Stands(ctx, k.Dataset, k.Partition, b.CodeIdentity)
	h.must(err)
	b.TraceKey = h.keyNow(k.Dataset, k.Partition)
	prior, err := h.c.Prior(ctx, k.Dataset, k.Partition, b.TraceKey)
	h.must(err)
	switch {
	case stands && (!prior.Fresh || !bytes.Equal(key, b.TraceKey)):
		h.t.Fatalf("%s@%s stands by its sums, and not by the list of its inputs", k.Dataset, k.Partition)
	case stands:
		b.Standing, b.Reuse = true, true
	case b.TraceKey == nil:
		b.Absent = true
	case prior.Reusable:
		b.Reuse = true
	default:
		h.built[fmt.Sprintf("%s@%s", k.Dataset, k.Partition)]++
		rows := int64(b.TraceKey[0] % 3) // now and then there is nothing
		b.Content = &dataset.NewContent{}
		if rows > 0 {
			b.Content.Segment = &dataset.NewSegment{
				Dataset: k.Dataset, Partition: k.Partition, Object: fmt.Sprintf("%x", b.TraceKey), Rows: rows, Bytes: 1, Hash: hashOf(string(b.TraceKey[:1])),
			}
		}
	}
	if !b.Standing {
		b.Inputs, _, err = h.c.Inputs(ctx, k.Dataset, k.Partition)
		h.must(err)
	}
	h.must(h.c.CommitBuild(ctx, b))
}

// stale compares every partition there could be, one by one, with what it should be.
func (h *history) stale() []Finding {
	var out []Finding
	for _, s := range h.stages {
		names := map[dataset.Partition]bool{}
		if s.Spec.Grain == dataset.None {
			names[dataset.Whole] = true
		} else {
			for _, day := range []string{"2024-02-28", "2024-02-29", "2025-12-31", "2026-01-01", "2026-04-01", "2026-04-02"} {
				for hour := range 24 {
					at, err := time.Parse("2006-01-02T15", fmt.Sprintf("%sT%02d", day, hour))
					h.must(err)
					names[dataset.PartitionAt(s.Spec.Grain, at)] = true
				}
			}
		}
		for name := range names {
			var standing []byte
			h.must(h.c.view(context.Background(), func(t *tx) error {
				d, err := t.dataset(s.Spec.Name)
				h.must(err)
				p, err := t.partition(d, name)
				h.must(err)
				standing, err = t.standing(p)
				return err
			}))
			switch now := h.keyNow(s.Spec.Name, name); {
			case standing != nil && now == nil:
				out = append(out, Finding{s.Spec.Name, name, "superfluous"})
			case standing == nil && now != nil:
				out = append(out, Finding{s.Spec.Name, name, "missing"})
			case !bytes.Equal(standing, now):
				out = append(out, Finding{s.Spec.Name, name, "other inputs"})
			}
		}
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return bytes.Compare([]byte(a.Dataset+" "+string(a.Partition)), []byte(b.Dataset+" "+string(b.Partition)))
	})
	return out
}

// checkSums compares the sum over a random time with the list of what is in it.
func (h *history) checkSums() {
	for _, s := range append([]dataset.Deployment{{Spec: dataset.Spec{Name: dataset.Raw, Grain: dataset.Hour}}}, h.stages...) {
		from := h.hour().Start().Add(time.Duration(rapid.IntRange(-2, 2).Draw(h.t, "from")) * time.Hour)
		i := dataset.Interval{Start: from, End: from.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 24, 25, 24 * 40, 24 * 400, 24 * 1200}).Draw(h.t, "hours")) * time.Hour)}
		all, err := h.c.Promoted(context.Background(), s.Spec.Name)
		h.must(err)
		var want dataset.Sum
		for _, q := range all {
			if q.Partition == dataset.Whole || q.Partition.Interval().Overlaps(i) {
				want = want.Add(dataset.Leaf(q))
			}
		}
		h.must(h.c.view(context.Background(), func(t *tx) error {
			d, err := t.dataset(s.Spec.Name)
			h.must(err)
			got, err := t.promotedIn(d.ID, d.Spec.Grain, i)
			if got != want {
				h.t.Fatalf("%s from %v to %v: %+v, want %+v", s.Spec.Name, i.Start, i.End, got, want)
			}
			return err
		}))
	}
}

// checkBlocks looks for what is stale with more or less time in memory at once.
func (h *history) checkBlocks(want []Finding) {
	var plan recheck
	h.must(h.c.view(context.Background(), func(t *tx) (err error) {
		plan, err = t.planRecheck()
		return err
	}))
	plan.step = time.Duration(rapid.IntRange(1, 40).Draw(h.t, "days at once")) * 24 * time.Hour
	found, err := h.c.recheckParts(context.Background(), plan.parts())
	h.must(err)
	byName := cmpopts.SortSlices(func(a, b Finding) bool {
		return a.Dataset < b.Dataset || a.Dataset == b.Dataset && a.Partition < b.Partition
	})
	if d := cmp.Diff(want, found.Stale, byName); d != "" {
		h.t.Fatalf("%v at once: %s", plan.step, d)
	}
}

// TestRecheckFindsWhatNothingMarked runs random histories. A full check finds
// nothing after they converged; when somebody meddles with the tables, it finds
// exactly the partitions that are not what they should be, and they are due.
func TestRecheckFindsWhatNothingMarked(t *testing.T) {
	parent := "/dev/shm" // nothing here waits for a disk
	if _, err := os.Stat(parent); err != nil {
		parent = t.TempDir()
	}
	begun := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		if time.Since(begun) > 10*time.Second {
			return
		}
		dir, err := os.MkdirTemp(parent, "reedbed-recheck-") //nolint:usetesting // gone after each case
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		stages := drawStages(t, 4)
		if rapid.IntRange(0, 3).Draw(t, "dated") == 0 {
			stages = drawDated(t)
		}
		h := newHistory(t, dir, stages)
		defer func() { h.must(h.c.Close()) }()
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				i := rapid.IntRange(0, len(h.stages)-1).Draw(t, "stage")
				h.stages[i].CodeIdentity = []byte(rapid.SampledFrom([]string{"one", "other"}).Draw(t, "code"))
				_, err := h.deployAll()
				h.must(err)
			case 1:
				h.converge()
				h.checkSums()
			case 2:
				h.pin()
			case 3:
				h.converge()
				_, err := h.c.ClosePartitions(context.Background(), h.hour().End().AddDate(0, 0, 2))
				h.must(err)
			default:
				h.load()
			}
		}
		h.converge()
		h.checkSums()
		found, err := h.c.Recheck(context.Background())
		h.must(err)
		if d := cmp.Diff([]Finding(nil), found.Stale); d != "" || found.Sums > 0 {
			t.Fatalf("after all was computed: %s; %d wrong sums", d, found.Sums)
		}
		// Somebody meddles.
		meddle := rapid.SampledFrom([]string{
			"UPDATE versions SET hash = randomblob(32) WHERE partition_id % 7 = ?",
			"UPDATE versions SET rows = rows + 1 WHERE partition_id % 7 = ?",
			"UPDATE versions SET trace_key = randomblob(32) WHERE partition_id % 7 = ?",
			"DELETE FROM pointers WHERE partition_id % 7 = ?",
			"DELETE FROM pointers WHERE view <> 'main' AND partition_id % 7 = ?",
			"UPDATE partitions SET closed_at = 1 WHERE closed_at IS NOT NULL AND id % 7 = ?",
			"UPDATE sums SET leaves = randomblob(32) WHERE starts % 7 = ?",
			"UPDATE sums SET count = count + 1 WHERE dataset_id % 7 = ?",
			"DELETE FROM sums WHERE dataset_id % 7 = ?",
		}).Draw(t, "meddling")
		with := rapid.IntRange(0, 6).Draw(t, "with")
		h.must(h.c.update(context.Background(), func(t *tx) error { return t.exec(meddle, with) }))
		want := h.stale()
		h.checkBlocks(want)
		found, err = h.c.Recheck(context.Background())
		h.must(err)
		if d := cmp.Diff(want, found.Stale); d != "" {
			t.Fatalf("found and what there is: %s", d)
		}
		h.checkSums()
		if len(want) > 0 && len(h.dueNow()) == 0 {
			t.Fatalf("nothing is due, though %v is stale", want)
		}
		if again, err := h.c.Recheck(context.Background()); err != nil || len(again.Stale) > 0 {
			t.Fatalf("what is due already was found again: %v, %v", again.Stale, err)
		}
	})
}
