package converge

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// chain is a stage that keeps rows as they are, held to a contract, and one that
// reads it.
func chain(contract string) []definition {
	return []definition{
		{name: "a", grain: dataset.Hour, holds: contract, program: program{Op: "map", K: 1, Inputs: []string{"raw"}}, windows: map[string]string{"raw": "same"}},
		{name: "b", grain: dataset.Hour, program: program{Op: "map", K: 1, Inputs: []string{"a"}}, windows: map[string]string{"a": "same"}},
	}
}

// chained is a world with that chain in which hour 5 is closed and has the value 2.
func chained(t *testing.T, contract string) *world {
	t.Helper()
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.value, w.stages = 1, chain(contract)
	w.start()
	w.load(5)
	w.settle()
	w.closeTo(1000)
	w.settle()
	return w
}

// state counts what is held and where convergence stands.
func (w *world) state() (held map[string]int64, converged bool) {
	s, err := w.catalog.Status(context.Background())
	w.must(err)
	held, converged = map[string]int64{}, true
	for _, d := range s.Datasets {
		if d.Held > 0 {
			held[d.Name] = d.Held
		}
		converged = converged && d.Stale+d.Deferred+d.Failed == 0
		if d.Fresh+d.Stale+d.Deferred+d.Held+d.Waived+d.Failed+d.Absent != d.Partitions {
			w.tb.Errorf("the states of %s do not add up: %+v", d.Name, d)
		}
	}
	return held, converged
}

func (w *world) expectHeld(want map[string]int64) {
	w.tb.Helper()
	held, converged := w.state()
	if diff := cmp.Diff(want, held); diff != "" || !converged {
		w.tb.Fatalf("converged: %v; held (-want +got):\n%s", converged, diff)
	}
}

// values are those of hour 5 of a dataset, nil if it is absent.
func (w *world) values(name string) (out []int64) {
	for _, r := range w.contents()[name][w.partition(dataset.Hour, 5)] {
		out = append(out, r.Value)
	}
	return out
}

func (w *world) expectValues(name string, want ...int64) {
	w.tb.Helper()
	if diff := cmp.Diff(want, w.values(name)); diff != "" {
		w.tb.Fatalf("%s (-want +got):\n%s", name, diff)
	}
}

func (w *world) ran() int { return len(w.ledger.ran) }

const below10 = "{columns: {value: {max: 10}}}"

// TestHeldAndReleased breaks a contract with a late event: readers go on with what
// they see. Another definition that keeps to it is promoted by itself.
func TestHeldAndReleased(t *testing.T) {
	w := chained(t, below10)
	w.expectValues("b", 2)
	w.value = 31
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{"a": 1})
	w.expectValues("a", 2)
	w.expectValues("b", 2)
	before := w.ran()
	w.reopen()
	w.settle()
	if w.ran() != before {
		t.Errorf("what is held was computed again: %v", w.ledger.ran[before:])
	}
	w.expectHeld(map[string]int64{"a": 1})
	w.stages[0].rejects = "mod 32"
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2)
	w.value = 6
	w.load(5)
	w.settle()
	w.expectValues("b", 2, 7)
}

// TestWaitsForWhatIsHeld has nothing good to read: what reads it is not computed.
func TestWaitsForWhatIsHeld(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.stages = append(chain(below10), definition{name: "c", grain: dataset.Day, program: program{Op: "map", K: 1, Inputs: []string{"b"}}, windows: map[string]string{"b": "same"}})
	w.start()
	w.closeTo(1000)
	w.value = 1
	w.load(6)
	w.value = 31
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{"a": 1, "b": 1, "c": 1})
	w.expectValues("b")
	w.stages[0].holds = "{columns: {value: {max: 40}}}"
	before := w.ran()
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 32)
	for _, p := range w.ledger.ran[before:] {
		if p.dataset == "a" {
			t.Errorf("a changed contract made %v run", p)
		}
	}
}

// TestContractJudgesWhatIsThere holds what readers see by a stricter contract, and
// gives it back with the old one, without computing the stage.
func TestContractJudgesWhatIsThere(t *testing.T) {
	w := chained(t, below10)
	before := w.ran()
	w.stages[0].holds = "{columns: {value: {max: 1}}}"
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{"a": 1, "b": 1})
	w.expectValues("a")
	w.expectValues("b", 2) // as it was: nothing better can be computed
	w.stages[0].holds = ""
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("a", 2)
	w.expectValues("b", 2)
	if w.ran() != before {
		t.Errorf("computed: %v", w.ledger.ran[before:])
	}
}

// TestCloseJudgesTheRest lets an open hour be short and holds it when it closes.
func TestCloseJudgesTheRest(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.stages = chain("{rows: {min: 2}}")
	w.value = 1
	w.start()
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2)
	w.closeTo(1000)
	w.settle()
	w.expectHeld(map[string]int64{"a": 1, "b": 1})
	w.expectValues("a")
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2, 3)
}

