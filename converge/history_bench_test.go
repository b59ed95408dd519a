package converge

import (
	"testing"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// BenchmarkRollbackOfHistory changes a stage and takes it back, over 29 days of
// stages like those of examples/plays: three of hours and three of days read what
// changes. ms/rollback is the time until everything is as before.
func BenchmarkRollbackOfHistory(b *testing.B) {
	w := newWorld(b, nil, newCatalog(b))
	defer w.close()
	add := func(name string, g dataset.Grain, window, in string) {
		w.stages = append(w.stages, definition{
			name: name, grain: g, program: program{Op: "sum", K: 1, Inputs: []string{in}}, windows: map[string]string{in: window},
		})
	}
	add("events", dataset.Hour, "same", "raw")
	add("plays", dataset.Hour, "same", "events")
	add("classified", dataset.Hour, "same", "plays")
	add("sessions", dataset.Hour, "-1h..+1h", "classified")
	add("hourly", dataset.Hour, "same", "classified")
	add("counts", dataset.Day, "same", "hourly")
	add("top", dataset.Day, "-27d..0d", "counts")
	add("royalties", dataset.Day, "same", "classified")
	w.stages[2].rejects = "mod 3"
	w.start()
	const hours = 29 * 24
	for hour := range int64(hours) {
		w.load(hour)
	}
	w.settle()
	w.closeTo(hours + 100)
	change := func(k int64) {
		w.pass(time.Second)
		w.stages[2].program.K = k
		w.deploy()
		w.must(w.converger.Settle(b.Context()))
	}
	change(2)
	change(3)
	before := w.ledger.count()
	n := int64(0)
	for b.Loop() {
		n++
		change(3 - n%2)
	}
	if w.ledger.count() != before {
		b.Errorf("%d partitions were computed", w.ledger.count()-before)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(n), "ms/rollback")
}
