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
// afterwards; a crash in between leaves orphans, which Named finds.
func (c *Catalog) Collect(ctx context.Context, grace time.Duration) (objects []string, err error) {
	due, err := c.dueCauses(ctx)
	if err != nil {
		return nil, err
	}
	err = c.update(ctx, func(t *tx) error {
		if objects, err = t.collect(grace); err != nil {
			return err
		}
		return t.collectCauses(due, keepCauses, sweepCauses)
	})
	return objects, err
}

// heldSegment is the SQL of the segments in which some version has its rows.
const heldSegment = `EXISTS (SELECT 1 FROM versions v WHERE v.partition_id = segments.partition_id AND v.freed_at IS NULL
	AND v.number >= segments.added_in AND v.number < segments.removed_in)`

func (t *tx) collect(grace time.Duration) (objects []string, err error) {
	if err := t.exec("DELETE FROM leases WHERE expires < ?", t.now); err != nil {
		return nil, err
	}
	before := t.now - grace.Microseconds()
	const doomed = `removed_in IS NOT NULL AND removed_at < ?1
		AND removed_rev <= COALESCE((SELECT MIN(revision) FROM leases), removed_rev) AND NOT ` + heldSegment
	gone := map[string]bool{}
	note := func(scan func(...any) error) error {
		var object string
		err := scan(&object)
		gone[object] = true
		return err
	}
	if err := t.each("DELETE FROM segments WHERE "+doomed+" RETURNING object", []any{before}, note); err != nil {
		return nil, err
	}
	if err := t.each("DELETE FROM sidecars WHERE removed_at < ? RETURNING object", []any{before}, note); err != nil {
		return nil, err
	}
	for object := range gone {
		named, err := t.named(object)
		if err != nil {
			return nil, err
		}
		if !named {
			objects = append(objects, object)
		}
	}
	return objects, nil
}

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
