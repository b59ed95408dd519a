package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// set is which definition of each stage and which content of each side input
// are deployed, and the apply that said so; id 0: nothing ever was.
type set struct {
	id        int64
	previous  int64 // the apply to go back to
	cause     int64 // the newest cause when it was asked for
	stages    map[string]int64
	sides     map[string]deployedSide
	contracts map[string]string // texts of contracts/, by file
}

// current returns the set that is in force.
func (t *tx) current() (set, error) {
	s, err := t.setOf("id = (SELECT MAX(id) FROM applies)")
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s, err
	}
	return s, t.QueryRowContext(t.ctx, "SELECT COALESCE(MAX(id), 0) FROM causes").Scan(&s.cause)
}

// setOf returns the set of one apply. One that put an earlier set back goes back
// to where that one would.
func (t *tx) setOf(where string, args ...any) (s set, err error) {
	var stages, sides, contracts string
	err = t.QueryRowContext(t.ctx, `SELECT id, COALESCE((SELECT previous FROM applies o WHERE o.id = a.restores), previous, 0), stages, sides, contracts
		FROM applies a WHERE `+where, args...).Scan(&s.id, &s.previous, &stages, &sides, &contracts)
	if err != nil {
		return s, err
	}
	return s, errors.Join(json.Unmarshal([]byte(stages), &s.stages), json.Unmarshal([]byte(sides), &s.sides), json.Unmarshal([]byte(contracts), &s.contracts))
}

// openApply records that a is being applied, so that causes can name it.
func (t *tx) openApply(a dataset.Application, before set) error {
	changes, err := json.Marshal(append([]dataset.FileChange{}, a.Changes...))
	if err != nil {
		return err
	}
	predicted, err := json.Marshal(a.Predicted)
	if err != nil {
		return err
	}
	previous := before.id
	if a.Action == dataset.Upgrade { // the same texts: nothing to go back from
		previous = before.previous
	}
	contracts, err := json.Marshal(a.Contracts)
	if err != nil {
		return err
	}
	t.apply, err = t.insertID(`INSERT INTO applies (at, action, actor, git_revision, previous, restores, stages, sides, contracts, changes, predicted)
		VALUES (?,?,?,?,?,?,'','',?,?,?)`,
		t.now, a.Action, a.Actor, a.GitRevision, nullable(previous), nullable(a.Restores), string(contracts), string(changes), string(predicted))
	return err
}

// closeApply completes the record with the set now in force, or takes it back
// when that is the one that was.
func (t *tx) closeApply(before set, sides map[string]deployedSide, contracts map[string]string) (id int64, git map[string]string, err error) {
	stages, git := map[string]int64{}, map[string]string{}
	err = t.each(`SELECT d.name, f.id, f.git_revision FROM datasets d JOIN definitions f ON f.id = d.definition
		WHERE d.retired_at IS NULL`, nil, func(scan func(...any) error) error {
		var name, revision string
		var definition int64
		err := scan(&name, &definition, &revision)
		stages[name], git[name] = definition, revision
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	if maps.Equal(before.stages, stages) && maps.EqualFunc(before.sides, sides, deployedSide.same) && maps.Equal(before.contracts, contracts) {
		return 0, git, errors.Join(
			t.exec("UPDATE causes SET apply_id = NULL WHERE id > ?", before.cause),
			t.exec("DELETE FROM applies WHERE id = ?", t.apply))
	}
	s, err := json.Marshal(stages)
	if err != nil {
		return 0, nil, err
	}
	f, err := json.Marshal(sides)
	if err != nil {
		return 0, nil, err
	}
	return t.apply, git, t.exec("UPDATE applies SET stages = ?, sides = ? WHERE id = ?", string(s), string(f), t.apply)
}

// Definition is one revision of a stage's text.
type Definition struct {
	ID, Dataset  int64
	Name         string
	Revision     int64
	Previous     int64 // the id of what was deployed before it, 0 for none
	File         string
	Header, SQL  string
	CodeIdentity []byte
	Columns      []dataset.Column
	GitRevision  string
	DeployedAt   time.Time
}

// Text is the stage's file, as far as it means anything.
func (d Definition) Text() string { return "/* @stage" + d.Header + "*/\n" + d.SQL }

// Side is a side input of a set of definitions.
type Side struct {
	Spec    dataset.Spec
	File    string
	Version int64
	Digest  string
	Files   map[string]string // digests of several files that are one table, by path
	Rows    int64
	Hash    dataset.ContentHash
	Objects []string // the store's ids
}

// Deployed is a set of definitions: the one in force, or an earlier one.
type Deployed struct {
	Apply    int64 // the record that put it in force; 0: nothing was ever deployed
	Previous int64 // the record to go back to, 0 for none
	Stages   []Definition
	Sides    []Side
	// Contracts are the texts of contracts/, by file.
	Contracts map[string]string
}

// Deployed returns the set of definitions in force.
func (c *Catalog) Deployed(ctx context.Context) (out Deployed, err error) {
	err = c.view(ctx, func(t *tx) error {
		s, err := t.current()
		if err != nil {
			return err
		}
		out, err = t.deployed(s)
		return err
	})
	return out, err
}

// ErrNoApply says that there is no such record of an apply.
var ErrNoApply = errors.New("no such apply on record")

// DeployedBy returns the set of definitions that an apply put in force.
func (c *Catalog) DeployedBy(ctx context.Context, apply int64) (out Deployed, err error) {
	err = c.view(ctx, func(t *tx) error {
		s, err := t.setOf("id = ?", apply)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: %d", ErrNoApply, apply)
		}
		if err != nil {
			return err
		}
		out, err = t.deployed(s)
		return err
	})
	return out, err
}

func (t *tx) deployed(s set) (Deployed, error) {
	out := Deployed{Apply: s.id, Previous: s.previous, Contracts: s.contracts}
	ids := []string{"0"}
	for _, id := range s.stages {
		ids = append(ids, fmt.Sprint(id))
	}
	var err error
	if out.Stages, err = t.definitions("f.id IN (" + strings.Join(ids, ",") + ") ORDER BY d.name"); err != nil {
		return out, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.sides)) {
		side, err := t.side(name, s.sides[name])
		if err != nil {
			return out, err
		}
		out.Sides = append(out.Sides, side)
	}
	return out, nil
}

