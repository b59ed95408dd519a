package sqlite

import (
	"context"
	"errors"

	"github.com/reedbed/reedbed/dataset"
)

// InputsThrough resolves what a partition would read through the given edges, as
// Inputs does through those that are deployed. An input that is not on record is
// ABSENT. Of the inputs that are not cut by time, follows has those of which the
// partition would read a version that is promoted from now on: not what is pinned,
// nor what it reads as of its close.
func (c *Catalog) InputsThrough(ctx context.Context, stage string, edges []dataset.Edge, p dataset.Partition) (out []dataset.Promoted, follows map[string]bool, err error) {
	follows = map[string]bool{}
	err = c.view(ctx, func(t *tx) error {
		own, err := t.partitionOf(stage, p)
		if err != nil {
			return err
		}
		for _, e := range edges {
			in, err := t.dataset(e.Input)
			if errors.Is(err, ErrNoDataset) {
				out, follows[e.Input] = append(out, dataset.Promoted{Dataset: e.Input}), true
				continue
			}
			if err != nil {
				return err
			}
			read, err := t.readThrough(in, e.Window, own)
			if err != nil {
				return err
			}
			out = append(out, read...)
			if follows[e.Input], err = t.follows(own, e, read); err != nil {
				return err
			}
		}
		return nil
	})
	return out, follows, err
}

// follows reports whether p would read a later version of an input than the one
// it was found to read.
func (t *tx) follows(p partition, e dataset.Edge, found []dataset.Promoted) (bool, error) {
	pinned, err := t.readsPinned(p.dataset.ID, e)
	first := len(found) == 1 && found[0].Version == 0 // which is what a partition reads that closed before it
	return !pinned && (!p.closed || e.Window.Follows(p.name) || first), err
}
