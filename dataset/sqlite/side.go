package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/reedbed/reedbed/dataset"
)

// CommitSide promotes new content of a small file of the project. Content equal
// to what is promoted changes nothing.
func (c *Catalog) CommitSide(ctx context.Context, s dataset.Spec, detail string, segment dataset.NewSegment) (changed bool, err error) {
	err = c.update(ctx, func(t *tx) error {
		d, err := t.ensureDataset(s, 0)
		if err != nil {
			return err
		}
		p, err := t.ensurePartition(d, dataset.Whole)
		if err != nil {
			return err
		}
		old, err := t.promoted(p)
		if err != nil {
			return err
		}
		v := version{origin: "side", add: []dataset.NewSegment{segment}}
		if old.Version != 0 && sameContent(old, v) {
			return nil
		}
		if err := t.addVersion(&p, v); err != nil {
			return err
		}
		changed = true
		why, err := t.because(dataset.BySide, dataset.Facts{Dataset: s.Name, Partition: p.name, Version: p.lastVersion, File: detail}, nil)
		if err != nil {
			return err
		}
		if err := t.credit(p.id, p.lastVersion, why.id); err != nil {
			return err
		}
		return t.dirtyReaders(p, why)
	})
	return changed, err
}

// ImportProgress is how far an import of one file was acknowledged.
type ImportProgress struct {
	Offset int64 // bytes of the file
	Lines  int64
	Done   bool
}

// ImportProgress returns how far the file with this key came; zero if unknown.
func (c *Catalog) ImportProgress(ctx context.Context, key string) (ImportProgress, error) {
	var p ImportProgress
	err := c.view(ctx, func(t *tx) error {
		err := t.QueryRowContext(ctx, "SELECT offset, lines, done FROM imports WHERE key = ?", key).Scan(&p.Offset, &p.Lines, &p.Done)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return p, err
}

// SetImportProgress records how far the file with this key was acknowledged.
func (c *Catalog) SetImportProgress(ctx context.Context, key string, p ImportProgress) error {
	return c.update(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO imports (key, offset, lines, done, updated) VALUES (?,?,?,?,?) ON CONFLICT (key) DO UPDATE SET
			offset = excluded.offset, lines = excluded.lines, done = excluded.done, updated = excluded.updated`, key, p.Offset, p.Lines, p.Done, t.now)
	})
}
