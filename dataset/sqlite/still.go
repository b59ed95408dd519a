package sqlite

import (
	"context"

	"github.com/reedbed/reedbed/dataset"
)

// StillDue reports whether a task is due for the same reason as when it was
// listed. If so, nothing it reads has moved since.
func (c *Catalog) StillDue(ctx context.Context, k dataset.Task) (same bool, err error) {
	err = c.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM dirty WHERE dataset_id = (SELECT id FROM datasets WHERE name = ? AND retired_at IS NULL)
		AND name = ? AND generation = ? AND waits = 0)`, k.Dataset, k.Partition, k.Generation).Scan(&same)
	return same, err
}
