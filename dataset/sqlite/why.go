package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/internal/nearest"
)

// State is how a partition is. Every partition is in exactly one.
type State string

// The states; DatasetStatus counts them.
const (
	Fresh    State = "fresh"
	Stale    State = "stale"
	Running  State = "running" // known to the scheduler only
	Deferred State = "deferred"
	Held     State = "held"
	Waived   State = "waived"
	Failed   State = "failed"
	Absent   State = "absent"
)

// Account says how a partition is and what brought it about.
type Account struct {
	Dataset   string            `json:"dataset"`
	Partition dataset.Partition `json:"partition"`
	Kind      dataset.Kind      `json:"kind"`
	Owner     string            `json:"owner,omitempty"`
	State     State             `json:"state"`
	Open      bool              `json:"open"` // events for it are still expected
	ClosedAt  time.Time         `json:"closed_at,omitzero"`
	Paused    bool              `json:"paused,omitempty"` // the stage's file is broken
	// Anchored says that an input has something in the partition's own time;
	// without that the partition does not exist.
	Anchored bool `json:"anchored"`

	Due     *DueAccount     `json:"due,omitempty"`     // nil: nothing is to be done
	Waiver  *dataset.Waiver `json:"waiver,omitempty"`  // holds back what is due
	Release string          `json:"release,omitempty"` // the group its stage is promoted with
	Staged  *int64          `json:"staged,omitempty"`  // the version the group will promote, 0 for ABSENT; nil: none
	Version *VersionAccount `json:"version,omitempty"` // the promoted one, or the one asked for
	Hold    *dataset.Hold   `json:"hold,omitempty"`    // what is kept from readers; nil: nothing
	Looked  *Look           `json:"looked,omitempty"`  // the last time the stage looked; nil: never
	// Completeness is how much of what was sent in its time arrived; nil if that is not
	// measured. It is not the catalog that says it.
	Completeness *fingerprint.Completeness `json:"completeness,omitempty"`
	Others       []VersionSummary          `json:"versions"` // on record, the newest first
}

// DueAccount is why a partition is to be looked at, and when.
type DueAccount struct {
	Since     time.Time       `json:"since"`
	NotBefore time.Time       `json:"not_before,omitzero"`
	Waits     bool            `json:"waits,omitempty"` // for what its release group is at
	Attempts  int             `json:"attempts,omitempty"`
	Error     string          `json:"error,omitempty"`
	Causes    []dataset.Cause `json:"causes"` // the nearest first, back to what began it
}

// VersionSummary is one content of a partition.
type VersionSummary struct {
	Number   int64     `json:"number"`
	Promoted bool      `json:"promoted"`
	Rows     int64     `json:"rows"`
	MadeAt   time.Time `json:"made_at"`
	Origin   string    `json:"origin"`         // load, build, append, side or compact
	Gone     string    `json:"gone,omitempty"` // erased or collected: its rows cannot be read
}

// VersionAccount is what brought a version about.
type VersionAccount struct {
	VersionSummary
	PromotedAt time.Time          `json:"promoted_at,omitzero"`
	Bytes      int64              `json:"bytes"`
	Content    string             `json:"content_hash"` // in hex
	TraceKey   string             `json:"trace_key,omitempty"`
	CPU        time.Duration      `json:"cpu_ns,omitempty"`
	Wall       time.Duration      `json:"wall_ns,omitempty"`
	Definition *DefinitionAccount `json:"definition,omitempty"` // of a stage
	// Inputs are what was read, on record for the promoted version only.
	Inputs []InputAccount  `json:"inputs,omitempty"`
	Causes []dataset.Cause `json:"causes"` // the nearest first, back to what began it
	// Warnings are what was said of it that keeps nobody from it.
	Warnings []dataset.Broken `json:"warnings,omitempty"`
}

