package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/reedbed/reedbed/dataset"
)

// StillDue reports whether a listed task is due and was not tried since, and
// whether that is for the same reason: then nothing it reads has moved.
func (c *Catalog) StillDue(ctx context.Context, k dataset.Task) (due, same bool, err error) {
	var generation int64
	err = c.read.QueryRowContext(ctx, `SELECT generation FROM dirty WHERE dataset_id = (SELECT id FROM datasets WHERE name = ? AND retired_at IS NULL)
		AND name = ? AND attempts = ? AND waits = 0`, k.Dataset, k.Partition, k.Attempts).Scan(&generation)
	if errors.Is(err, sql.ErrNoRows) {
		return false, false, nil
	}
	return err == nil, generation == k.Generation, err
}
