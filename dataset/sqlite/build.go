package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// Added lists the segments that came into a partition after version from, up to
// version to, unless the difference is more than additions.
func (c *Catalog) Added(ctx context.Context, from, to dataset.Promoted) (added []dataset.Segment, how dataset.Growth, err error) {
	const since = `partition_id = (SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ? AND p.name = ?)
		AND added_in > ? AND added_in <= ? AND origin <> 'compact'`
	args := []any{to.Dataset, to.Partition, from.Version, to.Version}
	how = dataset.Grew
	err = c.view(ctx, func(t *tx) error {
		if added, err = t.segments(since, args...); err != nil {
			return err
		}
		return t.QueryRowContext(ctx, "SELECT IIF(EXISTS (SELECT 1 FROM segments WHERE "+since+" AND origin NOT IN ('load', 'append')), ?, ?)",
			append(args, dataset.Holds, dataset.Grew)...).Scan(&how)
	})
	rows, hash := total(added)
	if from.Rows+rows != to.Rows || from.Hash.Add(hash) != to.Hash {
		how = dataset.NoGrowth
	}
	return added, how, err
}

// Prior is what is on record of a partition before it is run again.
type Prior struct {
	Promoted dataset.Promoted
	Reusable bool          // output and refused rows are on record under the asked key
	Fresh    bool          // and are what is promoted
	LastCPU  time.Duration // of the last run that computed it, 0 if none did

	// Of what is promoted, if nothing can be reused:
	CodeIdentity []byte // of the definition it stands for
	TraceKey     []byte // under which it stands
	Reads        []dataset.Promoted
}

// Prior returns what is on record of a stage's partition.
func (c *Catalog) Prior(ctx context.Context, stage string, p dataset.Partition, key []byte) (Prior, error) {
	var out Prior
	err := c.view(ctx, func(t *tx) error {
		own, err := t.partitionOf(stage, p)
		if err != nil || own.id == 0 {
			return err
		}
		both, err := t.pair(own)
		if err != nil {
			return err
		}
		out.Promoted, out.LastCPU = both.output, time.Duration(own.lastCPU)*time.Microsecond
		old, found, err := t.trace(own.id, key)
		if err != nil {
			return err
		}
		if out.Reusable = found; found {
			out.Fresh = old.output == out.Promoted.Version && (old.rejected == both.rejected.Version || old.rejected == 0 && both.rejected.Rows == 0)
			return nil
		}
		err = t.QueryRowContext(ctx, `SELECT f.code_identity, v.trace_key FROM versions v JOIN definitions f ON f.id = v.definition
			WHERE v.partition_id = ? AND v.number = ?`, own.id, out.Promoted.Version).Scan(&out.CodeIdentity, &out.TraceKey)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		out.Reads, err = t.readsOf(own.id)
		return err
	})
	return out, err
}

// trace is what a trace key led to: version numbers, rejected 0 for no rows.
type trace struct{ output, rejected int64 }

// usable is a condition on traces t: what they led to is on record, and has its
// files. The joins are in the order in which it is to be found.
const usable = `EXISTS (SELECT 1 FROM versions v WHERE v.partition_id = t.partition_id AND v.number = t.version AND v.freed_at IS NULL AND v.erased_at IS NULL)
	AND (t.rejected_version IS NULL OR EXISTS (SELECT 1 FROM partitions p CROSS JOIN datasets d ON d.rejects_of = p.dataset_id
		CROSS JOIN partitions r ON r.dataset_id = d.id AND r.name = p.name CROSS JOIN versions v ON v.partition_id = r.id AND v.number = t.rejected_version
		WHERE p.id = t.partition_id AND v.freed_at IS NULL AND v.erased_at IS NULL))`

const tracesOf = "SELECT version, COALESCE(rejected_version, 0) FROM traces t WHERE partition_id = ? AND trace_key = ? AND " + usable

func (t *tx) trace(partitionID int64, key []byte) (found trace, ok bool, err error) {
	err = t.QueryRowContext(t.ctx, tracesOf, partitionID, key).
		Scan(&found.output, &found.rejected)
	if errors.Is(err, sql.ErrNoRows) {
		return found, false, nil
	}
	return found, err == nil, err
}

func (t *tx) readsOf(partitionID int64) ([]dataset.Promoted, error) {
	var out []dataset.Promoted
	err := t.each(`SELECT d.name, r.input_name, r.version, r.hash, r.rows FROM reads r JOIN datasets d ON d.id = r.input_id WHERE r.partition_id = ?`,
		[]any{partitionID}, func(scan func(...any) error) error {
			var q dataset.Promoted
			var hash []byte
			err := scan(&q.Dataset, &q.Partition, &q.Version, &hash, &q.Rows)
			q.Hash = dataset.HashFromBytes(hash)
			out = append(out, q)
			return err
		})
	return out, err
}

