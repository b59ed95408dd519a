package converge

import (
	"context"

	"github.com/reedbed/reedbed/dataset"
)

// look is what came of looking at a task that must be computed.
type look struct {
	generation int64
	found      *answer // nil if it is not worth keeping
}

// answerKnown settles the due tasks whose answer is on record, all in one
// commit, and returns those that must be computed. A definition that comes back,
// or an input that changed where nobody looks, costs so much less than a run.
func (c *Converger) answerKnown(ctx context.Context, due []dataset.Task) (rest []dataset.Task, answered int, err error) {
	var known []answer
	looks := map[place]look{}
	for _, k := range due {
		here := place{k.Dataset, k.Partition}
		if c.underWay(k) {
			rest = append(rest, k)
			continue // and is looked at when it is not
		}
		now := c.looked[here]
		if now.generation != k.Generation {
			now = look{generation: k.Generation}
			a, err := c.look(ctx, k)
			if err == nil && a.known != "" && a.known != superseded {
				known = append(known, a)
				continue
			}
			// What went wrong is said when the task runs.
			if err == nil && a.known == "" && a.small() {
				now.found = &a
			}
		}
		looks[here] = now
		rest = append(rest, k)
	}
	c.looked = looks
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
			c.perform(ctx, todo{Task: a.build.Task})
		}
		return nil
	}
	for _, a := range known {
		c.metrics.observe(a.build.Task.Dataset, a.known, nil, 0)
	}
	return nil
}

// underWay reports whether a task, or what it reads, is being computed, or nobody
// computes it any more.
func (c *Converger) underWay(k dataset.Task) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, runs := c.running[place{k.Dataset, k.Partition}]
	return runs || c.stages[k.Dataset] == nil || c.blocked(k)
}