func (t *tx) definitions(where string, args ...any) ([]Definition, error) {
	var out []Definition
	err := t.each(`SELECT f.id, f.dataset_id, d.name, f.revision, COALESCE(f.previous, 0), f.file, f.header, f.sql, f.code_identity, f.columns, f.git_revision, f.deployed_at
		FROM definitions f JOIN datasets d ON d.id = f.dataset_id WHERE `+where, args, func(scan func(...any) error) error {
		var f Definition
		var cols string
		var at int64
		err := scan(&f.ID, &f.Dataset, &f.Name, &f.Revision, &f.Previous, &f.File, &f.Header, &f.SQL, &f.CodeIdentity, &cols, &f.GitRevision, &at)
		if err != nil {
			return err
		}
		f.DeployedAt = fromMicros(at)
		out = append(out, f)
		return json.Unmarshal([]byte(cols), &out[len(out)-1].Columns)
	})
	return out, err
}

// side describes a side input as a set of definitions has it.
func (t *tx) side(name string, s deployedSide) (Side, error) {
	row := t.QueryRowContext(t.ctx, "SELECT "+datasetColumns+" FROM datasets WHERE name = ?", name)
	d, err := scanDataset(row.Scan)
	if err != nil {
		return Side{}, err
	}
	p, err := t.partition(d, dataset.Whole)
	if err != nil {
		return Side{}, err
	}
	d.Spec.Columns = s.Columns
	out := Side{Spec: d.Spec, File: "data/" + name + ".csv", Version: s.Version, Digest: s.Digest, Files: s.Files}
	if name == dataset.Schemas {
		out.File = name // a folder
	}
	found, err := t.segments("partition_id = ? AND added_in <= ? AND (removed_in IS NULL OR removed_in > ?)", p.id, s.Version, s.Version)
	out.Rows, out.Hash = total(found)
	for _, x := range found {
		out.Objects = append(out.Objects, x.Object)
	}
	return out, err
}

// Revisions lists the revisions of a stage, the newest first.
func (c *Catalog) Revisions(ctx context.Context, stage string) (out []Definition, err error) {
	err = c.view(ctx, func(t *tx) error {
		out, err = t.definitions("d.name = ? ORDER BY f.revision DESC", stage)
		return err
	})
	return out, err
}

// Definition returns one revision of a stage by its id.
func (c *Catalog) Definition(ctx context.Context, id int64) (out Definition, err error) {
	err = c.view(ctx, func(t *tx) error {
		found, err := t.definitions("f.id = ?", id)
		if err == nil && len(found) == 0 {
			err = sql.ErrNoRows
		}
		if err == nil {
			out = found[0]
		}
		return err
	})
	return out, err
}
