package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// Dataset is a dataset on record.
type Dataset struct {
	ID         int64
	Spec       dataset.Spec
	Definition int64 // the deployed definition's id, 0 for none
	Allowance  time.Duration
	Interval   time.Duration
	RowWise    bool
	Depth      int
	RejectsOf  int64  // the stage whose refused rows these are, 0 for none
	Release    string // the release group it belongs to, "" for none
}

const datasetColumns = `id, name, kind, grain, owner, columns, hash_scheme, COALESCE(definition, 0), allowance, interval, row_wise, depth, COALESCE(rejects_of, 0), ` + releaseOf

func scanDataset(scan func(...any) error) (Dataset, error) {
	var d Dataset
	var cols string
	var allowance, interval int64
	err := scan(&d.ID, &d.Spec.Name, &d.Spec.Kind, &d.Spec.Grain, &d.Spec.Owner, &cols, &d.Spec.HashScheme,
		&d.Definition, &allowance, &interval, &d.RowWise, &d.Depth, &d.RejectsOf, &d.Release)
	if err != nil {
		return d, err
	}
	d.Allowance, d.Interval = time.Duration(allowance)*time.Microsecond, time.Duration(interval)*time.Microsecond
	return d, json.Unmarshal([]byte(cols), &d.Spec.Columns)
}

// ErrNoDataset says that a name is not a dataset of this project.
var ErrNoDataset = errors.New("no such dataset")

func (t *tx) dataset(name string) (Dataset, error) {
	return recall(t.known.datasets, name, func() (Dataset, error) {
		row := t.QueryRowContext(t.ctx, "SELECT "+datasetColumns+" FROM datasets WHERE name = ? AND retired_at IS NULL", name)
		d, err := scanDataset(row.Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return d, fmt.Errorf("%w: %q", ErrNoDataset, name)
		}
		return d, err
	})
}

// refusedOf returns the dataset of the rows that a stage refuses; ID 0 for none.
func (t *tx) refusedOf(stageID int64) (Dataset, error) {
	return recall(t.known.refused, stageID, func() (Dataset, error) {
		row := t.QueryRowContext(t.ctx, "SELECT "+datasetColumns+" FROM datasets WHERE rejects_of = ? AND retired_at IS NULL", stageID)
		d, err := scanDataset(row.Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return Dataset{}, nil
		}
		return d, err
	})
}

// Datasets lists the datasets that are not retired, upstream before downstream.
func (c *Catalog) Datasets(ctx context.Context) ([]Dataset, error) {
	var out []Dataset
	err := c.view(ctx, func(t *tx) error {
		return t.each("SELECT "+datasetColumns+" FROM datasets WHERE retired_at IS NULL ORDER BY depth, name", nil,
			func(scan func(...any) error) error {
				d, err := scanDataset(scan)
				out = append(out, d)
				return err
			})
	})
	return out, err
}

// EnsureDataset records a dataset or brings its record up to date. The grain of
// a recorded dataset never changes.
func (c *Catalog) EnsureDataset(ctx context.Context, s dataset.Spec, allowance time.Duration) error {
	return c.update(ctx, func(t *tx) error {
		_, err := t.ensureDataset(s, allowance)
		return err
	})
}

func (t *tx) ensureDataset(s dataset.Spec, allowance time.Duration) (Dataset, error) {
	cols, err := json.Marshal(s.Columns)
	if err != nil {
		return Dataset{}, err
	}
	old := dataset.Spec{Name: s.Name}
	var live bool
	err = t.QueryRowContext(t.ctx, "SELECT kind, grain, retired_at IS NULL FROM datasets WHERE name = ?", s.Name).Scan(&old.Kind, &old.Grain, &live)
	if err == nil {
		err = conflict(old, s, live)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Dataset{}, err
	}
	err = t.exec(`INSERT INTO datasets (name, kind, grain, owner, columns, hash_scheme, allowance) VALUES (?,?,?,?,?,?,?)
		ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, owner = excluded.owner, columns = excluded.columns,
		hash_scheme = excluded.hash_scheme, allowance = excluded.allowance, retired_at = NULL`,
		s.Name, s.Kind, s.Grain, s.Owner, string(cols), s.HashScheme, allowance.Microseconds())
	if err != nil {
		return Dataset{}, err
	}
	return t.dataset(s.Name)
}

// conflict says why a dataset on record cannot become what s says, or nil.
func conflict(old, s dataset.Spec, live bool) error {
	switch {
	case old.Grain != s.Grain:
		return fmt.Errorf("dataset %s is partitioned by %s and cannot become %s: give the new one another name", s.Name, old.Grain, s.Grain)
	case live && old.Kind != s.Kind:
		return fmt.Errorf("there is a dataset %s of kind %s already: give the %s another name", s.Name, old.Kind, s.Kind)
	}
	return nil
}

// Conflict says why a dataset cannot be recorded as s, or nil: its name was
// given to another kind or grain before, by a dataset that may be retired.
func (c *Catalog) Conflict(ctx context.Context, s dataset.Spec) (why, err error) {
	old := dataset.Spec{Name: s.Name}
	var live bool
	err = c.view(ctx, func(t *tx) error {
		return t.QueryRowContext(ctx, "SELECT kind, grain, retired_at IS NULL FROM datasets WHERE name = ?", s.Name).Scan(&old.Kind, &old.Grain, &live)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return conflict(old, s, live), err
}

// partition is a row of the partitions table.
type partition struct {
	id          int64
	dataset     Dataset
	name        dataset.Partition
	lastVersion int64
	closed      bool
	closedAt    int64
	lastRun     int64
	lastCPU     int64
}

func (t *tx) partition(d Dataset, name dataset.Partition) (partition, error) {
	p := partition{dataset: d, name: name}
	err := t.QueryRowContext(t.ctx, `SELECT id, last_version, closed_at IS NOT NULL, COALESCE(closed_at, 0), last_run, last_cpu
		FROM partitions WHERE dataset_id = ? AND name = ?`, d.ID, name).
		Scan(&p.id, &p.lastVersion, &p.closed, &p.closedAt, &p.lastRun, &p.lastCPU)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil
	}
	return p, err
}

// partitionOf returns a partition of a dataset by its name; id 0 if it has no row.
func (t *tx) partitionOf(name string, p dataset.Partition) (partition, error) {
	d, err := t.dataset(name)
	if err != nil {
		return partition{}, err
	}
	return t.partition(d, p)
}

// ensurePartition returns the partition's row, made if it is new.
func (t *tx) ensurePartition(d Dataset, name dataset.Partition) (partition, error) {
	p, err := t.partition(d, name)
	if err != nil || p.id != 0 {
		return p, err
	}
	p.id, err = t.insertID("INSERT INTO partitions (dataset_id, name, starts, ends) VALUES (?,?,?,?)",
		d.ID, name, micros(name.Start()), micros(name.End()))
	return p, err
}
