package converge

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

// told are the warnings there are, as DATASET RULE PARTITIONS.
func (w *world) told() (out []string) {
	w.tb.Helper()
	_, err := w.converger.judgeStored(context.Background())
	w.must(err)
	found, err := w.catalog.Troubles(context.Background())
	w.must(err)
	for _, x := range found {
		out = append(out, fmt.Sprintf("%s %s %s %d", x.Kind, x.Dataset, x.Rule, x.Count))
	}
	return out
}

func (w *world) expectTold(want ...string) {
	w.tb.Helper()
	if d := cmp.Diff(want, w.told()); d != "" {
		w.tb.Fatalf("told (-want +got):\n%s", d)
	}
}

// expectLooks wants judgeStored to find so many versions to look at.
func (w *world) expectLooks(want int) {
	w.tb.Helper()
	if got, err := w.converger.judgeStored(context.Background()); err != nil || got != want {
		w.tb.Fatalf("looked at %d versions, want %d (%v)", got, want, err)
	}
}

// TestStoredIsJudged has contracts about what no stage computes: who relies on it
// is told once it is closed, and nobody is kept from anything.
func TestStoredIsJudged(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.stages = chain("{}")
	w.stages[0].rejects = "mod 7"
	w.sides["side"], w.stages[0].windows["side"] = []int64{70}, "latest"
	w.stages[0].program.Inputs = []string{"raw", "side"}
	w.value = 13
	w.start()
	w.load(5, 5, 6)
	w.settle()
	w.expectLooks(1) // the side input; all else is open
	w.expectLooks(0)
	w.closeTo(1000)
	w.settle()
	w.expectLooks(3) // two hours of raw, and 14 + 70 was refused

	w.relies = map[string]string{
		"raw.yaml":  "owner: x\nconsumer: a\ndatasets: {raw: {columns: {value: {max: 15}}}}",
		"rest.yaml": "owner: x\ndatasets:\n  side: {columns: {value: {max: 60}}}\n  a_rejected: {columns: {value: {max: 80}}, rows: {max: 1}}",
	}
	before := w.ran()
	w.deploy()
	w.settle()
	w.expectTold("warned a_rejected columns.value.max 1", "warned raw columns.value.max 1", "warned side columns.value.max 1")
	w.expectLooks(0)
	w.expectHeld(map[string]int64{})
	if w.ran() != before {
		t.Errorf("a contract about what no stage computes made %v run", w.ledger.ran[before:])
	}

	w.compact()
	w.expectTold("warned a_rejected columns.value.max 1", "warned raw columns.value.max 1", "warned side columns.value.max 1")
	w.sides["side"], w.value = []int64{50}, 20
	w.load(5)
	w.deploy()
	w.settle()
	w.expectTold("warned raw columns.value.max 2") // 14 + 50 is refused no more
	w.relies["raw.yaml"] = "owner: x\ndatasets: {raw: {columns: {value: {max: 100}}}}"
	w.deploy()
	w.expectTold()
	w.relies["raw.yaml"] = "owner: x\ndatasets: {raw: {columns: {value: {max: 1}}}}"
	w.deploy()
	w.expectTold("warned raw columns.value.max 2")
	delete(w.relies, "raw.yaml")
	w.deploy()
	w.expectTold()
}

// What the loader adds to while its statistics are taken is looked at again.
func TestStoredMovesOnMeanwhile(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.start()
	w.load(5)
	w.closeTo(1000)
	w.settle()
	due, err := w.catalog.Unsurveyed(t.Context(), 10)
	if err != nil || len(due) != 1 {
		t.Fatal(due, err)
	}
	w.load(5)
	due[0].Fingerprint, due[0].Judged = []byte("of other rows"), true
	if err := w.catalog.Characterise(t.Context(), due[0]); err != nil {
		t.Fatal(err)
	}
	again, err := w.catalog.Unsurveyed(t.Context(), 10)
	if err != nil || len(again) != 1 || again[0].Rows != 2 || again[0].Partition != w.partition(dataset.Hour, 5) {
		t.Fatal(again, err)
	}
	w.expectLooks(1)
}
