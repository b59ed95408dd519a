package sqlite

import (
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// edge is one stage's way of reading one input.
type edge struct {
	stage  Dataset
	window dataset.Window
}

func (t *tx) readersOf(inputID int64) ([]edge, error) {
	var out []edge
	err := t.each(`SELECT `+datasetColumns+`, window, lo, hi FROM (
		SELECT d.*, e.kind AS window, e.lo, e.hi FROM edges e JOIN datasets d ON d.id = e.dataset_id
		WHERE e.input_id = ? AND d.retired_at IS NULL AND d.paused = 0)`, []any{inputID},
		func(scan func(...any) error) error {
			var e edge
			var lo, hi int64
			d, err := scanDataset(func(dst ...any) error { return scan(append(dst, &e.window.Kind, &lo, &hi)...) })
			e.stage = d
			e.window.Lo, e.window.Hi = time.Duration(lo)*time.Microsecond, time.Duration(hi)*time.Microsecond
			out = append(out, e)
			return err
		})
	return out, err
}

// dirtyReaders marks every output partition that reads p. It costs what is
// affected, not what exists.
func (t *tx) dirtyReaders(p partition, cause int64) error {
	edges, err := t.readersOf(p.dataset.ID)
	if err != nil {
		return err
	}
	for _, e := range edges {
		if err := t.dirtyThrough(e, p, cause); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) dirtyThrough(e edge, p partition, cause int64) error {
	grain := e.stage.Spec.Grain
	switch {
	case grain == dataset.None:
		return t.markDirty(e.stage, dataset.Whole, cause)
	case e.window.Kind == dataset.AsOf:
		return t.dirtyExisting(e.stage, cause, "closed_at IS NULL")
	case e.window.Kind != dataset.Span:
		return t.dirtyExisting(e.stage, cause, "TRUE")
	case e.window == dataset.Same:
		return t.markDirty(e.stage, dataset.PartitionAt(grain, p.name.Start()), cause)
	}
	names, err := t.anchored(e.stage, e.window.Readers(p.name, grain))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := t.markDirty(e.stage, name, cause); err != nil {
			return err
		}
	}
	return nil
}

// anchored lists the stage's partitions starting within i that have a reason to
// exist: some input has a partition in the same time. Windows reach further
// than that; a 28-day window does not make 28 empty days of one event.
func (t *tx) anchored(stage Dataset, i dataset.Interval) ([]dataset.Partition, error) {
	grain := stage.Spec.Grain
	var out []dataset.Partition
	err := t.each(`SELECT DISTINCT p.name FROM edges e JOIN partitions p ON p.dataset_id = e.input_id
		WHERE e.dataset_id = ? AND p.ends > 0 AND p.starts >= ? AND p.starts < ? ORDER BY p.starts`,
		[]any{stage.ID, micros(i.Start), micros(i.End.Add(grain.Span()))},
		func(scan func(...any) error) error {
			var q dataset.Partition
			if err := scan(&q); err != nil {
				return err
			}
			name := dataset.PartitionAt(grain, q.Start())
			if name.Start().Before(i.End) && (len(out) == 0 || out[len(out)-1] != name) {
				out = append(out, name)
			}
			return nil
		})
	return out, err
}

// dirtyExisting marks all recorded partitions of a stage that meet a condition.
func (t *tx) dirtyExisting(stage Dataset, cause int64, where string) error {
	return t.exec(`INSERT INTO dirty (dataset_id, name, starts, since, not_before, cause_id)
		SELECT dataset_id, name, starts, ?, ?, ? FROM partitions WHERE dataset_id = ? AND `+where+
		onDirtyAgain, t.now, t.now, cause, stage.ID)
}

const onDirtyAgain = ` ON CONFLICT (dataset_id, name) DO UPDATE SET generation = generation + 1, cause_id = excluded.cause_id,
	not_before = CASE WHEN failed_key IS NULL THEN MIN(not_before, excluded.not_before) ELSE excluded.not_before END`

func (t *tx) markDirty(stage Dataset, name dataset.Partition, cause int64) error {
	p, err := t.partition(stage, name)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO dirty (dataset_id, name, starts, since, not_before, cause_id) VALUES (?,?,?,?,?,?)`+onDirtyAgain,
		stage.ID, name, micros(name.Start()), t.now, notBefore(p, t.now), cause)
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
