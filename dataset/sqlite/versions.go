package sqlite

import (
	"fmt"

	"github.com/reedbed/reedbed/dataset"
)

// version is what a new version of a partition is made of: segments that are
// added to the promoted content, or that replace all of it.
type version struct {
	origin     string
	grows      bool // added to
	held       bool // nobody is sent to it
	add        []dataset.NewSegment
	traceKey   []byte
	keyed      []byte // hashes by column, nil if not known
	definition int64
	gitRev     string
	cpu, wall  int64
}

// newVersion is what b's content becomes, without the rows.
func (t *tx) newVersion(before pair, b dataset.Build) (version, error) {
	v := version{origin: "build", traceKey: b.TraceKey, gitRev: b.GitRevision, cpu: b.CPU.Microseconds(), wall: b.Wall.Microseconds()}
	if b.Content.Growth == dataset.NoGrowth {
		return v, nil
	}
	// A compaction in between changes the version and not the content.
	if base := b.Content.Base; before.output.Rows != base.Rows || before.output.Hash != base.Hash {
		return v, fmt.Errorf("built on version %d but version %d with other content is promoted", base.Version, before.output.Version)
	}
	v.grows = true
	if b.Content.Growth == dataset.Grew {
		v.origin = "append"
	}
	return v, nil
}

// take puts the rows of an output into v.
func (v *version) take(content dataset.NewContent) {
	if content.Segment != nil {
		v.add = []dataset.NewSegment{*content.Segment}
	}
	if content.Keyed != nil {
		v.keyed = content.Keyed.Bytes()
	}
}

// promoted returns the version the main view points at, or what a release group
// has staged in its place; Version 0 when none.
func (t *tx) promoted(p partition) (dataset.Promoted, error) {
	if p.id == 0 {
		return dataset.Promoted{Dataset: p.dataset.Spec.Name, Partition: p.name}, nil
	}
	view := "main"
	if staged, err := t.hasStaged(p); err != nil {
		return dataset.Promoted{}, err
	} else if staged {
		view = "release"
	}
	return t.pointed(p, view)
}

// addVersion writes the next version of p and points the main view at it, unless
// it is held. What nobody can be sent back to of the superseded one goes.
func (t *tx) addVersion(p *partition, v version) error {
	if err := t.bump(); err != nil {
		return err
	}
	old, err := t.promoted(*p)
	if err != nil {
		return err
	}
	next := dataset.Promoted{Dataset: old.Dataset, Partition: old.Partition, Version: p.lastVersion + 1}
	if !v.grows {
		err = t.exec("UPDATE segments SET removed_in = ?, removed_at = ?, removed_rev = ? WHERE partition_id = ? AND removed_in IS NULL",
			next.Version, t.now, t.revision, p.id)
	} else {
		next.Rows, next.Hash = old.Rows, old.Hash
		err = t.restore(p, old.Version, next.Version)
	}
	if err != nil {
		return err
	}
	for _, s := range v.add {
		next.Rows, next.Hash = next.Rows+s.Rows, next.Hash.Add(s.Hash)
		if _, err := t.addSegment(p.id, next.Version, v.origin, s); err != nil {
			return err
		}
	}
	if err := t.writeVersion(p, next, v); err != nil {
		return err
	}
	if v.held {
		return nil
	}
	if err := t.point(p, next.Version); err != nil {
		return err
	}
	return t.forget(*p, old.Version, v.grows && v.origin != "build")
}

// restore makes the content of version base the live content from version next
// on. It does nothing in the usual case, where base is the last version.
func (t *tx) restore(p *partition, base, next int64) error {
	if base == p.lastVersion {
		return nil
	}
	if err := t.exec(`UPDATE segments SET removed_in = ?, removed_at = ?, removed_rev = ?
		WHERE partition_id = ? AND removed_in IS NULL AND added_in > ?`, next, t.now, t.revision, p.id, base); err != nil {
		return err
	}
	return t.exec(`INSERT INTO segments (partition_id, object, rows, bytes, hash, min_time, max_time, origin, added_in)
		SELECT partition_id, object, rows, bytes, hash, min_time, max_time, origin, ? FROM segments
		WHERE partition_id = ? AND added_in <= ? AND removed_in > ? AND removed_in <= ?`, next, p.id, base, base, next-1)
}

func (t *tx) addSegment(partitionID, addedIn int64, origin string, s dataset.NewSegment) (int64, error) {
	return t.insertID(`INSERT INTO segments (partition_id, object, rows, bytes, hash, min_time, max_time, origin, added_in)
		VALUES (?,?,?,?,?,?,?,?,?)`,
		partitionID, s.Object, s.Rows, s.Bytes, s.Hash.Bytes(), micros(s.MinTime), micros(s.MaxTime), origin, addedIn)
}

