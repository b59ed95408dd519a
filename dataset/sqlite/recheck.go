package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// Rechecked is what a full check of everything promoted found.
type Rechecked struct {
	Checked int64 // partitions
	Stale   []Finding
	Sums    int // on record that were wrong, and are right now

	sums map[unit]dataset.Sum // as they should be
}

func (r *Rechecked) add(o Rechecked) {
	r.Checked, r.Stale = r.Checked+o.Checked, append(r.Stale, o.Stale...)
	for u, sum := range o.sums {
		r.sums[u] = r.sums[u].Add(sum)
	}
}

// Finding is a partition that is not what it should be, though nothing said so.
type Finding struct {
	Dataset   string
	Partition dataset.Partition
	What      string // "other inputs", "missing" or "superfluous"
}

// Recheck derives the trace key of every partition of every deployed stage anew,
// from what is promoted and what is deployed, and marks those as due whose
// promoted version stands under another key, that should exist and do not, or
// the reverse. What is due or waived already is not counted. It trusts no sum on
// record, and mends those that are wrong.
//
// It reads each dataset once, some time at a time, on two connections, and once
// more for each stage that reads it in a way of its own, through pins or in a
// release group: 2 to 3 µs of processor time for each partition and reader.
func (c *Catalog) Recheck(ctx context.Context) (Rechecked, error) {
	var plan recheck
	err := c.view(ctx, func(t *tx) (err error) {
		plan, err = t.planRecheck()
		return err
	})
	if err != nil {
		return Rechecked{}, err
	}
	out, err := c.recheckParts(ctx, plan.parts())
	if err != nil {
		return out, fmt.Errorf("check every trace key again: %w", err)
	}
	slices.SortFunc(out.Stale, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.Partition, b.Partition))
	})
	out.Sums, err = c.mendSums(ctx, plan, out.sums)
	return out, errors.Join(err, c.markRechecked(ctx, out.Stale))
}

// part is a part of a recheck that takes well under a second.
type part func(*tx, *Rechecked) error

