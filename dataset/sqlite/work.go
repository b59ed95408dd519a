package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

var everything = dataset.Interval{Start: time.UnixMicro(0), End: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}

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
	visible := "EXISTS (SELECT 1 FROM pointers x WHERE x.partition_id = q.id AND x.view = 'main')"
	if err = t.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM pins WHERE stage_id = ?)", p.dataset.ID).Scan(&yes); err != nil {
		return false, err
	}
	if yes {
		visible = seen + " <> 0"
	}
	err = t.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM edges e JOIN partitions q ON q.dataset_id = e.input_id
		WHERE e.dataset_id = ?1 AND q.ends > ?2 AND q.starts < ?3 AND q.starts > ?2 - 86400000000 AND `+visible+`)`,
		p.dataset.ID, micros(p.name.Start()), micros(p.name.End())).Scan(&yes)
	return yes, err
}

func (t *tx) readThrough(inputID int64, input string, w dataset.Window, own partition) ([]dataset.Promoted, error) {
	in := everything
	if w.Kind == dataset.Span && own.name != dataset.Whole {
		in = w.Reads(own.name)
	}
	pinned, err := t.isPinned(own.dataset.ID, inputID)
	if err != nil {
		return nil, err
	}
	var out []dataset.Promoted
	if pinned {
		out, err = t.readPinned(own.dataset.ID, inputID, input, in)
	} else {
		out, err = t.readPromoted(inputID, input, w, in, own)
	}
	if err == nil && len(out) == 0 {
		out = []dataset.Promoted{{Dataset: input}}
	}
	return out, err
}

// readPromoted lists what everybody reads of an input within a time, or what was
// promoted when the reading partition closed.
func (t *tx) readPromoted(inputID int64, input string, w dataset.Window, in dataset.Interval, own partition) ([]dataset.Promoted, error) {
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
