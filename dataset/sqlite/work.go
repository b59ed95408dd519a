package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

var everything = dataset.Interval{Start: time.UnixMicro(0), End: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}

// Due lists up to limit dirty partitions that may run now, live work before
// history: partitions whose time is not over by the time they have waited, then
// the others from the newest to the oldest. With all set, what is postponed counts as due too.
func (c *Catalog) Due(ctx context.Context, limit int, all bool) ([]dataset.Task, error) {
	var out []dataset.Task
	err := c.view(ctx, func(t *tx) error {
		until := t.now
		if all {
			until = 1 << 62
		}
		return t.each(`SELECT name, partition, generation, closed, attempts, failed_key, since FROM (
				SELECT d.name, d.depth, w.name AS partition, w.generation, p.closed_at IS NOT NULL AS closed, w.attempts, w.failed_key, w.since, w.starts,
				w.starts + CASE d.grain WHEN 'hour' THEN 3600000000 WHEN 'day' THEN 86400000000 ELSE ?1 END + d.allowance <= ?1 AS history
				FROM dirty w JOIN datasets d ON d.id = w.dataset_id
				LEFT JOIN partitions p ON p.dataset_id = w.dataset_id AND p.name = w.name
				WHERE w.not_before <= ?2 AND (w.failed_key IS NULL OR w.not_before <= ?1))
			ORDER BY history, CASE WHEN history THEN -starts ELSE since END, depth LIMIT ?3`,
			[]any{t.now, until, limit},
			func(scan func(...any) error) error {
				var k dataset.Task
				var since int64
				err := scan(&k.Dataset, &k.Partition, &k.Generation, &k.Closed, &k.Attempts, &k.FailedKey, &since)
				k.Since = fromMicros(since)
				out = append(out, k)
				return err
			})
	})
	return out, err
}

// NextDue is when the earliest dirty partition may run; false when none is.
func (c *Catalog) NextDue(ctx context.Context) (time.Time, bool, error) {
	var at sql.NullInt64
	err := c.view(ctx, func(t *tx) error {
		return t.QueryRowContext(ctx, "SELECT MIN(not_before) FROM dirty").Scan(&at)
	})
	return fromMicros(at.Int64), at.Valid, err
}

// Inputs resolves what one output partition reads to promoted versions, all
// from one snapshot: the pointer vector of a run. Partitions without a promoted
// version are left out; a span with nothing in it is ABSENT as a whole.
func (c *Catalog) Inputs(ctx context.Context, stage string, p dataset.Partition) ([]dataset.Promoted, error) {
	var out []dataset.Promoted
	err := c.view(ctx, func(t *tx) error {
		d, err := t.dataset(stage)
		if err != nil {
			return err
		}
		own, err := t.partition(d, p)
		if err != nil {
			return err
		}
		return t.each(`SELECT d.id, d.name, e.kind, e.lo, e.hi FROM edges e JOIN datasets d ON d.id = e.input_id
			WHERE e.dataset_id = ? ORDER BY d.name`, []any{d.ID},
			func(scan func(...any) error) error {
				var id, lo, hi int64
				var name string
				var w dataset.Window
				if err := scan(&id, &name, &w.Kind, &lo, &hi); err != nil {
					return err
				}
				w.Lo, w.Hi = time.Duration(lo)*time.Microsecond, time.Duration(hi)*time.Microsecond
				read, err := t.readThrough(id, name, w, own)
				out = append(out, read...)
				return err
			})
	})
	return out, err
}

