package converge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

const (
	ahead     = 32   // due tasks looked at for each worker
	aheadBulk = 1024 // while answers are on record
	// barrenFor is how long history that waits for its inputs is left alone: to
	// find that nothing of it can run takes a look at all of it.
	barrenFor = 100 * time.Millisecond
	// listFor is how long a list of due work is good for, and listForBusy while no
	// worker is free to begin any. What joins the queue meanwhile waits that much
	// longer.
	listFor     = 50 * time.Millisecond
	listForBusy = 200 * time.Millisecond
)

// next is the due work nobody has begun: the rest of the last list, or a new one
// after what is ready to close has closed.
func (c *Converger) next(ctx context.Context, mark time.Time) (due []dataset.Task, answered int, err error) {
	if len(c.listed) > 0 && time.Since(c.listedAt) < c.listAge() {
		return c.listed, 0, nil
	}
	if _, err := c.o.Catalog.ClosePartitions(ctx, mark); err != nil {
		return nil, 0, err
	}
	if _, err := c.o.Catalog.TurnReleases(ctx); err != nil {
		return nil, 0, err
	}
	c.listedAt = time.Now()
	if due, err = c.due(ctx); err != nil {
		return nil, 0, err
	}
	due, answered, err = c.answerKnown(ctx, due)
	c.bulk = answered > len(due)
	return due, answered, err
}

func (c *Converger) listAge() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy < c.o.Workers {
		return listFor
	}
	return listForBusy
}

// due lists what may run: live work first, then the owners' history in turns,
// each owner's newest partitions first. So nobody's thousand old partitions
// keep somebody else's three waiting.
func (c *Converger) due(ctx context.Context) ([]dataset.Task, error) {
	c.mu.Lock()
	ask := sqlite.Ask{Limit: ahead * c.o.Workers, All: len(c.settling) > 0, Skip: map[string]bool{}}
	c.mu.Unlock()
	if c.bulk {
		ask.Limit = aheadBulk
	}
	now := time.Now()
	for name, until := range c.barren {
		ask.Skip[name] = now.Before(until)
	}
	due, err := c.o.Catalog.Due(ctx, ask)
	if err == nil && len(due.Live)+len(due.History) == 0 && len(c.barren) > 0 {
		clear(c.barren)
		ask.Skip = nil
		due, err = c.o.Catalog.Due(ctx, ask)
	}
	for i := range due.Live {
		due.Live[i].Live = true
	}
	for _, name := range due.Barren {
		c.barren[name] = now.Add(barrenFor)
	}
	return append(due.Live, inTurns(due.History, c.turn)...), err
}

// inTurns takes one task of each owner after another, beginning with the owner
// that comes after last in order of name. The order of an owner's tasks stays.
func inTurns(tasks []dataset.Task, last string) []dataset.Task {
	round := map[string]int{}
	place := make(map[*dataset.Task]int, len(tasks))
	sorted := make([]*dataset.Task, len(tasks))
	for i := range tasks {
		k := &tasks[i]
		sorted[i], place[k] = k, round[k.Owner]
		round[k.Owner]++
	}
	slices.SortStableFunc(sorted, func(a, b *dataset.Task) int {
		return cmp.Or(cmp.Compare(place[a], place[b]), after(a.Owner, last)-after(b.Owner, last), cmp.Compare(a.Owner, b.Owner))
	})
	out := make([]dataset.Task, len(sorted))
	for i, k := range sorted {
		out[i] = *k
	}
	return out
}

// after is 0 for owners whose turn comes before the names start again.
func after(owner, last string) int {
	if owner > last {
		return 0
	}
	return 1
}
