package sqlite

import (
	"context"
	"fmt"

	"github.com/reedbed/reedbed/dataset"
)

// CompactionCandidates lists up to limit partitions that have at least
// minSegments live segments of one size tier (a tier spans a factor of eight in
// bytes), the most crowded first. The segments are those of the crowded tier
// and everything smaller, oldest first. A partition that went back to an earlier
// version is left alone: what is live there is not what readers see.
//
// Only partitions are looked at that have a segment newer than after, the id of
// one; last is the newest that counted. It costs what is new, not what exists.
func (c *Catalog) CompactionCandidates(ctx context.Context, after int64, minSegments, limit int) (out []dataset.CompactionCandidate, last int64, err error) {
	err = c.view(ctx, func(t *tx) error {
		if err := t.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM segments").Scan(&last); err != nil {
			return err
		}
		return t.each(`SELECT p.id, d.name, p.name, MAX(s.bytes) FROM (SELECT DISTINCT partition_id AS id FROM segments WHERE id > ?) n
			CROSS JOIN partitions p ON p.id = n.id JOIN datasets d ON d.id = p.dataset_id
			JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' JOIN segments s ON s.partition_id = p.id
			WHERE s.removed_in IS NULL AND x.version = p.last_version AND d.retired_at IS NULL
			GROUP BY p.id, CASE WHEN s.bytes < 65536 THEN 0 WHEN s.bytes < 524288 THEN 1 WHEN s.bytes < 4194304 THEN 2
				WHEN s.bytes < 33554432 THEN 3 ELSE 3 + s.id END
			HAVING COUNT(*) >= ? ORDER BY COUNT(*) DESC LIMIT ?`, []any{after, minSegments, limit},
			func(scan func(...any) error) error {
				var id, largest int64
				var cand dataset.CompactionCandidate
				if err := scan(&id, &cand.Dataset, &cand.Partition, &largest); err != nil {
					return err
				}
				var err error
				cand.Segments, err = t.segments("partition_id = ? AND removed_in IS NULL AND bytes <= ?", id, largest)
				out = append(out, cand)
				return err
			})
	})
	return out, last, err
}

// segments lists segments by a condition on the segments table, oldest first.
func (t *tx) segments(where string, args ...any) ([]dataset.Segment, error) {
	var out []dataset.Segment
	err := t.each(`SELECT s.id, d.name, p.name, s.object, s.rows, s.bytes, s.hash, s.min_time, s.max_time, s.added_in, COALESCE(s.removed_in, 0)
		FROM (SELECT * FROM segments WHERE `+where+`) s JOIN partitions p ON p.id = s.partition_id JOIN datasets d ON d.id = p.dataset_id
		ORDER BY s.id`, args,
		func(scan func(...any) error) error {
			var s dataset.Segment
			var hash []byte
			var least, most int64
			err := scan(&s.ID, &s.Dataset, &s.Partition, &s.Object, &s.Rows, &s.Bytes, &hash, &least, &most, &s.AddedIn, &s.RemovedIn)
			s.Hash, s.MinTime, s.MaxTime = dataset.HashFromBytes(hash), fromMicros(least), fromMicros(most)
			out = append(out, s)
			return err
		})
	return out, err
}

// CommitCompaction swaps segments for one with the same rows in a new version
// with the same content hash, so nothing becomes stale. It fails with
// dataset.ErrSegmentGone, changing nothing, if a replaced segment is no longer
// live; segments that came in meanwhile are untouched.
func (c *Catalog) CommitCompaction(ctx context.Context, k dataset.Compaction) error {
	return c.update(ctx, func(t *tx) error {
		d, err := t.dataset(k.Dataset)
		if err != nil {
			return err
		}
		p, err := t.partition(d, k.Partition)
		if err != nil {
			return err
		}
		old, err := t.promoted(p)
		if err != nil {
			return err
		}
		if old.Version != p.lastVersion {
			return fmt.Errorf("%s@%s: readers are on an earlier version: %w", k.Dataset, k.Partition, dataset.ErrSegmentGone)
		}
		if err := t.replaceSegments(p, k); err != nil {
			return err
		}
		next := dataset.Promoted{Dataset: k.Dataset, Partition: k.Partition, Version: p.lastVersion + 1, Rows: old.Rows, Hash: old.Hash}
		if err := t.carryOver(&p, old.Version, next, k.Segment); err != nil {
			return err
		}
		return t.carryTried(p, k.Replaced)
	})
}