// pair is what a stage has in one partition: its output, and the rows it
// refused. They are promoted together.
type pair struct {
	output   dataset.Promoted
	refuses  bool // the stage has a dataset of refused rows
	refused  partition
	rejected dataset.Promoted
}

func (t *tx) pair(p partition) (out pair, err error) {
	if out.output, err = t.promoted(p); err != nil {
		return out, err
	}
	d, err := t.refusedOf(p.dataset.ID)
	if err != nil || d.ID == 0 {
		return out, err
	}
	out.refuses = true
	if out.refused, err = t.partition(d, p.name); err != nil {
		return out, err
	}
	out.rejected, err = t.promoted(out.refused)
	return out, err
}

// CommitBuild makes the outcome of a task visible and marks what reads it, or
// changes nothing. A crash before it repeats the task; after it, the task is
// done. dataset.ErrSuperseded says that another definition is deployed by now.
func (c *Catalog) CommitBuild(ctx context.Context, b dataset.Build) error {
	return c.update(ctx, func(t *tx) error { return t.commitBuild(b) })
}

// CommitBuilds is CommitBuild for many tasks at once, all or none; those that
// are superseded are left out.
func (c *Catalog) CommitBuilds(ctx context.Context, builds []dataset.Build) error {
	return c.update(ctx, func(t *tx) error {
		t.known = newMemo()
		for _, b := range builds {
			if err := t.commitBuild(b); err != nil && !errors.Is(err, dataset.ErrSuperseded) {
				return err
			}
		}
		return nil
	})
}

// commitBuild writes nothing before it knows that the build is not superseded.
func (t *tx) commitBuild(b dataset.Build) error {
	d, err := t.runningStage(b)
	if err != nil {
		return err
	}
	p, err := t.partition(d, b.Task.Partition)
	if err != nil {
		return err
	}
	unknown := p.id == 0
	if !b.Absent || b.Anchored || !unknown {
		if p, err = t.ensurePartition(d, b.Task.Partition); err != nil {
			return err
		}
		if err := t.promote(&p, b); err != nil {
			return fmt.Errorf("commit %s@%s: %w", b.Task.Dataset, b.Task.Partition, err)
		}
	}
	if err := t.score(d, b); err != nil {
		return err
	}
	why, err := t.causeOf(b.Task)
	if err != nil {
		return err
	}
	if err := t.clean(p, b.Task); err != nil || d.Release == "" || !unknown {
		return err
	}
	return t.catchUp(d, b.Task.Partition, why)
}

// runningStage returns the build's stage if its definition and what judged it are the
// deployed ones and no waiver came over the partition.
func (t *tx) runningStage(b dataset.Build) (Dataset, error) {
	d, err := t.dataset(b.Task.Dataset)
	if errors.Is(err, ErrNoDataset) {
		return d, fmt.Errorf("commit %s@%s: %w", b.Task.Dataset, b.Task.Partition, dataset.ErrSuperseded)
	}
	if err != nil {
		return d, err
	}
	var deployed, gate []byte
	var paused bool
	err = t.QueryRowContext(t.ctx, "SELECT f.code_identity, d.gate, d.paused FROM datasets d JOIN definitions f ON f.id = d.definition WHERE d.id = ?", d.ID).
		Scan(&deployed, &gate, &paused)
	if err != nil {
		return d, err
	}
	waived, err := t.isWaived(d, b.Task.Partition)
	if err == nil && (paused || waived || !bytes.Equal(deployed, b.CodeIdentity) || !bytes.Equal(gate, b.Gate)) {
		err = fmt.Errorf("commit %s@%s: %w", b.Task.Dataset, b.Task.Partition, dataset.ErrSuperseded)
	}
	return d, err
}

// promote writes or finds the versions the outcome calls for, moves the
// pointers, and marks the readers of what moved. Readers of content that stayed
// the same see nothing: that is the early cutoff.
func (t *tx) promote(p *partition, b dataset.Build) error {
	before, err := t.pair(*p)
	if err != nil {
		return err
	}
	why, err := t.causeOf(b.Task)
	if err != nil {
		return err
	}
	moved, err := t.movedOn(*p)
	if err != nil {
		return err
	}
	if b.Held() {
		return t.keepBack(p, before, b, why)
	}
	if err := t.keepApart(*p, before, b); err != nil {
		return err
	}
	switch {
	case b.Reuse:
		err = t.reuse(p, before, b.FoundKey())
	case b.Content != nil:
		err = t.addContent(p, before, b, *b.Content)
	default: // absent: what was there goes
		if err = t.vanish(p); err == nil {
			err = t.vanish(&before.refused)
		}
	}
	if err != nil {
		return err
	}
	after, err := t.pair(*p)
	if err != nil {
		return err
	}
	if err := t.record(p, after, b); err != nil {
		return err
	}
	if moved {
		if err := t.forgetOthers(*p, after, b); err != nil {
			return err
		}
	}
	if err := t.pass(*p, after, b, why); err != nil {
		return err
	}
	if err := t.conclude(*p, before, after, b, why); err != nil {
		return err
	}
	if err := t.spread(*p, before.output, after.output, b.Task); err != nil {
		return err
	}
	return t.spread(after.refused, before.rejected, after.rejected, b.Task)
}

