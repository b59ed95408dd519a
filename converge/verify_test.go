package converge

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// verified is a project with something of everything that verify looks at.
func verified(t *testing.T) *world {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.sides["side0"] = []int64{1}
	w.stages = []definition{
		{
			name: "a", grain: dataset.Hour, rejects: "mod 3", windows: map[string]string{"raw": "same", "side0": "latest"},
			program: program{Op: "map", K: 2, Inputs: []string{"raw", "side0"}},
		},
		{name: "b", grain: dataset.Day, windows: map[string]string{"a": "-1h..+1h"}, program: program{Op: "sum", K: 1, Inputs: []string{"a"}}},
	}
	w.start()
	w.load(1, 2, 2, 3, 30, 30, 30, 50)
	w.load(2, 30) // appended
	w.settle()
	return w
}

func verify(t *testing.T, c *Converger, ask Verification) Verified {
	t.Helper()
	out, err := c.Verify(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func kinds(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, f.Kind+" "+f.Dataset)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestVerifyFindsNothingWrong(t *testing.T) {
	w := verified(t)
	w.compact() // the versions that were read are gone, their content is not
	before := w.contents()
	got := verify(t, w.converger, Verification{All: true, Seed: 1})
	if len(got.Wrong) > 0 || len(got.Skipped) > 0 || got.Recomputed == 0 || got.Keys == 0 || got.Files == 0 {
		t.Errorf("%+v", got)
	}
	w.settle()
	if d := cmp.Diff(before, w.contents()); d != "" {
		t.Errorf("verifying promoted something: %s", d)
	}
	left, err := os.ReadDir(filepath.Join(w.dir, "out"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if few := verify(t, w.converger, Verification{Sample: 3, Seed: 7}); few.Partitions != 3 {
		t.Errorf("a sample of three: %+v", few)
	}
	only := verify(t, w.converger, Verification{Dataset: "b", Sample: 100})
	if only.Recomputed != only.Partitions || only.Partitions == 0 {
		t.Errorf("of one stage: %+v", only)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	w := verified(t)
	seen, err := w.catalog.Snapshot(t.Context(), []string{"a", dataset.Raw})
	if err != nil {
		t.Fatal(err)
	}
	damaged, missing := w.store.Path(seen.Tables[0].Objects[0]), w.store.Path(seen.Tables[1].Objects[0])
	w.must(os.Chmod(damaged, 0o600))
	w.must(os.WriteFile(damaged, []byte("[]"), 0o600))
	w.must(os.Remove(missing))
	got := verify(t, w.converger, Verification{All: true})
	if d := cmp.Diff([]string{"damaged a", "missing raw"}, kinds(got.Wrong)); d != "" {
		t.Errorf("%s in %+v", d, got.Wrong)
	}
	if found, err := w.catalog.Unstable(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("a damaged file is no fault of the SQL: %v, %v", found, err)
	}
}

func TestVerifyCountsAgain(t *testing.T) {
	w := verified(t)
	db, err := sql.Open("sqlite3", "file:"+w.catalogPath()+"?_busy_timeout=10000")
	w.must(err)
	_, err = db.Exec("UPDATE counts SET rows = rows + 1 WHERE dataset_id = (SELECT id FROM datasets WHERE name = 'a')")
	w.must(errors.Join(err, db.Close()))
	for _, want := range [][]string{{"miscounted a"}, nil} {
		got := verify(t, w.converger, Verification{All: true})
		if d := cmp.Diff(want, kinds(got.Wrong)); d != "" {
			t.Errorf("%s in %+v", d, got.Wrong)
		}
	}
}

// another is an engine that gives other rows: the same ones each time, or not.
type another struct {
	Engine
	write func([]row) (engine.Output, error)
	same  bool
	runs  int64
}

func (a *another) Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	res, err := a.Engine.Build(ctx, job)
	if err != nil {
		return res, err
	}
	if a.runs++; a.same {
		a.runs = 1
	}
	if err := os.Remove(res.Output.Path); err != nil {
		return res, err
	}
	res.Output, err = a.write([]row{{-1, a.runs}})
	return res, err
}

func TestVerifyFindsStagesThatGiveOtherRows(t *testing.T) {
	w := verified(t)
	fake := &fakeEngine{dir: filepath.Join(w.dir, "out"), timed: w.timed}
	for _, same := range []bool{true, false} {
		other := New(Options{Catalog: w.catalog, Engine: &another{Engine: w.engine, write: fake.write, same: same}, Store: w.store, Log: slog.New(slog.DiscardHandler)})
		got := verify(t, other, Verification{Dataset: "b", Sample: 1})
		if d := cmp.Diff([]string{"differs b"}, kinds(got.Wrong)); d != "" {
			t.Fatalf("%s in %+v", d, got)
		}
		if each := strings.Contains(got.Wrong[0].What, "once more"); each == same {
			t.Errorf("the same each time is %v: %s", same, got.Wrong[0].What)
		}
	}
	found, err := w.catalog.Unstable(t.Context())
	if err != nil || len(found) != 1 || found[0].Dataset != "b" || !strings.HasPrefix(found[0].Found, "b@") {
		t.Errorf("on record: %+v, %v", found, err)
	}
	w.settle()
	w.check()
	// A new definition has not been found out yet.
	w.stages[1].program.K = 4
	w.pass(time.Second)
	w.deploy()
	w.settle()
	if found, err := w.catalog.Unstable(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("of the new definition: %+v, %v", found, err)
	}
}

func TestVerifySaysWhatItCannotKnow(t *testing.T) {
	w := verified(t)
	w.closeTo(1000)
	w.load(2)
	w.settle()
	back := dataset.Promotion{Dataset: "b", Partition: w.partition(dataset.Day, 2), Reason: "x", Actor: "x"}
	for back.Version = 1; ; back.Version++ { // the oldest that is kept
		if _, err := w.catalog.Promote(t.Context(), back); err == nil {
			break
		}
		if back.Version == 9 {
			t.Fatal("no version to go back to")
		}
	}
	got := verify(t, w.converger, Verification{Dataset: "b", Sample: 100})
	if d := cmp.Diff([]string{"promoted_by_hand b"}, kinds(got.Skipped)); d != "" || len(got.Wrong) > 0 {
		t.Errorf("%s, wrong %+v", d, got.Wrong)
	}
	if _, err := w.converger.Verify(t.Context(), Verification{Dataset: "nosuch"}); err == nil {
		t.Error("a dataset that is not there was verified")
	}
}

// TestSampleIsSpread over datasets and over the time of each, without repeats.
func TestSampleIsSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var places [][]dataset.Promoted
		for i := range rapid.IntRange(1, 5).Draw(t, "datasets") {
			var of []dataset.Promoted
			for k := range rapid.IntRange(0, 12).Draw(t, "partitions") {
				of = append(of, dataset.Promoted{Version: int64(i), Rows: int64(k)})
			}
			places = append(places, of)
		}
		n := rapid.IntRange(0, 70).Draw(t, "n")
		got := sample(places, n, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		share, seen := map[int64]int{}, map[dataset.Promoted]bool{}
		for _, p := range got {
			if seen[p] {
				t.Fatalf("%v twice", p)
			}
			seen[p] = true
			share[p.Version]++
		}
		all := 0
		for i, of := range places {
			all += len(of)
			for k, other := range places { // nobody has more while another that has some left has less
				if share[int64(i)] > share[int64(k)]+1 && share[int64(k)] < len(other) {
					t.Fatalf("%d of %d but %d of %d", share[int64(i)], len(of), share[int64(k)], len(other))
				}
			}
		}
		if len(got) != min(n, all) {
			t.Fatalf("%d of %d asked for %d", len(got), all, n)
		}
	})
}
