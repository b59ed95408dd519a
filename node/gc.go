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
			if _, err := n.catalog.Free(ctx, n.project.Config.Retention.Versions); err != nil && ctx.Err() == nil {
				n.log.Warn("old versions keep their files until the next sweep", "err", err)
			}
			if err := n.sweepOrphans(ctx, gcGrace); err != nil && ctx.Err() == nil {
				n.log.Warn("sweeping orphans failed; they stay until the next sweep", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
		}
		if _, err := n.collectOnce(ctx, gcGrace); err != nil && ctx.Err() == nil {
			n.log.Warn("garbage collection failed; it will be tried again", "error", err)
		}
	}
}

// collectOnce removes what was replaced more than grace ago and no lease protects.
func (n *Node) collectOnce(ctx context.Context, grace time.Duration) (objects []string, err error) {
	if err := n.leases.renew(ctx); err != nil {
		return nil, err
	}
	if objects, err = n.catalog.Collect(ctx, grace); err != nil {
		return nil, err
	}
	var errs []error
	for _, id := range objects {
		// Equal content may just have been adopted again and not be committed yet.
		// Then it stays, and is an orphan at worst.
		_, err := n.store.Discard(id, time.Now().Add(-grace))
		errs = append(errs, err)
	}
	return objects, errors.Join(errs...)
}

// GC asks for a garbage collection.
type GC struct {
	DryRun bool `json:"dry_run"`
}

// Collected is what a garbage collection did, or would do.
type Collected struct {
	DryRun bool `json:"dry_run"`
	// Versions lost their files to retention: Bytes of them.
	sqlite.Freed
	Removed int64 `json:"removed"` // objects that nothing names any more
	// Waiting are objects that go when nobody can be reading them any more.
	Waiting int64 `json:"waiting"`
}

// CollectGarbage takes the files of versions beyond retention, and removes what
// nobody can read any more.
func CollectGarbage(ctx context.Context, o Options, ask GC) (Collected, error) {
	return order(ctx, o, "gc", ask, (*Node).gc)
}

// gc does at once what the background does in time. While nothing runs, only
// readers can be at old files, and those have leases: then nothing else waits.
func (n *Node) gc(ctx context.Context, ask GC) (out Collected, err error) {
	grace, keep := gcGrace, n.project.Config.Retention.Versions
	if !n.running.Load() {
		grace = 0
	}
	if ask.DryRun {
		would, err := n.catalog.Preview(ctx, keep, grace)
		return Collected{DryRun: true, Freed: would.Freed, Removed: int64(len(would.Removed)), Waiting: would.Waiting}, err
	}
	if out.Freed, err = n.catalog.Free(ctx, keep); err != nil {
		return out, err
	}
	objects, err := n.collectOnce(ctx, grace)
	if err != nil {
		return out, err
	}
	out.Removed = int64(len(objects))
	if err := n.sweepOrphans(ctx, grace); err != nil {
		return out, err
	}
	out.Waiting, err = n.catalog.Waiting(ctx)
	return out, err
}

// sweepOrphans removes objects that no record names: what a crash left between
// writing a file and committing it. Young ones may belong to a commit under way.
func (n *Node) sweepOrphans(ctx context.Context, grace time.Duration) error {
	if err := n.store.RemoveTemp(time.Now().Add(-grace)); err != nil {
		return err
	}
	for object, err := range n.store.List() {
		if err != nil {
			return err
		}
		if time.Since(object.Made) < grace {
			continue
		}
		named, err := n.catalog.Named(ctx, object.ID)
		if err != nil {
			return err
		}
		if !named {
			if _, err := n.store.Discard(object.ID, time.Now().Add(-grace)); err != nil {
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
