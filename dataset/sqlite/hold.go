package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/reedbed/reedbed/dataset"
)

// A version that its gate holds is on record like any other: with its trace, so
// that it is not computed again, and with its verdict. Only the view `held` of
// its partition points at it, which nobody reads and garbage collection respects.
// When the partition's trace key or its contract changes, it is looked at again,
// and what passes takes the pointer away.

// Judged returns what is on record of the version that stands under a trace key;
// Version 0 if there is none.
func (c *Catalog) Judged(ctx context.Context, stage string, p dataset.Partition, key []byte) (out dataset.Judgement, err error) {
	err = c.view(ctx, func(t *tx) error {
		own, err := t.partitionOf(stage, p)
		if err != nil || own.id == 0 {
			return err
		}
		found, ok, err := t.trace(own.id, key)
		if err != nil || !ok {
			return err
		}
		out, err = t.judgement(own.id, found)
		out.Dataset, out.Partition = stage, p
		return err
	})
	return out, err
}

func (t *tx) judgement(partitionID int64, found trace) (out dataset.Judgement, err error) {
	out.Version = found.output
	var hash []byte
	if out.Verdict, out.Judged, err = t.verdict(partitionID, found.output); err != nil {
		return out, err
	}
	err = t.QueryRowContext(t.ctx, "SELECT rows, hash, fingerprint FROM versions WHERE partition_id = ? AND number = ?", partitionID, found.output).
		Scan(&out.Rows, &hash, &out.Fingerprint)
	out.Hash = dataset.HashFromBytes(hash)
	if err != nil || found.rejected == 0 {
		return out, err
	}
	return out, t.QueryRowContext(t.ctx, "SELECT rows FROM versions WHERE partition_id = ("+refusedWith+") AND number = ?", partitionID, found.rejected).Scan(&out.Rejected)
}

func (t *tx) verdict(partitionID, version int64) (v dataset.Verdict, judged bool, err error) {
	var detail string
	err = t.QueryRowContext(t.ctx, "SELECT judged_by, detail FROM verdicts WHERE partition_id = ? AND version = ?", partitionID, version).Scan(&v.By, &detail)
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	if err != nil {
		return v, false, err
	}
	return v, true, json.Unmarshal([]byte(detail), &v)
}

