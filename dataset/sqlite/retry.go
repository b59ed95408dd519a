package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/reedbed/reedbed/dataset"
)

// QuarantineSegments lists up to limit live segments of quarantine with ids
// beyond after, the oldest first, but for those that were last tried under
// identity; nil leaves none out.
func (c *Catalog) QuarantineSegments(ctx context.Context, identity []byte, after int64, limit int) (out []dataset.Segment, err error) {
	err = c.view(ctx, func(t *tx) error {
		out, err = t.segments(`id IN (SELECT s.id FROM datasets d JOIN partitions p ON p.dataset_id = d.id JOIN segments s ON s.partition_id = p.id
			WHERE d.name = ? AND s.removed_in IS NULL AND s.rows > 0 AND s.id > ?
			AND NOT EXISTS (SELECT 1 FROM tried x WHERE x.segment_id = s.id AND x.identity = ?) ORDER BY s.id LIMIT ?)`,
			dataset.Quarantine, after, identity, limit)
		return err
	})
	return out, err
}

// MarkTried records that nothing in these segments decodes by the decoder of
// this identity. Those that were replaced meanwhile are passed over.
func (c *Catalog) MarkTried(ctx context.Context, segments []int64, identity []byte) error {
	return c.update(ctx, func(t *tx) error {
		for _, id := range segments {
			if err := t.exec("INSERT OR REPLACE INTO tried (segment_id, identity) SELECT id, ? FROM segments WHERE id = ? AND removed_in IS NULL", identity, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// CommitRetry moves what decodes now from quarantine to raw, or nothing of it:
// rows leave one and come into the other in one transaction, with their ids and
// with the sums that status shows. A crash before it leaves orphan objects only;
// after it, the step is done. It returns the id of the segment that stays, 0 if
// none does.
//
// It fails, changing nothing, with dataset.ErrCursorMoved if something was
// loaded or retried since copies were looked for, and with
// dataset.ErrSegmentGone if the segment is no longer live.
func (c *Catalog) CommitRetry(ctx context.Context, r dataset.Retry) (stays int64, err error) {
	if err := checkRetry(r); err != nil {
		return 0, err
	}
	err = c.update(ctx, func(t *tx) error {
		moved, err := t.execOne(`UPDATE cursors SET retries = retries + 1, loaded = loaded + ?1, quarantined = quarantined - ?1 - ?2, repeats = repeats + ?2
			WHERE name = 'load' AND record = ?3 AND event = ?4 AND retries = ?5`, r.Loaded, r.Repeats, r.At.Record, r.At.Event, r.At.Retries)
		if err != nil {
			return err
		}
		if !moved {
			return dataset.ErrCursorMoved
		}
		if r.Sidecar != nil {
			if err := t.addSidecar(*r.Sidecar); err != nil {
				return err
			}
		}
		why, err := t.because(dataset.ByRetry, dataset.Facts{
			Dataset: r.Replaced.Dataset, Partition: r.Replaced.Partition,
			Retry: &dataset.RetryFacts{Events: r.Loaded + r.Repeats, Sources: r.Sources},
		}, nil)
		if err != nil {
			return err
		}
		if stays, err = t.shrink(r, why); err != nil {
			return err
		}
		return t.addLoaded(r.Added, why)
	})
	return stays, err
}

func checkRetry(r dataset.Retry) error {
	var raw, stay int64
	for _, s := range r.Added {
		if s.Dataset != dataset.Raw {
			return fmt.Errorf("retry: segment for %q: what decodes goes into %s", s.Dataset, dataset.Raw)
		}
		raw += s.Rows
	}
	if r.With != nil {
		stay = r.With.Rows
	}
	if r.Replaced.Dataset != dataset.Quarantine || raw != r.Loaded || r.Loaded+r.Repeats+stay != r.Replaced.Rows {
		return fmt.Errorf("retry of segment %d of %s: loaded %d (rows %d) + repeats %d + staying %d is not %d: nothing is committed",
			r.Replaced.ID, r.Replaced.Dataset, r.Loaded, raw, r.Repeats, stay, r.Replaced.Rows)
	}
	return nil
}

// shrink takes what decodes now out of a partition of quarantine: its segment is
// replaced by the rows that stay, if any. A partition without rows is absent, as
// it would be had nothing ever been refused.
func (t *tx) shrink(r dataset.Retry, why cause) (stays int64, err error) {
	d, err := t.dataset(r.Replaced.Dataset)
	if err != nil {
		return 0, err
	}
	p, err := t.partition(d, r.Replaced.Partition)
	if err != nil {
		return 0, err
	}
	live, err := t.segments("id = ? AND partition_id = ? AND removed_in IS NULL", r.Replaced.ID, p.id)
	if err != nil {
		return 0, err
	}
	if len(live) == 0 || live[0].Rows != r.Replaced.Rows || live[0].Hash != r.Replaced.Hash {
		return 0, fmt.Errorf("segment %d of %s@%s: %w", r.Replaced.ID, d.Spec.Name, p.name, dataset.ErrSegmentGone)
	}
	old, err := t.promoted(p)
	if err != nil {
		return 0, err
	}
	if r.With == nil && old.Rows == r.Replaced.Rows {
		err = t.vanish(&p)
	} else {
		stays, err = t.addShrunk(&p, old, r, why)
	}
	if err != nil {
		return 0, err
	}
	return stays, t.dirtyReaders(p, why)
}

// addShrunk writes the version without what decodes now, and returns the segment
// that stays, 0 for none.
func (t *tx) addShrunk(p *partition, old dataset.Promoted, r dataset.Retry, why cause) (stays int64, err error) {
	if err := t.bump(); err != nil {
		return 0, err
	}
	next := dataset.Promoted{
		Dataset: old.Dataset, Partition: old.Partition, Version: p.lastVersion + 1,
		Rows: old.Rows - r.Replaced.Rows, Hash: old.Hash.Without(r.Replaced.Hash),
	}
	err = t.exec("UPDATE segments SET removed_in = ?, removed_at = ?, removed_rev = ? WHERE id = ?", next.Version, t.now, t.revision, r.Replaced.ID)
	if err != nil {
		return 0, err
	}
	if r.With != nil {
		next.Rows, next.Hash = next.Rows+r.With.Rows, next.Hash.Add(r.With.Hash)
		if stays, err = t.addStaying(*p, next.Version, r); err != nil {
			return 0, err
		}
	}
	if err := t.writeVersion(p, next, version{origin: "retry"}); err != nil {
		return 0, err
	}
	if err := t.point(p, next.Version); err != nil {
		return 0, err
	}
	if err := t.credit(p.id, next.Version, why.id); err != nil {
		return 0, err
	}
	return stays, t.forget(*p, old.Version, false)
}

// addStaying adds the segment of what stays, with what is known of its tries.
func (t *tx) addStaying(p partition, number int64, r dataset.Retry) (id int64, err error) {
	if id, err = t.addSegment(p.id, number, "retry", *r.With); err != nil {
		return 0, err
	}
	if r.Identity != nil {
		return id, t.exec("INSERT INTO tried (segment_id, identity) VALUES (?, ?)", id, r.Identity)
	}
	return id, t.carryTried(p, []int64{r.Replaced.ID})
}

// carryTried says of the newest segment of p what is known of all those that it
// came from: under which identity they were tried, if it is one.
func (t *tx) carryTried(p partition, from []int64) error {
	if p.dataset.Spec.Name != dataset.Quarantine {
		return nil
	}
	list, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO tried (segment_id, identity)
		SELECT (SELECT MAX(id) FROM segments WHERE partition_id = ?), MIN(identity) FROM tried WHERE segment_id IN (SELECT value FROM json_each(?))
		HAVING COUNT(*) = ? AND MIN(identity) = MAX(identity)`, p.id, string(list), len(from))
}
