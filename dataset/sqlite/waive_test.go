package sqlite

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

func TestWaivedWorkIsHeldBackAndKeptOnRecord(t *testing.T) {
	c, _ := openWith(t, overRaw("s"), over("r", "s"))
	for _, p := range []dataset.Partition{"2026-04-01T10", "2026-04-01T11", "2026-04-02T10"} {
		load(t, c, segment(dataset.Raw, p, "a"+string(p), 1))
	}
	build(t, c, "s", "one", 1)
	build(t, c, "r", "one", 1)
	closeAll(t, c)
	load(t, c, segment(dataset.Raw, "2026-04-01T10", "late", 1)) // due before the waiver
	w := waive(t, c, dataset.Waiver{Dataset: "s", Last: "2026-04-01"})
	if w.First != "" || w.Last != "2026-04-01T23" || w.Holding != 1 {
		t.Errorf("a waiver up to a day is %+v", w)
	}
	load(t, c, segment(dataset.Raw, "2026-04-01T11", "later", 1)) // and after it
	load(t, c, segment(dataset.Raw, "2026-03-01T00", "old", 1))   // of a partition nobody knew
	load(t, c, segment(dataset.Raw, "2026-04-02T10", "more", 1))
	if d := cmp.Diff([]string{"s@2026-04-02T10"}, due(t, c)); d != "" {
		t.Errorf("due under the waiver: %s", d)
	}
	want := DatasetStatus{Name: "s", Partitions: 4, Deferred: 1, Waived: 3, Rows: 3}
	if d := cmp.Diff(want, statusOf(t, c, "s")); d != "" {
		t.Errorf("status: %s", d)
	}
	build(t, c, "s", "two", 2)
	build(t, c, "r", "two", 2)
	other := waive(t, c, dataset.Waiver{Dataset: "s", First: "2026-04-01T11", Last: "2026-04-01T11"})
	unwaive(t, c, w.ID)
	if d := cmp.Diff([]string{"s@2026-04-01T10", "s@2026-03-01T00"}, due(t, c)); d != "" {
		t.Errorf("due when only the second waiver stands: %s", d)
	}
	unwaive(t, c, other.ID)
	if d := cmp.Diff([]string{"s@2026-04-01T11", "s@2026-04-01T10", "s@2026-03-01T00"}, due(t, c)); d != "" {
		t.Errorf("due without waivers: %s", d)
	}
	deeds, err := c.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := Deed{"ann", "waive", "waiver 1: s up to 2026-04-01T23: agreed"}
	if len(deeds) != 4 || deeds[0] != first || deeds[3].Action != "unwaive" {
		t.Errorf("the audit says %+v", deeds)
	}
}

