package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// Pin makes a stage read an input as it was. Marked are the partitions whose
// reads differ from now on. Whatever reads the stage reads its output, as ever.
func (c *Catalog) Pin(ctx context.Context, p dataset.Pin) (dataset.Pin, error) {
	err := c.update(ctx, func(t *tx) error {
		e, input, err := t.pinnable(&p)
		if err != nil {
			return err
		}
		p.At = fromMicros(t.now)
		p.ID, err = t.insertID("INSERT INTO pins (stage_id, input_id, name, reason, actor, created_at) VALUES (?,?,?,?,?,?)",
			e.stage.ID, input.ID, p.Partition, p.Reason, p.Actor, t.now)
		if err != nil {
			return err
		}
		if err := t.freeze(input, &p); err != nil {
			return err
		}
		if err := t.viewChanged(e, input, &p, "pin %d set"); err != nil {
			return err
		}
		return t.audit(p.Actor, "pin", pinText(p))
	})
	return p, err
}

// pinnable finds the stage's way of reading the input of a pin, or refuses. It
// writes the one partition of an input that is not cut into the pin.
func (t *tx) pinnable(p *dataset.Pin) (e edge, input Dataset, err error) {
	stage, err := t.stage(p.Stage)
	if err != nil {
		return e, input, err
	}
	if input, err = t.dataset(p.Input); err != nil && !errors.Is(err, ErrNoDataset) {
		return e, input, err
	}
	if e, err = t.edgeOf(stage.ID, input.ID); err != nil {
		return e, input, err
	}
	if e.stage.ID == 0 {
		return e, input, t.refuseInput(stage, p.Input)
	}
	if input.Spec.Grain == dataset.None && p.Partition == "" {
		p.Partition = dataset.Whole
	}
	switch {
	case p.Partition == "" && p.Version != 0:
		return e, input, &dataset.Refusal{Code: "no_partition", What: "a version belongs to one partition", Fix: "write INPUT@PARTITION, or leave --version out to pin all of it as it is now"}
	case p.Partition != "" && p.Partition.Grain() != input.Spec.Grain:
		return e, input, &dataset.Refusal{Code: "not_a_partition", What: fmt.Sprintf("%s is cut by %s and has no partition %s", p.Input, input.Spec.Grain, p.Partition), Fix: "write an hour as 2026-11-22T03, a day as 2026-11-22"}
	}
	there, err := t.pins("WHERE n.stage_id = ? AND n.input_id = ? AND (n.name IN ('', ?) OR ? = '')", stage.ID, input.ID, p.Partition, p.Partition)
	if err == nil && len(there) > 0 {
		err = &dataset.Refusal{
			Code: "pinned_already", What: fmt.Sprintf("%s reads %s through pin %d already", p.Stage, shownInput(there[0]), there[0].ID),
			Fix: fmt.Sprintf("remove that one first: reedbed pin --remove %d", there[0].ID),
		}
	}
	return e, input, err
}

func (t *tx) refuseInput(stage Dataset, input string) error {
	names, err := t.names("SELECT d.name FROM edges e JOIN datasets d ON d.id = e.input_id WHERE e.dataset_id = ? ORDER BY d.name", stage.ID)
	if err != nil {
		return err
	}
	return &dataset.Refusal{
		Code: "not_an_input", What: fmt.Sprintf("%s does not read %s", stage.Spec.Name, input),
		Fix: "only what a stage reads itself can be pinned: " + strings.Join(names, ", "),
	}
}

// edgeOf is how a stage at work reads an input; all zero if it does not.
func (t *tx) edgeOf(stageID, inputID int64) (e edge, err error) {
	all, err := t.readersOf(inputID)
	for _, x := range all {
		if x.stage.ID == stageID {
			e = x
		}
	}
	return e, err
}

// pinView names a pin's pointers.
func pinView(id int64) string { return fmt.Sprintf("pin %d", id) }

// freeze writes the pointers of a pin's view: one, or all that readers have now.
func (t *tx) freeze(input Dataset, p *dataset.Pin) error {
	if p.Partition == "" {
		return t.exec(`INSERT INTO pointers (partition_id, view, version, generation, promoted_at)
			SELECT x.partition_id, ?, x.version, 1, ? FROM pointers x JOIN partitions q ON q.id = x.partition_id
			WHERE q.dataset_id = ? AND x.view = 'main'`, pinView(p.ID), t.now, input.ID)
	}
	q, err := t.partition(input, p.Partition)
	if err != nil {
		return err
	}
	if q.id == 0 {
		return &dataset.Refusal{Code: "unknown_partition", What: fmt.Sprintf("there is no partition %s@%s", p.Input, p.Partition), Fix: "see `reedbed status`"}
	}
	if p.Version != 0 {
		if _, err := t.payload(q, p.Version, "pin"); err != nil {
			return err
		}
	} else {
		now, err := t.promoted(q)
		if err != nil {
			return err
		}
		p.Version = now.Version
	}
	return t.exec("INSERT INTO pointers (partition_id, view, version, generation, promoted_at) VALUES (?,?,?,1,?)", q.id, pinView(p.ID), p.Version, t.now)
}

