package converge

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// look is what came of looking at a task that must be computed.
type look struct {
	generation int64
	at         time.Time
	found      *answer // nil if it is not worth keeping
}

// foundFor is how long what was found is kept. What it says is to be read is
// removed some minutes after nobody can find it any more.
const foundFor = 5 * time.Second

// serves reports whether a look saves another one at k.
func (l look) serves(k dataset.Task) bool {
	return l.generation == k.Generation && (l.found == nil || time.Since(l.at) < foundFor)
}

// together is how many tasks are looked at in one snapshot, and answered in one
// commit while the next ones are looked at.
const together = 256

// answerKnown settles the due tasks whose answer is on record and returns those
// that must be computed. A definition that comes back, or an input that changed
// where nobody looks, costs so much less than a run.
func (c *Converger) answerKnown(ctx context.Context, due []dataset.Task) (rest []dataset.Task, answered int, err error) {
	looks := map[place]look{}
	committed := make(chan error, 1)
	committed <- nil
	for some := range slices.Chunk(due, together) {
		left, known, failed := c.lookAt(ctx, some, looks)
		if err := errors.Join(<-committed, failed); err != nil {
			return nil, 0, err
		}
		go func() { committed <- c.commitKnown(ctx, known) }()
		rest, answered = append(rest, left...), answered+len(known)
	}
	c.looked = looks
	return rest, answered, <-committed
}

// lookAt looks at the tasks that nobody has looked at and that are not busy, and
// notes what came of it. What went wrong is said when the task runs.
func (c *Converger) lookAt(ctx context.Context, due []dataset.Task, looks map[place]look) (rest []dataset.Task, known []answer, err error) {
	busy := make([]bool, len(due)) // before the snapshot, which may lack what they commit
	for i, k := range due {
		busy[i] = c.underWay(k)
	}
	err = c.o.Catalog.OneMoment(ctx, func(ctx context.Context) error {
		for i, k := range due {
			here := place{k.Dataset, k.Partition}
			if busy[i] {
				rest = append(rest, k)
				continue // and is looked at when it is not
			}
			now := c.looked[here]
			if !now.serves(k) {
				var answered bool
				if now, answered = c.lookOnce(ctx, k, &known); answered {
					continue
				}
			}
			looks[here] = now
			rest = append(rest, k)
		}
		return nil
	})
	return rest, known, err
}

// lookOnce looks at one task. An answer that is on record goes to the known ones.
func (c *Converger) lookOnce(ctx context.Context, k dataset.Task, known *[]answer) (now look, answered bool) {
	now = look{generation: k.Generation, at: time.Now()}
	a, err := c.look(ctx, k)
	switch {
	case err != nil:
	case a.known != "" && a.known != superseded:
		*known = append(*known, a)
		return now, true
	case a.found != nil:
		now.found = &a
	case a.known == "" && a.small() && c.locate(ctx, &a) == nil:
		now.found = &a
	}
	return now, false
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