func (t *tx) writeVerdict(partitionID, version int64, v dataset.Verdict) error {
	detail, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO verdicts (partition_id, version, judged_by, detail, judged_at) VALUES (?,?,?,?,?)
		ON CONFLICT (partition_id, version) DO UPDATE SET judged_by = excluded.judged_by, detail = excluded.detail, judged_at = excluded.judged_at`,
		partitionID, version, v.By, string(detail), t.now)
}

// HeldInputs returns what a partition of a stage would read if it were not held,
// for everybody or for this stage, so that there is nothing of it to be read.
func (c *Catalog) HeldInputs(ctx context.Context, stage string, p dataset.Partition) (held []dataset.Promoted, err error) {
	err = c.view(ctx, func(t *tx) error {
		var some bool // almost never
		if err := t.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pointers WHERE view = 'held') OR EXISTS (SELECT 1 FROM pins WHERE automatic = 1)").Scan(&some); err != nil || !some {
			return err
		}
		own, err := t.partitionOf(stage, p)
		if err != nil {
			return err
		}
		held, err = t.heldInputs(own)
		return err
	})
	return held, err
}

// What reader ?1 would read between ?2 and ?3, or of all time if ?4, were it not
// held: for everybody, or for this reader. Both begin with what is held, of which
// there is little.
const (
	inReach = `(?4 OR e.kind <> 'span' OR p.starts < ?3 + e.hi AND p.ends > ?2 + e.lo)`

	heldForAll = `SELECT i.name, p.name FROM pointers h INDEXED BY pointers_held CROSS JOIN partitions p ON p.id = h.partition_id
		CROSS JOIN edges e ON e.dataset_id = ?1 AND e.producer_id = p.dataset_id JOIN datasets i ON i.id = e.input_id
		WHERE h.view = 'held' AND ` + inReach + `
		AND NOT EXISTS (SELECT 1 FROM pointers x WHERE x.partition_id = p.id AND x.view = 'main')
		AND NOT EXISTS (SELECT 1 FROM pins n WHERE n.stage_id = ?1 AND n.input_id = i.id AND n.name IN ('', p.name))`

	heldForReader = `SELECT i.name, p.name FROM pins n CROSS JOIN edges e ON e.dataset_id = n.stage_id AND e.input_id = n.input_id JOIN datasets i ON i.id = n.input_id
		JOIN partitions p ON p.dataset_id = n.input_id AND p.name = n.name JOIN pointers y ON y.partition_id = p.id AND y.view = 'pin ' || n.id
		WHERE n.stage_id = ?1 AND n.automatic = 1 AND y.version = 0 AND ` + inReach
)

func (t *tx) heldInputs(own partition) (held []dataset.Promoted, err error) {
	starts, ends := micros(own.name.Start()), micros(own.name.End())
	err = t.each(heldForAll+" UNION "+heldForReader+" ORDER BY 1, 2", []any{own.dataset.ID, starts, ends, own.name == dataset.Whole},
		func(scan func(...any) error) error {
			var q dataset.Promoted
			err := scan(&q.Dataset, &q.Partition)
			held = append(held, q)
			return err
		})
	return held, err
}

// Beside returns what everybody reads of a dataset in the time of a partition; all
// of it, if either is not cut.
func (c *Catalog) Beside(ctx context.Context, name string, p dataset.Partition) (out []dataset.Promoted, err error) {
	err = c.view(ctx, func(t *tx) error {
		starts, ends := micros(p.Start()), micros(p.End())
		return t.each(`SELECT p.name, v.number, v.rows, v.hash FROM datasets d JOIN partitions p ON p.dataset_id = d.id`+everybodys+
			`WHERE d.name = ?1 AND (?2 OR p.ends = 0 OR p.starts < ?4 AND p.ends > ?3) ORDER BY p.name`, []any{name, p == dataset.Whole, starts, ends},
			func(scan func(...any) error) error {
				q, err := scanPromoted(name, scan)
				out = append(out, q)
				return err
			})
	})
	return out, err
}

// hold keeps the outcome of b from readers. What they see stays, unless it is the
// very version that is held now: then they go back to the last one that passed.
func (t *tx) hold(p *partition, before pair, b dataset.Build, why sql.NullInt64) error {
	found, err := t.withheld(p, before, b, why)
	if err != nil {
		return err
	}
	if err := t.writeVerdict(p.id, found.output, b.HeldVerdict()); err != nil {
		return err
	}
	if err := t.setPointer(p, "held", found.output); err != nil || found.output == 0 {
		return err
	}
	if err := t.fingerprinted(p.id, found.output, b.Fingerprint); err != nil {
		return err
	}
	if err := t.traced(p, found, b); err != nil {
		return err
	}
	if found.rejected != 0 {
		if before.refused, err = t.ensurePartition(before.refused.dataset, p.name); err != nil {
			return err
		}
		if err := t.setPointer(&before.refused, "held", found.rejected); err != nil {
			return err
		}
	}
	if before.output.Version != found.output {
		return nil
	}
	return t.withdraw(p, before)
}

// keepBack holds the outcome of b. Readers notice if what they saw is what is held
// now, or if there is nothing else that they could see.
func (t *tx) keepBack(p *partition, before pair, b dataset.Build, why sql.NullInt64) error {
	held, err := t.isHoldOn(p.id)
	if err != nil {
		return err
	}
	if err := t.hold(p, before, b, why); err != nil {
		return err
	}
	after, err := t.pair(*p)
	if err != nil {
		return err
	}
	if err := t.conclude(*p, before, after, b, why); err != nil {
		return err
	}
	if !held && before.output.Version == 0 {
		return t.tellReaders(*p, dataset.ByHold, why)
	}
	if err := t.spread(*p, before.output, after.output, b.Task); err != nil {
		return err
	}
	return t.spread(after.refused, before.rejected, after.rejected, b.Task)
}

// tellReaders marks what reads p, of which there is nothing to be seen.
func (t *tx) tellReaders(p partition, kind dataset.CauseKind, parent sql.NullInt64) error {
	why, err := t.because(kind, dataset.Facts{Dataset: p.dataset.Spec.Name, Partition: p.name}, parent)
	if err != nil {
		return err
	}
	why.staged = p.dataset.Release != ""
	return t.dirtyReaders(p, why)
}

// pass keeps what the gate said of what readers see now, and lets go of what was
// held. Who waited for that hears of it even if nothing came of it.
func (t *tx) pass(p partition, after pair, b dataset.Build, why sql.NullInt64) error {
	if err := t.fingerprinted(p.id, after.output.Version, b.Fingerprint); err != nil {
		return err
	}
	if b.Verdict != nil && after.output.Version != 0 {
		if err := t.writeVerdict(p.id, after.output.Version, *b.Verdict); err != nil {
			return err
		}
	}
	if err := t.rejoin(p, b); err != nil {
		return err
	}
	was, err := t.letGo(p, after.refused)
	if err != nil || !was {
		return err
	}
	if after.output.Version == 0 {
		if err := t.tellReaders(p, dataset.ByPromotion, why); err != nil {
			return err
		}
	}
	if after.refuses && after.rejected.Version == 0 {
		after.refused.name = p.name
		return t.tellReaders(after.refused, dataset.ByPromotion, why)
	}
	return nil
}

// isHoldOn reports whether a partition is held, or waits for what is.
func (t *tx) isHoldOn(partitionID int64) (yes bool, err error) {
	err = t.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM pointers WHERE partition_id = ? AND view = 'held')", partitionID).Scan(&yes)
	return yes, err
}

// withheld returns the versions that b holds, those it computed among them.
func (t *tx) withheld(p *partition, before pair, b dataset.Build, why sql.NullInt64) (found trace, err error) {
	switch {
	case len(b.Waits) > 0:
		return found, nil
	case b.Content != nil:
		return t.addHeld(p, before, b, why)
	}
	found, ok, err := t.trace(p.id, b.FoundKey())
	if err == nil && !ok {
		err = errors.New("what was to be held is no longer on record")
	}
	return found, err
}

// addHeld writes computed content as versions that nobody is sent to. Content
// equal to what is promoted is what is promoted.
func (t *tx) addHeld(p *partition, before pair, b dataset.Build, why sql.NullInt64) (found trace, err error) {
	v, err := t.newVersion(before, b)
	if err != nil {
		return found, err
	}
	v.held = true
	found.rejected = before.rejected.Version
	r := v
	if refused := b.Content.Rejected; refused != nil {
		r.add = []dataset.NewSegment{*refused}
	} else if !v.grows {
		found.rejected = 0
	}
	if before.refuses && len(r.add) > 0 && !sameContent(before.rejected, r) {
		q, err := t.ensurePartition(before.refused.dataset, p.name)
		if err != nil {
			return found, err
		}
		if err := t.addVersion(&q, r); err != nil {
			return found, err
		}
		found.rejected = q.lastVersion
	}
	v.take(*b.Content)
	if before.output.Version != 0 && sameContent(before.output, v) {
		found.output = before.output.Version
		return found, nil
	}
	if err := t.addVersion(p, v); err != nil {
		return found, err
	}
	found.output = p.lastVersion
	if why.Valid {
		err = t.credit(p.id, found.output, why.Int64)
	}
	return found, err
}

// fingerprinted keeps the statistics of a version.
func (t *tx) fingerprinted(partitionID, number int64, fingerprint []byte) error {
	if fingerprint == nil || number == 0 {
		return nil
	}
	return t.exec("UPDATE versions SET fingerprint = ? WHERE partition_id = ? AND number = ?", fingerprint, partitionID, number)
}

// lastGood returns the newest version of p before one that its gate let pass, with
// what was refused then; zero if there is none. and narrows it down, with ?3.
func (t *tx) lastGood(p partition, before int64, and string, args ...any) (good trace, err error) {
	err = t.QueryRowContext(t.ctx, `SELECT t.version, COALESCE(t.rejected_version, 0) FROM traces t JOIN verdicts w ON w.partition_id = t.partition_id AND w.version = t.version
		WHERE t.partition_id = ?1 AND t.version < ?2 AND `+usable+` AND NOT EXISTS (SELECT 1 FROM json_each(w.detail, '$.broken') b WHERE b.value ->> '$.warning' IS NULL)
		`+and+` ORDER BY t.version DESC LIMIT 1`, append([]any{p.id, before}, args...)...).Scan(&good.output, &good.rejected)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return good, err
}

// withdraw sends readers from the promoted version of p back to the newest
// earlier one that its gate let pass, or to none.
func (t *tx) withdraw(p *partition, before pair) error {
	good, err := t.lastGood(*p, before.output.Version, "")
	if err != nil {
		return err
	}
	if err := t.point(p, good.output); err != nil {
		return err
	}
	if err := t.recordReads(p.id, nil); err != nil { // of what they see now it is not known any more
		return err
	}
	if before.rejected.Version == good.rejected {
		return nil
	}
	return t.point(&before.refused, good.rejected)
}

// letGo takes the hold off a partition that is looked at again and passes, and
// reports whether there was one.
func (t *tx) letGo(p, refused partition) (was bool, err error) {
	for _, id := range []int64{p.id, refused.id} {
		done, err := t.execOne("DELETE FROM pointers WHERE partition_id = ? AND view = 'held'", id)
		if err != nil {
			return false, err
		}
		was = was || done
	}
	if !was {
		return false, nil
	}
	return true, t.exec("DELETE FROM verdicts WHERE partition_id = ? AND version = 0", p.id)
}

// Approve lets the held version of a partition pass, whatever its contract says,
// and makes the partition due; or what is held for one stage, which then reads it. A
// later version is judged by itself.
func (c *Catalog) Approve(ctx context.Context, ref dataset.Reference, a dataset.Approval) (h dataset.Hold, err error) {
	err = c.update(ctx, func(t *tx) error {
		p, err := t.asked(ref.Dataset, ref.Partition)
		if err != nil {
			return err
		}
		if a.For != "" {
			h, err = t.approveFor(p, a)
			return err
		}
		if h, err = t.holdOf(p); err != nil {
			return err
		}
		if h.Version == 0 {
			return t.refuseApproval(p, h)
		}
		v, _, err := t.verdict(p.id, h.Version)
		if err != nil {
			return err
		}
		a.At = fromMicros(t.now)
		v.Approved = &a
		if err := t.writeVerdict(p.id, h.Version, v); err != nil {
			return err
		}
		why, err := t.addCause(string(dataset.ByApproval), fmt.Sprintf("%s approved version %d: %s", a.Actor, h.Version, a.Reason))
		if err != nil {
			return err
		}
		why.urgent = true
		if err := t.markDirty(p.dataset, []dataset.Partition{p.name}, why); err != nil {
			return err
		}
		return t.audit(a.Actor, "approve", fmt.Sprintf("%s@%s version %d: %s", h.Dataset, h.Partition, h.Version, a.Reason))
	})
	return h, err
}

func (t *tx) refuseApproval(p partition, h dataset.Hold) error {
	shown := fmt.Sprintf("%s@%s", p.dataset.Spec.Name, p.name)
	if !h.Since.IsZero() {
		return &dataset.Refusal{Code: "waits", What: fmt.Sprintf("%s has no version that is held: %s", shown, h.Words()), Fix: "approve what it waits for"}
	}
	return &dataset.Refusal{Code: "not_held", What: "nothing of " + shown + " is held for everybody", Fix: "see what is held, and for whom: reedbed status"}
}

// holding are the held pointers h that count: of stages at work, not of the rows
// that these refused.
const holding = "h.view = 'held' AND d.kind = 'stage' AND d.retired_at IS NULL AND d.paused = 0"

func (t *tx) holds(where string, args ...any) (out []dataset.Hold, err error) {
	var causes []int64
	err = t.each(`SELECT d.name, p.name, d.owner, h.version, COALESCE(x.version, 0), h.promoted_at, COALESCE(w.detail, '{}'), COALESCE(v.cause_id, p.outcome_cause, 0) FROM pointers h
		JOIN partitions p ON p.id = h.partition_id JOIN datasets d ON d.id = p.dataset_id
		LEFT JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' LEFT JOIN verdicts w ON w.partition_id = p.id AND w.version = h.version
		LEFT JOIN versions v ON v.partition_id = p.id AND v.number = h.version
		WHERE `+holding+` AND `+where, args, func(scan func(...any) error) error {
		var h dataset.Hold
		var since, cause int64
		var detail string
		if err := scan(&h.Dataset, &h.Partition, &h.Owner, &h.Version, &h.Reads, &since, &detail, &cause); err != nil {
			return err
		}
		var v dataset.Verdict
		err := json.Unmarshal([]byte(detail), &v)
		h.Since, h.Broken = fromMicros(since), v.Broken
		out, causes = append(out, h), append(causes, cause)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, t.accountFor(out, causes)
}

// accountFor adds the chains of causes to what is held.
func (t *tx) accountFor(holds []dataset.Hold, causes []int64) (err error) {
	for i := range holds {
		if holds[i].Causes, err = t.chain(causes[i]); err != nil {
			return err
		}
	}
	return nil
}

// holdOf is how p is held; all zero but the names if it is not.
func (t *tx) holdOf(p partition) (dataset.Hold, error) {
	found, err := t.holds("p.id = ?", p.id)
	if err != nil || len(found) == 0 {
		return dataset.Hold{Dataset: p.dataset.Spec.Name, Partition: p.name}, err
	}
	return found[0], nil
}
