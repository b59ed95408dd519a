package converge

import (
	"context"

	"github.com/reedbed/reedbed/dataset"
)

// answerKnown settles the due tasks whose answer is on record, all in one
// commit, and returns those that must be computed. A definition that comes back,
// or an input that changed where nobody looks, costs so much less than a run.
func (c *Converger) answerKnown(ctx context.Context, due []dataset.Task) (rest []dataset.Task, answered int, err error) {
	var known []answer
	looked := map[place]int64{}
	for _, k := range due {
		here := place{k.Dataset, k.Partition}
		if c.busy(k) {
			rest = append(rest, k)
			continue // and is looked at when it is not
		}
		if c.looked[here] != k.Generation {
			a, err := c.look(ctx, k)
			if err == nil && a.known != "" && a.known != superseded {
				known = append(known, a)
				continue
			}
			// What went wrong is said when the task runs.
		}
		looked[here] = k.Generation
		rest = append(rest, k)
	}
	c.looked = looked
	return rest, len(known), c.commitKnown(ctx, known)
}

// commitKnown commits answers together; if that fails, one by one, so that only
// what is wrong fails.
func (c *Converger) commitKnown(ctx context.Context, known []answer) error {
	if len(known) == 0 {
		return nil
	}
	builds := make([]dataset.Build, len(known))
	for i, a := range known {
		builds[i] = a.build
	}
	if err := c.o.Catalog.CommitBuilds(ctx, builds); err != nil {
		if ctx.Err() != nil {
			return err
		}
		for _, a := range known {
			c.perform(ctx, a.build.Task)
		}
		return nil
	}
	for _, a := range known {
		c.metrics.observe(a.build.Task.Dataset, a.known, nil, 0)
	}
	return nil
}

// busy reports whether a task, or what it reads, is being computed, or nobody
// computes it any more.
func (c *Converger) busy(k dataset.Task) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, runs := c.running[place{k.Dataset, k.Partition}]
	return runs || c.stages[k.Dataset] == nil || c.blocked(k)
}
