package sqlite

import (
	"bytes"
	"context"
	"slices"

	"github.com/reedbed/reedbed/dataset"
)

// Stands reports whether the promoted version of a partition stands under the
// trace key it would get now from a definition, and returns that key. It answers
// no wherever only Inputs can tell. However long the windows are, it costs what
// their edges hold.
func (c *Catalog) Stands(ctx context.Context, stage string, p dataset.Partition, identity []byte) (key []byte, yes bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		d, err := t.dataset(stage)
		if err != nil {
			return err
		}
		own, err := t.partition(d, p)
		if err != nil || own.id == 0 {
			return err
		}
		edges, err := t.edgesOf(d.ID)
		if err != nil {
			return err
		}
		reads, plain, err := t.readSums(own, edges)
		if err != nil || !plain {
			return err
		}
		if timed, some := anyTimed(edges, reads); timed && !some {
			return nil
		}
		if anchored, err := t.isAnchored(own); err != nil || !anchored {
			return err
		}
		standing, err := t.standing(own)
		key = dataset.TraceKey(stage, p, identity, reads)
		yes = bytes.Equal(key, standing)
		return err
	})
	return key, yes, err
}

// slides reports whether what the partitions of a stage read follows from the
// time they are in. Else each must be asked.
func (s rechecked) slides() bool { return s.stage.Spec.Grain != dataset.None && !s.listed() }

// listed reports whether what a partition reads must be listed.
func (s rechecked) listed() bool {
	return slices.ContainsFunc(s.edges, func(e reading) bool { return e.special || e.window.Dated() })
}

// everyName lists the partitions of a stage that there are or that there might be.
func (t *tx) everyName(stage Dataset) ([]dataset.Partition, error) {
	if stage.Spec.Grain == dataset.None {
		return []dataset.Partition{dataset.Whole}, nil
	}
	all, err := t.anchored(stage, everything)
	if err != nil {
		return nil, err
	}
	err = t.each("SELECT name FROM partitions WHERE dataset_id = ?", []any{stage.ID}, func(scan func(...any) error) error {
		var name dataset.Partition
		err := scan(&name)
		all = append(all, name)
		return err
	})
	slices.Sort(all)
	return slices.Compact(all), err
}

// recheckEach checks partitions of a stage by asking each what it reads.
func (t *tx) recheckEach(plan recheck, s rechecked, names []dataset.Partition, out *Rechecked) error {
	for _, name := range names {
		p, err := t.partition(s.stage, name)
		if err != nil {
			return err
		}
		stands, err := t.standing(p)
		if err != nil {
			return err
		}
		key, err := t.keyAnew(plan, s, p)
		if err != nil {
			return err
		}
		if err := t.note(out, s.stage, name, stands, key); err != nil {
			return err
		}
	}
	return nil
}

// keyAnew is the trace key a partition would get, worked out without any sum on
// record; nil if it should not exist.
func (t *tx) keyAnew(plan recheck, s rechecked, p partition) ([]byte, error) {
	anchored, err := t.isAnchored(p)
	if err != nil || !anchored {
		return nil, err
	}
	var reads []dataset.Read
	if s.listed() {
		inputs, err := t.inputs(p)
		if err != nil {
			return nil, err
		}
		reads = dataset.Reads(inputs)
	} else { // a stage that is not cut reads all there is
		for _, e := range s.edges {
			reads = append(reads, dataset.Read{Input: e.input, Sum: plan.totals[e.inputID]})
		}
	}
	if timed, some := anyTimed(s.edges, reads); timed && !some {
		return nil, nil
	}
	return dataset.TraceKey(s.stage.Spec.Name, p.name, s.identity, reads), nil
}
