package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/reedbed/reedbed/dataset"
)

// Apply puts a set of definitions to work in one transaction: a stage that is
// new or computes something else than before gets a definition revision, and all
// its partitions become dirty; so do the readers of a side input whose content
// changed. It records the set, unless it is the one that is deployed already.
func (c *Catalog) Apply(ctx context.Context, a dataset.Application) (out Applied, err error) {
	err = c.update(ctx, func(t *tx) error {
		out, err = t.put(a)
		return err
	})
	return out, err
}

// Applied is what an Apply brought about.
type Applied struct {
	ID      int64    // of the record; 0 when nothing differed
	Changed []string // stages that are new or compute something else
	// GitRevisions are where the deployed text of each stage came from.
	GitRevisions map[string]string
}

func (t *tx) put(a dataset.Application) (out Applied, err error) {
	before, err := t.current()
	if err != nil {
		return out, err
	}
	if err := t.openApply(a, before); err != nil {
		return out, err
	}
	sides, err := t.applySides(a.Sides)
	if err != nil {
		return out, err
	}
	if err := t.setAside(a.Stages, a.Paused); err != nil {
		return out, err
	}
	for _, s := range a.Stages {
		isNew, err := t.deploy(s)
		if err != nil {
			return out, fmt.Errorf("deploy %s: %w", s.File, err)
		}
		if isNew {
			out.Changed = append(out.Changed, s.Spec.Name)
		}
	}
	if err := t.retireSides(sides); err != nil {
		return out, err
	}
	if err := t.findAncestors(); err != nil {
		return out, err
	}
	out.ID, out.GitRevisions, err = t.closeApply(before, sides, a.Contracts)
	return out, err
}

// setAside retires and pauses what is not deployed, and drops its work.
func (t *tx) setAside(stages []dataset.Deployment, paused []string) error {
	running, pausing := []string{}, []string{} // never null in JSON: NOT IN (NULL) is true of nothing
	for _, s := range stages {
		running = append(running, s.Spec.Name)
		if s.Rejected != nil {
			running = append(running, s.Rejected.Name)
		}
	}
	for _, name := range paused {
		pausing = append(pausing, name, name+"_rejected")
	}
	run, err := json.Marshal(running)
	if err != nil {
		return err
	}
	pause, err := json.Marshal(pausing)
	if err != nil {
		return err
	}
	const set = `kind IN ('stage', 'rejected') AND retired_at IS NULL AND name NOT IN (SELECT value FROM json_each(?))`
	for _, table := range []string{"dirty", "waived"} {
		if err := t.exec(`DELETE FROM `+table+` WHERE dataset_id IN (SELECT id FROM datasets WHERE `+set+`)`, string(run)); err != nil {
			return err
		}
	}
	if err := t.exec(`UPDATE datasets SET paused = 1 WHERE `+set, string(run)); err != nil {
		return err
	}
	return t.exec(`UPDATE datasets SET retired_at = ? WHERE paused = 1 AND name NOT IN (SELECT value FROM json_each(?))`, t.now, string(pause))
}

func (t *tx) deploy(s dataset.Deployment) (isNew bool, err error) {
	// A stage that was set aside missed what happened meanwhile.
	var wasAside bool
	err = t.QueryRowContext(t.ctx, "SELECT paused = 1 OR retired_at IS NOT NULL FROM datasets WHERE name = ?", s.Spec.Name).Scan(&wasAside)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	d, err := t.ensureDataset(s.Spec, s.Allowance)
	if err != nil {
		return false, err
	}
	if s.Rejected != nil {
		if err := t.deployRejected(d, s); err != nil {
			return false, err
		}
	}
	if d.Definition, isNew, err = t.define(d, s); err != nil {
		return false, err
	}
	err = t.exec("UPDATE datasets SET definition = ?, interval = ?, row_wise = ?, depth = ?, paused = 0 WHERE id = ?",
		d.Definition, s.Interval.Microseconds(), s.RowWise, s.Depth, d.ID)
	if err != nil {
		return false, err
	}
	if d, err = t.group(d, s); err != nil {
		return false, err
	}
	redated, err := t.connect(d, s.Edges)
	if err != nil {
		return false, err
	}
	rejudged, err := t.setGate(d, s)
	if err != nil {
		return false, err
	}
	if !isNew && !wasAside && !redated {
		if rejudged {
			err = t.judgeAgain(d)
		}
		return false, err
	}
	if err := t.dirtyAll(d, s); err != nil {
		return false, err
	}
	return isNew, t.takeVector(d.Release)
}

// deployRejected records the dataset of the rows the stage refuses.
func (t *tx) deployRejected(d Dataset, s dataset.Deployment) error {
	if _, err := t.ensureDataset(*s.Rejected, s.Allowance); err != nil {
		return err
	}
	return t.exec("UPDATE datasets SET rejects_of = ?, depth = ?, paused = 0 WHERE name = ?", d.ID, s.Depth, s.Rejected.Name)
}

