package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

var everything = dataset.Interval{Start: time.UnixMicro(0), End: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}

// runnable are the dirty entries that may run at ?1 (now) or, being postponed
// only, by ?2, with nothing that they read about to change first. A failed input
// waits for its retry and holds nobody up until then; and live work is not held
// up for long (?3) by inputs that are never at rest.
const runnable = `SELECT d.name, w.name, w.generation, p.closed_at IS NOT NULL, w.attempts, w.failed_key, w.since
	FROM dirty w JOIN datasets d ON d.id = w.dataset_id
	LEFT JOIN partitions p ON p.dataset_id = w.dataset_id AND p.name = w.name
	WHERE +w.not_before <= ?2 AND (w.failed_key IS NULL OR +w.not_before <= ?1)
	AND (w.since < ?3 OR (NOT EXISTS (SELECT 1 FROM edges e JOIN dirty u ON u.dataset_id = e.producer_id
		WHERE e.dataset_id = w.dataset_id AND (e.kind <> 'span' OR w.ends = 0)
		AND u.not_before <= ?2 AND (u.failed_key IS NULL OR u.not_before <= ?1))
	AND NOT EXISTS (SELECT 1 FROM edges e JOIN dirty u ON u.dataset_id = e.producer_id
		AND u.starts < w.ends + e.hi AND u.starts > w.starts + e.lo - 86400000000
		WHERE e.dataset_id = w.dataset_id AND e.kind = 'span' AND w.ends > 0 AND u.ends > w.starts + e.lo
		AND u.not_before <= ?2 AND (u.failed_key IS NULL OR u.not_before <= ?1))))`

const (
	dueLive = runnable + ` AND (w.ends = 0 OR w.ends > ?1 - (SELECT MAX(allowance) FROM datasets)) AND (w.ends = 0 OR w.ends + d.allowance > ?1)
		ORDER BY w.since, d.depth, d.name LIMIT ?4`
	dueHistory = runnable + ` AND w.ends > 0 AND w.ends + d.allowance <= ?1 ORDER BY w.ends DESC, d.depth, d.name LIMIT ?4`
)

// liveWait is how long live work waits for its inputs to come to rest.
const liveWait = 30 * time.Second

// Due lists up to limit dirty partitions that may run now, live work before
// history: partitions whose time is not over by the time they have waited, then
// the others from the newest to the oldest. What reads another dirty partition
// comes after it. With all set, what is postponed counts as due too.
func (c *Catalog) Due(ctx context.Context, limit int, all bool) ([]dataset.Task, error) {
	var out []dataset.Task
	err := c.view(ctx, func(t *tx) error {
		until := t.now
		if all {
			until = 1 << 62
		}
		add := func(scan func(...any) error) error {
			var k dataset.Task
			var since int64
			err := scan(&k.Dataset, &k.Partition, &k.Generation, &k.Closed, &k.Attempts, &k.FailedKey, &since)
			k.Since = fromMicros(since)
			out = append(out, k)
			return err
		}
		if err := t.each(dueLive, []any{t.now, until, t.now - liveWait.Microseconds(), limit}, add); err != nil || len(out) >= limit {
			return err
		}
		return t.each(dueHistory, []any{t.now, until, 0, limit - len(out)}, add)
	})
	return out, err
}

// NextDue is when the earliest postponed partition may run; false when none is
// postponed.
func (c *Catalog) NextDue(ctx context.Context) (time.Time, bool, error) {
	var at sql.NullInt64
	err := c.view(ctx, func(t *tx) error {
		return t.QueryRowContext(ctx, "SELECT MIN(not_before) FROM dirty WHERE not_before > ?", t.now).Scan(&at)
	})
	return fromMicros(at.Int64), at.Valid, err
}

