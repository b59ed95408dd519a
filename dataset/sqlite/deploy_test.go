package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

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
		return t.findAncestors()
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

// BenchmarkApply deploys another definition of a stage with many partitions.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			c, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "catalog.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			if err := c.EnsureDataset(b.Context(), dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour}, 0); err != nil {
				b.Fatal(err)
			}
			big(b, c, n)
			s := stageOver("s", dataset.Raw, "same", dataset.Hour, 1)
			for i := 0; b.Loop(); i++ {
				s.CodeIdentity = fmt.Append(nil, "code ", i)
				a := dataset.Application{Action: dataset.Apply, Stages: []dataset.Deployment{s, stageOver("day", "s", "-27d..0d", dataset.Day, 2)}}
				if _, err := c.Apply(b.Context(), a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