// movedOn reports whether an open partition is computed because its inputs moved
// on, and not because a definition changed, its own or one further up. To answer
// false wrongly keeps what nobody needs, no more.
func (t *tx) movedOn(p partition) (bool, error) {
	if p.closed {
		return false, nil
	}
	asOf, err := t.readAsOf(p.dataset)
	if err != nil || asOf {
		return asOf, err
	}
	var root string
	err = t.QueryRowContext(t.ctx, `WITH RECURSIVE up (kind, parent) AS (
			SELECT c.kind, c.parent FROM dirty w JOIN causes c ON c.id = w.cause_id WHERE w.dataset_id = ? AND w.name = ?
			UNION ALL SELECT c.kind, c.parent FROM up JOIN causes c ON c.id = up.parent)
		SELECT kind FROM up WHERE parent IS NULL`, p.dataset.ID, p.name).Scan(&root)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil // answered already, and run once more
	}
	return root != "definition", err
}

func (t *tx) spread(p partition, before, after dataset.Promoted, k dataset.Task) error {
	if sameVersion(before, after) {
		return nil
	}
	parent, err := t.causeOf(k)
	if err != nil {
		return err
	}
	facts := dataset.Facts{Dataset: p.dataset.Spec.Name, Partition: p.name, Version: after.Version}
	why, err := t.because(dataset.ByPromotion, facts, parent)
	if err != nil {
		return err
	}
	why.staged = p.dataset.Release != ""
	return t.dirtyReaders(p, why)
}

// reuse goes back to what is on record under a key, refused rows included.
func (t *tx) reuse(p *partition, before pair, key []byte) error {
	old, found, err := t.trace(p.id, key)
	if err != nil {
		return err
	}
	if !found {
		return errors.New("what was to be used again is no longer on record")
	}
	if old.output != before.output.Version {
		if err := t.point(p, old.output); err != nil {
			return err
		}
	}
	switch {
	case old.rejected == before.rejected.Version:
		return nil
	case old.rejected != 0:
		return t.point(&before.refused, old.rejected)
	}
	return t.vanish(&before.refused)
}

// addContent writes computed content as versions, unless it equals what is
// promoted: then the promoted version stands for it.
func (t *tx) addContent(p *partition, before pair, b dataset.Build, content dataset.NewContent) error {
	v, err := t.newVersion(before, b)
	if err != nil {
		return err
	}
	if err := t.addRejected(p, before, v, content.Rejected); err != nil {
		return err
	}
	v.take(content)
	if sameContent(before.output, v) && before.output.Version != 0 {
		return t.exec("UPDATE versions SET keyed = COALESCE(?, keyed) WHERE partition_id = ? AND number = ?", v.keyed, p.id, before.output.Version)
	}
	return t.addVersion(p, v)
}

// vanish leaves p without a promoted version, which to its readers is ABSENT.
// An empty version ends what was there, so that it is collected like any other.
func (t *tx) vanish(p *partition) error {
	old, err := t.promoted(*p)
	if err != nil || old.Version == 0 {
		return err
	}
	if err := t.addVersion(p, version{origin: "build"}); err != nil {
		return err
	}
	if err := t.point(p, 0); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM versions WHERE partition_id = ? AND number = ?", p.id, p.lastVersion); err != nil {
		return err
	}
	return t.recordReads(p.id, nil)
}

func sameContent(old dataset.Promoted, v version) bool {
	var rows int64
	var hash dataset.ContentHash
	if v.grows {
		rows, hash = old.Rows, old.Hash
	}
	for _, s := range v.add {
		rows, hash = rows+s.Rows, hash.Add(s.Hash)
	}
	return rows == old.Rows && hash == old.Hash
}