// TestWaivedOpenPartitionIsPutOff until it closes: then it counts as waived.
func TestWaivedOpenPartitionIsPutOff(t *testing.T) {
	c, _ := openWith(t, overRaw("s"))
	load(t, c, segment(dataset.Raw, "2026-05-01T12", "a", 1))
	build(t, c, "s", "one", 1)
	waive(t, c, dataset.Waiver{Dataset: "s"})
	load(t, c, segment(dataset.Raw, "2026-05-01T12", "b", 1), segment(dataset.Raw, "2026-05-01T13", "c", 1))
	if d := cmp.Diff([]string{"s@2026-05-01T13"}, due(t, c)); d != "" {
		t.Errorf("a waiver without an end reaches beyond what was there: %s", d)
	}
	build(t, c, "s", "one", 1)
	if got := statusOf(t, c, "s"); got.Deferred != 1 || got.Waived != 0 || got.Fresh != 1 {
		t.Errorf("while it is open: %+v", got)
	}
	if _, err := c.ClosePartitions(t.Context(), time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if got := statusOf(t, c, "s"); got.Deferred != 0 || got.Waived != 1 || got.Fresh != 1 {
		t.Errorf("once it is closed: %+v", got)
	}
}

func TestWaiverOvertakesARun(t *testing.T) {
	c, _ := openWith(t, overRaw("s"))
	const p = "2026-04-01T10"
	load(t, c, segment(dataset.Raw, p, "a", 1))
	running, out := tasks(t, c)[0], segment("s", p, "x", 1)
	w := waive(t, c, dataset.Waiver{Dataset: "s"})
	b := dataset.Build{Task: running, CodeIdentity: []byte("code of s"), TraceKey: []byte("k"), Content: &dataset.NewContent{Segment: &out}}
	if err := c.CommitBuild(t.Context(), b); !errors.Is(err, dataset.ErrSuperseded) {
		t.Errorf("committed under a waiver: %v", err)
	}
	unwaive(t, c, w.ID)
	if d := cmp.Diff([]string{"s@" + p}, due(t, c)); d != "" {
		t.Error(d)
	}
}

func TestWaiversThatMakeNoSense(t *testing.T) {
	c, _ := openWith(t, refusing(overRaw("s")), stageOver("whole", dataset.Raw, "all", dataset.None, 1))
	for code, w := range map[string]dataset.Waiver{
		"unknown_dataset": {Dataset: "nosuch"},
		"nothing_there":   {Dataset: "s"},
		"empty_range":     {Dataset: "s", First: "2026-04-02", Last: "2026-04-01"},
		"not_a_partition": {Dataset: "s", Last: dataset.Whole},
		"not_cut":         {Dataset: "whole", Last: "2026-04-01"},
	} {
		_, err := c.Waive(t.Context(), w)
		refusal(t, err, code)
	}
	for _, name := range []string{dataset.Raw, "s_rejected"} {
		_, err := c.Waive(t.Context(), dataset.Waiver{Dataset: name})
		refusal(t, err, "not_a_stage")
	}
	_, err := c.Unwaive(t.Context(), 7, "ann")
	refusal(t, err, "unknown_waiver")
	if w := waive(t, c, dataset.Waiver{Dataset: "whole"}); w.Last != dataset.Whole || w.Holding != 1 {
		t.Errorf("a waiver of what is not cut is %+v", w)
	}
}

func TestPromoteSendsReadersBackUntilTheWaiverGoes(t *testing.T) {
	c, _ := openWith(t, refusing(overRaw("s")), over("r", "s"))
	const p = "2026-04-01T10"
	versionsOfS(t, c, p, 3)
	build(t, c, "r", "x", 1)
	w, err := c.Promote(t.Context(), dataset.Promotion{Dataset: "s", Partition: p, Version: 1, Reason: "spam", Actor: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"out1", "no1"}, append(objectsOf(t, c, "s"), objectsOf(t, c, "s_rejected")...)); d != "" {
		t.Errorf("readers see: %s", d)
	}
	if d := cmp.Diff([]string{"r@" + p}, due(t, c)); d != "" {
		t.Errorf("what reads it follows, itself it stays: %s", d)
	}
	build(t, c, "r", "y", 1)
	if got := statusOf(t, c, "s"); got.Waived != 1 || got.Fresh != 0 {
		t.Errorf("it is shown as %+v", got)
	}
	load(t, c, segment(dataset.Raw, p, "late", 1))
	if got := due(t, c); len(got) != 0 {
		t.Errorf("a late event moves it: %v", got)
	}
	// Sent on to another version: the first waiver is over.
	second, err := c.Promote(t.Context(), dataset.Promotion{Dataset: "s", Partition: p, Version: 2, Reason: "better", Actor: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Waivers(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != second.ID || all[0].Version != 2 || second.ID == w.ID {
		t.Errorf("waivers %+v, %v", all, err)
	}
	build(t, c, "r", "z", 1)
	unwaive(t, c, second.ID)
	if d := cmp.Diff([]string{"s@" + p}, due(t, c)); d != "" {
		t.Fatalf("without the waiver: %s", d)
	}
	prior, err := c.Prior(t.Context(), "s", p, []byte("k3"))
	if err != nil || !prior.Reusable || prior.Fresh {
		t.Errorf("the newest version is on record: %+v, %v", prior, err)
	}
	if prior, err = c.Prior(t.Context(), "s", p, []byte("other")); err != nil || prior.Reusable || len(prior.Reads) != 0 {
		t.Errorf("what the promoted version read is not on record: %+v, %v", prior, err)
	}
}

func TestPromotionsThatAreRefused(t *testing.T) {
	c, _ := openWith(t, refusing(overRaw("s")))
	const p = "2026-04-01T10"
	versionsOfS(t, c, p, 2)
	for code, m := range map[string]dataset.Promotion{
		"not_a_stage":       {Dataset: dataset.Raw, Partition: p, Version: 1},
		"unknown_partition": {Dataset: "s", Partition: "2026-04-01T11", Version: 1},
		"cannot_promote":    {Dataset: "s", Partition: p, Version: 9},
		"promoted_already":  {Dataset: "s", Partition: p, Version: 2},
	} {
		_, err := c.Promote(t.Context(), m)
		refusal(t, err, code)
	}
	for column, what := range map[string]string{"erased_at": "s", "freed_at": "s_rejected"} {
		mark := func(value any) {
			t.Helper()
			_, err := c.write.ExecContext(t.Context(), `UPDATE versions SET `+column+` = ? WHERE number = 1 AND partition_id IN
				(SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ?)`, value, what)
			if err != nil {
				t.Fatal(err)
			}
		}
		mark(1)
		_, err := c.Promote(t.Context(), dataset.Promotion{Dataset: "s", Partition: p, Version: 1})
		refusal(t, err, "cannot_promote")
		mark(nil)
	}
	if deeds, err := c.Audit(t.Context()); err != nil || len(deeds) != 0 {
		t.Errorf("a refusal is on record as a deed: %v, %v", deeds, err)
	}
}

// TestWaiversHideExactlyTheirRange compares what is due under random waivers with
// the plain rule: due is what is dirty and no waiver covers.
func TestWaiversHideExactlyTheirRange(t *testing.T) {
	forSeconds(t, 5, func(r *rapid.T) {
		c, _ := openTest(t)
		deploy(t, c, overRaw("s"))
		dirty, standing := map[string]bool{}, map[int64]dataset.Waiver{}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"load", "load", "waive", "unwaive", "build"}).Draw(r, "step") {
			case "load":
				p := hourOf(rapid.IntRange(0, 9).Draw(r, "hour"))
				load(t, c, segment(dataset.Raw, p, "a", 1))
				dirty["s@"+string(p)] = true
			case "waive":
				from := rapid.IntRange(0, 9).Draw(r, "from")
				w := waive(t, c, dataset.Waiver{Dataset: "s", First: hourOf(from), Last: hourOf(from + rapid.IntRange(0, 4).Draw(r, "more"))})
				standing[w.ID] = w
			case "unwaive":
				for id := range standing {
					unwaive(t, c, id)
					delete(standing, id)
					break
				}
			case "build":
				for _, name := range due(t, c) {
					delete(dirty, name)
				}
				build(t, c, "s", "x", 1)
			}
			var want []string
			for name := range dirty {
				p := dataset.Partition(name[2:])
				covered := func(w dataset.Waiver) bool { return w.First <= p && p <= w.Last }
				hidden := false
				for _, w := range standing {
					hidden = hidden || covered(w)
				}
				if !hidden {
					want = append(want, name)
				}
			}
			slices.Sort(want)
			if d := cmp.Diff(want, slices.Sorted(slices.Values(due(t, c)))); d != "" {
				r.Fatalf("due under %v: %s", standing, d)
			}
		}
	})
}
