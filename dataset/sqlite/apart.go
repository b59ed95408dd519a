package sqlite

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/reedbed/reedbed/dataset"
)

// A version that breaks the contract of one reader goes to all the others. That
// one is kept apart by a pin that nobody set: it goes on reading the last version
// that was good for it. The first version that is good for it again takes the pin
// away. A pin that a person set stands above this.

// keepApart pins the stages for which the outcome of b is held to what they read
// now. It comes before readers are moved, so that this is still there.
func (t *tx) keepApart(p partition, before pair, b dataset.Build) error {
	if b.Verdict == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(b.Verdict.For)) {
		reader, err := t.dataset(name)
		if errors.Is(err, ErrNoDataset) {
			continue // set aside since the version was judged
		}
		if err != nil {
			return err
		}
		e, err := t.edgeOf(reader.ID, p.dataset.ID)
		if err != nil {
			return err
		}
		pinned, err := t.pins("WHERE n.stage_id = ? AND n.input_id = ? AND n.name IN ('', ?)", reader.ID, p.dataset.ID, p.name)
		if err != nil {
			return err
		}
		if e.stage.ID == 0 || len(pinned) > 0 {
			continue
		}
		id, err := t.insertID("INSERT INTO pins (stage_id, input_id, name, reason, actor, created_at, automatic) VALUES (?,?,?,?,?,?,1)",
			reader.ID, p.dataset.ID, p.name, b.Verdict.For[name][0].What, b.Verdict.For[name][0].Contract, t.now)
		if err != nil {
			return err
		}
		version, err := t.goodFor(name, p, before, b)
		if err != nil {
			return err
		}
		if err := t.setPointer(&p, pinView(id), version); err != nil {
			return err
		}
		if version == before.output.Version && version != 0 {
			continue
		}
		why, err := t.because(dataset.ByHold, dataset.Facts{Dataset: p.dataset.Spec.Name, Partition: p.name}, nil)
		if err != nil {
			return err
		}
		if err := t.dirtyThrough(e, p, why); err != nil { // it reads something else now, or nothing, which is to be known
			return err
		}
	}
	return nil
}

// goodFor is the last version of p that was good for a stage, 0 for none: what
// readers see, unless that is what b is about.
func (t *tx) goodFor(stage string, p partition, before pair, b dataset.Build) (version int64, err error) {
	same, err := t.isAbout(p, before, b)
	if err != nil || !same {
		return before.output.Version, err
	}
	good, err := t.lastGood(p, before.output.Version, "AND json_extract(w.detail, '$.for.' || ?3) IS NULL", stage)
	return good.output, err
}

// isAbout reports whether the outcome of b is what readers see.
func (t *tx) isAbout(p partition, before pair, b dataset.Build) (bool, error) {
	if b.Content == nil {
		found, ok, err := t.trace(p.id, b.FoundKey())
		return ok && found.output == before.output.Version, err
	}
	v, err := t.newVersion(before, b)
	v.take(*b.Content)
	return sameContent(before.output, v), err
}

// rejoin lets the stages for which the outcome of b is good read what everybody
// reads.
func (t *tx) rejoin(p partition, b dataset.Build) error {
	pinned, err := t.pins("WHERE n.input_id = ? AND n.name = ? AND n.automatic = 1", p.dataset.ID, p.name)
	if err != nil {
		return err
	}
	for _, x := range pinned {
		if b.Verdict != nil && b.Verdict.For[x.Stage] != nil {
			continue
		}
		if err := t.removePin(&x); err != nil {
			return err
		}
	}
	return nil
}

// approveFor lets one stage read what is held for it alone.
func (t *tx) approveFor(p partition, a dataset.Approval) (h dataset.Hold, err error) {
	all, err := t.holdsApart(-1)
	if err != nil {
		return h, err
	}
	i := slices.IndexFunc(all, func(h dataset.Hold) bool {
		return h.Dataset == p.dataset.Spec.Name && h.Partition == p.name && h.For == a.For
	})
	if i < 0 {
		return h, &dataset.Refusal{
			Code: "not_held", What: fmt.Sprintf("nothing of %s@%s is held for %s", p.dataset.Spec.Name, p.name, a.For), Fix: "see what is held, and for whom: reedbed status",
		}
	}
	h = all[i]
	v, judged, err := t.verdict(p.id, h.Version)
	if err != nil {
		return h, err
	}
	if delete(v.For, a.For); judged {
		if err := t.writeVerdict(p.id, h.Version, v); err != nil {
			return h, err
		}
	}
	if err := t.rejoin(p, dataset.Build{Verdict: &v}); err != nil {
		return h, err
	}
	return h, t.audit(a.Actor, "approve", fmt.Sprintf("%s@%s version %d for %s: %s", h.Dataset, h.Partition, h.Version, a.For, a.Reason))
}

// holdsApart lists what is held for single readers, limit of them; -1: all.
func (t *tx) holdsApart(limit int) (out []dataset.Hold, err error) {
	var causes []int64
	err = t.each(`SELECT i.name, n.name, i.owner, s.name, n.created_at, COALESCE(x.version, 0), y.version, COALESCE(w.detail, '{}'), COALESCE(v.cause_id, 0) FROM pins n
		JOIN datasets s ON s.id = n.stage_id JOIN datasets i ON i.id = n.input_id JOIN partitions p ON p.dataset_id = i.id AND p.name = n.name
		JOIN pointers y ON y.partition_id = p.id AND y.view = 'pin ' || n.id
		LEFT JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' LEFT JOIN verdicts w ON w.partition_id = p.id AND w.version = x.version
		LEFT JOIN versions v ON v.partition_id = p.id AND v.number = x.version
		WHERE n.automatic = 1 ORDER BY n.id LIMIT ?`, []any{limit}, func(scan func(...any) error) error {
		var h dataset.Hold
		var since, cause int64
		var detail string
		if err := scan(&h.Dataset, &h.Partition, &h.Owner, &h.For, &since, &h.Version, &h.Reads, &detail, &cause); err != nil {
			return err
		}
		var v dataset.Verdict
		err := json.Unmarshal([]byte(detail), &v)
		h.Since, h.Broken = fromMicros(since), v.For[h.For]
		out, causes = append(out, h), append(causes, cause)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, t.accountFor(out, causes)
}