// apart lists the partitions of a pin's input that have other content in its
// view than for everybody.
func (t *tx) apart(id int64) ([]dataset.Partition, error) {
	var out []dataset.Partition
	err := t.each(`SELECT q.name FROM pins n JOIN partitions q ON q.dataset_id = n.input_id AND (n.name = '' OR q.name = n.name)
		LEFT JOIN pointers x ON x.partition_id = q.id AND x.view = 'main' LEFT JOIN versions v ON v.partition_id = q.id AND v.number = x.version
		LEFT JOIN pointers y ON y.partition_id = q.id AND y.view = 'pin ' || n.id LEFT JOIN versions u ON u.partition_id = q.id AND u.number = y.version
		WHERE n.id = ? AND ((u.number IS NULL) <> (v.number IS NULL) OR u.rows <> v.rows OR u.hash <> v.hash) ORDER BY q.name`, []any{id},
		func(scan func(...any) error) error {
			var q dataset.Partition
			err := scan(&q)
			out = append(out, q)
			return err
		})
	return out, err
}

// viewChanged marks what reads partitions that the pin's view and everybody's
// have different. A reader of what an input was at its close may read a third
// thing without the pin: then everything is looked at.
func (t *tx) viewChanged(e edge, input Dataset, p *dataset.Pin, what string) error {
	apart, err := t.apart(p.ID)
	if err != nil {
		return err
	}
	p.Apart = int64(len(apart))
	if e.stage.ID == 0 {
		return nil // set aside: it looks at everything when it comes back
	}
	why, err := t.addCause("pin", fmt.Sprintf(what, p.ID))
	if err != nil {
		return err
	}
	why.urgent = true
	if input.Spec.Grain == dataset.None && e.stage.Spec.Grain != dataset.None {
		return t.dirtyExisting(e.stage, why, "TRUE")
	}
	for i, name := range apart {
		q, err := t.partition(input, name)
		if err != nil {
			return err
		}
		switch {
		case e.window.Kind == dataset.All && i > 0: // all that exists or could is marked
			continue
		case e.window.Kind == dataset.All && e.stage.Spec.Grain != dataset.None:
			err = t.dirtyAnchored(e, q, why)
		default:
			err = t.dirtyThrough(e, q, why)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dirtyAnchored marks what exists of a stage, and what could: another view of an
// input that it reads all of may be the first that holds anything.
func (t *tx) dirtyAnchored(e edge, q partition, why cause) error {
	if err := t.dirtyThrough(e, q, why); err != nil {
		return err
	}
	names, err := t.anchored(e.stage, everything)
	if err != nil {
		return err
	}
	return t.markDirty(e.stage, names, why)
}

// Unpin removes a pin: the stage reads what everybody reads.
func (c *Catalog) Unpin(ctx context.Context, id int64, actor string) (p dataset.Pin, err error) {
	err = c.update(ctx, func(t *tx) error {
		found, err := t.pins("WHERE n.id = ?", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return &dataset.Refusal{Code: "unknown_pin", What: fmt.Sprintf("there is no pin %d", id), Fix: "see the numbers in `reedbed pin --list`"}
		}
		p = found[0]
		if err := t.removePin(&p); err != nil {
			return err
		}
		return t.audit(actor, "unpin", pinText(p))
	})
	return p, err
}

func (t *tx) removePin(p *dataset.Pin) error {
	var stageID, inputID int64
	if err := t.QueryRowContext(t.ctx, "SELECT stage_id, input_id FROM pins WHERE id = ?", p.ID).Scan(&stageID, &inputID); err != nil {
		return err
	}
	e, err := t.edgeOf(stageID, inputID)
	if err != nil {
		return err
	}
	row := t.QueryRowContext(t.ctx, "SELECT "+datasetColumns+" FROM datasets WHERE id = ?", inputID)
	input, err := scanDataset(row.Scan)
	if err != nil {
		return err
	}
	if err := t.viewChanged(e, input, p, "pin %d removed"); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM pins WHERE id = ?", p.ID); err != nil {
		return err
	}
	return t.thaw(input, pinView(p.ID))
}

// thaw removes a view, and what nobody else needs of what it pointed at.
func (t *tx) thaw(input Dataset, view string) error {
	type pointer struct {
		name    dataset.Partition
		version int64
	}
	var held []pointer
	err := t.each(`SELECT q.name, y.version FROM pointers y JOIN partitions q ON q.id = y.partition_id LEFT JOIN pointers x ON x.partition_id = q.id AND x.view = 'main'
		WHERE y.view = ? AND q.dataset_id = ? AND y.version <> COALESCE(x.version, 0)`, []any{view, input.ID}, func(scan func(...any) error) error {
		var p pointer
		err := scan(&p.name, &p.version)
		held = append(held, p)
		return err
	})
	if err != nil {
		return err
	}
	if err := t.exec("DELETE FROM pointers WHERE view = ?", view); err != nil {
		return err
	}
	for _, h := range held {
		q, err := t.partition(input, h.name)
		if err != nil {
			return err
		}
		if _, err := t.release(q.id, h.version); err != nil {
			return err
		}
		if err := t.forget(q, h.version, false); err != nil {
			return err
		}
	}
	return nil
}

// Pins lists the pins that stand, the oldest first.
func (c *Catalog) Pins(ctx context.Context) (out []dataset.Pin, err error) {
	err = c.view(ctx, func(t *tx) error {
		if out, err = t.pins(""); err != nil {
			return err
		}
		for i := range out {
			apart, err := t.apart(out[i].ID)
			if err != nil {
				return err
			}
			out[i].Apart = int64(len(apart))
		}
		return nil
	})
	return out, err
}

func (t *tx) pins(where string, args ...any) ([]dataset.Pin, error) {
	var out []dataset.Pin
	err := t.each(`SELECT n.id, s.name, i.name, n.name, n.reason, n.actor, n.created_at,
		COALESCE((SELECT y.version FROM partitions q JOIN pointers y ON y.partition_id = q.id AND y.view = 'pin ' || n.id WHERE q.dataset_id = n.input_id AND q.name = n.name), 0)
		FROM pins n JOIN datasets s ON s.id = n.stage_id JOIN datasets i ON i.id = n.input_id `+where+` ORDER BY n.id`, args, func(scan func(...any) error) error {
		var p dataset.Pin
		var at int64
		err := scan(&p.ID, &p.Stage, &p.Input, &p.Partition, &p.Reason, &p.Actor, &at, &p.Version)
		p.At = fromMicros(at)
		out = append(out, p)
		return err
	})
	return out, err
}

// throughPins is the SQL of the version of partition p, which is of an input, that
// a stage reads when number, with args, is what it reads without pins: what a pin's
// view points at, and 0, ABSENT, where all of the input is pinned and the view has
// no pointer. inputID 0 stands for all inputs.
func (t *tx) throughPins(stageID, inputID int64, number string, args []any) (string, []any, error) {
	pinned, err := t.isPinned(stageID, inputID)
	if err != nil || !pinned {
		return number, args, err
	}
	const pin = "FROM pins n WHERE n.stage_id = ? AND n.input_id = p.dataset_id"
	return `COALESCE((SELECT y.version FROM pointers y WHERE y.partition_id = p.id AND y.view IN (SELECT 'pin ' || n.id ` + pin + `)),
		(SELECT 0 ` + pin + ` AND n.name = ''), ` + number + `, 0)`, append([]any{stageID, stageID}, args...), nil
}

// isPinned reports whether a stage reads an input through a pin; inputID 0 stands
// for any.
func (t *tx) isPinned(stageID, inputID int64) (bool, error) {
	return recall(t.known.pinned, pinning{stageID, inputID}, func() (yes bool, err error) {
		err = t.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM pins WHERE stage_id = ?1 AND (?2 = 0 OR input_id = ?2))", stageID, inputID).Scan(&yes)
		return yes, err
	})
}

// pinnedReaders are the stages that read p through a pin.
func (t *tx) pinnedReaders(p partition) (map[int64]bool, error) {
	out := map[int64]bool{}
	err := t.each("SELECT stage_id FROM pins WHERE input_id = ? AND name IN ('', ?)", []any{p.dataset.ID, p.name}, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		out[id] = true
		return err
	})
	return out, err
}

