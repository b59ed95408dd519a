package converge

import (
	"context"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// A worker is given small partitions of one stage's history together, as one
// batch, so that it opens the stage's inputs once and owners take turns by work
// and not by partitions. They are still computed and committed one after the
// other: a kill repeats what each worker had under way, which is one partition.
const (
	batchCost = 200 * time.Millisecond // what a batch may be expected to take
	smallCost = 50 * time.Millisecond  // what one partition in it may
	fewInputs = 64                     // partitions that a small one may read
	batchSize = 32
)

// batch is work for one worker, of one stage.
type batch struct {
	tasks []todo
	cost  time.Duration // expected of all together
}

// todo is a task with what is known of it.
type todo struct {
	dataset.Task
	found *answer // as it was when somebody looked, nil if nobody did or it is not small
}

// expected is what computing an answer may take: what it took last time, else a
// guess from what it reads.
func (a *answer) expected() time.Duration {
	if a.prior.LastCPU > 0 {
		return a.prior.LastCPU
	}
	guess := 5 * time.Millisecond
	for _, q := range a.build.Inputs {
		guess += time.Duration(q.Rows) * time.Microsecond
	}
	return guess
}

// small reports whether an answer is worth keeping, and its task may share a batch.
func (a *answer) small() bool {
	return len(a.build.Inputs) <= fewInputs && a.expected() <= smallCost
}

// choose takes as much due work as there are free workers, and none that reads
// what a running task is about to change. The rest stays listed. Live work and
// what failed before is given to a worker alone.
func (c *Converger) choose(due []dataset.Task) []*batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	var chosen []*batch
	var rest []dataset.Task
	growing := map[string]*batch{} // by stage
	share := min(batchSize, max(1, len(due)/c.o.Workers))
	for _, k := range due {
		here := place{k.Dataset, k.Partition}
		if _, runs := c.running[here]; runs || c.stages[k.Dataset] == nil {
			continue
		}
		t := todo{Task: k}
		if k.Attempts == 0 { // else what was found may be what is wrong
			t.found = c.looked[here].found
		}
		shared := t.found != nil && !k.Live
		b := growing[k.Dataset]
		joins := b != nil && shared && len(b.tasks) < share && b.cost+t.found.expected() <= batchCost
		if !joins && c.busy >= c.o.Workers || c.blocked(k) {
			rest = append(rest, k)
			continue
		}
		if !joins {
			b = &batch{}
			chosen = append(chosen, b)
			c.busy++
			c.turn = k.Owner
			if shared {
				growing[k.Dataset] = b
			}
		}
		b.tasks = append(b.tasks, t)
		if shared {
			b.cost += t.found.expected()
		}
		c.running[here] = k
	}
	c.listed = rest
	return chosen
}

// work runs a batch. What is no longer due, or came to read what runs by now, is
// left for another list.
func (c *Converger) work(ctx context.Context, b *batch) {
	defer c.free()
	for i, t := range b.tasks {
		if i > 0 && (ctx.Err() != nil || c.waits(t.Task)) || !c.stands(ctx, &t) {
			c.finished(t.Task)
			continue
		}
		c.perform(ctx, t)
	}
}

// waits is blocked, for a task that was chosen and has not begun.
func (c *Converger) waits(k dataset.Task) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stages[k.Dataset] == nil || c.blocked(k)
}

// stands reports whether a task is still due, and forgets what was found of it if
// that may have moved. If neither can be said, the task is run, which says why.
func (c *Converger) stands(ctx context.Context, t *todo) bool {
	due, same, err := c.o.Catalog.StillDue(ctx, t.Task)
	if !same {
		t.found = nil
	}
	return due || err != nil
}

// free gives a worker back.
func (c *Converger) free() {
	c.mu.Lock()
	c.busy--
	c.mu.Unlock()
	c.Wake()
}

// recall returns what was found of a task if its stage is the same, or looks.
func (c *Converger) recall(ctx context.Context, t todo) (answer, error) {
	c.mu.Lock()
	same := t.found != nil && c.stages[t.Dataset] == t.found.stage
	c.mu.Unlock()
	if !same {
		return c.look(ctx, t.Task)
	}
	return *t.found, nil
}
