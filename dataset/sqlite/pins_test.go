package sqlite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

func TestPinFreezesWhatOneStageReads(t *testing.T) {
	c, k := openWith(t, overRaw("s"), stageOver("mine", "s", "-1h..0h", dataset.Hour, 2), over("other", "s"), stageOver("below", "mine", "same", dataset.Hour, 3))
	const p, q, later = "2026-04-01T10", "2026-04-01T11", "2026-04-01T12"
	load(t, c, segment(dataset.Raw, p, "a", 1), segment(dataset.Raw, q, "b", 1))
	for _, name := range []string{"s", "mine", "other", "below"} {
		build(t, c, name, "one", 1)
	}
	closeAll(t, c)
	if held := pin(t, c, dataset.Pin{Stage: "mine", Input: "s"}); held.Apart != 0 || len(due(t, c)) != 0 {
		t.Errorf("a pin to what is read anyway moves something: %+v, due %v", held, due(t, c))
	}
	load(t, c, segment(dataset.Raw, q, "late", 1), segment(dataset.Raw, later, "c", 1))
	build(t, c, "s", "two", 2)
	if d := cmp.Diff([]string{"other@" + later, "other@" + q}, due(t, c)); d != "" {
		t.Errorf("who follows: %s", d)
	}
	build(t, c, "other", "two", 2)
	if d := cmp.Diff([]string{"s@" + p + "=1", "s@" + q + "=1"}, reads(t, c, "mine", q)); d != "" {
		t.Errorf("pinned reads: %s", d)
	}
	if _, anchored, err := c.Inputs(t.Context(), "mine", later); err != nil || anchored {
		t.Errorf("an hour that came after the pin exists for the pinned stage: %v", err)
	}
	k.t = k.t.Add(time.Hour)
	collect(t, c, 0)
	stillThere(t, c, "mine", q)
	all, err := c.Pins(t.Context())
	if err != nil || len(all) != 1 || all[0].Apart != 2 {
		t.Errorf("pins %+v, %v", all, err)
	}
	unpin(t, c, all[0].ID)
	// The window of an hour reaches the one before it: 11 and 12 are affected, 10 is not.
	if d := cmp.Diff([]string{"mine@" + later, "mine@" + q}, due(t, c)); d != "" {
		t.Errorf("after unpinning: %s", d)
	}
	if d := cmp.Diff([]string{"s@" + p + "=1", "s@" + q + "=2"}, reads(t, c, "mine", q)); d != "" {
		t.Errorf("unpinned reads: %s", d)
	}
}

func TestPinToAVersionAndToAbsence(t *testing.T) {
	c, k := openWith(t, refusing(overRaw("s")), over("r", "s"))
	const p = "2026-04-01T10"
	versionsOfS(t, c, p, 3)
	build(t, c, "r", "x", 1)
	old := pin(t, c, dataset.Pin{Stage: "r", Input: "s", Partition: p, Version: 1})
	if d := cmp.Diff([]string{"r@" + p}, due(t, c)); d != "" || old.Apart != 1 {
		t.Errorf("pinning to an old version: %s, %+v", d, old)
	}
	if d := cmp.Diff([]string{"s@" + p + "=1"}, reads(t, c, "r", p)); d != "" {
		t.Error(d)
	}
	_, err := c.Pin(t.Context(), dataset.Pin{Stage: "r", Input: "s"})
	refusal(t, err, "pinned_already")
	build(t, c, "r", "y", 2)
	unpin(t, c, old.ID)
	build(t, c, "r", "x", 1)
	// Nothing good was ever there.
	load(t, c, segment(dataset.Raw, "2026-04-01T11", "z", 1))
	build(t, c, "s", "z", 1)
	load(t, c, segment(dataset.Raw, "2026-04-01T11", "zz", 1))
	buildS(t, c, "none", dataset.Build{Absent: true})
	absent := pin(t, c, dataset.Pin{Stage: "r", Input: "s", Partition: "2026-04-01T11"})
	load(t, c, segment(dataset.Raw, "2026-04-01T11", "zzz", 1))
	build(t, c, "s", "zzz", 1)
	if d := cmp.Diff([]string{"s=absent"}, reads(t, c, "r", "2026-04-01T11")); d != "" || absent.Version != 0 {
		t.Errorf("pinned to absence: %s", d)
	}
	// A pin of an open partition's version holds it although another follows.
	const now = "2026-05-01T12"
	load(t, c, segment(dataset.Raw, now, "l", 1))
	raw := stageOver("live", dataset.Raw, "same", dataset.Hour, 1)
	deploy(t, c, refusing(overRaw("s")), over("r", "s"), raw)
	held := pin(t, c, dataset.Pin{Stage: "live", Input: dataset.Raw, Partition: now})
	for i := range 3 {
		load(t, c, segment(dataset.Raw, now, fmt.Sprint("m", i), 5))
	}
	if d := cmp.Diff([]string{"raw@" + now + "=1"}, reads(t, c, "live", now)); d != "" {
		t.Error(d)
	}
	compactRaw(t, c, now)
	k.t = k.t.Add(time.Hour)
	collect(t, c, time.Minute)
	stillThere(t, c, "live", now)
	unpin(t, c, held.ID)
	if gone := collect(t, c, time.Minute); len(gone) != 0 {
		t.Errorf("what a pin held is gone at once: %v", gone)
	}
	k.t = k.t.Add(time.Hour)
	if gone := collect(t, c, time.Minute); !slices.Contains(gone, "l") {
		t.Errorf("what a pin held stays for ever: %v", gone)
	}
}

