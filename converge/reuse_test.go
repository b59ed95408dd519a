package converge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// TestNothingIsComputedTwice goes forth and back with definitions and side
// inputs over closed history: what was computed once is found again, refused
// rows included, also after restarts, compactions and garbage collection.
func TestNothingIsComputedTwice(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	defer w.close()
	w.sides["side0"] = []int64{1}
	w.stages = []definition{
		{
			name: "a", grain: dataset.Hour, rejects: "mod 3", windows: map[string]string{"raw": "same", "side0": "latest"},
			program: program{Op: "map", K: 2, Inputs: []string{"raw", "side0"}},
		},
		{name: "b", grain: dataset.Day, windows: map[string]string{"a": "-1h..+1h"}, program: program{Op: "sum", K: 1, Inputs: []string{"a"}}},
		{name: "c", grain: dataset.Hour, windows: map[string]string{"a_rejected": "same"}, program: program{Op: "map", K: 3, Inputs: []string{"a_rejected"}}},
	}
	w.start()
	w.load(1, 2, 2, 3, 30, 30, 30, 50)
	w.settle()
	w.closeTo(1000)
	original := w.ledger.count()
	steps := []func(){
		func() { w.stages[0].program.K = 3 }, func() { w.stages[0].program.K = 2 },
		func() { w.sides["side0"] = []int64{2, 5} }, func() { w.stages[0].rejects = "mod 2" },
		func() { w.sides["side0"] = []int64{1} }, func() { w.stages[0].rejects = "mod 3" },
		func() { w.stages[1].comment = "-- in other words\n" }, func() { w.stages[2].program.K = 4 }, func() { w.stages[2].program.K = 3 },
	}
	for i, step := range steps {
		step()
		w.pass(time.Second)
		w.deploy()
		w.settle()
		w.check()
		w.compact()
		w.collect()
		if i%3 == 2 {
			w.reopen()
		}
		w.checkLedger()
	}
	t.Logf("%d builds at first, %d in all", original, w.ledger.count())
	if w.ledger.count() == original {
		t.Error("no change computed anything")
	}
}

// TestGoingBackComputesNothing changes definitions and changes them back, over
// open partitions and over closed ones: as long as the inputs stay, the second
// time is a move of pointers. Once they move on, open partitions forget.
func TestGoingBackComputesNothing(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	defer w.close()
	w.sides["side0"] = []int64{1}
	w.stages = []definition{
		{
			name: "a", grain: dataset.Hour, rejects: "mod 3", windows: map[string]string{"raw": "same"},
			program: program{Op: "map", K: 2, Inputs: []string{"raw"}},
		},
		{name: "b", grain: dataset.Day, windows: map[string]string{"a": "-1h..+1h"}, program: program{Op: "sum", K: 1, Inputs: []string{"a"}}},
		{name: "c", grain: dataset.None, windows: map[string]string{"a_rejected": "all"}, program: program{Op: "sum", K: 3, Inputs: []string{"a_rejected"}}},
	}
	w.start()
	w.load(1, 2, 2, 3, 30, 30, 30, 50)
	w.settle()
	w.closeTo(20) // the first hours, and no day
	change := func(step func()) int {
		before := w.ledger.count()
		step()
		w.deploy()
		w.settle()
		w.check()
		w.compact()
		w.collect()
		return w.ledger.count() - before
	}
	otherCode, otherRule := func() { w.stages[0].program.K = 3 }, func() { w.stages[0].rejects = "mod 2" }
	otherInput := func() {
		w.stages[1].windows["side0"], w.stages[1].program.Inputs = "latest", []string{"a", "side0"}
	}
	back := func() {
		w.stages[0].program.K, w.stages[0].rejects = 2, "mod 3"
		delete(w.stages[1].windows, "side0")
		w.stages[1].program.Inputs = []string{"a"}
	}
	for name, forth := range map[string]func(){"code": otherCode, "rejects": otherRule, "inputs": otherInput} {
		if change(forth) == 0 {
			t.Errorf("%s: nothing was computed for another definition", name)
		}
		if n := change(back); n != 0 {
			t.Errorf("%s: going back computed %d partitions", name, n)
		}
		if n := change(forth); n != 0 {
			t.Errorf("%s: going forth again computed %d partitions", name, n)
		}
		w.stop()
		w.start()
		if n := change(back); n != 0 {
			t.Errorf("%s: going back after a restart computed %d partitions", name, n)
		}
	}
	// The inputs of an open hour move on: what other definitions made of it goes.
	if change(func() { w.load(30) }) == 0 {
		t.Error("nothing was computed for a new event")
	}
	if n := w.versions("a", w.partition(dataset.Hour, 30)); n != 1 {
		t.Errorf("an open hour whose inputs moved on has %d versions on record", n)
	}
	if n := w.versions("a", w.partition(dataset.Hour, 50)); n != 3 {
		t.Errorf("an open hour whose inputs stayed has %d versions on record, want one for each definition", n)
	}
}

