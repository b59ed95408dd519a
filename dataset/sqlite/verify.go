package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/reedbed/reedbed/dataset"
)

// Recorded is how the promoted version of a stage's partition came about.
type Recorded struct {
	Output, Rejected dataset.Promoted
	Definition       int64
	// Inputs are what was read, each in a version with exactly that content. Lost
	// names those whose content is no longer on record.
	Inputs []dataset.Promoted
	Lost   []string
}

// Recorded returns how the promoted version of a partition came about, so that it
// can be computed again.
func (c *Catalog) Recorded(ctx context.Context, stage string, p dataset.Partition) (out Recorded, err error) {
	err = c.view(ctx, func(t *tx) error {
		own, err := t.partitionOf(stage, p)
		if err != nil {
			return err
		}
		if out.Output, err = t.pointed(own, "main"); err != nil {
			return err
		}
		if out.Rejected, err = t.rejectedBy(own.dataset, p); err != nil {
			return err
		}
		err = t.QueryRowContext(ctx, "SELECT COALESCE(definition, 0) FROM versions WHERE partition_id = ? AND number = ?", own.id, out.Output.Version).Scan(&out.Definition)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		read, err := t.readsOf(own.id)
		if err != nil {
			return err
		}
		for _, q := range read {
			if q.Version, err = t.withContent(q); err != nil {
				return err
			}
			if q.Version < 0 {
				out.Lost = append(out.Lost, q.Dataset+"@"+string(q.Partition))
				continue
			}
			out.Inputs = append(out.Inputs, q)
		}
		return nil
	})
	return out, err
}

// rejectedBy is what readers see of the rows a stage refused.
func (t *tx) rejectedBy(d Dataset, p dataset.Partition) (dataset.Promoted, error) {
	both, err := t.pair(partition{dataset: d, name: p})
	if err != nil || !both.refuses {
		return dataset.Promoted{}, err
	}
	return t.pointed(both.refused, "main")
}

// withContent is the number of a version that still has the content of q, which
// was read under a number that a compaction or a load may have replaced; 0 for
// what was ABSENT, negative when there is none.
func (t *tx) withContent(q dataset.Promoted) (number int64, err error) {
	if q.Version == 0 {
		return 0, nil
	}
	err = t.QueryRowContext(t.ctx, `SELECT v.number FROM versions v JOIN partitions p ON p.id = v.partition_id JOIN datasets d ON d.id = p.dataset_id
		WHERE d.name = ? AND p.name = ? AND v.rows = ? AND v.hash = ? AND v.freed_at IS NULL AND v.erased_at IS NULL ORDER BY v.number DESC LIMIT 1`,
		q.Dataset, q.Partition, q.Rows, q.Hash.Bytes()).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return -1, nil
	}
	return number, err
}

// Objects lists every object that a record names.
func (c *Catalog) Objects(ctx context.Context) (out []string, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each(`SELECT object FROM segments WHERE removed_in IS NULL OR `+heldSegment+`
			UNION SELECT object FROM sidecars WHERE removed_at IS NULL ORDER BY 1`, nil, func(scan func(...any) error) error {
			var object string
			err := scan(&object)
			out = append(out, object)
			return err
		})
	})
	return out, err
}

// Unstable is a deployed stage that gave other rows when it was computed again.
type Unstable struct {
	Dataset, File string
	Found         string // where, and how much it differs
}

// MarkUnstable records that a definition gives other rows when it is computed
// again. Its promoted versions stay: what was computed first stands.
func (c *Catalog) MarkUnstable(ctx context.Context, definition int64, found string) error {
	return c.update(ctx, func(t *tx) error {
		return t.exec("UPDATE definitions SET differs = ? WHERE id = ?", found, definition)
	})
}

// Unstable lists the deployed stages of which that is known, of this revision or of
// another with the same code.
func (c *Catalog) Unstable(ctx context.Context) (out []Unstable, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each(`SELECT d.name, f.file, o.differs FROM datasets d JOIN definitions f ON f.id = d.definition
			JOIN definitions o ON o.id = (SELECT MAX(id) FROM definitions WHERE dataset_id = d.id AND code_identity = f.code_identity AND differs <> '')
			WHERE d.retired_at IS NULL ORDER BY d.name`, nil, func(scan func(...any) error) error {
			var u Unstable
			err := scan(&u.Dataset, &u.File, &u.Found)
			out = append(out, u)
			return err
		})
	})
	return out, err
}
