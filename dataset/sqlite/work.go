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
		own, err := t.partitionOf(stage, p)
		if err != nil {
			return err
		}
		if anchored, err = t.isAnchored(own); err != nil {
			return err
		}
		out, err = t.inputs(own)
		return err
	})
	return out, anchored, err
}

func (t *tx) inputs(own partition) (out []dataset.Promoted, err error) {
	all, err := t.inputsOf(own.dataset.ID)
	if err != nil {
		return nil, err
	}
	for _, in := range all {
		read, err := t.readThrough(in.dataset, in.window, own)
		if err != nil {
			return nil, err
		}
		out = append(out, read...)
	}
	return out, nil
}

// inputOf is one thing that a stage reads: of the dataset, its id, name and
// release group.
type inputOf struct {
	dataset Dataset
	window  dataset.Window
}

// inputsOf lists what a stage reads, in order of name.
func (t *tx) inputsOf(stageID int64) ([]inputOf, error) {
	return recall(t.known.inputs, stageID, func() (out []inputOf, err error) {
		err = t.each(`SELECT d.id, d.name, COALESCE(g.name, ''), e.kind, e.lo, e.hi, e.since FROM edges e JOIN datasets d ON d.id = e.input_id
			LEFT JOIN groups g ON g.dataset_id = d.id WHERE e.dataset_id = ? ORDER BY d.name`, []any{stageID},
			func(scan func(...any) error) error {
				var lo, hi int64
				var in inputOf
				err := scan(&in.dataset.ID, &in.dataset.Spec.Name, &in.dataset.Release, &in.window.Kind, &lo, &hi, &in.window.From)
				in.window.Lo, in.window.Hi = time.Duration(lo)*time.Microsecond, time.Duration(hi)*time.Microsecond
				out = append(out, in)
				return err
			})
		return out, err
	})
}

// isAnchored reports whether an input that is cut by time has a promoted version
// in the time of p. What is not cut needs none.
func (t *tx) isAnchored(p partition) (yes bool, err error) {
	if p.name == dataset.Whole {
		return true, nil
	}
	all, err := t.inputsOf(p.dataset.ID)
	if err != nil {
		return false, err
	}
	inputs := map[string]Dataset{} // by how they are read; one entry unless p belongs to a release group
	for _, in := range all {
		number, _ := readBy(p.dataset, in.dataset)
		inputs[number] = in.dataset
	}
	for number, in := range inputs {
		_, args := readBy(p.dataset, in)
		number, args, err := t.throughPins(p.dataset.ID, 0, number, args)
		if err != nil {
			return false, err
		}
		args = append([]any{p.dataset.ID, micros(p.name.End()), micros(p.name.Start()), micros(p.name.Start())}, args...)
		args = append(args, p.dataset.Release != "", in.Release == p.dataset.Release)
		err = t.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM edges e JOIN partitions p ON p.dataset_id = e.input_id
			WHERE e.dataset_id = ? AND p.starts < ? AND p.ends > ? AND p.starts > ? - 86400000000 AND `+number+` > 0
			AND (NOT ? OR e.frozen <> ?))`, args...).Scan(&yes)
		if yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}

// atClose is the SQL of the version of a partition (%[1]s) that was promoted at a
// moment (%[2]s), else of the first.
const atClose = `COALESCE((SELECT MAX(number) FROM versions WHERE partition_id = %[1]s AND created_at <= %[2]s),
	(SELECT MIN(number) FROM versions WHERE partition_id = %[1]s))`

func (t *tx) readThrough(input Dataset, w dataset.Window, own partition) ([]dataset.Promoted, error) {
	in := everything
	if w.Kind == dataset.Span && own.name != dataset.Whole {
		in = w.Reads(own.name)
	}
	number, args := readBy(own.dataset, input)
	if !w.Follows(own.name) && own.closed {
		number = fmt.Sprintf(atClose, "p.id", "?")
		args = []any{own.closedAt}
	}
	number, args, err := t.throughPins(own.dataset.ID, input.ID, number, args)
	if err != nil {
		return nil, err
	}
	var out []dataset.Promoted
	err = t.each(`SELECT p.name, v.number, v.rows, v.hash FROM partitions p
		JOIN versions v ON v.partition_id = p.id AND v.number = `+number+`
		WHERE p.dataset_id = ? AND p.starts < ? AND p.starts > ? - 86400000000 AND (p.ends = 0 OR p.ends > ?) ORDER BY p.starts`,
		append(args, input.ID, micros(in.End), micros(in.Start), micros(in.Start)),
		func(scan func(...any) error) error {
			v, err := scanPromoted(input.Spec.Name, scan)
			out = append(out, v)
			return err
		})
	if err == nil && len(out) == 0 {
		out = []dataset.Promoted{{Dataset: input.Spec.Name}}
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
