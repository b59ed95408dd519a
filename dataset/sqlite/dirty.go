package sqlite

import (
	"fmt"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// edge is one stage's way of reading one input.
type edge struct {
	stage  Dataset
	window dataset.Window
}

// cause is why partitions become dirty. An urgent one, which a person brought
// about, is not held back by debounce or by an earlier failure.
type cause struct {
	id     int64
	urgent bool
	staged bool // a release group staged it: nobody else is to know yet
	waits  bool // for the next pointer vector of the reader's release group
}

// addCause records a cause that nothing led to, and of which there is no more to
// say than its words.
func (t *tx) addCause(kind, detail string) (cause, error) {
	return t.recordCause(dataset.CauseKind(kind), detail, dataset.Facts{}, nil)
}

// readersOf lists how stages at work read an input.
func (t *tx) readersOf(inputID int64) ([]edge, error) {
	return recall(t.known.readers, inputID, func() ([]edge, error) { return t.findReaders(inputID) })
}

func (t *tx) findReaders(inputID int64) ([]edge, error) {
	var out []edge
	err := t.each(`SELECT `+datasetColumns+`, window, lo, hi, since FROM (
		SELECT d.*, e.kind AS window, e.lo, e.hi, e.since FROM edges e JOIN datasets d ON d.id = e.dataset_id
		WHERE e.input_id = ? AND d.retired_at IS NULL AND d.paused = 0)`, []any{inputID},
		func(scan func(...any) error) error {
			var e edge
			var lo, hi int64
			d, err := scanDataset(func(dst ...any) error { return scan(append(dst, &e.window.Kind, &lo, &hi, &e.window.From)...) })
			e.stage = d
			e.window.Lo, e.window.Hi = time.Duration(lo)*time.Microsecond, time.Duration(hi)*time.Microsecond
			out = append(out, e)
			return err
		})
	return out, err
}

// dirtyReaders marks every output partition that reads p as everybody does. It
// costs what is affected, not what exists.
func (t *tx) dirtyReaders(p partition, why cause) error {
	edges, err := t.readersOf(p.dataset.ID)
	if err != nil {
		return err
	}
	pinned, err := t.pinnedReaders(p)
	if err != nil {
		return err
	}
	for _, e := range edges {
		if pinned[e.stage.ID] {
			continue
		}
		together := e.stage.Release != "" && e.stage.Release == p.dataset.Release
		if p.dataset.Release != "" && together != why.staged {
			continue // told when the group promotes it, or told when it was staged
		}
		why.waits = e.stage.Release != "" && !together
		if err := t.dirtyThrough(e, p, why); err != nil {
			return err
		}
	}
	if p.dataset.Spec.Name == dataset.Completeness && !why.staged {
		return t.judgeArrived(p.name, why)
	}
	return nil
}

func (t *tx) dirtyThrough(e edge, p partition, why cause) error {
	grain := e.stage.Spec.Grain
	own := sharing(grain, p.name)
	switch {
	case grain == dataset.None:
		return t.markDirty(e.stage, []dataset.Partition{dataset.Whole}, why)
	case e.window.Kind == dataset.AsOf || e.window.Kind == dataset.Latest:
		return t.dirtyExisting(e.stage, why, following(e.window))
	case e.window.Kind == dataset.All:
		return t.dirtyReadersOfAll(e, p, own, why)
	case e.window == dataset.Same:
		return t.markDirty(e.stage, own, why)
	}
	names, err := t.anchored(e.stage, e.window.Readers(p.name, grain))
	if err != nil {
		return err
	}
	if e.window.Lo > 0 || e.window.Hi < 0 {
		names = append(names, own...) // p does not count for its own time, but may be what anchors it
	}
	return t.markDirty(e.stage, names, why)
}

// dirtyReadersOfAll marks what reads all of p's dataset: what exists, what shares time with
// p, and, if the dataset was as good as empty, what p is the first to give something
// to read, which does not exist yet.
func (t *tx) dirtyReadersOfAll(e edge, p partition, own []dataset.Partition, why cause) error {
	if err := t.dirtyExisting(e.stage, why, "TRUE"); err != nil {
		return err
	}
	begins, err := t.begins(p.dataset.Spec.Name)
	if err == nil && begins {
		own, err = t.anchored(e.stage, everything)
	}
	if err != nil {
		return err
	}
	return t.markDirty(e.stage, own, why)
}

// begins reports whether a dataset that is cut by time had one promoted partition at
// most before this transaction.
func (t *tx) begins(name string) (yes bool, err error) {
	err = t.QueryRowContext(t.ctx, "SELECT COALESCE(SUM(count), 0) <= 1 FROM sums WHERE dataset_id = (SELECT id FROM datasets WHERE name = ?) AND level = ?", name, byYear).Scan(&yes)
	return yes, err
}

// following is the SQL of the partitions that follow an input that is not cut.
func following(w dataset.Window) string {
	switch {
	case w.Kind == dataset.AsOf:
		return "closed_at IS NULL"
	case w.From != "":
		return fmt.Sprintf("(closed_at IS NULL OR starts >= %d)", micros(w.From.Start()))
	}
	return "TRUE"
}

// sharing lists the partitions of a grain that share time with q.
func sharing(g dataset.Grain, q dataset.Partition) []dataset.Partition {
	if g == dataset.None || q == dataset.Whole {
		return nil
	}
	i := dataset.Interval{Start: dataset.PartitionAt(g, q.Start()).Start(), End: q.End()}
	return slices.Collect(i.Each(g))
}

// anchored lists the stage's partitions starting within i that have a reason to
// exist: some input has a partition in the same time. Windows reach further
// than that; a 28-day window does not make 28 empty days of one event.
func (t *tx) anchored(stage Dataset, i dataset.Interval) ([]dataset.Partition, error) {
	grain := stage.Spec.Grain
	seen := map[dataset.Partition]bool{}
	var out []dataset.Partition
	err := t.each(`SELECT DISTINCT p.name FROM edges e JOIN partitions p ON p.dataset_id = e.input_id
		WHERE e.dataset_id = ? AND p.ends > ? AND p.starts > ? AND p.starts < ? ORDER BY p.starts`,
		[]any{stage.ID, max(0, micros(i.Start)), micros(i.Start.Add(-24 * time.Hour)), micros(i.End.Add(grain.Span()))},
		func(scan func(...any) error) error {
			var q dataset.Partition
			if err := scan(&q); err != nil {
				return err
			}
			for _, name := range sharing(grain, q) {
				if start := name.Start(); !seen[name] && !start.Before(i.Start) && start.Before(i.End) {
					seen[name] = true
					out = append(out, name)
				}
			}
			return nil
		})
	return out, err
}

// onDirtyAgain gives the entry the generation of its newest cause, a number that
// never comes again: a task that was read before the entry was last removed
// cannot answer a later one. It keeps the earlier of two times. An entry that failed waits at
// least the debounce again, given last, unless the cause is urgent.
//
// Of two causes, one for the pointer vector of a release group under way and one
// for the next, the first decides when to run, and the other is kept in again.
const onDirtyAgain = ` ON CONFLICT (dataset_id, name) DO UPDATE SET
	again = CASE WHEN waits < excluded.waits THEN excluded.cause_id WHEN waits > excluded.waits THEN cause_id ELSE again END,
	generation = CASE WHEN waits < excluded.waits THEN generation ELSE excluded.generation END,
	cause_id = CASE WHEN waits < excluded.waits THEN cause_id ELSE excluded.cause_id END,
	not_before = CASE WHEN waits < excluded.waits THEN not_before
		ELSE MIN(not_before, CASE WHEN failed_key IS NULL THEN excluded.not_before ELSE MAX(excluded.not_before, ?) END) END,
	waits = MIN(waits, excluded.waits), urgent = MAX(urgent, excluded.urgent)`

// dirtyExisting marks all recorded partitions of a stage that meet a condition,
// and those whose first run is yet to be committed: it may have begun before.
func (t *tx) dirtyExisting(stage Dataset, why cause, where string) error {
	set := "generation = ?1, cause_id = ?1"
	if why.waits {
		set = `generation = CASE WHEN waits THEN ?1 ELSE generation END, cause_id = CASE WHEN waits THEN ?1 ELSE cause_id END,
			again = CASE WHEN waits THEN again ELSE ?1 END`
	}
	err := t.exec(`UPDATE dirty SET `+set+` WHERE dataset_id = ?2
		AND NOT EXISTS (SELECT 1 FROM partitions p WHERE p.dataset_id = dirty.dataset_id AND p.name = dirty.name)`, why.id, stage.ID)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO dirty (dataset_id, name, starts, ends, since, generation, cause_id, not_before, waits, urgent)
		SELECT dataset_id, name, starts, ends, ?1, ?5, ?5,
		CASE WHEN ?2 OR last_run = 0 OR (?3 AND closed_at IS NULL) THEN ?1 ELSE MAX(?1, last_run + MAX(?4, 10 * last_cpu)) END, ?7, ?2
		FROM partitions WHERE dataset_id = ?6 AND `+where+onDirtyAgain,
		t.now, why.urgent, stage.RowWise, stage.Interval.Microseconds(), why.id, stage.ID, why.waits, t.afterFailure(stage, why))
}

func (t *tx) markDirty(stage Dataset, names []dataset.Partition, why cause) error {
	for _, name := range names {
		at := t.now
		if !why.urgent {
			p, err := t.partition(stage, name)
			if err != nil {
				return err
			}
			at = notBefore(p, t.now)
		}
		err := t.exec(`INSERT INTO dirty (dataset_id, name, starts, ends, since, generation, cause_id, not_before, waits, urgent) VALUES (?,?,?,?,?,?,?,?,?,?)`+onDirtyAgain,
			stage.ID, name, micros(name.Start()), micros(name.End()), t.now, why.id, why.id, at, why.waits, why.urgent, t.afterFailure(stage, why))
		if err != nil {
			return err
		}
	}
	return nil
}

// afterFailure is when a partition that failed may run again for this cause: a
// stage that fails on every load must not fail as often as there are loads.
func (t *tx) afterFailure(stage Dataset, why cause) int64 {
	if why.urgent {
		return t.now
	}
	return t.now + stage.Interval.Microseconds()
}

// notBefore is when a partition may run again: a row-wise stage on an open
// partition at once; otherwise no sooner after the last run than the stage's
// debounce and ten times what that run cost (SEMANTICS ruling 15).
func notBefore(p partition, now int64) int64 {
	if p.lastRun == 0 || (p.dataset.RowWise && !p.closed) {
		return now
	}
	return max(now, p.lastRun+max(p.dataset.Interval.Microseconds(), 10*p.lastCPU))
}
