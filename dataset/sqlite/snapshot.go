package sqlite

import (
	"context"

	"github.com/reedbed/reedbed/dataset"
)

// Snapshot is what one reader sees: every promoted segment of the datasets it
// asked for, all from one moment.
type Snapshot struct {
	Revision int64
	Tables   []SnapshotTable
}

// SnapshotTable is one dataset of a snapshot.
type SnapshotTable struct {
	Dataset dataset.Spec
	Objects []string // the store's ids, partition by partition
	Rows    int64
}

// Snapshot resolves datasets to their promoted segments. A name that is not a
// dataset gives ErrNoDataset.
func (c *Catalog) Snapshot(ctx context.Context, names []string) (Snapshot, error) {
	var out Snapshot
	err := c.view(ctx, func(t *tx) error {
		if err := t.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'revision'").Scan(&out.Revision); err != nil {
			return err
		}
		for _, name := range names {
			d, err := t.dataset(name)
			if err != nil {
				return err
			}
			table := SnapshotTable{Dataset: d.Spec}
			err = t.each(`SELECT s.object, s.rows FROM partitions p
				JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
				JOIN segments s ON s.partition_id = p.id AND s.added_in <= x.version AND (s.removed_in IS NULL OR s.removed_in > x.version)
				WHERE p.dataset_id = ? AND s.rows > 0 ORDER BY p.starts, s.id`, []any{d.ID}, func(scan func(...any) error) error {
				var object string
				var rows int64
				err := scan(&object, &rows)
				table.Objects, table.Rows = append(table.Objects, object), table.Rows+rows
				return err
			})
			if err != nil {
				return err
			}
			out.Tables = append(out.Tables, table)
		}
		return nil
	})
	return out, err
}

// Revision grows with every change a reader can see.
func (c *Catalog) Revision(ctx context.Context) (int64, error) {
	var n int64
	err := c.view(ctx, func(t *tx) error {
		return t.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'revision'").Scan(&n)
	})
	return n, err
}

// Promoted lists the promoted versions of a dataset's partitions, by partition.
func (c *Catalog) Promoted(ctx context.Context, name string) ([]dataset.Promoted, error) {
	var out []dataset.Promoted
	err := c.view(ctx, func(t *tx) error {
		d, err := t.dataset(name)
		if err != nil {
			return err
		}
		return t.each(`SELECT p.name, v.number, v.rows, v.hash FROM partitions p
			JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
			JOIN versions v ON v.partition_id = p.id AND v.number = x.version
			WHERE p.dataset_id = ? ORDER BY p.name`, []any{d.ID}, func(scan func(...any) error) error {
			v, err := scanPromoted(name, scan)
			out = append(out, v)
			return err
		})
	})
	return out, err
}

// scanPromoted reads a row of partition, version, rows and hash.
func scanPromoted(name string, scan func(...any) error) (dataset.Promoted, error) {
	v := dataset.Promoted{Dataset: name}
	var hash []byte
	err := scan(&v.Partition, &v.Version, &v.Rows, &hash)
	v.Hash = dataset.HashFromBytes(hash)
	return v, err
}