// Inputs resolves what one output partition reads to promoted versions, all
// from one snapshot: the pointer vector of a run. Partitions without a promoted
// version are left out; a span with nothing in it is ABSENT as a whole.
// anchored reports whether some input has anything in the time of the partition
// itself: without that the partition does not exist, whatever its windows reach.
func (c *Catalog) Inputs(ctx context.Context, stage string, p dataset.Partition) (out []dataset.Promoted, anchored bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		d, err := t.dataset(stage)
		if err != nil {
			return err
		}
		own, err := t.partition(d, p)
		if err != nil {
			return err
		}
		if anchored, err = t.isAnchored(own); err != nil {
			return err
		}
		return t.each(`SELECT d.id, d.name, e.kind, e.lo, e.hi FROM edges e JOIN datasets d ON d.id = e.input_id
			WHERE e.dataset_id = ? ORDER BY d.name`, []any{d.ID},
			func(scan func(...any) error) error {
				var id, lo, hi int64
				var name string
				var w dataset.Window
				if err := scan(&id, &name, &w.Kind, &lo, &hi); err != nil {
					return err
				}
				w.Lo, w.Hi = time.Duration(lo)*time.Microsecond, time.Duration(hi)*time.Microsecond
				read, err := t.readThrough(id, name, w, own)
				out = append(out, read...)
				return err
			})
	})
	return out, anchored, err
}

// isAnchored reports whether an input that is cut by time has a promoted version
// in the time of p. What is not cut needs none.
func (t *tx) isAnchored(p partition) (yes bool, err error) {
	if p.name == dataset.Whole {
		return true, nil
	}
	err = t.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM edges e JOIN partitions q ON q.dataset_id = e.input_id
		JOIN pointers x ON x.partition_id = q.id AND x.view = 'main'
		WHERE e.dataset_id = ?1 AND q.ends > ?2 AND q.starts < ?3 AND q.starts > ?2 - 86400000000)`,
		p.dataset.ID, micros(p.name.Start()), micros(p.name.End())).Scan(&yes)
	return yes, err
}

func (t *tx) readThrough(inputID int64, input string, w dataset.Window, own partition) ([]dataset.Promoted, error) {
	in := everything
	if w.Kind == dataset.Span && own.name != dataset.Whole {
		in = w.Reads(own.name)
	}
	number := "x.version"
	args := []any{inputID, micros(in.Start), micros(in.End)}
	if w.Kind == dataset.AsOf && own.closed {
		// The version that was promoted when the partition closed, else the first.
		number = `COALESCE((SELECT MAX(number) FROM versions WHERE partition_id = p.id AND created_at <= ?),
			(SELECT MIN(number) FROM versions WHERE partition_id = p.id))`
		args = append([]any{own.closedAt}, args...)
	}
	var out []dataset.Promoted
	err := t.each(`SELECT p.name, v.number, v.rows, v.hash FROM partitions p
		JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
		JOIN versions v ON v.partition_id = p.id AND v.number = `+number+`
		WHERE p.dataset_id = ? AND (p.ends = 0 OR (p.ends > ? AND p.starts < ?)) ORDER BY p.name`, args,
		func(scan func(...any) error) error {
			v, err := scanPromoted(input, scan)
			out = append(out, v)
			return err
		})
	if err == nil && len(out) == 0 {
		out = []dataset.Promoted{{Dataset: input}}
	}
	return out, err
}

// Segments lists the segments that make up the given versions. If they do not
// add up to what was promoted, some are collected already and nothing may be
// computed from the rest: that is dataset.ErrSegmentGone.
func (c *Catalog) Segments(ctx context.Context, versions []dataset.Promoted) ([]dataset.Segment, error) {
	var out []dataset.Segment
	err := c.view(ctx, func(t *tx) error {
		for _, v := range versions {
			if v.Version == 0 {
				continue
			}
			found, err := t.segments(`partition_id = (SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ? AND p.name = ?)
				AND added_in <= ? AND (removed_in IS NULL OR removed_in > ?)`, v.Dataset, v.Partition, v.Version, v.Version)
			if err != nil {
				return err
			}
			if rows, hash := total(found); rows != v.Rows || hash != v.Hash {
				return fmt.Errorf("read %s@%s version %d: %w", v.Dataset, v.Partition, v.Version, dataset.ErrSegmentGone)
			}
			out = append(out, found...)
		}
		return nil
	})
	return out, err
}

func total(segments []dataset.Segment) (rows int64, hash dataset.ContentHash) {
	for _, s := range segments {
		rows, hash = rows+s.Rows, hash.Add(s.Hash)
	}
	return rows, hash
}
