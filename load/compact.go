package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/load/sidecar"
	"github.com/reedbed/reedbed/store"
)

const (
	// minSegments small segments of one size are merged into one.
	minSegments = 8
	// mergeFactor sidecars of one size are merged into one, so that there are
	// fewer than mergeFactor of each power of mergeFactor.
	mergeFactor = 4
	// While there is a backlog, compaction looks every compactPause whether it
	// is gone, for compactWait at most.
	compactPause = 100 * time.Millisecond
	compactWait  = 10 * time.Second
)

// compact merges sidecars and segments after commits until ctx ends. It works
// on immutable files and ends in one transaction, so it never blocks loading;
// it lets a backlog go first, but not for ever, because many small files slow
// loading and reading down.
func (l *Loader) compact(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
		case <-time.After(time.Minute): // stages add segments too
		}
		l.giveWay(ctx)
		if err := l.Compact(ctx); err != nil && ctx.Err() == nil {
			l.options.Log.Error("compaction failed; the files stay as they were", "error", err)
			pause(ctx, compactWait)
		}
	}
}

// giveWay lets a backlog go first, but not for ever.
func (l *Loader) giveWay(ctx context.Context) {
	for begun := time.Now(); l.Stats().Backlog > 0 && time.Since(begun) < compactWait && ctx.Err() == nil; {
		pause(ctx, compactPause)
	}
}

func (l *Loader) wakeCompaction() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// Compact merges what can be merged now.
func (l *Loader) Compact(ctx context.Context) error {
	if err := l.mergeSidecars(ctx); err != nil {
		return err
	}
	if l.options.Compactor == nil {
		return nil
	}
	for {
		candidates, last, err := l.options.Catalog.CompactionCandidates(ctx, l.compacted.Load(), minSegments, 4)
		if err != nil {
			return fmt.Errorf("list segments to compact: %w", err)
		}
		merged := 0
		for _, c := range candidates {
			done, err := l.compactSegments(ctx, c)
			if err != nil {
				return fmt.Errorf("compact %s@%s: %w", c.Dataset, c.Partition, err)
			}
			if done {
				merged++
			}
		}
		if len(candidates) == 0 {
			l.compacted.Store(last)
		}
		if merged == 0 {
			return nil
		}
	}
}

// compactSegments replaces a candidate's segments by one. done is false when
// one of them was replaced by somebody else meanwhile.
func (l *Loader) compactSegments(ctx context.Context, c dataset.CompactionCandidate) (done bool, err error) {
	with, err := l.rewrite(ctx, c)
	if err != nil {
		return false, err
	}
	commit := dataset.Compaction{Dataset: c.Dataset, Partition: c.Partition, Segment: with}
	for _, s := range c.Segments {
		commit.Replaced = append(commit.Replaced, s.ID)
	}
	err = l.options.Catalog.CommitCompaction(ctx, commit)
	if errors.Is(err, dataset.ErrSegmentGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.metrics.compacted(len(c.Segments), with)
	return true, nil
}

// rewrite puts the rows of a candidate's segments into one durable object. The
// content hash is not computed again: it is the sum of theirs, because the
// rows are the same.
func (l *Loader) rewrite(ctx context.Context, c dataset.CompactionCandidate) (dataset.NewSegment, error) {
	out := dataset.NewSegment{Dataset: c.Dataset, Partition: c.Partition}
	var files []string
	for _, s := range c.Segments {
		files = append(files, l.options.Store.Path(s.Object))
		out.Rows += s.Rows
		out.Hash = out.Hash.Add(s.Hash)
	}
	out.MinTime, out.MaxTime = span(c.Segments)
	var object store.Object
	done, err := l.joinSegments(c.Dataset, files, func(content func(io.Writer) error) (err error) {
		object, err = adopt(l.options.Store, Ext, content)
		return err
	})
	if err == nil && !done {
		object, err = l.engineRewrite(ctx, files, c.Dataset, out.Rows)
	}
	out.Object, out.Bytes = object.ID, object.Bytes
	return out, err
}

func (l *Loader) engineRewrite(ctx context.Context, files []string, name string, want int64) (store.Object, error) {
	path, rows, _, err := l.options.Compactor.Compact(ctx, files, l.options.OrderBy(name))
	if err != nil {
		return store.Object{}, err
	}
	if rows != want {
		_ = os.Remove(path)
		return store.Object{}, fmt.Errorf("%d rows went in and %d came out; the segments stay as they were", want, rows)
	}
	return l.options.Store.Adopt(path, Ext)
}

// span is the time all segments cover; zero if it is unknown of one of them.
func span(segments []dataset.Segment) (least, most time.Time) {
	least, most = segments[0].MinTime, segments[0].MaxTime
	for _, s := range segments {
		if s.MinTime.IsZero() || s.MaxTime.IsZero() {
			return time.Time{}, time.Time{}
		}
		if s.MinTime.Before(least) {
			least = s.MinTime
		}
		if s.MaxTime.After(most) {
			most = s.MaxTime
		}
	}
	return least, most
}

// mergeSidecars merges sidecars of one size until there are few of each.
func (l *Loader) mergeSidecars(ctx context.Context) error {
	for {
		live, err := l.options.Catalog.Sidecars(ctx)
		if err != nil {
			return fmt.Errorf("list the id sidecars: %w", err)
		}
		group := mergeable(live)
		if group == nil {
			return nil
		}
		if err := l.mergeGroup(ctx, group); err != nil {
			return fmt.Errorf("merge %d id sidecars: %w", len(group), err)
		}
	}
}

// mergeable returns the sidecars of the smallest size of which there are too
// many, or nil.
func mergeable(live []dataset.Sidecar) []dataset.Sidecar {
	tiers := map[int][]dataset.Sidecar{}
	for _, s := range live {
		tiers[tier(s.Entries)] = append(tiers[tier(s.Entries)], s)
	}
	for t := range 33 {
		if len(tiers[t]) >= mergeFactor {
			return tiers[t]
		}
	}
	return nil
}

// tier is the power of mergeFactor that entries reach; the lowest holds all
// that is tiny.
func tier(entries int64) int { return bits.Len64(uint64(entries)>>12) / 2 }

func (l *Loader) mergeGroup(ctx context.Context, group []dataset.Sidecar) error {
	var files []*sidecar.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	var ids []int64
	for _, s := range group {
		f, err := openSidecar(l.options.Store, s)
		if err != nil {
			return err
		}
		files = append(files, f)
		ids = append(ids, s.ID)
	}
	var entries int64
	object, err := adopt(l.options.Store, sidecar.Ext, func(w io.Writer) error {
		out := sidecar.NewWriter(w)
		if err := sidecar.Merge(out, files); err != nil {
			return err
		}
		entries = out.Entries()
		return out.Close()
	})
	if err != nil {
		return err
	}
	slices.Sort(ids)
	return l.options.Catalog.ReplaceSidecars(ctx, ids, dataset.NewSidecar{Object: object.ID, Bytes: object.Bytes, Entries: entries})
}