// addRejected keeps the rows the stage refused in step with the output. None is
// ABSENT, whatever was there before: what exists follows from the data alone.
func (t *tx) addRejected(p *partition, before pair, v version, refused *dataset.NewSegment) error {
	if refused != nil {
		v.add = []dataset.NewSegment{*refused}
	}
	if !before.refuses || sameContent(before.rejected, v) {
		return nil
	}
	if len(v.add) == 0 && !v.grows {
		return t.vanish(&before.refused)
	}
	r, err := t.ensurePartition(before.refused.dataset, p.name)
	if err != nil {
		return err
	}
	if p.closed && !r.closed {
		r.closed = true
		if err := t.exec("UPDATE partitions SET closed_at = ? WHERE id = ?", p.closedAt, r.id); err != nil {
			return err
		}
	}
	return t.addVersion(&r, v)
}

// record notes under which trace key and definition the promoted versions
// stand, and what was read for them.
func (t *tx) record(p *partition, now pair, b dataset.Build) error {
	if now.output.Version == 0 {
		return nil
	}
	if err := t.traced(p, trace{now.output.Version, now.rejected.Version}, b); err != nil {
		return err
	}
	if b.Standing {
		return nil
	}
	return t.recordReads(p.id, b.Inputs)
}

// traced notes under which trace keys and definition versions stand.
func (t *tx) traced(p *partition, now trace, b dataset.Build) error {
	err := t.exec(`UPDATE versions SET trace_key = ?, definition = (SELECT definition FROM datasets WHERE id = ?) WHERE partition_id = ? AND number = ?`,
		b.TraceKey, p.dataset.ID, p.id, now.output)
	if err != nil {
		return err
	}
	for _, key := range b.Keys() {
		err = t.exec(`INSERT INTO traces (partition_id, trace_key, version, rejected_version, created_at) VALUES (?,?,?,?,?)
			ON CONFLICT (partition_id, trace_key) DO UPDATE SET version = excluded.version, rejected_version = excluded.rejected_version`,
			p.id, key, now.output, nullable(now.rejected), t.now)
		if err != nil {
			return err
		}
	}
	return t.exec("UPDATE partitions SET last_run = ?1, last_cpu = CASE WHEN ?2 > 0 THEN ?2 ELSE last_cpu END WHERE id = ?3", t.now, b.CPU.Microseconds(), p.id)
}

func (t *tx) recordReads(partitionID int64, inputs []dataset.Promoted) error {
	if err := t.exec("DELETE FROM reads WHERE partition_id = ?", partitionID); err != nil {
		return err
	}
	for _, q := range inputs {
		err := t.exec(`INSERT INTO reads (partition_id, input_id, input_name, version, hash, rows)
			SELECT ?, id, ?, ?, ?, ? FROM datasets WHERE name = ?`, partitionID, q.Partition, q.Version, q.Hash.Bytes(), q.Rows, q.Dataset)
		if err != nil {
			return err
		}
	}
	return nil
}

// clean removes the dirty entry the task answered; if the partition became
// dirty again meanwhile, the entry stays and waits its turn.
func (t *tx) clean(p partition, k dataset.Task) error {
	done, err := t.execOne("DELETE FROM dirty WHERE dataset_id = ? AND name = ? AND generation = ? AND again = 0", p.dataset.ID, k.Partition, k.Generation)
	if err != nil || done {
		return err
	}
	err = t.exec("UPDATE dirty SET waits = 1, generation = again, cause_id = again, again = 0 WHERE dataset_id = ? AND name = ? AND generation = ? AND again > 0",
		p.dataset.ID, k.Partition, k.Generation)
	if err != nil {
		return err
	}
	if p, err = t.partition(p.dataset, k.Partition); err != nil {
		return err
	}
	return t.exec("UPDATE dirty SET since = ?, not_before = ?, attempts = 0, failed_key = NULL, error = NULL WHERE dataset_id = ? AND name = ?",
		t.now, notBefore(p, t.now), p.dataset.ID, k.Partition)
}

// FailBuild records that a task failed under a trace key and when it may be
// tried again. Became the partition dirty again meanwhile, it may sooner: after
// the stage's debounce, or at once if a person brought it about.
func (c *Catalog) FailBuild(ctx context.Context, k dataset.Task, key []byte, why string, retry time.Time) error {
	return c.update(ctx, func(t *tx) error {
		attempts := k.Attempts + 1
		if !bytes.Equal(key, k.FailedKey) {
			attempts = 1
		}
		return t.exec(`UPDATE dirty SET attempts = ?1, failed_key = ?2, error = ?3, not_before = CASE
				WHEN generation = ?4 THEN ?5
				WHEN (SELECT apply_id FROM causes WHERE id = cause_id) IS NOT NULL THEN ?6
				ELSE MIN(?5, ?6 + (SELECT interval FROM datasets WHERE id = dataset_id)) END
			WHERE dataset_id = (SELECT id FROM datasets WHERE name = ?7) AND name = ?8`,
			attempts, key, why, k.Generation, micros(retry), t.now, k.Dataset, k.Partition)
	})
}
