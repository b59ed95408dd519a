package converge

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// TestChoose gives workers what is due. A task is a dataset, whose owner has the
// first letter, its hour, and a mark: `!` live, `?` nobody looked, `x` failed
// before, `+` of a size that half fills a batch.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		about            string
		workers, working int
		due, want, rest  string
	}{
		{"nothing", 2, 0, "", "", ""},
		{"one stage is shared out among the workers", 2, 0, "a4 a3 a2 a1", "a4 a3 | a2 a1", ""},
		{"owners have turns", 1, 0, "a3 b3 a2 a1 c1", "a3 a2 a1", "b3 c1"},
		{"each worker another owner", 2, 0, "a3 b3 a2 b2", "a3 a2 | b3 b2", ""},
		{"a worker that works keeps its batch", 2, 1, "a3 b3 a2 b2", "a3 a2", "b3 b2"},
		{"no worker is free", 2, 2, "a1 b1", "", "a1 b1"},
		{"live work is alone", 2, 0, "a5! a4 a3 a2", "a5! | a4 a3", "a2"},
		{"nobody knows how large", 2, 0, "a4? a3 a2 a1", "a4? | a3 a2", "a1"},
		{"what failed is alone", 2, 0, "a4 a3x a2 a1", "a4 a2 | a3x", "a1"},
		{"a batch is not for long", 1, 0, "a5+ a4+ a3+ a2+ a1+", "a5+ a4+", "a3+ a2+ a1+"},
		{"what reads what is begun waits", 3, 0, "a1 z1 z2 a2 b1", "a1 | z2 | a2", "z1 b1"},
	} {
		t.Run(c.about, func(t *testing.T) {
			con := New(Options{Workers: c.workers})
			con.busy, con.looked = c.working, map[place]look{}
			marks := map[place]string{}
			var due []dataset.Task
			for word := range strings.FieldsSeq(c.due) {
				k := dataset.Task{Dataset: word[:1], Owner: word[:1], Partition: dataset.PartitionAt(dataset.Hour, time.Unix(int64(word[1]-'0')*3600, 0)), Live: word[2:] == "!"}
				con.stages[k.Dataset] = &deployed{stage: &stage.Stage{}}
				here := place{k.Dataset, k.Partition}
				found := &answer{}
				found.prior.LastCPU = time.Millisecond
				switch marks[here] = word; word[2:] {
				case "?":
					found = nil
				case "x":
					k.Attempts = 1
				case "+":
					found.prior.LastCPU = batchCost / 2
				}
				con.looked[here] = look{found: found}
				due = append(due, k)
			}
			if z := con.stages["z"]; z != nil {
				z.inputs = []input{{name: "a", window: dataset.Same}}
			}
			var got, rest []string
			for _, b := range con.choose(due) {
				var words []string
				for _, k := range b.tasks {
					words = append(words, marks[place{k.Dataset, k.Partition}])
				}
				got = append(got, strings.Join(words, " "))
			}
			for _, k := range con.listed {
				rest = append(rest, marks[place{k.Dataset, k.Partition}])
			}
			if d := cmp.Diff([]string{c.want, c.rest}, []string{strings.Join(got, " | "), strings.Join(rest, " ")}); d != "" {
				t.Error(d)
			}
		})
	}
}

// scripted calls a function before each build of a stage, with how many there
// were before.
type scripted struct {
	backend
	builds atomic.Int64
	script func(n int64, job engine.BuildJob) error
}

func (s *scripted) Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	if err := s.script(s.builds.Add(1)-1, job); err != nil {
		return engine.BuildResult{}, err
	}
	return s.backend.Build(ctx, job)
}

// manyHours is a project whose stage has as many closed hours to compute anew.
func manyHours(t *testing.T, hours int64) (*world, *scripted) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	s := &scripted{backend: w.engine.backend, script: func(int64, engine.BuildJob) error { return nil }}
	w.engine.backend = s
	s.backend.(*fakeEngine).timed = func(string) bool { return true } // stages may change beside it
	w.stages = []definition{{
		name: "a", grain: dataset.Hour, windows: map[string]string{dataset.Raw: "same"}, program: program{Op: "sum", K: 1, Inputs: []string{dataset.Raw}},
	}}
	w.start()
	for h := range hours {
		w.load(h)
	}
	w.closeTo(1000)
	w.settle()
	w.check()
	s.builds.Store(0)
	return w, s
}

// TestBatchWithAFailingMember leaves out one partition of many and computes the
// others once each; later that one alone.
func TestBatchWithAFailingMember(t *testing.T) {
	const hours = 40
	w, s := manyHours(t, hours)
	ill := w.partition(dataset.Hour, 17)
	s.script = func(_ int64, job engine.BuildJob) error {
		if job.Start.Equal(ill.Start()) {
			return errWorker
		}
		return nil
	}
	w.stages[0].program.K = 2
	w.deploy()
	if err := w.converger.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, err := w.catalog.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, e := range status.Errors {
		failed = append(failed, fmt.Sprint(e.Dataset, "@", e.Partition))
	}
	if d := cmp.Diff([]string{fmt.Sprint("a@", ill)}, failed); d != "" {
		t.Error("what failed:", d)
	}
	if n := s.builds.Load(); n != hours {
		t.Errorf("%d builds of %d hours", n, hours)
	}
	s.script = func(int64, engine.BuildJob) error { return nil }
	w.pass(10 * time.Minute)
	w.settle()
	w.check()
	if n := s.builds.Load(); n != hours+1 {
		t.Errorf("%d builds of %d hours, one of which failed once", n, hours)
	}
}

// TestSupersededBatch deploys another definition while batches of the old one
// are under way: no more than what each worker has begun is computed in vain.
func TestSupersededBatch(t *testing.T) {
	const hours = 40
	w, s := manyHours(t, hours)
	var replaced atomic.Bool
	var late atomic.Int64 // builds of the old definition, once it was replaced
	deployed := make(chan struct{})
	s.script = func(n int64, job engine.BuildJob) error {
		if replaced.Load() && strings.Contains(job.SQL, "sum 2") {
			late.Add(1)
		}
		if n == 5 {
			w.stages[0].program.K = 3
			w.deploy()
			replaced.Store(true)
			close(deployed)
		}
		return nil
	}
	w.stages[0].program.K = 2
	w.deploy()
	<-deployed
	w.settle()
	w.check()
	w.checkLedger()
	if n := late.Load(); n >= workers {
		t.Errorf("%d hours were computed by a definition that was replaced before; each other worker may have begun one", n)
	}
}

// TestKilledBatch kills everything in the middle of batches. What was computed
// again is one partition of each worker at most.
func TestKilledBatch(t *testing.T) {
	const hours = 40
	w, s := manyHours(t, hours)
	killed := make(chan struct{})
	s.script = func(n int64, _ engine.BuildJob) error {
		if n == 11 {
			w.kill()
			close(killed)
		}
		return nil
	}
	w.stages[0].program.K = 2
	w.deploy()
	<-killed
	w.reopen()
	w.settle()
	w.check()
	w.checkLedger()
	if n := s.builds.Load(); n > hours+workers {
		t.Errorf("%d builds of %d hours with %d workers", n, hours, workers)
	}
}
