package converge

import (
	"context"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset/sqlite"
)

// noteIdle tells those who wait in Settle that nothing runs and nothing is due.
// Only those who waited before the catalog was asked are told: what a later one
// has committed before it came may be missing from the answer.
func (c *Converger) noteIdle(ctx context.Context, mark time.Time) error {
	c.mu.Lock()
	waiting, busy := slices.Clone(c.settling), len(c.running) > 0
	c.mu.Unlock()
	if len(waiting) == 0 || busy {
		return nil
	}
	// What was computed since the pass began may be ready to close, too.
	if closed, err := c.o.Catalog.ClosePartitions(ctx, mark); err != nil || closed > 0 {
		c.Wake()
		return err
	}
	if turned, err := c.o.Catalog.TurnReleases(ctx); err != nil || turned > 0 {
		c.Wake()
		return err
	}
	// Nothing was due when the catalog was asked with everything included, and
	// nothing has started since: only failures, if anything, are left.
	due, err := c.o.Catalog.Due(ctx, sqlite.Ask{Limit: 1, All: true})
	if err != nil || len(due.Live)+len(due.History) > 0 {
		return err
	}
	for _, idle := range waiting {
		if c.leave(idle) {
			close(idle)
		}
	}
	return nil
}

// Settle waits until nothing is due, bringing forward what debounce postpones.
// Run must be running. What failed stays failed; Status tells.
func (c *Converger) Settle(ctx context.Context) error {
	idle := make(chan struct{})
	c.mu.Lock()
	c.settling = append(c.settling, idle)
	c.mu.Unlock()
	defer c.leave(idle)
	c.Wake()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave takes a caller of Settle off the list and reports whether it was there.
func (c *Converger) leave(idle chan struct{}) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.settling, idle)
	if i < 0 {
		return false
	}
	c.settling = slices.Delete(c.settling, i, i+1)
	return true
}
