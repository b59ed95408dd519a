package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/reedbed/reedbed/dataset"
)

// A release group's datasets are promoted together. The group works on one
// pointer vector at a time: what its stages read from outside stays as it was
// when the vector was taken (release_inputs has what moved since), and what they
// make is staged, in the view `release`, where only the group itself sees it.
// When nothing of the vector is left to do, all staged pointers move to `main` in
// one transaction, and what has become dirty meanwhile is the next vector's work.
//
// A member that fails or is held keeps the whole group on its last good release. If its
// inputs have moved on, the group takes another vector without releasing the one
// it could not finish.

// releaseOf is the SQL of a dataset's release group, empty for none.
const releaseOf = "COALESCE((SELECT g.name FROM groups g WHERE g.dataset_id = id), '')"

// joinRelease makes a dataset a member of a group, or of none.
func (t *tx) joinRelease(d Dataset, name string) error {
	if d.Release == name {
		return nil
	}
	if d.Release != "" {
		if err := t.leaveRelease(d); err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	if err := t.exec("INSERT INTO groups (dataset_id, name) VALUES (?, ?)", d.ID, name); err != nil {
		return err
	}
	return t.takeVector(name)
}

// leaveRelease promotes what a member has staged and lets it work by itself.
func (t *tx) leaveRelease(d Dataset) error {
	if err := t.promoteStaged(d.Release, "p.dataset_id = ?", d.ID); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM groups WHERE dataset_id = ?", d.ID); err != nil {
		return err
	}
	if err := t.exec("UPDATE dirty SET waits = 0, again = 0 WHERE dataset_id = ?", d.ID); err != nil {
		return err
	}
	return t.exec("DELETE FROM release_inputs WHERE release NOT IN (SELECT name FROM groups)")
}

// takeVector lets a group read everything as it is now. What waited for this
// becomes due; what is to be done anyway need not be done twice.
func (t *tx) takeVector(release string) error {
	if err := t.exec(`UPDATE dirty SET waits = 0, again = 0, generation = MAX(generation, again), cause_id = MAX(cause_id, again)
		WHERE (waits = 1 OR again > 0) AND dataset_id IN (SELECT dataset_id FROM groups WHERE name = ?)`, release); err != nil {
		return err
	}
	// What was read only by this vector of what the loader writes is of no use any more.
	if err := t.exec(`DELETE FROM versions WHERE (partition_id, number) IN (SELECT r.partition_id, r.version FROM release_inputs r
			JOIN partitions p ON p.id = r.partition_id JOIN datasets d ON d.id = p.dataset_id WHERE r.release = ?1 AND d.kind = 'builtin')
		AND NOT EXISTS (SELECT 1 FROM release_inputs o WHERE o.partition_id = versions.partition_id AND o.version = versions.number AND o.release <> ?1)
		AND NOT EXISTS (SELECT 1 FROM pointers x WHERE x.partition_id = versions.partition_id AND x.version = versions.number)`, release); err != nil {
		return err
	}
	return t.exec("DELETE FROM release_inputs WHERE release = ?", release)
}

// keepForReleases notes what a partition's main pointer was for the groups that
// read it from outside, if it has not moved since they took their vectors.
func (t *tx) keepForReleases(p partition) error {
	return t.exec(`INSERT OR IGNORE INTO release_inputs (release, partition_id, version)
		SELECT DISTINCT g.name, ?1, COALESCE((SELECT version FROM pointers WHERE partition_id = ?1 AND view = 'main'), 0)
		FROM edges e JOIN groups g ON g.dataset_id = e.dataset_id WHERE e.input_id = ?2 AND g.name <> ?3`, p.id, p.dataset.ID, p.dataset.Release)
}