func (t *tx) writeVersion(p *partition, next dataset.Promoted, v version) error {
	var bytes int64
	err := t.QueryRowContext(t.ctx, "SELECT COALESCE(SUM(bytes), 0) FROM segments WHERE partition_id = ? AND removed_in IS NULL", p.id).Scan(&bytes)
	if err != nil {
		return err
	}
	err = t.exec(`INSERT INTO versions (partition_id, number, rows, bytes, hash, keyed, origin, trace_key, definition, git_revision, cpu, wall, created_at)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`, p.id, next.Version, next.Rows, bytes, next.Hash.Bytes(), v.keyed, v.origin, v.traceKey,
		nullable(v.definition), v.gitRev, v.cpu, v.wall, t.now)
	if err != nil {
		return fmt.Errorf("write version %s@%s/%d: %w", next.Dataset, next.Partition, next.Version, err)
	}
	p.lastVersion = next.Version
	return t.exec("UPDATE partitions SET last_version = ? WHERE id = ?", next.Version, p.id)
}

// point makes a version what is read of p, 0 for none: by everybody, or by the
// release group that p belongs to until all of it is ready.
func (t *tx) point(p *partition, number int64) error {
	if p.dataset.Release == "" {
		return t.moveMain(p, number)
	}
	return t.setPointer(p, "release", number)
}

// moveMain moves the main view's pointer.
func (t *tx) moveMain(p *partition, number int64) error {
	if err := t.keepForReleases(*p); err != nil {
		return err
	}
	if err := t.bump(); err != nil {
		return err
	}
	if number == 0 {
		return t.exec("DELETE FROM pointers WHERE partition_id = ? AND view = 'main'", p.id)
	}
	return t.setPointer(p, "main", number)
}

func (t *tx) setPointer(p *partition, view string, number int64) error {
	return t.exec(`INSERT INTO pointers (partition_id, view, version, generation, promoted_at) VALUES (?,?,?,1,?)
		ON CONFLICT (partition_id, view) DO UPDATE SET version = excluded.version, generation = generation + 1, promoted_at = excluded.promoted_at`,
		p.id, view, number, t.now)
}

// forget drops a superseded version to which hardly anybody is sent back: one of
// what the loader writes, and one of an open partition that merely grew, for what
// grew seldom shrinks back. Versions of side inputs stay, which closed partitions
// may read as of their close; those of stages stay until forgetOthers, and in
// closed partitions until retention takes their files. What a pin holds stays, too.
func (t *tx) forget(p partition, number int64, grew bool) error {
	d := p.dataset
	if number == 0 || d.Spec.Kind == dataset.Side || (d.Spec.Kind != dataset.Builtin && (!grew || p.closed)) {
		return nil
	}
	if held, err := t.isHeld(p.id, number); err != nil || held {
		return err
	}
	if err := t.exec("DELETE FROM traces WHERE partition_id = ? AND version = ?", p.id, number); err != nil {
		return err
	}
	if d.Spec.Kind == dataset.Rejected {
		err := t.exec(`DELETE FROM traces WHERE rejected_version = ? AND partition_id =
			(SELECT id FROM partitions WHERE dataset_id = ? AND name = ?)`, number, d.RejectsOf, p.name)
		if err != nil {
			return err
		}
	}
	asOf, err := t.readAsOf(d)
	if err != nil || asOf {
		return err
	}
	return t.exec("DELETE FROM versions WHERE partition_id = ? AND number = ? AND NOT "+heldVersion, p.id, number)
}

// forgetOthers drops all of an open partition but what stands for b: its inputs
// moved on and will not come back. What an earlier definition made of the same
// inputs stays until then, so that going back to it computes nothing.
func (t *tx) forgetOthers(p partition, now pair, b dataset.Build) error {
	keys := b.Keys()
	if err := t.exec("DELETE FROM traces WHERE partition_id = ? AND trace_key NOT IN (?, ?)", p.id, keys[0], keys[len(keys)-1]); err != nil {
		return err
	}
	asOf, err := t.readAsOf(p.dataset)
	if err != nil || asOf {
		return err
	}
	for id, number := range map[int64]int64{p.id: now.output.Version, now.refused.id: now.rejected.Version} {
		if err := t.exec("DELETE FROM versions WHERE partition_id = ? AND number <> ? AND NOT "+heldVersion, id, number); err != nil {
			return err
		}
	}
	return nil
}

// readAsOf reports whether some stage reads d, or what d refuses, as of a time.
// Such a dataset keeps its versions, and goes to a new one even for content it
// had before: what was promoted at a time is then the newest version of that time.
func (t *tx) readAsOf(d Dataset) (read bool, err error) {
	if d.Spec.Grain != dataset.None {
		return false, nil
	}
	err = t.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM edges WHERE producer_id IN (?, ?) AND (kind = 'as-of' OR since <> ''))", d.ID, d.RejectsOf).Scan(&read)
	return read, err
}

func nullable(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}
