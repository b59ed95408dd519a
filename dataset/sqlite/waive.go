package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/reedbed/reedbed/dataset"
)

// beginning is a start before every partition's.
const beginning = math.MinInt64

// Waive records that partitions of a stage stay as they are. What is due of them,
// and what becomes due, waits in the table waived until the waiver is removed.
func (c *Catalog) Waive(ctx context.Context, w dataset.Waiver) (dataset.Waiver, error) {
	err := c.update(ctx, func(t *tx) error {
		d, err := t.stage(w.Dataset)
		if err != nil {
			return err
		}
		starts, ends, err := t.waivedRange(d, &w)
		if err != nil {
			return err
		}
		if err := t.addWaiver(d, &w, starts, ends); err != nil {
			return err
		}
		return t.audit(w.Actor, "waive", waiverText(w))
	})
	return w, err
}

// stage returns a dataset whose partitions are computed, or refuses.
func (t *tx) stage(name string) (Dataset, error) {
	d, err := t.dataset(name)
	switch {
	case errors.Is(err, ErrNoDataset):
		return d, &dataset.Refusal{Code: "unknown_dataset", What: fmt.Sprintf("there is no dataset %q", name), Fix: "see the names in `reedbed status`"}
	case err != nil || d.Spec.Kind == dataset.Computed:
		return d, err
	case d.Spec.Kind == dataset.Rejected:
		return d, &dataset.Refusal{Code: "not_a_stage", What: name + " goes with the stage that refused its rows", Fix: "name that stage"}
	case d.Spec.Kind == dataset.Side:
		return d, &dataset.Refusal{Code: "not_a_stage", What: name + " is a file of the project and is not computed", Fix: "change data/" + name + ".csv, or pin the stage that reads it"}
	}
	return d, &dataset.Refusal{Code: "not_a_stage", What: name + " is written by the loader and is not computed", Fix: "name a stage that reads it"}
}

// waivedRange says which starts a waiver covers, and puts the partitions' own
// names into it.
func (t *tx) waivedRange(d Dataset, w *dataset.Waiver) (starts, ends int64, err error) {
	grain := d.Spec.Grain
	if grain == dataset.None {
		if w.First != "" && w.First != dataset.Whole || w.Last != "" && w.Last != dataset.Whole {
			return 0, 0, &dataset.Refusal{Code: "not_cut", What: d.Spec.Name + " is not cut by time: it has one partition", Fix: "leave the range out"}
		}
		w.First, w.Last = "", dataset.Whole
		return beginning, 1, nil
	}
	if w.First == dataset.Whole || w.Last == dataset.Whole {
		return 0, 0, &dataset.Refusal{Code: "not_a_partition", What: d.Spec.Name + " has no partition `all`", Fix: "leave the range out to waive all of it"}
	}
	if w.Last == "" {
		if w.Last, err = t.newest(d); err != nil {
			return 0, 0, err
		}
	}
	starts, ends = beginning, micros(w.Last.End())
	if w.First != "" {
		w.First = dataset.PartitionAt(grain, w.First.Start())
		starts = micros(w.First.Start())
	}
	w.Last = dataset.PartitionAt(grain, w.Last.End().Add(-1))
	if starts >= ends {
		return 0, 0, &dataset.Refusal{Code: "empty_range", What: fmt.Sprintf("no partition lies from %s to %s", w.First, w.Last), Fix: "put the earlier one first"}
	}
	return starts, ends, nil
}

// newest is the last partition of a stage on record, computed or due.
func (t *tx) newest(d Dataset) (p dataset.Partition, err error) {
	err = t.QueryRowContext(t.ctx, `SELECT name FROM (SELECT name, starts FROM partitions WHERE dataset_id = ?1
		UNION ALL SELECT name, starts FROM dirty WHERE dataset_id = ?1) ORDER BY starts DESC LIMIT 1`, d.ID).Scan(&p)
	if errors.Is(err, sql.ErrNoRows) {
		return p, &dataset.Refusal{Code: "nothing_there", What: d.Spec.Name + " has no partitions yet", Fix: "name the last partition with --to"}
	}
	return p, err
}

// addWaiver writes a waiver and sets aside what is due under it.
func (t *tx) addWaiver(d Dataset, w *dataset.Waiver, starts, ends int64) (err error) {
	w.At = fromMicros(t.now)
	w.ID, err = t.insertID(`INSERT INTO waivers (dataset_id, first, last, starts, ends, version, reason, actor, created_at) VALUES (?,?,?,?,?,?,?,?,?)`,
		d.ID, w.First, w.Last, starts, ends, w.Version, w.Reason, w.Actor, t.now)
	if err != nil {
		return err
	}
	const within = ` FROM dirty WHERE dataset_id = ? AND starts >= ? AND starts < ?`
	if err := t.exec("INSERT INTO waived (dataset_id, name, starts, since, cause_id) SELECT dataset_id, name, starts, since, cause_id"+within, d.ID, starts, ends); err != nil {
		return err
	}
	if err := t.exec("DELETE"+within, d.ID, starts, ends); err != nil {
		return err
	}
	return t.QueryRowContext(t.ctx, "SELECT COUNT(*) FROM waived WHERE dataset_id = ? AND starts >= ? AND starts < ?", d.ID, starts, ends).Scan(&w.Holding)
}

