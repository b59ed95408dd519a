package sqlite

import (
	"context"

	"github.com/reedbed/reedbed/dataset"
)

// Print is what is on record of the version of a partition that readers see, or
// would see if it were not held.
type Print struct {
	Partition   dataset.Partition
	Version     int64
	Open        bool   // events of the partition are still expected
	Fingerprint []byte // nil: none was taken
	// Approved says that a person let it pass, whatever it breaks.
	Approved bool
}

// Prints calls fn for every partition of a dataset that has a version, the newest
// first.
func (c *Catalog) Prints(ctx context.Context, name string, fn func(Print) error) error {
	return c.view(ctx, func(t *tx) error {
		return t.each(`SELECT p.name, v.number, p.closed_at IS NULL AND p.ends > 0, v.fingerprint, COALESCE(w.detail ->> '$.approved' IS NOT NULL, 0)
			FROM datasets d JOIN partitions p ON p.dataset_id = d.id JOIN versions v ON v.partition_id = p.id AND v.number = COALESCE(
				(SELECT version FROM pointers WHERE partition_id = p.id AND view = 'held' AND version > 0),
				(SELECT version FROM pointers WHERE partition_id = p.id AND view = 'main'))
			LEFT JOIN verdicts w ON w.partition_id = p.id AND w.version = v.number
			WHERE d.name = ? AND d.retired_at IS NULL ORDER BY p.starts DESC`, []any{name}, func(scan func(...any) error) error {
			var p Print
			if err := scan(&p.Partition, &p.Version, &p.Open, &p.Fingerprint, &p.Approved); err != nil {
				return err
			}
			return fn(p)
		})
	})
}
