package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/reedbed/reedbed/dataset"
)

// Promote sends the readers of one partition to an older version of it, and its
// refused rows with it. The waiver it records keeps convergence from promoting
// anything else; removing that makes the partition due.
func (c *Catalog) Promote(ctx context.Context, m dataset.Promotion) (w dataset.Waiver, err error) {
	err = c.update(ctx, func(t *tx) error {
		w, err = t.sendBack(m)
		return err
	})
	return w, err
}

func (t *tx) sendBack(m dataset.Promotion) (dataset.Waiver, error) {
	w := dataset.Waiver{Dataset: m.Dataset, First: m.Partition, Last: m.Partition, Version: m.Version, Reason: m.Reason, Actor: m.Actor}
	d, err := t.stage(m.Dataset)
	if err != nil {
		return w, err
	}
	p, err := t.partition(d, m.Partition)
	if err != nil {
		return w, err
	}
	key, err := t.keyOf(p, m.Version)
	if err != nil {
		return w, err
	}
	earlier, err := t.waivers("WHERE w.dataset_id = ? AND w.last = ? AND w.version <> 0", d.ID, m.Partition)
	if err != nil {
		return w, err
	}
	for _, old := range earlier { // sent elsewhere before: that is over
		if err := t.removeWaiver(old); err != nil {
			return w, err
		}
	}
	if err := t.moveReaders(&p, key); err != nil {
		return w, err
	}
	if err := t.addWaiver(d, &w, micros(m.Partition.Start()), micros(m.Partition.Start())+1); err != nil {
		return w, err
	}
	// It stands under another trace key than it should: that is what is waived.
	why, err := t.addCause("promotion", waiverText(w))
	if err != nil {
		return w, err
	}
	if err := t.credit(p.id, m.Version, why.id); err != nil {
		return w, err
	}
	if err := t.markDirty(d, []dataset.Partition{m.Partition}, why); err != nil {
		return w, err
	}
	w.Holding = 1
	return w, t.audit(m.Actor, "promote", waiverText(w))
}

// keyOf returns a trace key under which a version of p stands, or refuses: only
// what came about by a run and is still there whole can be promoted.
func (t *tx) keyOf(p partition, version int64) ([]byte, error) {
	shown := fmt.Sprintf("%s@%s", p.dataset.Spec.Name, p.name)
	if p.id == 0 {
		return nil, &dataset.Refusal{Code: "unknown_partition", What: "there is no partition " + shown, Fix: "see `reedbed status`"}
	}
	now, err := t.promoted(p)
	if err != nil {
		return nil, err
	}
	if now.Version == version {
		return nil, &dataset.Refusal{Code: "promoted_already", What: fmt.Sprintf("readers of %s see version %d already", shown, version), Fix: "to keep it as it is, use `reedbed waive`"}
	}
	freed, err := t.payload(p, version, "promote")
	if err != nil {
		return nil, err
	}
	var key []byte
	err = t.QueryRowContext(t.ctx, "SELECT trace_key FROM traces t WHERE partition_id = ? AND version = ? AND "+usable+" ORDER BY created_at DESC LIMIT 1",
		p.id, version).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, freed // the rows it refused are gone
	}
	return key, err
}

// payload refuses versions that are not on record, erased, or without files. gone
// is the refusal for files that are missing after all.
func (t *tx) payload(p partition, version int64, verb string) (gone, err error) {
	shown := fmt.Sprintf("%s@%s", p.dataset.Spec.Name, p.name)
	kept, err := t.keptVersions(p)
	if err != nil {
		return nil, err
	}
	fix := "no other version of it has its files"
	if kept != "" {
		fix = "choose one of " + kept
	}
	refuse := func(what string) error {
		return &dataset.Refusal{Code: "cannot_" + verb, What: fmt.Sprintf("version %d of %s %s", version, shown, what), Fix: fix}
	}
	gone = refuse("has no files any more: retention.versions says how many old versions keep theirs")
	var freed, erased bool
	err = t.QueryRowContext(t.ctx, "SELECT freed_at IS NOT NULL, erased_at IS NOT NULL FROM versions WHERE partition_id = ? AND number = ?", p.id, version).
		Scan(&freed, &erased)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return gone, refuse("is not on record")
	case err != nil:
		return gone, err
	case erased:
		return gone, refuse("was erased")
	case freed:
		return gone, gone
	}
	return gone, nil
}

// keptVersions lists in words the versions of p that have their files.
func (t *tx) keptVersions(p partition) (string, error) {
	var out []string
	err := t.each(`SELECT number FROM versions WHERE partition_id = ? AND freed_at IS NULL AND erased_at IS NULL ORDER BY number DESC LIMIT 10`,
		[]any{p.id}, func(scan func(...any) error) error {
			var n string
			err := scan(&n)
			out = append(out, n)
			return err
		})
	return strings.Join(out, ", "), err
}

// moveReaders points the main view at what stands under a key. What the partition
// read is no longer known: only a whole build may follow.
func (t *tx) moveReaders(p *partition, key []byte) error {
	before, err := t.pair(*p)
	if err != nil {
		return err
	}
	if err := t.reuse(p, before, key); err != nil {
		return err
	}
	if err := t.recordReads(p.id, nil); err != nil {
		return err
	}
	after, err := t.pair(*p)
	if err != nil {
		return err
	}
	task := dataset.Task{Dataset: p.dataset.Spec.Name, Partition: p.name}
	if err := t.spread(*p, before.output, after.output, task); err != nil {
		return err
	}
	return t.spread(after.refused, before.rejected, after.rejected, task)
}