// compactRaw joins all live segments of a partition of raw.
func compactRaw(t *testing.T, c *Catalog, p dataset.Partition) {
	t.Helper()
	found, _, err := c.CompactionCandidates(t.Context(), 0, 2, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range found {
		if x.Dataset != dataset.Raw || x.Partition != p {
			continue
		}
		k := dataset.Compaction{Dataset: x.Dataset, Partition: p, Segment: dataset.NewSegment{Dataset: x.Dataset, Partition: p}}
		var names []string
		for _, s := range x.Segments {
			k.Replaced = append(k.Replaced, s.ID)
			k.Segment.Rows, k.Segment.Hash = k.Segment.Rows+s.Rows, k.Segment.Hash.Add(s.Hash)
			names = append(names, s.Object)
		}
		k.Segment.Object = strings.Join(names, "+")
		if err := c.CommitCompaction(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPinsThatMakeNoSense(t *testing.T) {
	c, _ := openWith(t, overRaw("s"), over("r", "s"))
	load(t, c, segment(dataset.Raw, "2026-04-01T10", "a", 1))
	build(t, c, "s", "one", 1)
	for _, tt := range []struct {
		code string
		pin  dataset.Pin
	}{
		{"unknown_dataset", dataset.Pin{Stage: "nosuch", Input: "s"}},
		{"not_a_stage", dataset.Pin{Stage: dataset.Raw, Input: "s"}},
		{"not_an_input", dataset.Pin{Stage: "r", Input: dataset.Raw}},
		{"not_an_input", dataset.Pin{Stage: "r", Input: "nosuch"}},
		{"no_partition", dataset.Pin{Stage: "r", Input: "s", Version: 1}},
		{"not_a_partition", dataset.Pin{Stage: "r", Input: "s", Partition: "2026-04-01"}},
		{"unknown_partition", dataset.Pin{Stage: "r", Input: "s", Partition: "2026-04-01T11"}},
		{"cannot_pin", dataset.Pin{Stage: "r", Input: "s", Partition: "2026-04-01T10", Version: 9}},
	} {
		_, err := c.Pin(t.Context(), tt.pin)
		refusal(t, err, tt.code)
	}
	_, err := c.Unpin(t.Context(), 7, "ann")
	refusal(t, err, "unknown_pin")
	if all, err := c.Pins(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("a refused pin is there: %v, %v", all, err)
	}
}

// TestPinnedStagesStayExact pins and unpins at random while inputs change, close,
// are compacted and collected. Compared with the plain rule: a stage reads what
// its pins say and else what is promoted; once nothing is due every partition was
// built from exactly that; and no file that is read is ever collected.
func TestPinnedStagesStayExact(t *testing.T) {
	forSeconds(t, 5, func(r *rapid.T) {
		c, k := openTest(t)
		w := &pinned{t: t, c: c, views: map[int64]map[string]string{}, whole: map[int64]bool{}, built: map[string][]string{}}
		window := rapid.SampledFrom([]string{"same", "-1h..+1h", "-2h..-1h", "all"}).Draw(r, "window")
		input := rapid.SampledFrom([]string{dataset.Raw, "up"}).Draw(r, "input")
		grain := rapid.SampledFrom([]dataset.Grain{dataset.Hour, dataset.Day}).Draw(r, "grain")
		w.input = input
		deploy(t, c, stageOver("up", dataset.Raw, "same", dataset.Hour, 1), stageOver("s", input, window, grain, 2))
		for i := range rapid.IntRange(1, 14).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"load", "load", "load", "build", "pin", "pin", "unpin", "close", "compact", "collect"}).Draw(r, "step") {
			case "load":
				p := hourOf(rapid.IntRange(20, 26).Draw(r, "hour"))
				load(t, c, segment(dataset.Raw, p, fmt.Sprintf("%s-%d", p, i), int64(i+1)))
			case "build":
				w.settle(r)
			case "pin":
				w.pin(r)
			case "unpin":
				for id := range w.views {
					unpin(t, c, id)
					delete(w.views, id)
					delete(w.whole, id)
					break
				}
			case "close":
				closeAll(t, c)
			case "compact":
				for _, q := range w.main() {
					compactRaw(t, c, q.Partition)
				}
			case "collect":
				if _, err := c.Free(t.Context(), rapid.IntRange(0, 2).Draw(r, "keep")); err != nil {
					r.Fatal(err)
				}
				k.t = k.t.Add(time.Hour)
				collect(t, c, time.Minute)
			}
		}
		w.settle(r)
	})
}

// pinned is what TestPinnedStagesStayExact knows beside the catalog.
type pinned struct {
	t     *testing.T
	c     *Catalog
	input string
	views map[int64]map[string]string // content by partition of each pin
	whole map[int64]bool
	built map[string][]string // what each partition of s was built from
}

func content(q dataset.Promoted) string {
	return fmt.Sprintf("%s=%d/%x", q.Partition, q.Rows, q.Hash.Bytes()[:16])
}

func (w *pinned) main() []dataset.Promoted {
	w.t.Helper()
	all, err := w.c.Promoted(w.t.Context(), w.input)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *pinned) pin(r *rapid.T) {
	main := w.main()
	ask := dataset.Pin{Stage: "s", Input: w.input, Reason: "x", Actor: "x"}
	if len(main) > 0 && rapid.Bool().Draw(r, "one partition") {
		ask.Partition = rapid.SampledFrom(main).Draw(r, "partition").Partition
	}
	p, err := w.c.Pin(w.t.Context(), ask)
	if err != nil {
		refusal(w.t, err, "pinned_already")
		return
	}
	view := map[string]string{}
	for _, q := range main {
		if ask.Partition == "" || ask.Partition == q.Partition {
			view[string(q.Partition)] = content(q)
		}
	}
	w.views[p.ID], w.whole[p.ID] = view, ask.Partition == ""
}

// seen is what s reads, by the plain rule.
func (w *pinned) seen() map[string]string {
	out := map[string]string{}
	for _, q := range w.main() {
		out[string(q.Partition)] = content(q)
	}
	for id, view := range w.views {
		if w.whole[id] {
			return view
		}
		maps.Copy(out, view)
	}
	return out
}

// settle answers what is due and checks what everything was built from.
func (w *pinned) settle(r *rapid.T) {
	for range 20 {
		all := tasks(w.t, w.c)
		if len(all) == 0 {
			break
		}
		w.answer(r, all[0])
	}
	seen := w.seen()
	for p, from := range w.built {
		inputs, anchored, err := w.c.Inputs(w.t.Context(), "s", dataset.Partition(p))
		if err != nil {
			r.Fatal(err)
		}
		var want []string
		for _, q := range inputs {
			if q.Version == 0 {
				continue
			}
			if seen[string(q.Partition)] != content(q) {
				r.Fatalf("s@%s reads %s, which it should see as %q", p, content(q), seen[string(q.Partition)])
			}
			want = append(want, content(q))
		}
		if !anchored {
			want = nil
		}
		if d := cmp.Diff(want, from); d != "" {
			r.Fatalf("s@%s was not built again: %s", p, d)
		}
		if _, err := w.c.Segments(w.t.Context(), inputs); err != nil {
			r.Fatal(err)
		}
	}
}

func (w *pinned) answer(r *rapid.T, k dataset.Task) {
	inputs, anchored, err := w.c.Inputs(w.t.Context(), k.Dataset, k.Partition)
	if err != nil {
		r.Fatal(err)
	}
	var from []string
	sum := dataset.NewSegment{Dataset: k.Dataset, Partition: k.Partition}
	for _, q := range inputs {
		if q.Version != 0 {
			from = append(from, content(q))
			sum.Rows, sum.Hash = sum.Rows+q.Rows, sum.Hash.Add(q.Hash)
		}
	}
	b := dataset.Build{Inputs: inputs, Content: &dataset.NewContent{Segment: &sum}}
	if sum.Object = strings.Join(from, ","); !anchored || len(from) == 0 {
		b, from = dataset.Build{Inputs: inputs, Absent: true}, nil
	}
	key := dataset.TraceKey(k.Dataset, k.Partition, []byte("code"), dataset.Reads(inputs))
	prior, err := w.c.Prior(w.t.Context(), k.Dataset, k.Partition, key)
	if err != nil {
		r.Fatal(err)
	}
	if prior.Reusable && !b.Absent {
		b.Content, b.Reuse = nil, true
	}
	commit(w.t, w.c, k, string(key), b)
	if k.Dataset == "s" {
		w.built[string(k.Partition)] = from
	}
}
