package sqlite

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

// earlier lists the partitions of s that one could be compared with.
func earlier(t *testing.T, c *Catalog, code string) (out []dataset.Partition) {
	t.Helper()
	var starts []time.Time
	for i := range 6 {
		starts = append(starts, hourOf(i).Start())
	}
	found, err := c.Earlier(t.Context(), "s", []byte(code), starts)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if string(e.Fingerprint) != "print of "+string(e.Partition) {
			t.Errorf("%s has fingerprint %q", e.Partition, e.Fingerprint)
		}
		out = append(out, e.Partition)
	}
	slices.Sort(out)
	return out
}

// TestEarlier compares with what is promoted, closed, neither stale nor held, and of the
// same definition.
func TestEarlier(t *testing.T) {
	c, _ := openWith(t, overRaw("s"))
	for i := range 5 {
		load(t, c, segment(dataset.Raw, hourOf(i), "raw"+string(hourOf(i)), 10))
	}
	answer := func(key string, verdicts map[dataset.Partition]dataset.Verdict) {
		for _, k := range tasks(t, c) {
			s := segment("s", k.Partition, key+string(k.Partition), int64(10*len(key)))
			b := dataset.Build{Content: &dataset.NewContent{Segment: &s}, Fingerprint: []byte("print of " + string(k.Partition))}
			if v, ok := verdicts[k.Partition]; ok {
				b.Verdict = &v
			}
			commit(t, c, k, key, b)
		}
	}
	said := []dataset.Broken{{Rule: dataset.Statistics, Column: "country", What: "odd"}}
	approved := dataset.Verdict{Broken: said, Approved: &dataset.Approval{Actor: "ada"}}
	answer("one", map[dataset.Partition]dataset.Verdict{hourOf(3): {Broken: said}, hourOf(4): approved})
	if got := earlier(t, c, "code of s"); got != nil {
		t.Errorf("of open partitions: %v", got)
	}
	closeAll(t, c)
	good := []dataset.Partition{hourOf(0), hourOf(1), hourOf(2), hourOf(4)} // 3 is held
	if diff := cmp.Diff(good, earlier(t, c, "code of s")); diff != "" {
		t.Error(diff)
	}
	if got := earlier(t, c, "other code"); got != nil {
		t.Errorf("of another definition: %v", got)
	}
	load(t, c, segment(dataset.Raw, hourOf(1), "late", 1))
	good = slices.DeleteFunc(good, func(p dataset.Partition) bool { return p == hourOf(1) })
	if diff := cmp.Diff(good, earlier(t, c, "code of s")); diff != "" {
		t.Errorf("beside what is stale: %s", diff)
	}
	answer("two", map[dataset.Partition]dataset.Verdict{hourOf(1): {Broken: said}})
	if diff := cmp.Diff(good, earlier(t, c, "code of s")); diff != "" {
		t.Errorf("beside what is held and was good before: %s", diff)
	}
	found, err := c.Approved(t.Context(), "s", hourOf(4).Start(), hourOf(5).Start())
	if err != nil || len(found) != 1 || found[0].Partition != hourOf(4) || found[0].Verdict.Broken[0].Column != "country" {
		t.Errorf("approved: %+v, %v", found, err)
	}
	if found, err := c.Approved(t.Context(), "s", hourOf(0).Start(), hourOf(4).Start()); err != nil || len(found) > 0 {
		t.Errorf("approved before: %+v, %v", found, err)
	}
	oldest, ok, err := c.Oldest(t.Context(), "s", 120)
	if err != nil || !ok || !oldest.Equal(hourOf(0).Start()) {
		t.Errorf("the oldest is %s, %v, %v", oldest, ok, err)
	}
	if _, ok, err := c.Oldest(t.Context(), "s", 121); err != nil || ok {
		t.Errorf("more rows than there are: %v, %v", ok, err)
	}
}

// TestByHand tells what a person brought about from what events did, there and further
// up.
func TestByHand(t *testing.T) {
	c, _ := openWith(t, overRaw("s"), over("r", "s"))
	load(t, c, segment(dataset.Raw, hourOf(1), "raw", 1))
	byHand := func(name string, version int64, want bool) {
		t.Helper()
		got, err := c.ByHand(t.Context(), dataset.Task{Dataset: name, Partition: hourOf(1)}, version)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	byHand("s", 0, false)
	build(t, c, "s", "one", 1)
	byHand("r", 0, false)
	build(t, c, "r", "two", 1)
	other := overRaw("s")
	other.CodeIdentity = []byte("other")
	deploy(t, c, other, over("r", "s"))
	byHand("s", 0, true)
	byHand("s", 1, true)
	k := tasks(t, c)[0]
	if !k.Urgent || k.Cause != dataset.ByDefinition {
		t.Errorf("it is to be done: %+v", k)
	}
	s := segment("s", hourOf(1), "three", 2)
	if err := c.CommitBuild(t.Context(), dataset.Build{Task: k, CodeIdentity: other.CodeIdentity, TraceKey: []byte("three"), Content: &dataset.NewContent{Segment: &s}}); err != nil {
		t.Fatal(err)
	}
	byHand("r", 0, true)
	byHand("r", 1, true)
	if got, err := c.ByHand(t.Context(), dataset.Task{Dataset: "r", Partition: hourOf(2)}, 0); err != nil || got {
		t.Errorf("of what nothing was done with: %v, %v", got, err)
	}
}