// isHeld reports whether any view still points at a version.
func (t *tx) isHeld(partitionID, number int64) (yes bool, err error) {
	err = t.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM pointers WHERE partition_id = ? AND version = ?)", partitionID, number).Scan(&yes)
	return yes, err
}

// release dates the removal of the segments that only version number still holds
// by now: whoever found them a moment ago has the usual time to read them. It
// returns how many bytes they have.
func (t *tx) release(partitionID, number int64) (bytes int64, err error) {
	if err := t.bump(); err != nil {
		return 0, err
	}
	err = t.each(`UPDATE segments SET removed_at = ?1, removed_rev = ?2 WHERE partition_id = ?3 AND added_in <= ?4 AND removed_in > ?4
		AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.partition_id = ?3 AND v.number <> ?4 AND v.freed_at IS NULL
			AND v.number >= segments.added_in AND v.number < segments.removed_in) RETURNING bytes`, []any{t.now, t.revision, partitionID, number},
		func(scan func(...any) error) error {
			var n int64
			err := scan(&n)
			bytes += n
			return err
		})
	return bytes, err
}

func pinText(p dataset.Pin) string {
	return fmt.Sprintf("pin %d: %s reads %s as of %s: %s", p.ID, p.Stage, shownInput(p), p.At.Format(time.RFC3339), p.Reason)
}

// shownInput says what is pinned.
func shownInput(p dataset.Pin) string {
	switch {
	case p.Partition == "":
		return p.Input
	case p.Version == 0:
		return fmt.Sprintf("%s@%s as absent", p.Input, p.Partition)
	}
	return fmt.Sprintf("%s@%s in version %d", p.Input, p.Partition, p.Version)
}
