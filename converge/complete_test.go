package converge

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/stage"
)

// What a stage's measure `complete` says is what the rule of that name judges; where
// it says nothing, nobody knows, and that is not enough.
func TestGateJudgesCompleteness(t *testing.T) {
	s, problems := stage.Parse("loss", "stages/loss.sql", `/* @stage
owner: platform
partition: hour
inputs: {raw: {window: same}}
contract: {complete: {min: 99%}}
fingerprint: {measures: {complete: avg(seq)}}
*/
SELECT seq FROM raw`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g := newGate(s, nil, []contract.Contract{})
	for name, c := range map[string]struct {
		measures []fingerprint.Measure
		broken   string
	}{
		"enough":         {[]fingerprint.Measure{{Name: "complete", Value: new(0.995)}}, ""},
		"too little":     {[]fingerprint.Measure{{Name: "complete", Value: new(0.97)}}, "97%"},
		"nothing known":  {[]fingerprint.Measure{{Name: "complete"}}, "nobody knows"},
		"failed":         {[]fingerprint.Measure{{Name: "complete", Value: new(1.0), Error: "division by zero"}}, "nobody knows"},
		"other measures": {[]fingerprint.Measure{{Name: "completed", Value: new(1.0)}}, "nobody knows"},
	} {
		t.Run(name, func(t *testing.T) {
			v := g.judge(&fingerprint.Fingerprint{Rows: 10, Measures: c.measures}, false, measured{})
			switch {
			case c.broken == "" && len(v.Broken) > 0:
				t.Errorf("held: %+v", v.Broken)
			case c.broken != "" && (len(v.Broken) != 1 || !strings.Contains(v.Broken[0].What, c.broken)):
				t.Errorf("broken: %+v, want one with %q", v.Broken, c.broken)
			}
			if v := g.judge(&fingerprint.Fingerprint{Measures: c.measures}, true, measured{}); len(v.Broken) > 0 {
				t.Errorf("judged before its close: %+v", v.Broken)
			}
		})
	}
}

// lossy is a world of a chain and of a stage that measures how much arrived, in which
// the hour 5 has an event and is closed.
func lossy(t *testing.T, holds string) *world {
	t.Helper()
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.stages = append(chain(holds), definition{
		name: dataset.Completeness, grain: dataset.Hour, comment: measures, windows: map[string]string{"raw": "same"},
		program: program{Op: "map", K: 1, Inputs: []string{"raw"}},
	})
	w.start()
	w.closeTo(1000)
	w.value = 1
	w.load(5)
	w.settle()
	return w
}

// arrived is what the fingerprint says of what readers of hour 5 see.
func (w *world) arrived(name string) *fingerprint.Completeness {
	w.tb.Helper()
	var b []byte
	w.must(w.ledger.each(`SELECT v.fingerprint FROM pointers x JOIN versions v ON v.partition_id = x.partition_id AND v.number = x.version
		JOIN partitions p ON p.id = x.partition_id JOIN datasets d ON d.id = p.dataset_id WHERE x.view = 'main' AND d.name = ? AND p.name = ?`,
		func(rows *sql.Rows) error { return rows.Scan(&b) }, name, w.partition(dataset.Hour, 5)))
	f, err := decodeFingerprint(b)
	w.must(err)
	if f == nil {
		return nil
	}
	return f.Completeness
}

// TestJudgedByHowMuchArrived holds a stage for what is missing of its time, by what
// another stage measures, and lets go when that changes: the stage itself is not
// computed again.
func TestJudgedByHowMuchArrived(t *testing.T) {
	w := lossy(t, "{complete: {min: 60%}}")
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2)
	end := w.partition(dataset.Hour, 5).End()
	if d := cmp.Diff(&fingerprint.Completeness{Received: 1, Numbered: 1, Until: end}, w.arrived("a")); d != "" {
		t.Error(d)
	}
	w.value = 51
	w.load(5)
	w.settle()
	lately, err := Arrived(context.Background(), w.catalog)
	w.must(err)
	if d := cmp.Diff(&Arrival{Until: end, Day: &fingerprint.Completeness{Received: 1, Numbered: 1, InFlight: 1, Until: end}}, lately); d != "" {
		t.Error(d)
	}
	w.expectHeld(map[string]int64{"a": 1})
	s, err := w.catalog.Status(context.Background())
	w.must(err)
	if what := s.Holds[0].Broken[0].What; !strings.Contains(what, "is 50%; expected at least 60%") {
		t.Error(what)
	}
	w.expectValues("b", 2)
	w.stages[2].rejects = "mod 52" // measured otherwise
	before := w.ran()
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2, 52)
	for _, k := range w.ledger.ran[before:] {
		if k.dataset == "a" {
			t.Errorf("it was computed again: %v", w.ledger.ran[before:])
		}
	}
}

// TestNobodyMeasures holds a stage that is promised to be complete while nothing
// measures that.
func TestNobodyMeasures(t *testing.T) {
	w := lossy(t, "{complete: {min: 60%}}")
	w.stages[2].gone = true
	w.deploy()
	w.settle()
	if a, err := Arrived(context.Background(), w.catalog); a != nil || err != nil {
		t.Errorf("%+v, %v", a, err)
	}
	w.expectHeld(map[string]int64{"a": 1, "b": 1})
	w.stages[2].gone = false
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{})
}