// recheckParts does all parts, on two connections, each part on one snapshot.
func (c *Catalog) recheckParts(ctx context.Context, parts iter.Seq[part]) (Rechecked, error) {
	out := Rechecked{sums: map[unit]dataset.Sum{}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var workers sync.WaitGroup
	queue := make(chan part)
	for range 2 {
		workers.Go(func() {
			for do := range queue {
				found := Rechecked{sums: map[unit]dataset.Sum{}}
				// To ask before each row whether anybody gave up costs as much as to hash it.
				err := c.view(context.WithoutCancel(ctx), func(t *tx) error { return do(t, &found) })
				mu.Lock()
				out.add(found)
				mu.Unlock()
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for p := range parts {
		if ctx.Err() != nil {
			break
		}
		queue <- p
	}
	close(queue)
	workers.Wait()
	return out, context.Cause(ctx)
}

// recheck is what is to be checked.
type recheck struct {
	span   dataset.Interval
	step   time.Duration // of the span that is in memory at once
	stages []rechecked
	ways   map[source]way
	totals map[source]dataset.Sum // of what is read whole
}

// parts divides the work: stages that are cut by time, and each of the others.
func (r recheck) parts() iter.Seq[part] {
	return func(yield func(part) bool) {
		for from := r.span.Start; from.Before(r.span.End); from = from.Add(r.step) {
			b := newBlock(r, dataset.Interval{Start: from, End: from.Add(r.step)})
			if !yield(b.check) {
				return
			}
		}
		for _, s := range r.stages {
			if s.stage.Spec.Grain == dataset.None && !yield(func(t *tx, out *Rechecked) error { return t.recheckWhole(r, s, out) }) {
				return
			}
		}
	}
}

func (t *tx) planRecheck() (plan recheck, err error) {
	plan = recheck{ways: map[source]way{}, totals: map[source]dataset.Sum{}}
	names, err := t.names(`SELECT name FROM datasets WHERE kind = 'stage' AND retired_at IS NULL AND paused = 0 AND definition IS NOT NULL ORDER BY depth, name`)
	if err != nil {
		return plan, err
	}
	for _, name := range names {
		if err := t.addStage(&plan, name); err != nil {
			return plan, err
		}
	}
	var first, last int64
	err = t.QueryRowContext(t.ctx, `SELECT COALESCE(MIN((SELECT MIN(starts) FROM partitions WHERE dataset_id = d.id)), 0),
		COALESCE(MAX((SELECT MAX(starts) FROM partitions WHERE dataset_id = d.id)), 0) FROM datasets d WHERE d.grain <> 'none'`).Scan(&first, &last)
	plan.span = dataset.Interval{Start: time.UnixMicro(first).UTC().Truncate(24 * time.Hour), End: time.UnixMicro(last + 1).UTC()}
	plan.step = plan.blockLength()
	return plan, err
}

// mendSums compares the sums on record with those there should be, and works out
// anew those that differ.
func (c *Catalog) mendSums(ctx context.Context, plan recheck, want map[unit]dataset.Sum) (mended int, err error) {
	var wrong []unit
	err = c.view(ctx, func(t *tx) error {
		wrong, err = t.wrongSums(plan, want)
		return err
	})
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(wrong, 50) {
		err := c.update(ctx, func(t *tx) error {
			for _, u := range some {
				if err := t.sumAnew(u); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return mended, err
		}
		mended += len(some)
	}
	return mended, nil
}

// wrongSums lists the sums on record that are not what they should be, and those
// that should be there and are not. It takes from want what it finds.
func (t *tx) wrongSums(plan recheck, want map[unit]dataset.Sum) (wrong []unit, err error) {
	err = t.each("SELECT dataset_id, level, starts, count, leaves FROM sums", nil, func(scan func(...any) error) error {
		var u unit
		var count int64
		var kept []byte
		if err := scan(&u.dataset, &u.level, &u.starts, &count, &kept); err != nil {
			return err
		}
		if _, checked := plan.ways[source{dataset: u.dataset}]; checked && (len(kept) != 32 || dataset.SumFromBytes(count, kept) != want[u]) {
			wrong = append(wrong, u)
		}
		delete(want, u)
		return nil
	})
	return slices.AppendSeq(wrong, maps.Keys(want)), err
}

// note takes account of a partition that stands under one key and would get
// another, nil for none. What is due, waived or held anyway is no finding.
func (t *tx) note(out *Rechecked, d Dataset, p dataset.Partition, stands, key []byte) error {
	var what string
	switch {
	case stands == nil && key == nil:
		return nil
	case stands == nil:
		what = "missing"
	case key == nil:
		what = "superfluous"
	case !bytes.Equal(stands, key):
		what = "other inputs"
	}
	out.Checked++
	if what == "" {
		return nil
	}
	var known bool
	err := t.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM dirty WHERE dataset_id = ?1 AND name = ?2)
		OR EXISTS (SELECT 1 FROM waivers WHERE dataset_id = ?1 AND starts <= ?3 AND ends > ?3)
		OR EXISTS (SELECT 1 FROM partitions p JOIN pointers h ON h.partition_id = p.id AND h.view = 'held' WHERE p.dataset_id = ?1 AND p.name = ?2
			AND (h.version = 0 OR EXISTS (SELECT 1 FROM traces t WHERE t.partition_id = p.id AND t.version = h.version AND t.trace_key = ?4)))`, d.ID, p, micros(p.Start()), key).Scan(&known)
	if err == nil && !known {
		out.Stale = append(out.Stale, Finding{d.Spec.Name, p, what})
	}
	return err
}

// markRechecked makes due what a recheck found, some at a time.
func (c *Catalog) markRechecked(ctx context.Context, found []Finding) error {
	for some := range slices.Chunk(found, 1000) {
		err := c.update(ctx, func(t *tx) error {
			why, err := t.addCause("recheck", "a check of every trace key found what nothing had marked")
			if err != nil {
				return err
			}
			for _, s := range some {
				d, err := t.dataset(s.Dataset)
				if err != nil {
					return err
				}
				if err := t.markDirty(d, []dataset.Partition{s.Partition}, why); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
