package sqlite

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

func why(t *testing.T, c *Catalog, ref string) Account {
	t.Helper()
	r, err := dataset.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Why(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func kinds(chain []dataset.Cause) (out []dataset.CauseKind) {
	for _, c := range chain {
		out = append(out, c.Kind)
	}
	return out
}

// TestWhyFollowsAPartition asks again after each thing that happens to it.
func TestWhyFollowsAPartition(t *testing.T) {
	c, k := openTest(t)
	ctx := t.Context()
	const p = "2026-04-01T10"
	s, wide := stageOver("s", dataset.Raw, "same", dataset.Hour, 1), stageOver("wide", "s", "-1h..+1h", dataset.Hour, 2)
	s.GitRevision = "1a2b3c4d5e6f"
	deploy(t, c, s, wide)
	if a := why(t, c, "s@"+p); a.State != Absent || a.Anchored || a.Looked != nil || a.Version != nil {
		t.Errorf("before anything: %+v", a)
	}

	load(t, c, segment(dataset.Raw, p, "a", 3))
	a := why(t, c, "s@"+p)
	if a.State != Stale || !a.Open || a.Due == nil || !slices.Equal(kinds(a.Due.Causes), []dataset.CauseKind{dataset.ByLoad}) {
		t.Errorf("after the load: %+v", a)
	}
	if f := a.Due.Causes[0].Load; f == nil || f.Records != [2]uint64{0, 0} || f.Events != [2]uint64{0, 2} {
		t.Errorf("the load's facts: %+v", f)
	}

	task := tasks(t, c)[0]
	if err := c.FailBuild(ctx, task, []byte("k"), "no memory", k.t.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if a = why(t, c, "s@"+p); a.State != Failed || a.Due.Error != "no memory" || a.Due.Attempts != 1 {
		t.Errorf("after it failed: %+v", a.Due)
	}

	k.t = k.t.Add(2 * time.Hour)
	build(t, c, "s", "x", 3)
	build(t, c, "wide", "y", 3)
	a = why(t, c, "wide@"+p)
	if a.State != Fresh || a.Version == nil || a.Version.Number != 1 || a.Looked.Outcome != dataset.Built {
		t.Fatalf("after it was built: %+v", a)
	}
	if d := cmp.Diff([]dataset.CauseKind{dataset.ByPromotion, dataset.ByLoad}, kinds(a.Version.Causes)); d != "" {
		t.Error(d)
	}
	if got := a.Version.Causes[0].Detail; got != "s@2026-04-01T10 has new content: version 1" {
		t.Error(got)
	}
	if d := cmp.Diff([]InputAccount{{Dataset: "s", Partition: p, Version: 1, Rows: 3}}, a.Version.Inputs); d != "" {
		t.Error(d)
	}
	if d := a.Version.Definition; d == nil || d.Revision != 1 || !d.Deployed || d.File != "wide.sql" {
		t.Errorf("definition: %+v", d)
	}

	load(t, c, segment(dataset.Raw, p, "b", 1))
	if a = why(t, c, "s@"+p); a.State != Deferred || !a.Due.NotBefore.After(k.t) {
		t.Errorf("just after a run: %s, %+v", a.State, a.Due)
	}
	if a.Version == nil || a.Version.Number != 1 {
		t.Errorf("what readers see: %+v", a.Version)
	}
}

func TestWhyNothingWasComputed(t *testing.T) {
	c, _ := openTest(t)
	const p = "2026-04-01T10"
	s := refusing(stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	deploy(t, c, s)
	load(t, c, segment(dataset.Raw, p, "a", 1))
	one, two := segment("s", p, "one", 1), segment("s", p, "two", 2)
	step := func(key string, b dataset.Build, want dataset.Outcome, version int64) {
		t.Helper()
		commit(t, c, tasks(t, c)[0], key, b)
		a := why(t, c, "s@"+p)
		if a.Looked == nil || a.Looked.Outcome != want || a.Version == nil || a.Version.Number != version {
			t.Errorf("%+v, version %+v; want %s, %d", a.Looked, a.Version, want, version)
		}
	}
	step("k1", dataset.Build{Content: &dataset.NewContent{Segment: &one}}, dataset.Built, 1)
	closeAll(t, c)
	load(t, c, segment(dataset.Raw, p, "b", 1))
	step("k2", dataset.Build{Content: &dataset.NewContent{Segment: &one}}, dataset.Unchanged, 1)
	load(t, c, segment(dataset.Raw, p, "c", 1))
	step("k3", dataset.Build{Content: &dataset.NewContent{Segment: &two}}, dataset.Built, 2)
	load(t, c, segment(dataset.Raw, p, "d", 1))
	step("k1", dataset.Build{Reuse: true}, dataset.Reused, 1)
	if a := why(t, c, "s@"+p); a.Version.Causes[0].Load.Events != [2]uint64{3, 3} {
		t.Errorf("readers went back to version 1 because of %+v", a.Version.Causes)
	}
	load(t, c, segment(dataset.Raw, p, "e", 1))
	step("k1", dataset.Build{Reuse: true}, dataset.Standing, 1)
	if a := why(t, c, "s@"+p+"/2"); a.Version.Promoted || a.Version.Rows != 2 || len(a.Others) != 2 {
		t.Errorf("the version readers do not see: %+v", a.Version)
	}
	if a := why(t, c, "s_rejected@"+p); a.State != Absent || a.Kind != dataset.Rejected || a.Looked == nil {
		t.Errorf("no refused rows: %+v", a)
	}

	load(t, c, segment(dataset.Raw, p, "f", 1))
	w, err := c.Waive(t.Context(), dataset.Waiver{Dataset: "s", First: p, Last: p, Reason: "enough", Actor: "eve"})
	if err != nil {
		t.Fatal(err)
	}
	if a := why(t, c, "s@"+p); a.State != Waived || a.Waiver.ID != w.ID || len(a.Due.Causes) != 1 {
		t.Errorf("waived: %+v", a)
	}
}

func TestWhyRefuses(t *testing.T) {
	c, _ := openTest(t)
	deploy(t, c, stageOver("daily", dataset.Raw, "same", dataset.Day, 1))
	for ref, want := range map[string][2]string{
		"dayly@2026-04-01":    {"unknown_dataset", "did you mean daily"},
		"elsewhere@all":       {"unknown_dataset", "use one of "},
		"daily@2026-04-01T10": {"not_a_partition", "daily@2026-04-01"},
		"daily@all":           {"not_a_partition", "cut by day"},
		"daily@2026-04-01/2":  {"unknown_version", "no versions"},
	} {
		r, err := dataset.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Why(t.Context(), r)
		refusal, ok := errors.AsType[*dataset.Refusal](err)
		if !ok || refusal.Code != want[0] || !strings.Contains(refusal.Fix, want[1]) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}