// TestApproved lets a held version pass, and judges the next one by itself.
func TestApproved(t *testing.T) {
	w := chained(t, below10)
	w.value = 31
	w.load(5)
	w.settle()
	ref := dataset.Reference{Dataset: "a", Partition: w.partition(dataset.Hour, 5)}
	ctx := context.Background()
	if _, err := w.catalog.Approve(ctx, dataset.Reference{Dataset: "b", Partition: ref.Partition}, dataset.Approval{Actor: "ada", Reason: "no"}); err == nil {
		t.Error("what is not held was approved")
	}
	h, err := w.catalog.Approve(ctx, ref, dataset.Approval{Actor: "ada", Reason: "a festival"})
	w.must(err)
	if h.Version != 2 || h.Reads != 1 || len(h.Broken) != 1 || h.Broken[0].Rule != "columns.value.max" {
		t.Errorf("approved: %+v", h)
	}
	w.converger.Wake()
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2, 32)
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{"a": 1})
	w.expectValues("b", 2, 32)
}

// TestHeldForOneReader keeps one reader on the last version that was good for it.
func TestHeldForOneReader(t *testing.T) {
	w := chained(t, "")
	w.stages = append(w.stages, definition{name: "c", grain: dataset.Day, program: program{Op: "map", K: 1, Inputs: []string{"a"}}, windows: map[string]string{"a": "same"}})
	w.relies = map[string]string{"c.yaml": "owner: charts\nconsumer: c\ndatasets: {a: {columns: {value: {max: 10}}}}\n"}
	w.deploy()
	w.settle()
	w.value = 31
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2, 32)
	day := w.partition(dataset.Day, 5)
	if got := w.contents()["c"][day]; len(got) != 1 || got[0].Value != 2 {
		t.Errorf("c read %v", got)
	}
	s, err := w.catalog.Status(context.Background())
	w.must(err)
	if len(s.Holds) != 1 || s.Holds[0].For != "c" || s.Holds[0].Version != 2 || s.Holds[0].Reads != 1 || len(s.Holds[0].Broken) != 1 {
		t.Errorf("holds: %+v", s.Holds)
	}
	w.approveFor("c")
	if got := w.contents()["c"][day]; len(got) != 2 {
		t.Errorf("c reads %v once that is approved", got)
	}
	w.value = 36
	w.load(5)
	w.settle()
	if got := w.contents()["c"][day]; len(got) != 2 {
		t.Errorf("c reads %v, of which the last was not approved", got)
	}
	w.stages[0].rejects = "mod 32"
	w.relies = nil
	w.deploy()
	w.settle()
	w.check()
	if pins, err := w.catalog.Pins(context.Background()); err != nil || len(pins) > 0 {
		t.Errorf("pins: %v, %v", pins, err)
	}
}

// approveFor approves what is held of a for one reader.
func (w *world) approveFor(reader string) {
	ref := dataset.Reference{Dataset: "a", Partition: w.partition(dataset.Hour, 5)}
	if _, err := w.catalog.Approve(context.Background(), ref, dataset.Approval{Actor: "ada", Reason: "a festival", For: "nobody"}); err == nil {
		w.tb.Error("what is not held was approved")
	}
	_, err := w.catalog.Approve(context.Background(), ref, dataset.Approval{Actor: "ada", Reason: "a festival", For: reader})
	w.must(err)
	w.converger.Wake()
	w.settle()
}

// TestReaderWaitsForWhatIsGood has one reader that was never given anything good:
// it waits, and is computed when its contract allows it.
func TestReaderWaitsForWhatIsGood(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.stages = chain("")
	w.relies = map[string]string{"b.yaml": "owner: charts\nconsumer: b\ndatasets: {a: {rows: {min: 2}}}\n"}
	w.start()
	w.closeTo(1000)
	w.value = 1
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{"b": 1})
	w.expectValues("a", 2)
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2, 3)
}

// TestRecheckKnowsWhatIsHeld finds nothing stale where something is held.
func TestRecheckKnowsWhatIsHeld(t *testing.T) {
	w := chained(t, below10)
	w.value = 31
	w.load(5)
	w.settle()
	w.pass(time.Second)
	found, err := w.catalog.Recheck(context.Background())
	w.must(err)
	if len(found.Stale) > 0 {
		t.Errorf("stale: %+v", found.Stale)
	}
	a, err := w.catalog.Why(context.Background(), dataset.Reference{Dataset: "a", Partition: w.partition(dataset.Hour, 5)})
	w.must(err)
	if a.State != sqlite.Held || a.Looked.Outcome != dataset.Withheld {
		t.Errorf("it is %s, %s", a.State, a.Looked.Outcome)
	}
}

// TestClosesWhileSetAside closes partitions of a stage whose file is gone: it is
// judged when it comes back.
func TestClosesWhileSetAside(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.stages = chain("{rows: {min: 2}}")
	w.value = 1
	w.start()
	w.load(5)
	w.settle()
	w.stages[0].gone, w.stages[1].gone = true, true
	w.deploy()
	w.settle()
	w.closeTo(1000)
	w.settle()
	w.stages[0].gone, w.stages[1].gone = false, false
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{"a": 1, "b": 1})
}

// TestReaderIsGone holds something for a stage whose file goes: nothing is apart
// any more, and what the others read goes on.
func TestReaderIsGone(t *testing.T) {
	w := chained(t, "")
	w.relies = map[string]string{"b.yaml": "owner: charts\nconsumer: b\ndatasets: {a: {columns: {value: {max: 10}}}}\n"}
	w.deploy()
	w.settle()
	w.value = 31
	w.load(5)
	w.settle()
	w.expectValues("b", 2)
	w.stages[1].gone = true
	w.deploy()
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("a", 2, 32, 33)
	if pins, err := w.catalog.Pins(context.Background()); err != nil || len(pins) > 0 {
		t.Errorf("pins: %v, %v", pins, err)
	}
}
