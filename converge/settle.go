package converge

import "context"

// noteIdle tells those who wait in Settle that nothing runs and nothing is due.
func (c *Converger) noteIdle(ctx context.Context) error {
	c.mu.Lock()
	waiting, busy := c.settling > 0, len(c.running) > 0
	c.mu.Unlock()
	if !waiting || busy {
		return nil
	}
	// Nothing was due when the catalog was asked with everything included, and
	// nothing has started since: only failures, if anything, are left.
	if due, err := c.o.Catalog.Due(ctx, 1, true); err != nil || len(due) > 0 {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.idle)
	c.idle = make(chan struct{})
	return nil
}

// Settle waits until nothing is due, bringing forward what debounce postpones.
// Run must be running. What failed stays failed; Status tells.
func (c *Converger) Settle(ctx context.Context) error {
	c.mu.Lock()
	c.settling++
	idle := c.idle
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.settling--
		c.mu.Unlock()
	}()
	c.Wake()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
