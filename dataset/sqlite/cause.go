package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/reedbed/reedbed/dataset"
)

// because records a cause in words and with what they are made of.
func (t *tx) because(kind dataset.CauseKind, f dataset.Facts, parent any) (cause, error) {
	return t.recordCause(kind, f.Words(kind), f, parent)
}

// recordCause makes a cause urgent that follows from what a person deployed, however
// far down: nobody waits for that to come to rest.
func (t *tx) recordCause(kind dataset.CauseKind, detail string, f dataset.Facts, parent any) (cause, error) {
	facts, err := json.Marshal(f)
	if err != nil {
		return cause{}, err
	}
	var c cause
	err = t.QueryRowContext(t.ctx, `INSERT INTO causes (kind, detail, facts, parent, at, apply_id)
		VALUES (?1, ?2, ?3, ?4, ?5, COALESCE(?6, (SELECT apply_id FROM causes WHERE id = ?4))) RETURNING id, apply_id IS NOT NULL OR kind IN ('definition', 'side')`,
		kind, detail, string(facts), parent, t.now, nullable(t.apply)).Scan(&c.id, &c.urgent)
	return c, err
}

// causeOf is why a task's partition is due; NULL when it no longer is.
func (t *tx) causeOf(k dataset.Task) (id sql.NullInt64, err error) {
	err = t.QueryRowContext(t.ctx, "SELECT cause_id FROM dirty WHERE name = ? AND dataset_id = (SELECT id FROM datasets WHERE name = ?)", k.Partition, k.Dataset).
		Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return id, err
}

// credit records why readers are sent to a version.
func (t *tx) credit(partitionID, number, cause int64) error {
	return t.exec("UPDATE versions SET cause_id = ? WHERE partition_id = ? AND number = ?", cause, partitionID, number)
}

// conclude records what came of looking at p, and why the versions are promoted
// that were not before.
func (t *tx) conclude(p partition, before, after pair, b dataset.Build, why sql.NullInt64) error {
	if !why.Valid {
		return nil // answered already, and run once more
	}
	for _, x := range []struct {
		partitionID   int64
		before, after dataset.Promoted
	}{{p.id, before.output, after.output}, {after.refused.id, before.rejected, after.rejected}} {
		if x.after.Version == 0 || x.after.Version == x.before.Version {
			continue
		}
		if err := t.credit(x.partitionID, x.after.Version, why.Int64); err != nil {
			return err
		}
	}
	return t.exec("UPDATE partitions SET outcome = ?, outcome_at = ?, outcome_cause = ? WHERE id = ?", outcome(before, after, b), t.now, why, p.id)
}

func outcome(before, after pair, b dataset.Build) dataset.Outcome {
	same := before.output.Version == after.output.Version && before.rejected.Version == after.rejected.Version
	switch {
	case b.Held():
		return dataset.Withheld
	case b.Content == nil && !b.Reuse:
		return dataset.Vanished
	case b.Reuse && same:
		return dataset.Standing
	case b.Reuse:
		return dataset.Reused
	case same:
		return dataset.Unchanged
	case b.Content.Growth != dataset.NoGrowth:
		return dataset.Appended
	}
	return dataset.Built
}

// definitionFacts says which definition of d is deployed.
func (t *tx) definitionFacts(d Dataset, file string) (dataset.Facts, error) {
	f := dataset.Facts{Dataset: d.Spec.Name, File: file}
	err := t.QueryRowContext(t.ctx, "SELECT revision, git_revision FROM definitions WHERE id = ?", d.Definition).Scan(&f.Revision, &f.GitRevision)
	return f, err
}

const (
	// keepCauses is how many of the newest causes stay, whatever names them: what
	// came of looking at a partition names one, too.
	keepCauses = 50_000
	// sweptAtOnce is how many older ones are looked at in one collection.
	sweptAtOnce = 20_000
)

// collectCauses forgets causes that no version, no work and no later cause names,
// but for the newest few: a part of them each time, from the newest on down, and
// then again. What led to a version on record stays for as long as that does.
func (c *Catalog) collectCauses(ctx context.Context, keep, sweep int64) error {
	var to int64
	var due []int64
	err := c.view(ctx, func(t *tx) (err error) { // looking through all work takes long, and must hold nobody up
		if to, err = t.nextSweep(keep); err == nil && to > 0 {
			due, err = t.dueCauses(to-sweep, to)
		}
		return err
	})
	if err != nil || to <= 0 {
		return err
	}
	return c.update(ctx, func(t *tx) error { return t.sweepCauses(due, to-sweep, to) })
}

// nextSweep is the newest cause that may be forgotten next; 0 or less for none.
func (t *tx) nextSweep(keep int64) (to int64, err error) {
	var newest int64
	err = t.QueryRowContext(t.ctx, "SELECT COALESCE(MAX(id), 0), COALESCE((SELECT value FROM meta WHERE key = 'causes_swept'), 0) FROM causes").Scan(&newest, &to)
	if to <= 0 {
		to = newest - keep
	}
	return to, err
}

// dueCauses lists the causes from < id <= to that work which is not done yet
// names. Later none of these is added to it.
func (t *tx) dueCauses(from, to int64) (ids []int64, err error) {
	err = t.each(`SELECT cause_id FROM dirty WHERE cause_id > ?1 AND cause_id <= ?2 UNION SELECT again FROM dirty WHERE again > ?1 AND again <= ?2
		UNION SELECT cause_id FROM waived WHERE cause_id > ?1 AND cause_id <= ?2`, []any{from, to}, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// sweepCauses forgets the causes from < id <= to that nothing names, nor due.
func (t *tx) sweepCauses(due []int64, from, to int64) error {
	named, err := json.Marshal(append([]int64{}, due...))
	if err != nil {
		return err
	}
	for gone := int64(1); gone > 0; { // what only the gone ones named goes with them
		res, err := t.ExecContext(t.ctx, `DELETE FROM causes WHERE id > ?1 AND id <= ?2 AND id NOT IN (SELECT value FROM json_each(?3))
			AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.cause_id = causes.id)
			AND NOT EXISTS (SELECT 1 FROM causes c WHERE c.parent = causes.id)`, from, to, string(named))
		if err != nil {
			return err
		}
		if gone, err = res.RowsAffected(); err != nil {
			return err
		}
	}
	return t.exec("INSERT INTO meta VALUES ('causes_swept', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1", from)
}
