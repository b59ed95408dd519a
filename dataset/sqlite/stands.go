package sqlite

import (
	"bytes"
	"context"

	"github.com/reedbed/reedbed/dataset"
)

// Stands reports whether the promoted version of a partition stands under the
// trace key it would get now from a definition, and returns that key. It answers
// no wherever only Inputs can tell. However long the windows are, it costs what
// their edges hold.
func (c *Catalog) Stands(ctx context.Context, stage string, p dataset.Partition, identity []byte) (key []byte, yes bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		own, err := t.partitionOf(stage, p)
		if err != nil || own.id == 0 {
			return err
		}
		edges, err := t.edgesOf(own.dataset.ID)
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

// recheckWhole checks the only partition of a stage that is not cut. It reads all
// there is.
func (t *tx) recheckWhole(plan recheck, s rechecked, out *Rechecked) error {
	p, err := t.partition(s.stage, dataset.Whole)
	if err != nil {
		return err
	}
	stands, err := t.standing(p)
	if err != nil {
		return err
	}
	var reads []dataset.Read
	for i, e := range s.edges {
		reads = append(reads, dataset.Read{Input: e.input, Sum: plan.totals[s.inputs[i]]})
	}
	var key []byte
	if timed, some := anyTimed(s.edges, reads); some || !timed {
		key = dataset.TraceKey(s.stage.Spec.Name, p.name, s.identity, reads)
	}
	return t.note(out, s.stage, p.name, stands, key)
}