// Unwaive removes a waiver: what it alone held back is due at once.
func (c *Catalog) Unwaive(ctx context.Context, id int64, actor string) (w dataset.Waiver, err error) {
	err = c.update(ctx, func(t *tx) error {
		found, err := t.waivers("WHERE w.id = ?", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return &dataset.Refusal{Code: "unknown_waiver", What: fmt.Sprintf("there is no waiver %d", id), Fix: "see the numbers in `reedbed waive --list`"}
		}
		w = found[0]
		if err := t.removeWaiver(w); err != nil {
			return err
		}
		return t.audit(actor, "unwaive", waiverText(w))
	})
	return w, err
}

func (t *tx) removeWaiver(w dataset.Waiver) error {
	if err := t.exec("DELETE FROM waivers WHERE id = ?", w.ID); err != nil {
		return err
	}
	d, err := t.dataset(w.Dataset)
	if errors.Is(err, ErrNoDataset) {
		return nil // retired since: it has nothing due
	}
	if err != nil {
		return err
	}
	var names []dataset.Partition
	err = t.each(`DELETE FROM waived WHERE dataset_id = ? AND NOT EXISTS (SELECT 1 FROM waivers x
		WHERE x.dataset_id = waived.dataset_id AND x.ends > waived.starts AND x.starts <= waived.starts) RETURNING name`, []any{d.ID},
		func(scan func(...any) error) error {
			var p dataset.Partition
			err := scan(&p)
			names = append(names, p)
			return err
		})
	if err != nil || len(names) == 0 {
		return err
	}
	why, err := t.addCause("waiver", fmt.Sprintf("waiver %d removed", w.ID))
	if err != nil {
		return err
	}
	why.urgent = true
	return t.markDirty(d, names, why)
}

// Waivers lists the waivers that stand, the oldest first.
func (c *Catalog) Waivers(ctx context.Context) (out []dataset.Waiver, err error) {
	err = c.view(ctx, func(t *tx) error {
		out, err = t.waivers("")
		return err
	})
	return out, err
}

func (t *tx) waivers(where string, args ...any) ([]dataset.Waiver, error) {
	var out []dataset.Waiver
	err := t.each(`SELECT w.id, d.name, w.first, w.last, w.version, w.reason, w.actor, w.created_at,
		(SELECT COUNT(*) FROM waived x WHERE x.dataset_id = w.dataset_id AND x.starts >= w.starts AND x.starts < w.ends)
		FROM waivers w JOIN datasets d ON d.id = w.dataset_id `+where+` ORDER BY w.id`, args, func(scan func(...any) error) error {
		var w dataset.Waiver
		var at int64
		err := scan(&w.ID, &w.Dataset, &w.First, &w.Last, &w.Version, &w.Reason, &w.Actor, &at, &w.Holding)
		w.At = fromMicros(at)
		out = append(out, w)
		return err
	})
	return out, err
}

// isWaived reports whether a waiver covers a partition of d.
func (t *tx) isWaived(d Dataset, p dataset.Partition) (yes bool, err error) {
	err = t.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM waivers WHERE dataset_id = ?1 AND ends > ?2 AND starts <= ?2)", d.ID, micros(p.Start())).Scan(&yes)
	return yes, err
}

func waiverText(w dataset.Waiver) string {
	text := fmt.Sprintf("waiver %d: %s", w.ID, w.Dataset)
	switch {
	case w.Version != 0:
		text += fmt.Sprintf("@%s stays on version %d", w.Last, w.Version)
	case w.First == "":
		text += fmt.Sprintf(" up to %s", w.Last)
	default:
		text += fmt.Sprintf(" from %s to %s", w.First, w.Last)
	}
	return text + ": " + w.Reason
}

// audit notes what a person did.
func (t *tx) audit(actor, action, detail string) error {
	return t.exec("INSERT INTO audit (at, actor, action, detail) VALUES (?,?,?,?)", t.now, actor, action, detail)
}

// Deed is an entry of the audit: who did what, when.
type Deed struct {
	Actor, Action, Detail string
}

// Audit lists what people did, the oldest first.
func (c *Catalog) Audit(ctx context.Context) (out []Deed, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each("SELECT actor, action, detail FROM audit ORDER BY id", nil, func(scan func(...any) error) error {
			var d Deed
			err := scan(&d.Actor, &d.Action, &d.Detail)
			out = append(out, d)
			return err
		})
	})
	return out, err
}