func (t *tx) readThrough(inputID int64, input string, w dataset.Window, own partition) ([]dataset.Promoted, error) {
	in := everything
	if w.Kind == dataset.Span && own.name != dataset.Whole {
		in = w.Reads(own.name)
	}
	number := "x.version"
	args := []any{inputID, micros(in.Start), micros(in.End)}
	if w.Kind == dataset.AsOf && own.closed {
		// The version that was promoted when the partition closed, else the first.
		number = `COALESCE((SELECT MAX(number) FROM versions WHERE partition_id = p.id AND created_at <= ?),
			(SELECT MIN(number) FROM versions WHERE partition_id = p.id))`
		args = append([]any{micros(own.name.End()) + own.dataset.Allowance.Microseconds()}, args...)
	}
	var out []dataset.Promoted
	err := t.each(`SELECT p.name, v.number, v.rows, v.hash FROM partitions p
		JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
		JOIN versions v ON v.partition_id = p.id AND v.number = `+number+`
		WHERE p.dataset_id = ? AND (p.ends = 0 OR (p.ends > ? AND p.starts < ?)) ORDER BY p.name`, args,
		func(scan func(...any) error) error {
			q := dataset.Promoted{Dataset: input}
			var hash []byte
			err := scan(&q.Partition, &q.Version, &q.Rows, &hash)
			q.Hash = dataset.HashFromBytes(hash)
			out = append(out, q)
			return err
		})
	if err == nil && len(out) == 0 {
		out = []dataset.Promoted{{Dataset: input}}
	}
	return out, err
}

// Segments lists the segments that make up the given versions.
func (c *Catalog) Segments(ctx context.Context, versions []dataset.Promoted) ([]dataset.Segment, error) {
	var out []dataset.Segment
	err := c.view(ctx, func(t *tx) error {
		for _, v := range versions {
			if v.Version == 0 {
				continue
			}
			found, err := t.segments(`partition_id = (SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ? AND p.name = ?)
				AND added_in <= ? AND (removed_in IS NULL OR removed_in > ?)`, v.Dataset, v.Partition, v.Version, v.Version)
			if err != nil {
				return err
			}
			out = append(out, found...)
		}
		return nil
	})
	return out, err
}

// Added lists the segments that came into a partition after version from, up to
// version to. complete is false when the difference is more than additions.
func (c *Catalog) Added(ctx context.Context, from, to dataset.Promoted) (added []dataset.Segment, complete bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		added, err = t.segments(`partition_id = (SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ? AND p.name = ?)
			AND added_in > ? AND added_in <= ? AND origin <> 'compact'`, to.Dataset, to.Partition, from.Version, to.Version)
		return err
	})
	rows, hash := from.Rows, from.Hash
	for _, s := range added {
		rows, hash = rows+s.Rows, hash.Add(s.Hash)
	}
	return added, rows == to.Rows && hash == to.Hash, err
}

// Prior is what is on record of a partition before it is run again.
type Prior struct {
	Promoted   dataset.Promoted
	Definition int64 // the definition that built the promoted version
	TraceKey   []byte
	Reads      []dataset.Promoted
	Reusable   int64 // the version a trace with the asked key led to, 0 for none
}

