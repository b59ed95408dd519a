package sqlite

import (
	"context"

	"github.com/reedbed/reedbed/dataset"
)

// Deploy puts stages to work as Apply does, without a record of it, and leaves
// side inputs alone.
func (c *Catalog) Deploy(ctx context.Context, stages []dataset.Deployment, paused []string) (changed []string, err error) {
	err = c.update(ctx, func(t *tx) error {
		if err := t.setAside(stages, paused); err != nil {
			return err
		}
		for _, s := range stages {
			isNew, err := t.deploy(s)
			if err != nil {
				return err
			}
			if isNew {
				changed = append(changed, s.Spec.Name)
			}
		}
		return nil
	})
	return changed, err
}

// CommitSide promotes content of one side input.
func (c *Catalog) CommitSide(ctx context.Context, s dataset.Spec, detail string, segment dataset.NewSegment) (changed bool, err error) {
	err = c.update(ctx, func(t *tx) error {
		_, err := t.applySide(dataset.SideInput{Spec: s, File: detail, Segment: &segment})
		return err
	})
	return err == nil, err
}
