package sqlite

import (
	"context"
	"time"
)

// Lease promises readers of one process that objects removed after the given
// revision stay until the lease expires. Renewing is calling it again.
func (c *Catalog) Lease(ctx context.Context, id string, revision int64, ttl time.Duration) error {
	return c.update(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO leases (id, revision, expires) VALUES (?,?,?)
			ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, expires = excluded.expires`, id, revision, t.now+ttl.Microseconds())
	})
}

// Unlease ends a lease.
func (c *Catalog) Unlease(ctx context.Context, id string) error {
	return c.update(ctx, func(t *tx) error { return t.exec("DELETE FROM leases WHERE id = ?", id) })
}

// Collect forgets segments and sidecars that were removed more than grace ago,
// that no version on record holds and no lease protects, and returns the
// objects that nothing names any more. The caller deletes those files
// afterwards; a crash in between leaves orphans, which Named finds. It looks at
// each segment once when its time of grace is over, and again only when a version
// that holds it goes, some segments at a time: nobody waits long for it.
func (c *Catalog) Collect(ctx context.Context, grace time.Duration) (objects []string, err error) {
	for more := true; more; {
		err := c.update(ctx, func(t *tx) error {
			var gone []string
			gone, more, err = t.collect(grace)
			objects = append(objects, gone...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return objects, c.collectCauses(ctx, keepCauses, sweptAtOnce)
}

// heldSegment is the SQL of the segments in which some version has its rows.
const heldSegment = `EXISTS (SELECT 1 FROM versions v WHERE v.partition_id = segments.partition_id AND v.freed_at IS NULL
	AND v.number >= segments.added_in AND v.number < segments.removed_in)`

// ended are the segments that may be of no use to anybody: when collect finds that
// a version holds one it is left out until that version goes.
const ended = "removed_in IS NOT NULL AND held = 0"

// endedBatch is how many ended segments collect looks at in one transaction.
const endedBatch = 1000

// collect looks at some ended segments, those of the earliest removal first, and
// at the sidecars. There may be more of them.
func (t *tx) collect(grace time.Duration) (objects []string, more bool, err error) {
	if err := t.exec("DELETE FROM leases WHERE expires < ?", t.now); err != nil {
		return nil, false, err
	}
	before := t.now - grace.Microseconds()
	gone, looked, err := t.collectSegments(before)
	if err != nil {
		return nil, false, err
	}
	err = t.each("DELETE FROM sidecars WHERE removed_at < ? RETURNING object", []any{before}, func(scan func(...any) error) error {
		var object string
		err := scan(&object)
		gone[object] = true
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for object := range gone {
		named, err := t.named(object)
		if err != nil {
			return nil, false, err
		}
		if !named {
			objects = append(objects, object)
		}
	}
	return objects, looked == endedBatch, nil
}

// collectSegments returns the objects of the segments it forgets, and at how many
// it looked.
func (t *tx) collectSegments(before int64) (gone map[string]bool, looked int, err error) {
	gone = map[string]bool{}
	var doomed, held []int64
	err = t.each(endedBefore, []any{before, endedBatch}, func(scan func(...any) error) error {
		var id int64
		var object string
		var holds bool
		if err := scan(&id, &object, &holds); err != nil {
			return err
		}
		if holds {
			held = append(held, id)
			return nil
		}
		doomed, gone[object] = append(doomed, id), true
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	for _, id := range held {
		if err := t.exec("UPDATE segments SET held = 1 WHERE id = ?", id); err != nil {
			return nil, 0, err
		}
	}
	for _, id := range doomed {
		if err := t.exec("DELETE FROM segments WHERE id = ?", id); err != nil {
			return nil, 0, err
		}
	}
	return gone, len(held) + len(doomed), nil
}

// endedBefore are the ended segments whose time of grace and leases are over.
const endedBefore = "SELECT id, object, " + heldSegment + " FROM segments WHERE " + ended + ` AND removed_at < ?1
	AND removed_rev <= COALESCE((SELECT MIN(revision) FROM leases), removed_rev) ORDER BY removed_at LIMIT ?2`

func (t *tx) named(object string) (bool, error) {
	var n int
	err := t.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM segments WHERE object = ?1) OR EXISTS (SELECT 1 FROM sidecars WHERE object = ?1)`, object).Scan(&n)
	return n == 1, err
}

// Named reports whether any record names the object. What no record names, and
// is older than any commit under way, is an orphan of a crash.
func (c *Catalog) Named(ctx context.Context, object string) (named bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		named, err = t.named(object)
		return err
	})
	return named, err
}
