package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/reedbed/reedbed/dataset"
)

// chain lists a cause and what led to it, back to what began it. It is empty
// for a cause that is no longer on record.
func (t *tx) chain(id int64) ([]dataset.Cause, error) {
	out := []dataset.Cause{}
	err := t.each(`WITH RECURSIVE up AS (
			SELECT * FROM causes WHERE id = ?
			UNION ALL SELECT c.* FROM up JOIN causes c ON c.id = up.parent)
		SELECT up.id, up.kind, up.detail, up.at, up.facts, COALESCE(a.id, 0), COALESCE(a.action, ''), COALESCE(a.actor, '')
		FROM up LEFT JOIN applies a ON a.id = up.apply_id AND up.parent IS NULL ORDER BY up.id DESC`, []any{id}, func(scan func(...any) error) error {
		var c dataset.Cause
		var at int64
		var facts string
		var by dataset.AppliedBy
		if err := scan(&c.ID, &c.Kind, &c.Detail, &at, &facts, &by.Apply, &by.Action, &by.Actor); err != nil {
			return err
		}
		if by.Apply != 0 {
			c.By = &by
		}
		c.At = fromMicros(at)
		err := json.Unmarshal([]byte(facts), &c.Facts)
		out = append(out, c)
		return err
	})
	return out, err
}

// Content is one version as it can be read, whether or not readers see it.
type Content struct {
	dataset.Reference // with the version's number, also where none was asked for
	Kind              dataset.Kind
	Columns           []dataset.Column // as its definition, or its dataset, declares them
	Text              string           // of the stage's file as it was when the version was made, "" for others
	Rows              int64
	Objects           []string // the store's ids
}

// Content finds a version's files. What does not exist, or has been collected, is
// a *dataset.Refusal.
func (c *Catalog) Content(ctx context.Context, r dataset.Reference) (out Content, err error) {
	err = c.view(ctx, func(t *tx) error {
		own, err := t.asked(r.Dataset, r.Partition)
		if err != nil {
			return err
		}
		if r.Version == 0 {
			now, err := t.pointed(own, "main")
			if err != nil {
				return err
			}
			if now.Version == 0 {
				return &dataset.Refusal{Code: "unknown_version", What: r.String() + " has no promoted version", Fix: fmt.Sprintf("`reedbed why %s` says why", r)}
			}
			r.Version = now.Version
		}
		out, err = t.content(own, r)
		return err
	})
	return out, err
}

func (t *tx) content(own partition, r dataset.Reference) (Content, error) {
	out := Content{Reference: r, Kind: own.dataset.Spec.Kind, Columns: own.dataset.Spec.Columns}
	var account Account
	if err := t.versionsOf(&account, own, own, r.Version); err != nil {
		return out, err
	}
	out.Rows = account.Version.Rows
	found, err := t.segments("partition_id = ? AND added_in <= ? AND (removed_in IS NULL OR removed_in > ?)", own.id, r.Version, r.Version)
	if err != nil {
		return out, err
	}
	if rows, _ := total(found); account.Version.Gone != "" || rows != out.Rows {
		return out, &dataset.Refusal{
			Code: "collected", What: r.String() + " cannot be read any more: its files were removed",
			Fix: fmt.Sprintf("`reedbed why %s@%s` lists the versions on record", r.Dataset, r.Partition),
		}
	}
	for _, s := range found {
		if s.Rows > 0 {
			out.Objects = append(out.Objects, s.Object)
		}
	}
	return out, t.declared(own, &out)
}

// declared adds what the definition of a version says of it. Refused rows have
// that of the stage, and one column more.
func (t *tx) declared(own partition, c *Content) error {
	found, err := t.definitions(`f.id = COALESCE((SELECT definition FROM versions WHERE partition_id = ? AND number = ?),
		(SELECT definition FROM datasets WHERE id = COALESCE(NULLIF(?, 0), ?)))`, own.id, c.Version, own.dataset.RejectsOf, own.dataset.ID)
	if err != nil || len(found) == 0 {
		return err
	}
	c.Text = found[0].Text()
	if own.dataset.RejectsOf == 0 {
		c.Columns = found[0].Columns
	}
	return nil
}
