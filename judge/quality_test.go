package judge_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What Reedbed's gate has to reach: of partitions with a severity of at least 20 % it
// holds 95 %, of those it holds 90 % are bad, and of the good partitions of a stage it
// holds at most one a month.
const (
	goalSeverity   = .20
	goalRecall     = .95
	goalPrecision  = .90
	goalFalseHolds = 1.
)

// Precision is nothing without saying how many partitions are bad: one in 20, as the
// goal is understood, or one a week.
const (
	oneIn     = 20
	oneInWeek = 7 * 24
)

// The goals hold for seeds that the gate was never tuned on.
func TestGateQuality(t *testing.T) {
	if testing.Short() {
		t.Skip("plays 180 days five times")
	}
	tallies := runAll(heldOutSeeds, events, rivals)
	t.Log("\n" + report(tallies))
	gate := tallies[0]
	recall := gate.recall(forGoal)
	if recall < goalRecall {
		t.Errorf("of partitions with a severity of 20 %% or more %.3f are held; the goal is %.2f", recall, goalRecall)
	}
	if p := gate.precision(recall, oneIn); p < goalPrecision {
		t.Errorf("of what is held %.3f is bad; the goal is %.2f", p, goalPrecision)
	}
	if f := gate.perMonth(gate.held); f > goalFalseHolds {
		t.Errorf("%.2f good partitions are held per stage and month; the goal is %.0f", f, goalFalseHolds)
	}
}

// What the gate does elsewhere, which docs/gates.md tells: on the seeds that held out
// figures were of before, in a stage without ids and times, and with few rows.
func TestGateElsewhere(t *testing.T) {
	if os.Getenv("REEDBED_GATE") == "" {
		t.Skip("plays 180 days 30 times: set REEDBED_GATE=1")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-28s%18s%11s%14s%12s", "", "recall from 20 %", "precision", "false/month", "warnings")
	for _, k := range corruptions {
		fmt.Fprintf(&b, "  %s", k.name)
	}
	for _, x := range []struct {
		setting
		seeds []uint64
	}{
		{setting{name: "seeds 101 to 105", rows: usualRows}, earlierSeeds},
		{setting{name: "no ids, no times", rows: usualRows, bare: true}, heldOutSeeds},
		{setting{name: "1000 rows an hour", rows: 1000}, heldOutSeeds},
		{setting{name: "200 rows an hour", rows: 200}, heldOutSeeds},
		{setting{name: "100 rows an hour", rows: 100}, heldOutSeeds},
		{setting{name: "50 rows an hour", rows: 50}, heldOutSeeds},
	} {
		gate := runAll(x.seeds, x.setting, nil)[0]
		recall := gate.recall(forGoal)
		fmt.Fprintf(&b, "\n%-28s%18.3f%11.3f%14.2f%12.2f", x.name, recall, gate.precision(recall, oneIn), gate.perMonth(gate.held), gate.perMonth(gate.warned))
		for i, k := range corruptions {
			fmt.Fprintf(&b, "%*.2f", 2+len(k.name), gate.recall(func(c cell) bool { return c == cell{i, goalSeverity} }))
		}
	}
	t.Log("\n" + b.String())
}

// forGoal says which spoiled partitions the goal is for.
func forGoal(c cell) bool { return c.severity >= goalSeverity && !corruptions[c.kind].apart }

func (t *tally) recall(of func(cell) bool) float64 {
	var caught, spoiled float64
	for c, n := range t.spoiled {
		if of(c) {
			caught, spoiled = caught+float64(t.caught[c]), spoiled+float64(n)
		}
	}
	return caught / max(1, spoiled)
}

// precision is the bad part of what is held if one partition in n is bad.
func (t *tally) precision(recall, n float64) float64 {
	bad := recall / n
	good := float64(t.held) / float64(max(1, t.hours)) * (1 - 1/n)
	if bad+good == 0 {
		return 0
	}
	return bad / (bad + good)
}

func (t *tally) perMonth(n int) float64 { return float64(n) * hoursMonth / float64(max(1, t.hours)) }

// report is the table of docs/gates.md.
func report(tallies []*tally) string {
	var b strings.Builder
	names := []string{"gate"}
	for _, r := range rivals {
		names = append(names, r.name)
	}
	fmt.Fprintf(&b, "%-36s%18s%11s%12s%14s\n", "", "recall from 20 %", "precision", "one a week", "false/month")
	for i, name := range names {
		t := tallies[i]
		recall := t.recall(forGoal)
		fmt.Fprintf(&b, "%-36s%18.3f%11.3f%12.3f%14.2f\n", name, recall, t.precision(recall, oneIn), t.precision(recall, oneInWeek), t.perMonth(t.held))
	}
	gate := tallies[0]
	fmt.Fprintf(&b, "\nThe gate: %d good partitions, %d held (%d of them on holidays), %d promoted with a warning (%.1f a month).\n",
		gate.hours, gate.held, gate.holidayHeld, gate.warned, gate.perMonth(gate.warned))
	fmt.Fprintf(&b, "True shifts: %d of %d noticed in their first hour, %d partitions held until a person approved.\n\n", gate.noticed, 2*len(heldOutSeeds), gate.shiftHeld)
	fmt.Fprintf(&b, "%-20s%9s%9s%11s%s\n", "", "severity", "recall", "precision", "   recall of 3 sigma, z-score, drift 0.01, drift 0.1")
	for k, c := range corruptions {
		for _, severity := range c.severities {
			at := func(other cell) bool { return other == cell{k, severity} }
			recall := gate.recall(at)
			fmt.Fprintf(&b, "%-20s%8.0f%%%9.2f%11.2f  ", c.name, 100*severity, recall, gate.precision(recall, oneIn))
			for _, t := range tallies[1:] {
				fmt.Fprintf(&b, "%8.2f", t.recall(at))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
