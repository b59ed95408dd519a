package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/reedbed/reedbed/dataset"
)

// deployedSide is a side input of a set of definitions.
type deployedSide struct {
	Version int64            `json:"version"`
	Digest  string           `json:"digest"` // SHA-256 of the file's bytes, in hex
	Columns []dataset.Column `json:"columns"`
	// Files are the digests of several files that are one table, by path.
	Files map[string]string `json:"files,omitempty"`
}

func (s deployedSide) same(o deployedSide) bool {
	return s.Version == o.Version && s.Digest == o.Digest
}

// applySides promotes the content of side inputs and marks the readers of what
// changed. Content equal to what is promoted changes nothing.
func (t *tx) applySides(sides []dataset.SideInput) (map[string]deployedSide, error) {
	out := map[string]deployedSide{}
	for _, s := range sides {
		number, err := t.applySide(s)
		if err != nil {
			return nil, fmt.Errorf("deploy %s: %w", s.File, err)
		}
		out[s.Spec.Name] = deployedSide{number, s.Digest, s.Spec.Columns, s.Files}
	}
	return out, nil
}

func (t *tx) applySide(s dataset.SideInput) (number int64, err error) {
	d, err := t.ensureDataset(s.Spec, 0)
	if err != nil {
		return 0, err
	}
	p, err := t.ensurePartition(d, dataset.Whole)
	if err != nil {
		return 0, err
	}
	old, err := t.promoted(p)
	if err != nil {
		return 0, err
	}
	v := version{origin: "side"}
	switch {
	case s.Segment != nil:
		v.add = []dataset.NewSegment{*s.Segment}
	case s.Version == 0 || s.Version == old.Version:
		return old.Version, nil
	default:
		// A new version with the old content: closed partitions that read it as of
		// their close go by when a version was made.
		if v.add, err = t.contentOf(p, s.Version); err != nil {
			return 0, err
		}
	}
	if old.Version != 0 && sameContent(old, v) {
		return old.Version, nil
	}
	if err := t.addVersion(&p, v); err != nil {
		return 0, err
	}
	why, err := t.because(dataset.BySide, dataset.Facts{Dataset: s.Spec.Name, Partition: p.name, Version: p.lastVersion, File: s.File}, nil)
	if err != nil {
		return 0, err
	}
	if err := t.credit(p.id, p.lastVersion, why.id); err != nil {
		return 0, err
	}
	return p.lastVersion, t.dirtyReaders(p, why)
}

// contentOf lists the segments of a version on record. That its files may be gone
// by retention is for whoever asked to know.
func (t *tx) contentOf(p partition, number int64) ([]dataset.NewSegment, error) {
	var rows int64
	err := t.QueryRowContext(t.ctx, "SELECT rows FROM versions WHERE partition_id = ? AND number = ?", p.id, number).Scan(&rows)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	found, failed := t.segments("partition_id = ? AND added_in <= ? AND (removed_in IS NULL OR removed_in > ?)", p.id, number, number)
	if failed != nil {
		return nil, failed
	}
	if have, _ := total(found); err != nil || have != rows {
		return nil, &dataset.Refusal{
			Code: "no_longer_kept", What: fmt.Sprintf("version %d of side input %s is no longer kept", number, p.dataset.Spec.Name),
			Fix: "deploy a file with that content: reedbed apply",
		}
	}
	var out []dataset.NewSegment
	for _, s := range found {
		out = append(out, s.NewSegment)
	}
	return out, nil
}

// retireSides retires the side inputs that are not in the set.
func (t *tx) retireSides(set map[string]deployedSide) error {
	names, err := json.Marshal(slices.AppendSeq([]string{}, maps.Keys(set)))
	if err != nil {
		return err
	}
	return t.exec(`UPDATE datasets SET retired_at = ? WHERE kind = 'side' AND retired_at IS NULL
		AND name NOT IN (SELECT value FROM json_each(?))`, t.now, string(names))
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