// readBy is the SQL of the version of partition p, which is of input, that a
// stage reads; nothing or 0 for none.
func readBy(stage, input Dataset) (number string, args []any) {
	const main = "(SELECT version FROM pointers WHERE partition_id = p.id AND view = 'main')"
	switch stage.Release {
	case "":
		return main, nil
	case input.Release:
		return "COALESCE((SELECT version FROM pointers WHERE partition_id = p.id AND view = 'release'), " + main + ")", nil
	}
	return "COALESCE((SELECT version FROM release_inputs WHERE partition_id = p.id AND release = ?), " + main + ")", []any{stage.Release}
}

// catchUp marks a partition that is new with this vector for the next one, if
// what its stage reads from outside has moved since this one was taken: who moved
// it did not know of the partition.
func (t *tx) catchUp(d Dataset, p dataset.Partition, parent sql.NullInt64) error {
	var moved bool
	err := t.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM edges e JOIN partitions q ON q.dataset_id = e.input_id
		JOIN release_inputs r ON r.partition_id = q.id AND r.release = ? WHERE e.dataset_id = ? AND e.frozen = 1)`, d.Release, d.ID).Scan(&moved)
	if err != nil || !moved {
		return err
	}
	why, err := t.recordCause(dataset.ByPromotion, "what release "+d.Release+" reads moved while it was made", dataset.Facts{}, parent)
	if err != nil {
		return err
	}
	why.waits = true
	return t.markDirty(d, []dataset.Partition{p}, why)
}

// TurnReleases promotes what groups have finished and lets them take their next
// pointer vector. It returns how many groups turned.
func (c *Catalog) TurnReleases(ctx context.Context) (turned int, err error) {
	var ready []string
	err = c.view(ctx, func(t *tx) (err error) {
		ready, err = t.releasesToTurn()
		return err
	})
	if err != nil || len(ready) == 0 {
		return 0, err
	}
	err = c.update(ctx, func(t *tx) error {
		if ready, err = t.releasesToTurn(); err != nil {
			return err
		}
		for _, name := range ready {
			if err := t.turn(name); err != nil {
				return err
			}
		}
		return nil
	})
	return len(ready), err
}

// finished are the groups whose vector leaves nothing to do, while something is
// staged or waits; and those that can only fail, while something that could help
// waits.
const finished = `SELECT g.name FROM groups g LEFT JOIN dirty w ON w.dataset_id = g.dataset_id GROUP BY g.name
	HAVING COUNT(w.waits = 0 AND w.failed_key IS NULL OR NULL) = 0 AND (
		COALESCE(SUM(w.waits), 0) + COUNT(w.again > 0 OR NULL) > 0
		OR COUNT(w.waits = 0 OR NULL) = 0 AND EXISTS (SELECT 1 FROM pointers x JOIN partitions p ON p.id = x.partition_id
			JOIN groups m ON m.dataset_id = p.dataset_id WHERE x.view = 'release' AND m.name = g.name)
			AND NOT EXISTS (SELECT 1 FROM pointers x JOIN partitions p ON p.id = x.partition_id
			JOIN groups m ON m.dataset_id = p.dataset_id WHERE x.view = 'held' AND m.name = g.name))`

func (t *tx) releasesToTurn() ([]string, error) {
	var out []string
	err := t.each(finished, nil,
		func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			out = append(out, name)
			return err
		})
	return out, err
}

func (t *tx) turn(release string) error {
	var unfinished bool
	err := t.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM dirty w JOIN groups g ON g.dataset_id = w.dataset_id WHERE g.name = ?1 AND w.waits = 0)
		OR EXISTS (SELECT 1 FROM pointers x JOIN partitions p ON p.id = x.partition_id JOIN groups g ON g.dataset_id = p.dataset_id WHERE x.view = 'held' AND g.name = ?1)`,
		release).Scan(&unfinished)
	if err != nil {
		return err
	}
	if !unfinished {
		if err := t.promoteStaged(release, "TRUE"); err != nil {
			return err
		}
	}
	return t.takeVector(release)
}

