package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/reedbed/reedbed/dataset"
)

// MeasuredPartition is what everybody reads of a partition of Completeness.
type MeasuredPartition struct {
	dataset.Promoted
	Closed      bool
	Fingerprint []byte // nil: none was taken
}

// Measured returns what is on record of how much arrived in some time, in order: the
// promoted versions of Completeness that share time with it.
func (c *Catalog) Measured(ctx context.Context, i dataset.Interval) (out []MeasuredPartition, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each(`SELECT p.name, v.number, v.rows, v.hash, p.closed_at IS NOT NULL, v.fingerprint FROM datasets d JOIN partitions p ON p.dataset_id = d.id`+everybodys+
			`WHERE d.name = ? AND d.kind = 'stage' AND d.retired_at IS NULL AND p.starts < ? AND p.starts > ? AND p.ends > ? ORDER BY p.starts`,
			[]any{dataset.Completeness, micros(i.End), micros(i.Start) - longest, micros(i.Start)},
			func(scan func(...any) error) (err error) {
				var m MeasuredPartition
				m.Promoted, err = scanPromoted(dataset.Completeness, func(dst ...any) error { return scan(append(dst, &m.Closed, &m.Fingerprint)...) })
				out = append(out, m)
				return err
			})
	})
	return out, err
}

// LastMeasured is the time of the newest partition of Completeness that is closed, or
// else of the newest; not ok if no stage at work measures. Of a stage that has no
// partition yet the time is zero.
func (c *Catalog) LastMeasured(ctx context.Context) (last dataset.Interval, ok bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		var starts, ends int64
		err := t.QueryRowContext(ctx, `SELECT COALESCE(p.starts, 0), COALESCE(p.ends, 0) FROM datasets d LEFT JOIN (partitions p JOIN pointers x ON x.partition_id = p.id AND x.view = 'main')
			ON p.dataset_id = d.id AND p.ends > 0 WHERE d.name = ? AND d.kind = 'stage' AND d.retired_at IS NULL AND d.grain <> 'none'
			ORDER BY p.closed_at IS NULL, p.starts DESC LIMIT 1`, dataset.Completeness).Scan(&starts, &ends)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		ok = err == nil
		if ends > 0 {
			last = dataset.Interval{Start: fromMicros(starts), End: fromMicros(ends)}
		}
		return err
	})
	return last, ok, err
}

// longest is how long partitions are at most, in microseconds.
const longest = 24 * 3600 * 1_000_000

// judgeSettled is judgeArrived for the time of which nothing more is expected to be
// measured from now on.
func (t *tx) judgeSettled() error {
	var closed []dataset.Partition
	err := t.each("SELECT p.name FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE p.closed_at = ? AND d.name = ?", []any{t.now, dataset.Completeness},
		func(scan func(...any) error) error {
			var name dataset.Partition
			err := scan(&name)
			closed = append(closed, name)
			return err
		})
	if err != nil || len(closed) == 0 {
		return err
	}
	why, err := t.because(dataset.ByClose, dataset.Facts{Dataset: dataset.Completeness}, nil)
	if err != nil {
		return err
	}
	for _, name := range closed {
		if err := t.judgeArrived(name, why); err != nil {
			return err
		}
	}
	return nil
}

// judgeArrived makes due what is judged by how much arrived in the time of p, which
// is of Completeness, to be judged again. What is open is when it closes.
func (t *tx) judgeArrived(p dataset.Partition, why cause) error {
	names, err := t.names("SELECT name FROM datasets WHERE gate_completes = 1 AND retired_at IS NULL AND paused = 0 ORDER BY id")
	if err != nil {
		return err
	}
	for _, name := range names {
		d, err := t.dataset(name)
		if err != nil {
			return err
		}
		where := fmt.Sprintf("closed_at IS NOT NULL AND starts < %d AND starts > %d AND ends > %d", micros(p.End()), micros(p.Start())-longest, micros(p.Start()))
		if err := t.dirtyExisting(d, why, where); err != nil {
			return err
		}
	}
	return nil
}
