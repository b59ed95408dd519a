package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/reedbed/reedbed/dataset"
)

// Deploy puts a set of stages to work in one transaction: what is new or
// computes something else than before gets a definition revision and all its
// partitions become dirty. Stages named in paused stay readable and are not
// computed; those neither deployed nor paused are retired. Stages must come
// upstream first. It returns the names that changed.
func (c *Catalog) Deploy(ctx context.Context, stages []dataset.Deployment, paused []string) (changed []string, err error) {
	err = c.update(ctx, func(t *tx) error {
		if err := t.setAside(stages, paused); err != nil {
			return err
		}
		for _, s := range stages {
			isNew, err := t.deploy(s)
			if err != nil {
				return fmt.Errorf("deploy %s: %w", s.File, err)
			}
			if isNew {
				changed = append(changed, s.Spec.Name)
			}
		}
		return nil
	})
	return changed, err
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
	var deployed []byte
	err = t.QueryRowContext(t.ctx, "SELECT code_identity FROM definitions WHERE id = ?", d.Definition).Scan(&deployed)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	isNew = !bytes.Equal(deployed, s.CodeIdentity)
	if isNew {
		d.Definition, err = t.define(d, s)
	} else {
		err = t.exec("UPDATE definitions SET sql = ?, header = ?, file = ? WHERE id = ?", s.SQL, s.Header, s.File, d.Definition)
	}
	if err != nil {
		return false, err
	}
	err = t.exec("UPDATE datasets SET definition = ?, interval = ?, row_wise = ?, depth = ?, paused = 0 WHERE id = ?",
		d.Definition, s.Interval.Microseconds(), s.RowWise, s.Depth, d.ID)
	if err != nil {
		return false, err
	}
	if err := t.connect(d, s.Edges); err != nil {
		return false, err
	}
	if !isNew && !wasAside {
		return false, nil
	}
	return isNew, t.dirtyAll(d, s)
}

// deployRejected records the dataset of the rows the stage refuses.
func (t *tx) deployRejected(d Dataset, s dataset.Deployment) error {
	if _, err := t.ensureDataset(*s.Rejected, s.Allowance); err != nil {
		return err
	}
	return t.exec("UPDATE datasets SET rejects_of = ?, depth = ?, paused = 0 WHERE name = ?", d.ID, s.Depth, s.Rejected.Name)
}

func (t *tx) define(d Dataset, s dataset.Deployment) (int64, error) {
	cols, err := json.Marshal(s.Spec.Columns)
	if err != nil {
		return 0, err
	}
	return t.insertID(`INSERT INTO definitions (dataset_id, revision, code_identity, sql, header, file, columns, git_revision, deployed_at)
		VALUES (?1, (SELECT COALESCE(MAX(revision), 0) + 1 FROM definitions WHERE dataset_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)`,
		d.ID, s.CodeIdentity, s.SQL, s.Header, s.File, string(cols), s.GitRevision, t.now)
}

func (t *tx) connect(d Dataset, edges []dataset.Edge) error {
	if err := t.exec("DELETE FROM edges WHERE dataset_id = ?", d.ID); err != nil {
		return err
	}
	for _, e := range edges {
		in, err := t.dataset(e.Input)
		if err != nil {
			return err
		}
		producer := in.ID
		if in.RejectsOf != 0 {
			producer = in.RejectsOf
		}
		err = t.exec("INSERT INTO edges (dataset_id, input_id, producer_id, kind, lo, hi) VALUES (?,?,?,?,?,?)",
			d.ID, in.ID, producer, e.Window.Kind, e.Window.Lo.Microseconds(), e.Window.Hi.Microseconds())
		if err != nil {
			return err
		}
	}
	return nil
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
	return t.markDirty(d, names, why)
}

// DeployedText is the file of a stage as it was last deployed.
type DeployedText struct {
	Header string
	SQL    string
}

// DeployedTexts returns the last deployed text of every stage that is not retired.
func (c *Catalog) DeployedTexts(ctx context.Context) (map[string]DeployedText, error) {
	out := map[string]DeployedText{}
	err := c.view(ctx, func(t *tx) error {
		return t.each(`SELECT d.name, f.header, f.sql FROM datasets d JOIN definitions f ON f.id = d.definition WHERE d.retired_at IS NULL`, nil,
			func(scan func(...any) error) error {
				var name string
				var text DeployedText
				err := scan(&name, &text.Header, &text.SQL)
				out[name] = text
				return err
			})
	})
	return out, err
}