// staged is one pointer of the view `release`.
type staged struct {
	partition partition
	version   int64
}

// promoteStaged moves staged pointers of a group to main and marks what reads
// them outside it.
func (t *tx) promoteStaged(release, where string, args ...any) error {
	found, err := t.staged(release, where, args...)
	if err != nil {
		return err
	}
	for _, s := range found {
		if err := t.promoteOne(s); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) staged(release, where string, args ...any) ([]staged, error) {
	type row struct {
		dataset   string
		partition dataset.Partition
		version   int64
	}
	var rows []row
	err := t.each(`SELECT d.name, p.name, x.version FROM groups g JOIN datasets d ON d.id = g.dataset_id JOIN partitions p ON p.dataset_id = d.id
		JOIN pointers x ON x.partition_id = p.id AND x.view = 'release' WHERE g.name = ? AND `+where, append([]any{release}, args...),
		func(scan func(...any) error) error {
			var r row
			err := scan(&r.dataset, &r.partition, &r.version)
			rows = append(rows, r)
			return err
		})
	var out []staged
	for _, r := range rows {
		d, err := t.dataset(r.dataset)
		if err != nil {
			return nil, err
		}
		p, err := t.partition(d, r.partition)
		if err != nil {
			return nil, err
		}
		out = append(out, staged{p, r.version})
	}
	return out, err
}

func (t *tx) promoteOne(s staged) error {
	p := s.partition
	before, err := t.pointed(p, "main")
	if err != nil {
		return err
	}
	after, err := t.pointed(p, "release")
	if err != nil {
		return err
	}
	if err := t.exec("DELETE FROM pointers WHERE partition_id = ? AND view = 'release'", p.id); err != nil {
		return err
	}
	if err := t.moveMain(&p, s.version); err != nil {
		return err
	}
	if sameVersion(before, after) {
		return nil
	}
	var parent sql.NullInt64
	if err := t.QueryRowContext(t.ctx, "SELECT outcome_cause FROM partitions WHERE id = ?", p.id).Scan(&parent); err != nil {
		return err
	}
	why, err := t.because(dataset.ByPromotion, dataset.Facts{Dataset: p.dataset.Spec.Name, Partition: p.name, Version: after.Version}, parent)
	if err != nil {
		return err
	}
	return t.dirtyReaders(p, why)
}

// sameVersion reports whether a reader sees no difference between two.
func sameVersion(a, b dataset.Promoted) bool {
	return a.Hash == b.Hash && a.Rows == b.Rows && (a.Version == 0) == (b.Version == 0)
}

// pointed returns the version a view points at; Version 0 when none.
func (t *tx) pointed(p partition, view string) (dataset.Promoted, error) {
	out := dataset.Promoted{Dataset: p.dataset.Spec.Name, Partition: p.name}
	var hash []byte
	err := t.QueryRowContext(t.ctx, `SELECT v.number, v.rows, v.hash FROM pointers x
		JOIN versions v ON v.partition_id = x.partition_id AND v.number = x.version
		WHERE x.partition_id = ? AND x.view = ?`, p.id, view).Scan(&out.Version, &out.Rows, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return out, nil
	}
	out.Hash = dataset.HashFromBytes(hash)
	return out, err
}

// hasStaged reports whether the group of p is to see something else of it than
// everybody.
func (t *tx) hasStaged(p partition) (yes bool, err error) {
	if p.dataset.Release == "" {
		return false, nil
	}
	err = t.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM pointers WHERE partition_id = ? AND view = 'release')", p.id).Scan(&yes)
	return yes, err
}

// heldVersion is the SQL of the versions that somebody may still read.
const heldVersion = `(EXISTS (SELECT 1 FROM pointers x WHERE x.partition_id = versions.partition_id AND x.version = versions.number)
	OR EXISTS (SELECT 1 FROM release_inputs r WHERE r.partition_id = versions.partition_id AND r.version = versions.number))`