// TestAbsentUntilAllHasSomething has an hour that is anchored and reads nothing,
// until an input of which all of time is read gets its first row elsewhere.
func TestAbsentUntilAllHasSomething(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	defer w.close()
	w.stages = []definition{
		{name: "a", grain: dataset.Hour, rejects: "mod 3", windows: map[string]string{"raw": "same"}, program: program{Op: "map", K: 2, Inputs: []string{"raw"}}},
		{
			name: "b", grain: dataset.Hour, windows: map[string]string{"raw": "-2h..-1h", "a_rejected": "all"},
			program: program{Op: "sum", K: 1, Inputs: []string{"a_rejected", "raw"}},
		},
	}
	w.start()
	w.load(5) // 1, which a keeps as 2
	w.settle()
	w.check()
	w.load(40, 41) // 2 and 3: 6 is refused
	w.settle()
	w.check()
	if len(w.contents()["b"]) < 2 {
		t.Fatalf("void: b has %v", w.contents()["b"])
	}
}

// TestReadWholeOnceForADeployment makes something of all of time, two stages below
// what changes: it waits for history, though its live partitions are done first.
func TestReadWholeOnceForADeployment(t *testing.T) {
	catalog := newCatalog(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, catalog)
		defer w.close()
		w.stages = []definition{
			{name: "a", grain: dataset.Hour, program: program{Op: "map", K: 1, Inputs: []string{"raw"}}, windows: map[string]string{"raw": "same"}},
			{name: "b", grain: dataset.Hour, program: program{Op: "map", K: 1, Inputs: []string{"a"}}, windows: map[string]string{"a": "same"}},
			{name: "c", grain: dataset.Hour, program: program{Op: "map", K: 1, Inputs: []string{"b"}}, windows: map[string]string{"b": "same"}},
			{name: "whole", grain: dataset.None, program: program{Op: "sum", K: 1, Inputs: []string{"c"}}, windows: map[string]string{"c": "all"}},
		}
		w.start()
		for hour := int64(present - 50); hour <= present; hour++ {
			w.load(hour)
		}
		w.settle()
		before := len(w.ledger.ran)
		w.pass(time.Second)
		w.stages[0].program.K = 3
		w.deploy()
		w.settle()
		w.check()
		runs := 0
		for _, p := range w.ledger.ran[before:] {
			if p.dataset == "whole" {
				runs++
			}
		}
		if runs != 1 {
			t.Errorf("computed %d times: %v", runs, w.ledger.ran[before:])
		}
	})
}

// TestWhatGrewMayShrinkBack refuses further up what came late into a closed hour:
// below, that is as it was before the late event came, and on record.
func TestWhatGrewMayShrinkBack(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	defer w.close()
	w.stages = []definition{
		{name: "a", grain: dataset.Hour, rejects: "mod 5", program: program{Op: "map", K: 1, Inputs: []string{"raw"}}, windows: map[string]string{"raw": "same"}},
		{name: "b", grain: dataset.Hour, program: program{Op: "map", K: 4, Inputs: []string{"a"}}, windows: map[string]string{"a": "same"}},
	}
	w.value = 1 // the first row is a 2, the late one a 3
	w.start()
	w.load(20)
	w.settle()
	w.closeTo(1000)
	w.load(20)
	w.settle()
	before := len(w.ledger.ran)
	w.pass(time.Second)
	w.stages[0].rejects = "mod 3"
	w.deploy()
	w.settle()
	w.check()
	for _, p := range w.ledger.ran[before:] {
		if p.dataset == "b" {
			t.Errorf("%s@%s was computed again", p.dataset, p.partition)
		}
	}
}