// define finds or makes the revision of a stage that s is, and reports whether
// it computes something else than what is deployed. A change of the text alone
// makes a revision too, so that it can be taken back.
func (t *tx) define(d Dataset, s dataset.Deployment) (id int64, isNew bool, err error) {
	old, err := t.definition(d.Definition)
	if err != nil {
		return 0, false, err
	}
	isNew = !bytes.Equal(old.identity, s.CodeIdentity)
	if !isNew && old.text == (text{s.SQL, s.Header, s.File}) {
		return old.id, false, nil
	}
	previous := old.id
	if s.Definition != 0 {
		back, err := t.definition(s.Definition)
		if err != nil {
			return 0, false, err
		}
		if bytes.Equal(back.identity, s.CodeIdentity) {
			return back.id, isNew, nil
		}
		previous = back.previous // the text as it was, computed by another release
	} else if old.text == (text{s.SQL, s.Header, s.File}) {
		previous = old.previous
	}
	cols, err := json.Marshal(s.Spec.Columns)
	if err != nil {
		return 0, false, err
	}
	id, err = t.insertID(`INSERT INTO definitions (dataset_id, revision, code_identity, sql, header, file, columns, git_revision, previous, deployed_at)
		VALUES (?1, (SELECT COALESCE(MAX(revision), 0) + 1 FROM definitions WHERE dataset_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`,
		d.ID, s.CodeIdentity, s.SQL, s.Header, s.File, string(cols), s.GitRevision, nullable(previous), t.now)
	return id, isNew, err
}

// text is a stage's file as the catalog keeps it.
type text struct{ sql, header, file string }

// definition is a row of the definitions table; all zero if there is none.
type definition struct {
	id, previous int64
	identity     []byte
	text         text
}

func (t *tx) definition(id int64) (d definition, err error) {
	err = t.QueryRowContext(t.ctx, "SELECT id, COALESCE(previous, 0), code_identity, sql, header, file FROM definitions WHERE id = ?", id).
		Scan(&d.id, &d.previous, &d.identity, &d.text.sql, &d.text.header, &d.text.file)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return d, err
}

// group puts a stage and its refused rows into its release group.
func (t *tx) group(d Dataset, s dataset.Deployment) (Dataset, error) {
	if err := t.joinRelease(d, s.Release); err != nil {
		return d, err
	}
	if s.Rejected != nil {
		r, err := t.dataset(s.Rejected.Name)
		if err != nil {
			return d, err
		}
		if err := t.joinRelease(r, s.Release); err != nil {
			return d, err
		}
	}
	return t.dataset(s.Spec.Name)
}

// setGate records what judges a stage's versions, and reports whether it changed.
func (t *tx) setGate(d Dataset, s dataset.Deployment) (changed bool, err error) {
	var before []byte
	if err := t.QueryRowContext(t.ctx, "SELECT gate FROM datasets WHERE id = ?", d.ID).Scan(&before); err != nil {
		return false, err
	}
	return !bytes.Equal(before, s.Gate), t.exec("UPDATE datasets SET gate = ?, gate_closes = ?, gate_completes = ?, compares_from = ? WHERE id = ?",
		s.Gate, s.Closes, s.Completes, s.ComparesFrom, d.ID)
}

// judgeAgain makes what a stage has on record due, to be judged and not computed.
func (t *tx) judgeAgain(d Dataset) error {
	why, err := t.because(dataset.ByContract, dataset.Facts{Dataset: d.Spec.Name}, nil)
	if err != nil {
		return err
	}
	why.urgent = true
	return t.dirtyExisting(d, why, "TRUE")
}

// connect records what a stage reads. It reports whether closed partitions read an
// input as of another time than before, which is no part of a code identity.
func (t *tx) connect(d Dataset, edges []dataset.Edge) (redated bool, err error) {
	before := map[string]dataset.Partition{}
	err = t.each("DELETE FROM edges WHERE dataset_id = ? RETURNING (SELECT name FROM datasets WHERE id = input_id), since", []any{d.ID},
		func(scan func(...any) error) error {
			var name string
			var since dataset.Partition
			err := scan(&name, &since)
			before[name] = since
			return err
		})
	if err != nil {
		return false, err
	}
	for _, e := range edges {
		since, known := before[e.Input]
		redated = redated || known && since != e.Window.From
		in, err := t.dataset(e.Input)
		if err != nil {
			return false, err
		}
		producer := in.ID
		if in.RejectsOf != 0 {
			producer = in.RejectsOf
		}
		err = t.exec("INSERT INTO edges (dataset_id, input_id, producer_id, kind, lo, hi, since, frozen) VALUES (?,?,?,?,?,?,?,?)",
			d.ID, in.ID, producer, e.Window.Kind, e.Window.Lo.Microseconds(), e.Window.Hi.Microseconds(), e.Window.From, in.Release != d.Release)
		if err != nil {
			return false, err
		}
	}
	return redated, nil
}

// dirtyAll marks every partition the stage has or could have from its inputs.
func (t *tx) dirtyAll(d Dataset, s dataset.Deployment) error {
	facts, err := t.definitionFacts(d, s.File)
	if err != nil {
		return err
	}
	why, err := t.because(dataset.ByDefinition, facts, nil)
	if err != nil {
		return err
	}
	if d.Spec.Grain == dataset.None {
		return t.markDirty(d, []dataset.Partition{dataset.Whole}, why)
	}
	if err := t.dirtyExisting(d, why, "TRUE"); err != nil {
		return err
	}
	names, err := t.anchored(d, everything)
	if err != nil {
		return err
	}
	marked := map[dataset.Partition]bool{}
	err = t.each("SELECT name FROM partitions WHERE dataset_id = ?", []any{d.ID}, func(scan func(...any) error) error {
		var p dataset.Partition
		err := scan(&p)
		marked[p] = true
		return err
	})
	if err != nil {
		return err
	}
	return t.markDirty(d, slices.DeleteFunc(names, func(p dataset.Partition) bool { return marked[p] }), why)
}
