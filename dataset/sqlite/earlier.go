package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// What a version is compared with.

// Earlier is a promoted version of another partition, to compare one with.
type Earlier struct {
	dataset.Promoted
	Fingerprint []byte
	Verdict     dataset.Verdict
}

// Oldest is the start of the oldest partition of a dataset, not ok if fewer rows of it
// are promoted than asked for.
func (c *Catalog) Oldest(ctx context.Context, name string, rows int64) (oldest time.Time, ok bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		var starts sql.NullInt64
		err := t.QueryRowContext(ctx, `SELECT (SELECT MIN(p.starts) FROM partitions p WHERE p.dataset_id = d.id)
			FROM datasets d JOIN counts c ON c.dataset_id = d.id WHERE d.name = ? AND c.rows >= ?`, name, rows).Scan(&starts)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		oldest, ok = time.UnixMicro(starts.Int64).UTC(), starts.Valid
		return err
	})
	return oldest, ok, err
}

// unsettled is a condition on partitions p: what is promoted of it may not stay.
const unsettled = `(EXISTS (SELECT 1 FROM pointers h WHERE h.partition_id = p.id AND h.view = 'held')
	OR EXISTS (SELECT 1 FROM dirty w LEFT JOIN causes c ON c.id = w.cause_id WHERE w.dataset_id = p.dataset_id AND w.name = p.name AND c.kind IS NOT 'contract')
	OR EXISTS (SELECT 1 FROM waived w WHERE w.dataset_id = p.dataset_id AND w.name = p.name))`

// Earlier returns the promoted versions of a stage's closed partitions that begin at
// some times, as far as they stand for a code identity, are neither stale nor held and
// have a fingerprint. It is one query, which costs what it asks for.
func (c *Catalog) Earlier(ctx context.Context, stage string, identity []byte, starts []time.Time) (out []Earlier, err error) {
	at := make([]int64, len(starts))
	for i, s := range starts {
		at[i] = micros(s)
	}
	list, err := json.Marshal(at)
	if err != nil {
		return nil, err
	}
	err = c.view(ctx, func(t *tx) error {
		return t.each(`SELECT p.name, v.number, v.rows, v.hash, v.fingerprint, COALESCE(w.detail, '{}') FROM datasets d CROSS JOIN json_each(?3) s
			CROSS JOIN partitions p INDEXED BY partitions_by_start ON p.dataset_id = d.id AND p.starts = s.value
			JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' JOIN versions v ON v.partition_id = p.id AND v.number = x.version
			JOIN definitions f ON f.id = v.definition LEFT JOIN verdicts w ON w.partition_id = p.id AND w.version = v.number
			WHERE d.name = ?1 AND f.code_identity = ?2 AND p.closed_at IS NOT NULL AND v.fingerprint IS NOT NULL AND NOT `+unsettled,
			[]any{stage, identity, string(list)}, func(scan func(...any) error) error {
				e := Earlier{Promoted: dataset.Promoted{Dataset: stage}}
				var hash []byte
				var detail string
				if err := scan(&e.Partition, &e.Version, &e.Rows, &hash, &e.Fingerprint, &detail); err != nil {
					return err
				}
				e.Hash = dataset.HashFromBytes(hash)
				out = append(out, e)
				if detail == "{}" {
					return nil
				}
				return json.Unmarshal([]byte(detail), &out[len(out)-1].Verdict)
			})
	})
	return out, err
}

// Approved returns the promoted versions of a dataset that people approved although
// they were held, of partitions that begin from one time until before another.
func (c *Catalog) Approved(ctx context.Context, name string, from, to time.Time) (out []Earlier, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each(`SELECT p.name, w.version, w.detail FROM verdicts w INDEXED BY verdicts_told
			CROSS JOIN partitions p ON p.id = w.partition_id AND p.dataset_id = (SELECT id FROM datasets WHERE name = ?1)
			JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' AND x.version = w.version
			WHERE `+spoke+` AND w.detail ->> '$.approved' IS NOT NULL AND p.starts >= ?2 AND p.starts < ?3`, []any{name, micros(from), micros(to)},
			func(scan func(...any) error) error {
				e := Earlier{Promoted: dataset.Promoted{Dataset: name}}
				var detail string
				if err := scan(&e.Partition, &e.Version, &detail); err != nil {
					return err
				}
				err := json.Unmarshal([]byte(detail), &e.Verdict)
				out = append(out, e)
				return err
			})
	})
	return out, err
}

// Fingerprint are the statistics of a version, nil if none were taken.
func (c *Catalog) Fingerprint(ctx context.Context, q dataset.Promoted) (fingerprint []byte, err error) {
	err = c.view(ctx, func(t *tx) error {
		p, err := t.partitionOf(q.Dataset, q.Partition)
		if err != nil {
			return err
		}
		err = t.QueryRowContext(ctx, "SELECT fingerprint FROM versions WHERE partition_id = ? AND number = ?", p.id, q.Version).Scan(&fingerprint)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return err
	})
	return fingerprint, err
}

// ByHand reports whether a task, or a version of its partition, came of what a person
// applied or approved, there or further up. A changed contract only has it judged.
func (c *Catalog) ByHand(ctx context.Context, k dataset.Task, version int64) (yes bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		p, err := t.partitionOf(k.Dataset, k.Partition)
		if err != nil {
			return err
		}
		return t.QueryRowContext(ctx, `WITH RECURSIVE up (kind, parent, apply_id) AS (
				SELECT c.kind, c.parent, c.apply_id FROM causes c WHERE c.id IN (
					(SELECT cause_id FROM dirty WHERE dataset_id = ?1 AND name = ?2), (SELECT cause_id FROM versions WHERE partition_id = ?3 AND number = ?4))
				UNION ALL SELECT c.kind, c.parent, c.apply_id FROM up JOIN causes c ON c.id = up.parent)
			SELECT EXISTS (SELECT 1 FROM up WHERE kind IN ('definition', 'side', 'approval') OR apply_id IS NOT NULL AND kind <> 'contract')`,
			p.dataset.ID, p.name, p.id, version).Scan(&yes)
	})
	return yes, err
}
