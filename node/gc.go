package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/reedbed/reedbed/dataset/sqlite"
)

const (
	gcEvery    = time.Minute
	sweepEvery = time.Hour
	gcGrace    = 10 * time.Minute // how long a replaced object may still be read
	leaseTTL   = time.Minute
)

// collectGarbage removes objects nobody can read any more, until ctx ends. The
// catalog forgets them first, so a crash in between leaves orphans, which the
// next sweep removes.
func (n *Node) collectGarbage(ctx context.Context) error {
	var swept time.Time
	for tick := time.NewTicker(gcEvery); ; {
		if time.Since(swept) >= sweepEvery {
			swept = time.Now()
			if err := n.sweepOrphans(ctx); err != nil && ctx.Err() == nil {
				n.log.Warn("sweeping orphans failed; they stay until the next sweep", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
		}
		if err := n.collectOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("garbage collection failed; it will be tried again", "error", err)
		}
	}
}

func (n *Node) collectOnce(ctx context.Context) error {
	if err := n.leases.renew(ctx); err != nil {
		return err
	}
	objects, err := n.catalog.Collect(ctx, gcGrace)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range objects {
		// Equal content may just have been adopted again and not be committed yet.
		// Then it stays, and is an orphan at worst.
		_, err := n.store.Discard(id, time.Now().Add(-gcGrace))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// sweepOrphans removes objects that no record names: what a crash left between
// writing a file and committing it. Young ones may belong to a commit under way.
func (n *Node) sweepOrphans(ctx context.Context) error {
	if err := n.store.RemoveTemp(time.Now().Add(-gcGrace)); err != nil {
		return err
	}
	for object, err := range n.store.List() {
		if err != nil {
			return err
		}
		if time.Since(object.Made) < gcGrace {
			continue
		}
		named, err := n.catalog.Named(ctx, object.ID)
		if err != nil {
			return err
		}
		if !named {
			if _, err := n.store.Discard(object.ID, time.Now().Add(-gcGrace)); err != nil {
				return err
			}
		}
	}
	return nil
}

// leases keeps one record in the catalog for all readers of this process: the
// oldest revision one of them still reads.
type leases struct {
	catalog *sqlite.Catalog
	id      string

	mu     sync.Mutex
	active map[*int64]struct{}
}

// read notes a reader that is about to read the current revision; done ends it.
func (l *leases) read(ctx context.Context) (done func(), err error) {
	revision, err := l.catalog.Revision(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active == nil {
		l.active = map[*int64]struct{}{}
	}
	l.active[&revision] = struct{}{}
	return func() {
		l.mu.Lock()
		delete(l.active, &revision)
		l.mu.Unlock()
	}, nil
}

// renew writes the oldest revision in use, or the current one.
func (l *leases) renew(ctx context.Context) error {
	oldest, err := l.catalog.Revision(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	for revision := range l.active {
		oldest = min(oldest, *revision)
	}
	l.mu.Unlock()
	return l.catalog.Lease(ctx, l.id, oldest, leaseTTL+gcEvery)
}