// Prior returns what is on record of a stage's partition.
func (c *Catalog) Prior(ctx context.Context, stage string, p dataset.Partition, key []byte) (Prior, error) {
	var out Prior
	err := c.view(ctx, func(t *tx) error {
		d, err := t.dataset(stage)
		if err != nil {
			return err
		}
		own, err := t.partition(d, p)
		if err != nil || own.id == 0 {
			return err
		}
		if out.Promoted, err = t.promoted(own); err != nil {
			return err
		}
		err = t.QueryRowContext(ctx, "SELECT COALESCE(definition, 0), trace_key FROM versions WHERE partition_id = ? AND number = ?",
			own.id, out.Promoted.Version).Scan(&out.Definition, &out.TraceKey)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		err = t.QueryRowContext(ctx, "SELECT version FROM traces WHERE partition_id = ? AND trace_key = ?", own.id, key).Scan(&out.Reusable)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		out.Reads, err = t.readsOf(own.id)
		return err
	})
	return out, err
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

// DefinitionByID returns a definition's dataset and code identity; a zero id
// gives neither.
func (c *Catalog) DefinitionByID(ctx context.Context, id int64) (stage string, identity []byte, err error) {
	err = c.view(ctx, func(t *tx) error {
		err := t.QueryRowContext(ctx, `SELECT d.name, f.code_identity FROM definitions f JOIN datasets d ON d.id = f.dataset_id WHERE f.id = ?`, id).
			Scan(&stage, &identity)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return stage, identity, err
}

// CommitBuild makes the outcome of a task visible and marks what reads it, or
// changes nothing. A crash before it repeats the task; after it, the task is done.
func (c *Catalog) CommitBuild(ctx context.Context, b dataset.Build) error {
	return c.update(ctx, func(t *tx) error {
		d, err := t.dataset(b.Task.Dataset)
		if err != nil {
			return err
		}
		p, err := t.partition(d, b.Task.Partition)
		if err != nil {
			return err
		}
		if !b.Absent || p.id != 0 {
			if p, err = t.ensurePartition(d, b.Task.Partition); err != nil {
				return err
			}
			if err := t.promote(&p, b); err != nil {
				return fmt.Errorf("commit %s@%s: %w", b.Task.Dataset, b.Task.Partition, err)
			}
		}
		return t.clean(p, b.Task)
	})
}

// promote writes or finds the version the outcome calls for and moves the pointer.
func (t *tx) promote(p *partition, b dataset.Build) error {
	old, err := t.promoted(*p)
	if err != nil {
		return err
	}
	next := old
	switch {
	case b.Absent:
		if old.Version != 0 {
			next, err = t.addVersion(p, version{origin: "build", traceKey: b.TraceKey})
		}
	case b.Reuse != 0 && b.Reuse != old.Version:
		if err = t.point(p, b.Reuse); err == nil {
			next, err = t.promoted(*p)
		}
	case b.Content != nil:
		next, err = t.addContent(p, old, b)
	}
	if err != nil {
		return err
	}
	if err := t.record(p, next, b); err != nil {
		return err
	}
	if next.Hash == old.Hash && next.Rows == old.Rows && old.Version != 0 {
		return nil // early cutoff: readers saw the same rows before
	}
	cause, err := t.insertID(`INSERT INTO causes (kind, detail, parent, at) VALUES ('promotion', ?,
		(SELECT cause_id FROM dirty WHERE dataset_id = ? AND name = ?), ?)`, b.Task.Dataset+"@"+string(b.Task.Partition), p.dataset.ID, p.name, t.now)
	if err != nil {
		return err
	}
	return t.dirtyReaders(*p, cause)
}

// addContent writes computed content as a version, unless it equals what is
// promoted: then the promoted version stands for it.
func (t *tx) addContent(p *partition, old dataset.Promoted, b dataset.Build) (dataset.Promoted, error) {
	id, err := t.deployedDefinition(p.dataset.ID)
	if err != nil {
		return old, err
	}
	v := version{origin: "build", traceKey: b.TraceKey, definition: id, gitRev: b.GitRevision, cpu: b.CPU.Microseconds(), wall: b.Wall.Microseconds()}
	if b.Content.Append {
		// A compaction in between changes the version and not the content.
		if base := b.Content.Base; old.Rows != base.Rows || old.Hash != base.Hash {
			return old, fmt.Errorf("built on version %d but version %d with other content is promoted", base.Version, old.Version)
		}
		v.origin, v.base = "append", &old.Version
	}
	if b.Content.Segment != nil {
		v.add = []dataset.NewSegment{*b.Content.Segment}
	}
	if err := t.addRejected(p, b, v); err != nil {
		return old, err
	}
	if old.Version != 0 && sameContent(old, v) {
		return old, t.exec("UPDATE versions SET trace_key = ?, definition = ? WHERE partition_id = ? AND number = ?", v.traceKey, nullable(id), p.id, old.Version)
	}
	return t.addVersion(p, v)
}

func sameContent(old dataset.Promoted, v version) bool {
	var rows int64
	var hash dataset.ContentHash
	if v.base != nil {
		rows, hash = old.Rows, old.Hash
	}
	for _, s := range v.add {
		rows, hash = rows+s.Rows, hash.Add(s.Hash)
	}
	return rows == old.Rows && hash == old.Hash
}

func (t *tx) deployedDefinition(datasetID int64) (id int64, err error) {
	err = t.QueryRowContext(t.ctx, "SELECT COALESCE(definition, 0) FROM datasets WHERE id = ?", datasetID).Scan(&id)
	return id, err
}

// addRejected keeps the rows the stage refused in step with the output.
func (t *tx) addRejected(p *partition, b dataset.Build, v version) error {
	d, err := t.dataset(p.dataset.Spec.Name + "_rejected")
	if errors.Is(err, ErrNoDataset) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := t.partition(d, p.name)
	if err != nil {
		return err
	}
	none := b.Content.Rejected == nil
	if none && (r.id == 0 || b.Content.Append) {
		return nil
	}
	if r, err = t.ensurePartition(d, p.name); err != nil {
		return err
	}
	v.add = nil
	if !none {
		v.add = []dataset.NewSegment{*b.Content.Rejected}
	}
	if v.base != nil {
		v.base = &r.lastVersion
	}
	_, err = t.addVersion(&r, v)
	return err
}

// record notes under which trace key the promoted version stands and what it read.
func (t *tx) record(p *partition, next dataset.Promoted, b dataset.Build) error {
	if next.Version == 0 {
		return nil
	}
	inputs, err := json.Marshal(b.Inputs)
	if err != nil {
		return err
	}
	if !p.closed {
		if err := t.exec("DELETE FROM traces WHERE partition_id = ? AND version = ?", p.id, next.Version); err != nil {
			return err
		}
	}
	err = t.exec(`INSERT INTO traces (partition_id, trace_key, version, inputs, created_at) VALUES (?,?,?,?,?)
		ON CONFLICT (partition_id, trace_key) DO UPDATE SET version = excluded.version`, p.id, b.TraceKey, next.Version, string(inputs), t.now)
	if err != nil {
		return err
	}
	if err := t.exec("DELETE FROM reads WHERE partition_id = ?", p.id); err != nil {
		return err
	}
	for _, q := range b.Inputs {
		err := t.exec(`INSERT INTO reads (partition_id, input_id, input_name, version, hash, rows)
			SELECT ?, id, ?, ?, ?, ? FROM datasets WHERE name = ?`, p.id, q.Partition, q.Version, q.Hash.Bytes(), q.Rows, q.Dataset)
		if err != nil {
			return err
		}
	}
	return t.exec("UPDATE partitions SET last_run = ?, last_cpu = ? WHERE id = ?", t.now, b.CPU.Microseconds(), p.id)
}

// clean removes the dirty entry the task answered; if the partition became
// dirty again meanwhile, the entry stays and waits its turn.
func (t *tx) clean(p partition, k dataset.Task) error {
	done, err := t.execOne("DELETE FROM dirty WHERE dataset_id = ? AND name = ? AND generation = ?", p.dataset.ID, k.Partition, k.Generation)
	if err != nil || done {
		return err
	}
	if p, err = t.partition(p.dataset, k.Partition); err != nil {
		return err
	}
	return t.exec("UPDATE dirty SET since = ?, not_before = ?, attempts = 0, failed_key = NULL, error = NULL WHERE dataset_id = ? AND name = ?",
		t.now, notBefore(p, t.now), p.dataset.ID, k.Partition)
}

// FailBuild records that a task failed under a trace key and when it may be
// tried again. Another cause, or another key, frees it at once.
func (c *Catalog) FailBuild(ctx context.Context, k dataset.Task, key []byte, why string, retry time.Time) error {
	return c.update(ctx, func(t *tx) error {
		attempts := k.Attempts + 1
		if !bytes.Equal(key, k.FailedKey) {
			attempts = 1
		}
		return t.exec(`UPDATE dirty SET attempts = ?, failed_key = ?, error = ?, not_before = CASE WHEN generation = ? THEN ? ELSE not_before END
			WHERE dataset_id = (SELECT id FROM datasets WHERE name = ?) AND name = ?`,
			attempts, key, why, k.Generation, micros(retry), k.Dataset, k.Partition)
	})
}
