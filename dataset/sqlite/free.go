package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// freeable are the versions whose files retention takes: of closed partitions of
// stages, superseded, seen by nobody, and with ?1 newer ones superseded. The
// refused rows of a version stay with it, so that going back to it finds both.
const freeable = `SELECT partition_id, number FROM versions
	WHERE freed_at IS NULL AND NOT ` + heldVersion + `
	AND EXISTS (SELECT 1 FROM partitions p JOIN datasets d ON d.id = p.dataset_id
		WHERE p.id = versions.partition_id AND p.closed_at IS NOT NULL AND d.kind IN ('stage', 'rejected'))
	AND ?1 <= (SELECT COUNT(*) FROM versions n WHERE n.partition_id = versions.partition_id AND n.number > versions.number AND n.freed_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM pointers x WHERE x.partition_id = n.partition_id AND x.version = n.number)
		AND NOT EXISTS (SELECT 1 FROM release_inputs x WHERE x.partition_id = n.partition_id AND x.version = n.number))
	AND NOT EXISTS (SELECT 1 FROM partitions r JOIN datasets d ON d.id = r.dataset_id JOIN partitions p ON p.dataset_id = d.rejects_of AND p.name = r.name
		JOIN traces t ON t.partition_id = p.id AND t.rejected_version = versions.number JOIN versions o ON o.partition_id = p.id AND o.number = t.version
		WHERE r.id = versions.partition_id AND o.freed_at IS NULL
		AND t.created_at = (SELECT MAX(created_at) FROM traces l WHERE l.partition_id = p.id AND l.version = t.version))`

// refusedWith is the partition of what was refused with partition ?.
const refusedWith = `SELECT r.id FROM partitions p CROSS JOIN datasets d ON d.rejects_of = p.dataset_id
	CROSS JOIN partitions r ON r.dataset_id = d.id AND r.name = p.name WHERE p.id = ?`

// Freed says what retention took: versions, and the bytes of the files that only
// they had.
type Freed struct {
	Versions int64 `json:"versions"`
	Bytes    int64 `json:"bytes"`
}

// Free takes the files from superseded versions of closed partitions but the last
// keep of each. The versions stay on record, with their traces, so history can be
// told; whoever needs their rows computes them again. Collect removes the files
// when nobody can be reading them any more: a crash in between loses nothing.
func (c *Catalog) Free(ctx context.Context, keep int) (out Freed, err error) {
	found, err := c.freeable(ctx, keep)
	if err != nil {
		return out, err
	}
	for some := range slices.Chunk(found, 500) {
		err := c.update(ctx, func(t *tx) error { return t.free(some, keep, &out) })
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// freeable lists the partitions retention takes something of. To look takes long,
// and must hold nobody up.
func (c *Catalog) freeable(ctx context.Context, keep int) (ids []int64, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each("SELECT DISTINCT partition_id FROM ("+freeable+")", []any{keep}, func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	})
	return ids, err
}

// free takes what may be taken of some partitions, and of what was refused with
// it, which may go when what it was refused from is gone.
func (t *tx) free(partitions []int64, keep int, out *Freed) error {
	for _, id := range partitions {
		if err := t.freeOne(id, keep, out); err != nil {
			return err
		}
		var refused int64
		err := t.QueryRowContext(t.ctx, refusedWith, id).Scan(&refused)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		if err := t.freeOne(refused, keep, out); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) freeOne(id int64, keep int, out *Freed) error {
	var numbers []int64
	err := t.each(freeable+" AND partition_id = ?2", []any{keep, id}, func(scan func(...any) error) error {
		var number int64
		err := scan(&id, &number)
		numbers = append(numbers, number)
		return err
	})
	if err != nil {
		return err
	}
	for _, number := range numbers {
		bytes, err := t.release(id, number)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE versions SET freed_at = ? WHERE partition_id = ? AND number = ?", t.now, id, number); err != nil {
			return err
		}
		out.Versions, out.Bytes = out.Versions+1, out.Bytes+bytes
	}
	return nil
}

// Garbage is what a garbage collection does or would do.
type Garbage struct {
	Freed
	// Removed are objects that nothing names any more; Waiting are those that go
	// when the time of grace and the leases of readers are over.
	Removed []string `json:"-"`
	Waiting int64    `json:"waiting"`
}

var errRehearsed = errors.New("rehearsed")

// Preview says what Free and then Collect would do now, and changes nothing. It
// does all of it in one transaction, which is not committed: while it looks at what
// would go, nobody else can write.
func (c *Catalog) Preview(ctx context.Context, keep int, grace time.Duration) (out Garbage, err error) {
	found, err := c.freeable(ctx, keep)
	if err != nil {
		return out, err
	}
	err = c.update(ctx, func(t *tx) error {
		if err := t.free(found, keep, &out.Freed); err != nil {
			return err
		}
		t.now++ // Collect comes after Free
		for more := true; more; {
			var some []string
			if some, more, err = t.collect(grace); err != nil {
				return err
			}
			out.Removed = append(out.Removed, some...)
		}
		if out.Waiting, err = t.waiting(); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		err = nil
	}
	return out, err
}

// Waiting counts the objects that Collect will remove when it may.
func (c *Catalog) Waiting(ctx context.Context) (n int64, err error) {
	err = c.view(ctx, func(t *tx) error {
		n, err = t.waiting()
		return err
	})
	return n, err
}

func (t *tx) waiting() (n int64, err error) {
	err = t.QueryRowContext(t.ctx, "SELECT COUNT(DISTINCT object) FROM segments INDEXED BY segments_removed WHERE "+ended+" AND NOT "+heldSegment).Scan(&n)
	return n, err
}