// InputAccount is a partition that was read. Version 0 is ABSENT; then the
// partition may be empty, for a whole window with nothing in it.
type InputAccount struct {
	Dataset   string            `json:"dataset"`
	Partition dataset.Partition `json:"partition"`
	Version   int64             `json:"version"`
	Rows      int64             `json:"rows"`
}

// DefinitionAccount is the revision of a stage that a version stands for.
type DefinitionAccount struct {
	Revision    int64     `json:"revision"`
	Deployed    bool      `json:"deployed"` // it is the one in force
	File        string    `json:"file"`
	GitRevision string    `json:"git_revision,omitempty"`
	DeployedAt  time.Time `json:"deployed_at"`
}

// Look is what came of looking at a partition.
type Look struct {
	At      time.Time       `json:"at"`
	Outcome dataset.Outcome `json:"outcome"`
	Causes  []dataset.Cause `json:"causes"`
}

// Why accounts for a partition and for one of its versions: the promoted one if
// it names none. What does not exist is a *dataset.Refusal.
func (c *Catalog) Why(ctx context.Context, r dataset.Reference) (a Account, err error) {
	err = c.view(ctx, func(t *tx) error {
		own, err := t.asked(r.Dataset, r.Partition)
		if err != nil {
			return err
		}
		a, err = t.account(own, r.Version)
		return err
	})
	return a, err
}

// asked finds a partition by what a person calls it. It need not be on record.
func (t *tx) asked(name string, p dataset.Partition) (partition, error) {
	d, err := t.dataset(name)
	if errors.Is(err, ErrNoDataset) {
		return partition{}, t.unknownDataset(name)
	}
	if err != nil {
		return partition{}, err
	}
	if p.Grain() != d.Spec.Grain {
		return partition{}, &dataset.Refusal{
			Code: "not_a_partition", What: fmt.Sprintf("%s has no partition %s", name, p),
			Fix: fmt.Sprintf("%s is cut by %s: write %s@%s", name, d.Spec.Grain, name, dataset.PartitionAt(d.Spec.Grain, t.example(p))),
		}
	}
	return t.partition(d, p)
}

// example is an instant to show the form of a partition's name with.
func (t *tx) example(p dataset.Partition) time.Time {
	if p == dataset.Whole {
		return fromMicros(t.now)
	}
	return p.Start()
}

func (t *tx) unknownDataset(name string) error {
	var names []string
	err := t.each("SELECT name FROM datasets WHERE retired_at IS NULL ORDER BY depth, name", nil, func(scan func(...any) error) error {
		var known string
		err := scan(&known)
		names = append(names, known)
		return err
	})
	if err != nil {
		return err
	}
	r := &dataset.Refusal{Code: "unknown_dataset", What: fmt.Sprintf("there is no dataset %q", name), Fix: "use one of " + strings.Join(names, ", ")}
	if meant := nearest.Word(name, names); meant != "" {
		r.Fix = fmt.Sprintf("did you mean %s? there are: %s", meant, strings.Join(names, ", "))
	}
	return r
}

func (t *tx) account(own partition, number int64) (a Account, err error) {
	d := own.dataset
	a = Account{
		Others:  []VersionSummary{},
		Dataset: d.Spec.Name, Partition: own.name, Kind: d.Spec.Kind, Owner: d.Spec.Owner, Release: d.Release,
		Open: !own.closed && own.name != dataset.Whole, ClosedAt: fromMicros(own.closedAt),
	}
	maker, err := t.maker(own)
	if err != nil {
		return a, err
	}
	if a.Anchored, err = t.isAnchored(maker); err != nil {
		return a, err
	}
	if err := t.QueryRowContext(t.ctx, "SELECT paused FROM datasets WHERE id = ?", maker.dataset.ID).Scan(&a.Paused); err != nil {
		return a, err
	}
	if err := t.work(&a, maker); err != nil {
		return a, err
	}
	if a.Looked, err = t.look(maker); err != nil {
		return a, err
	}
	if h, err := t.holdOf(maker); err != nil {
		return a, err
	} else if !h.Since.IsZero() {
		a.Hold = &h
	}
	if err := t.versionsOf(&a, own, maker, number); err != nil {
		return a, err
	}
	a.State = a.state(t.now)
	return a, nil
}

