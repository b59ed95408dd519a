package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/reedbed/reedbed/dataset"
)

// Keyed returns the hashes by column of one version, or of another one of its
// partition with the same content; nil if nobody looked.
func (c *Catalog) Keyed(ctx context.Context, q dataset.Promoted) (*dataset.ColumnHashes, error) {
	var kept []byte
	err := c.view(ctx, func(t *tx) error {
		return t.QueryRowContext(ctx, `SELECT v.keyed FROM datasets d JOIN partitions p ON p.dataset_id = d.id JOIN versions v ON v.partition_id = p.id
			WHERE d.name = ? AND p.name = ? AND v.rows = ? AND v.hash = ? AND v.keyed IS NOT NULL ORDER BY v.number = ? DESC LIMIT 1`,
			q.Dataset, q.Partition, q.Rows, q.Hash.Bytes(), q.Version).Scan(&kept)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // nobody looked
	}
	if err != nil {
		return nil, err
	}
	h, err := dataset.ColumnHashesFromBytes(kept)
	return &h, err
}

// SetKeyed records the hashes by column of a version. It does nothing if the
// version is gone.
func (c *Catalog) SetKeyed(ctx context.Context, q dataset.Promoted, h *dataset.ColumnHashes) error {
	return c.update(ctx, func(t *tx) error {
		return t.exec(`UPDATE versions SET keyed = ? WHERE number = ? AND rows = ? AND hash = ? AND partition_id =
			(SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ? AND p.name = ?)`,
			h.Bytes(), q.Version, q.Rows, q.Hash.Bytes(), q.Dataset, q.Partition)
	})
}