// replaceSegments retires the named segments after checking that they hold as
// many rows as the new one claims, and the same content.
func (t *tx) replaceSegments(p partition, k dataset.Compaction) error {
	if err := t.bump(); err != nil {
		return err
	}
	var rows int64
	var hash dataset.ContentHash
	for _, id := range k.Replaced {
		live, err := t.segments("id = ? AND partition_id = ? AND removed_in IS NULL", id, p.id)
		if err != nil {
			return err
		}
		if len(live) == 0 {
			return fmt.Errorf("segment %d of %s@%s: %w", id, k.Dataset, k.Partition, dataset.ErrSegmentGone)
		}
		rows, hash = rows+live[0].Rows, hash.Add(live[0].Hash)
		if err := t.exec("UPDATE segments SET removed_in = ?, removed_at = ?, removed_rev = ? WHERE id = ?", p.lastVersion+1, t.now, t.revision, id); err != nil {
			return err
		}
	}
	if rows != k.Segment.Rows || hash != k.Segment.Hash {
		return fmt.Errorf("compaction of %s@%s: %d rows with content %x in, %d with %x out: nothing is replaced",
			k.Dataset, k.Partition, rows, hash.Bytes(), k.Segment.Rows, k.Segment.Hash.Bytes())
	}
	return nil
}

// carryOver writes the compacted version as the heir of version old: its
// traces and its provenance move on with the content.
func (t *tx) carryOver(p *partition, old int64, next dataset.Promoted, s dataset.NewSegment) error {
	if _, err := t.addSegment(p.id, next.Version, "compact", s); err != nil {
		return err
	}
	err := t.exec(`INSERT INTO versions (partition_id, number, rows, bytes, hash, keyed, origin, trace_key, definition, fingerprint, git_revision, cpu, wall, cause_id, created_at)
		SELECT partition_id, ?, rows, (SELECT SUM(bytes) FROM segments s WHERE s.partition_id = v.partition_id AND removed_in IS NULL), hash, keyed, 'compact', trace_key,
		definition, fingerprint, git_revision, cpu, wall, cause_id, created_at FROM versions v WHERE partition_id = ? AND number = ?`,
		next.Version, p.id, old)
	if err != nil {
		return err
	}
	for _, about := range []string{"traces", "verdicts"} {
		if err := t.exec("UPDATE "+about+" SET version = ? WHERE partition_id = ? AND version = ?", next.Version, p.id, old); err != nil {
			return err
		}
	}
	if p.dataset.Spec.Kind == dataset.Rejected {
		err := t.exec(`UPDATE traces SET rejected_version = ? WHERE rejected_version = ? AND partition_id =
			(SELECT id FROM partitions WHERE dataset_id = ? AND name = ?)`, next.Version, old, p.dataset.RejectsOf, p.name)
		if err != nil {
			return err
		}
	}
	if err := t.exec("UPDATE partitions SET last_version = ? WHERE id = ?", next.Version, p.id); err != nil {
		return err
	}
	// Whoever reads the old version reads the same rows in the new one.
	for _, holder := range []string{"pointers", "release_inputs"} {
		if err := t.exec("UPDATE "+holder+" SET version = ? WHERE partition_id = ? AND version = ?", next.Version, p.id, old); err != nil {
			return err
		}
	}
	return t.exec("DELETE FROM versions WHERE partition_id = ? AND number = ?", p.id, old)
}