// maker is the partition whose runs change own: itself, or that of the stage
// whose refused rows it holds.
func (t *tx) maker(own partition) (partition, error) {
	if own.dataset.RejectsOf == 0 {
		return own, nil
	}
	row := t.QueryRowContext(t.ctx, "SELECT "+datasetColumns+" FROM datasets WHERE id = ?", own.dataset.RejectsOf)
	d, err := scanDataset(row.Scan)
	if err != nil {
		return partition{}, err
	}
	return t.partition(d, own.name)
}

func (a *Account) state(now int64) State {
	promoted := false
	for _, v := range a.Others {
		promoted = promoted || v.Promoted
	}
	switch {
	case a.Waiver != nil && a.Due != nil:
		return Waived
	case a.Due != nil && a.Due.Error != "":
		return Failed
	case a.Due != nil && micros(a.Due.NotBefore) > now:
		return Deferred
	case a.Due != nil || a.Paused:
		return Stale
	case a.Hold != nil:
		return Held
	case !promoted:
		return Absent
	}
	return Fresh
}

// work says what is to be done about p, and what holds it back.
func (t *tx) work(a *Account, p partition) error {
	waivers, err := t.waivers("WHERE w.dataset_id = ? AND w.ends > ? AND w.starts <= ?", p.dataset.ID, micros(p.name.Start()), micros(p.name.Start()))
	if err != nil {
		return err
	}
	if len(waivers) > 0 {
		a.Waiver = &waivers[0]
	}
	var since, notBefore, causeID int64
	var due DueAccount
	err = t.QueryRowContext(t.ctx, `SELECT since, not_before, waits, attempts, COALESCE(error, ''), COALESCE(cause_id, 0) FROM dirty WHERE dataset_id = ?1 AND name = ?2
		UNION ALL SELECT since, 0, 0, 0, '', COALESCE(cause_id, 0) FROM waived WHERE dataset_id = ?1 AND name = ?2`, p.dataset.ID, p.name).
		Scan(&since, &notBefore, &due.Waits, &due.Attempts, &due.Error, &causeID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	due.Since, due.NotBefore = fromMicros(since), fromMicros(notBefore)
	due.Causes, err = t.chain(causeID)
	a.Due = &due
	return err
}

// look says what came of the last time p was looked at.
func (t *tx) look(p partition) (*Look, error) {
	var l Look
	var at, causeID int64
	err := t.QueryRowContext(t.ctx, "SELECT outcome, outcome_at, COALESCE(outcome_cause, 0) FROM partitions WHERE id = ? AND outcome <> ''", p.id).
		Scan(&l.Outcome, &at, &causeID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // never is an answer
	}
	if err != nil {
		return nil, err
	}
	l.At = fromMicros(at)
	l.Causes, err = t.chain(causeID)
	return &l, err
}

// versionsOf lists the versions of own and accounts for one of them. What its
// maker read is what it comes from.
func (t *tx) versionsOf(a *Account, own, maker partition, number int64) error {
	var staged sql.NullInt64
	err := t.QueryRowContext(t.ctx, "SELECT MAX(version) FROM pointers WHERE partition_id = ? AND view = 'release'", own.id).Scan(&staged)
	if err != nil {
		return err
	}
	if staged.Valid {
		a.Staged = &staged.Int64
	}
	var promoted, promotedAt int64
	err = t.QueryRowContext(t.ctx, "SELECT version, promoted_at FROM pointers WHERE partition_id = ? AND view = 'main'", own.id).Scan(&promoted, &promotedAt)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	wanted := number
	if number == 0 {
		wanted = promoted
	}
	err = t.each(`SELECT v.number, v.rows, v.created_at, v.origin,
			CASE WHEN v.erased_at IS NOT NULL THEN 'erased' WHEN v.freed_at IS NOT NULL THEN 'collected' ELSE '' END
		FROM versions v WHERE v.partition_id = ? ORDER BY v.number DESC`, []any{own.id}, func(scan func(...any) error) error {
		var v VersionSummary
		var at int64
		err := scan(&v.Number, &v.Rows, &at, &v.Origin, &v.Gone)
		v.MadeAt, v.Promoted = fromMicros(at), v.Number == promoted
		a.Others = append(a.Others, v)
		if v.Number == wanted {
			a.Version = &VersionAccount{VersionSummary: v}
		}
		return err
	})
	if err != nil {
		return err
	}
	if a.Version == nil {
		if number != 0 {
			return unknownVersion(own, number, a.Others)
		}
		return nil
	}
	if a.Version.Promoted {
		a.Version.PromotedAt = fromMicros(promotedAt)
		if a.Version.Inputs, err = t.inputAccounts(maker.id); err != nil {
			return err
		}
	}
	return t.provenance(a.Version, own)
}

func (t *tx) inputAccounts(partitionID int64) ([]InputAccount, error) {
	var out []InputAccount
	err := t.each(`SELECT d.name, r.input_name, r.version, r.rows FROM reads r JOIN datasets d ON d.id = r.input_id
		WHERE r.partition_id = ? ORDER BY d.name, r.input_name`, []any{partitionID}, func(scan func(...any) error) error {
		var in InputAccount
		err := scan(&in.Dataset, &in.Partition, &in.Version, &in.Rows)
		out = append(out, in)
		return err
	})
	return out, err
}

// provenance adds how a version was made to what is known of it.
func (t *tx) provenance(v *VersionAccount, own partition) error {
	var hash, key []byte
	var cpu, wall, definition, causeID int64
	err := t.QueryRowContext(t.ctx, "SELECT bytes, hash, trace_key, cpu, wall, COALESCE(definition, 0), COALESCE(cause_id, 0) FROM versions WHERE partition_id = ? AND number = ?",
		own.id, v.Number).Scan(&v.Bytes, &hash, &key, &cpu, &wall, &definition, &causeID)
	if err != nil {
		return err
	}
	v.Content, v.TraceKey = hex.EncodeToString(hash), hex.EncodeToString(key)
	v.CPU, v.Wall = time.Duration(cpu)*time.Microsecond, time.Duration(wall)*time.Microsecond
	if v.Definition, err = t.definitionAccount(definition); err != nil {
		return err
	}
	if v.Causes, err = t.chain(causeID); err != nil {
		return err
	}
	verdict, _, err := t.verdict(own.id, v.Number)
	v.Warnings = verdict.Warnings()
	return err
}

func (t *tx) definitionAccount(id int64) (*DefinitionAccount, error) {
	var d DefinitionAccount
	var at int64
	err := t.QueryRowContext(t.ctx, `SELECT f.revision, d.definition = f.id, f.file, f.git_revision, f.deployed_at
		FROM definitions f JOIN datasets d ON d.id = f.dataset_id WHERE f.id = ?`, id).Scan(&d.Revision, &d.Deployed, &d.File, &d.GitRevision, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // no definition is an answer
	}
	d.DeployedAt = fromMicros(at)
	return &d, err
}

func unknownVersion(p partition, number int64, known []VersionSummary) error {
	r := &dataset.Refusal{Code: "unknown_version", What: fmt.Sprintf("there is no version %d of %s@%s on record", number, p.dataset.Spec.Name, p.name)}
	var numbers []string
	for _, v := range known {
		numbers = append(numbers, fmt.Sprint(v.Number))
	}
	r.Fix = "on record are: " + strings.Join(numbers, ", ")
	if len(known) == 0 {
		r.Fix = "it has no versions"
	}
	return r
}