// TestWithoutRuleNothingIsJudgedAgain computes more of what measures: nobody else
// moves, and what is judged later knows it.
func TestWithoutRuleNothingIsJudgedAgain(t *testing.T) {
	w := lossy(t, "")
	w.stages[2].rejects = "mod 52"
	w.deploy()
	w.pass(time.Second)
	w.value = 51
	before := len(w.ledger.ran)
	w.load(5)
	w.settle()
	w.expectHeld(map[string]int64{})
	w.expectValues("b", 2, 52)
	if c := w.arrived("b"); c == nil || c.Received != 1 || c.InFlight != 0 {
		t.Errorf("%+v", c)
	}
	others := slices.DeleteFunc(slices.Clone(w.ledger.ran[before:]), func(p place) bool { return p.dataset == dataset.Completeness })
	if len(others) != 2 {
		t.Errorf("computed: %v", others)
	}
}

// TestWhatMeasuresCannotWaitForItself refuses a promise that would hold what
// completeness is computed from.
func TestWhatMeasuresCannotWaitForItself(t *testing.T) {
	for name, relies := range map[string]string{
		"producer": "",
		"consumer": "owner: x\nconsumer: completeness\ndatasets: {a: {complete: {min: 60%}}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, newCatalog(t))
			t.Cleanup(w.close)
			w.stages = chain("")
			w.stages[1].name, w.stages[1].comment = dataset.Completeness, measures
			if relies == "" {
				w.stages[0].holds = "{complete: {min: 60%}}"
			} else {
				w.relies = map[string]string{"r.yaml": relies}
			}
			w.converger, w.kill = New(w.options()), func() {}
			problems, err := w.deployWithin(context.Background())
			w.must(err)
			if len(problems) == 0 || !strings.Contains(problems[0].What, "neither could go on") || problems[0].Line == 0 {
				t.Errorf("%+v", problems)
			}
		})
	}
}

// TestRowsAreSummedUp has the engine sum up rows, also those that make no sense.
func TestRowsAreSummedUp(t *testing.T) {
	pool := newPool(t)
	const columns = " AS t(source, received, numbered, lost_in_flight, lost_at_client)"
	for values, want := range map[string]fingerprint.Completeness{
		"VALUES ('b', 10, 10, 2, 1), ('a', 5, 3, 0, 0), ('c', 1, 0, 0, 0), ('a', 1, 0, 0, 0)": {
			Received: 17, Numbered: 13, InFlight: 2, AtClient: 1, Unnumbered: []string{"a", "c"},
		},
		"VALUES ('a', 5, 9, -3, 9000000000000000000), (NULL, NULL, NULL, NULL, 9000000000000000000)": {
			Received: 5, Numbered: 5, AtClient: 1_000_000_000_000_000,
		},
		"SELECT 'a', 1, 1, 1, 1 WHERE false": {},
	} {
		res, err := pool.Build(t.Context(), engine.BuildJob{
			SQL: "SELECT * FROM (" + values + ")" + columns, Survey: &engine.Survey{Name: dataset.Completeness, Completeness: completeSums()},
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&want, res.Output.Fingerprint.Completeness, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s:\n%s", values, d)
		}
	}
}

// TestHeldAsLongAsTooLittleArrived loads events and losses at random, measures
// otherwise and back, and starts again: what is held in the end is what misses too
// much, and all of it comes to rest.
func TestHeldAsLongAsTooLittleArrived(t *testing.T) {
	catalog := newCatalog(t)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, nil, catalog)
		defer w.close()
		w.stages = append(chain("{complete: {min: 60%}}"), definition{
			name: dataset.Completeness, grain: dataset.Hour, comment: measures, windows: map[string]string{"raw": "-1h..0h"},
			program: program{Op: "map", K: 1, Inputs: []string{"raw"}},
		})
		w.start()
		w.closeTo(1000)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			w.pass(time.Second)
			switch rapid.SampledFrom([]string{"load", "load", "lose", "measure", "reopen", "settle"}).Draw(t, "step") {
			case "load":
				w.value = rapid.Int64Range(1, 40).Draw(t, "value")
				w.load(rapid.Int64Range(5, 7).Draw(t, "hour"))
			case "lose":
				w.value = rapid.Int64Range(51, 90).Draw(t, "value")
				w.load(rapid.Int64Range(5, 7).Draw(t, "hour"))
			case "measure":
				w.stages[2].rejects = rapid.SampledFrom([]string{"", "mod 2", "mod 3"}).Draw(t, "rejects")
				w.deploy()
			case "reopen":
				w.reopen()
			case "settle":
				w.settle()
			}
		}
		w.settle()
		held, converged := w.state()
		if want := w.tooLittle(); held["a"] != want || !converged {
			t.Fatalf("%d hours are held, %d miss too much; converged: %v", held["a"], want, converged)
		}
	})
}

// tooLittle counts the hours of which less than 60 % arrived, as far as that is measured.
func (w *world) tooLittle() (hours int64) {
	measured := w.contents()[dataset.Completeness]
	for h, rows := range w.raw {
		if len(rows) == 0 {
			continue
		}
		var arrived, lost int
		for _, r := range measured[w.partition(dataset.Hour, h)] {
			if r.Value < 50 {
				arrived++
			} else {
				lost++
			}
		}
		if arrived+lost == 0 || float64(arrived) < 0.6*float64(arrived+lost) {
			hours++
		}
	}
	return hours
}
