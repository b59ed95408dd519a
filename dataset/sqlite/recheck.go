package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// Stands reports whether the promoted version of a partition stands under the
// trace key it would get now from a definition, and returns that key. It answers
// no wherever only Inputs can tell. However long the windows are, it costs what
// their edges hold.
func (c *Catalog) Stands(ctx context.Context, stage string, p dataset.Partition, identity []byte) (key []byte, yes bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		d, err := t.dataset(stage)
		if err != nil {
			return err
		}
		own, err := t.partition(d, p)
		if err != nil || own.id == 0 {
			return err
		}
		edges, err := t.edgesOf(d.ID)
		if err != nil {
			return err
		}
		reads, plain, err := t.readSums(own, edges)
		if err != nil || !plain {
			return err
		}
		if timed, some := anyTimed(edges, reads); timed && !some {
			return nil
		}
		if anchored, err := t.isAnchored(own); err != nil || !anchored {
			return err
		}
		standing, err := t.standing(own)
		key = dataset.TraceKey(stage, p, identity, reads)
		yes = bytes.Equal(key, standing)
		return err
	})
	return key, yes, err
}

// Rechecked is what a full check of everything promoted found.
type Rechecked struct {
	Checked int64 // partitions
	Stale   []Finding
	Sums    int // on record that were wrong, and are right now

	sums map[unit]dataset.Sum // as they should be
}

func (r *Rechecked) add(o Rechecked) {
	r.Checked, r.Stale = r.Checked+o.Checked, append(r.Stale, o.Stale...)
	if r.sums == nil {
		r.sums = map[unit]dataset.Sum{}
	}
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
// record, and mends those that are wrong. It reads each dataset once, some time at
// a time, on two connections.
func (c *Catalog) Recheck(ctx context.Context) (Rechecked, error) {
	var out Rechecked
	var plan recheck
	err := c.view(ctx, func(t *tx) (err error) {
		plan, err = t.planRecheck()
		return err
	})
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var workers sync.WaitGroup
	blocks := make(chan dataset.Interval)
	for range 2 {
		workers.Go(func() {
			for block := range blocks {
				found := Rechecked{sums: map[unit]dataset.Sum{}}
				err := c.view(ctx, func(t *tx) error { return t.recheckBlock(plan, block, &found) })
				mu.Lock()
				out.add(found)
				mu.Unlock()
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for from := plan.span.Start; from.Before(plan.span.End) && ctx.Err() == nil; from = from.Add(blockLength) {
		blocks <- dataset.Interval{Start: from, End: from.Add(blockLength)}
	}
	close(blocks)
	workers.Wait()
	if ctx.Err() != nil {
		return out, fmt.Errorf("check every trace key again: %w", context.Cause(ctx))
	}
	if out.Sums, err = c.mendSums(ctx, plan, out.sums); err != nil {
		return out, err
	}
	err = c.view(ctx, func(t *tx) error { return t.recheckOneByOne(plan, &out) })
	slices.SortFunc(out.Stale, func(a, b Finding) int {
		return bytes.Compare([]byte(a.Dataset+" "+string(a.Partition)), []byte(b.Dataset+" "+string(b.Partition)))
	})
	return out, errors.Join(err, c.markRechecked(ctx, out.Stale))
}

// blockLength is how much time is in memory at once: about 4 MB for each dataset
// cut by hour and connection, beside what windows reach beyond it.
const blockLength = 2048 * 24 * time.Hour

// recheck is what is to be checked.
type recheck struct {
	span   dataset.Interval
	stages []rechecked
	grains map[int64]dataset.Grain
	totals map[int64]dataset.Sum // of inputs that are read whole
}

// rechecked is one deployed stage.
type rechecked struct {
	stage    Dataset
	identity []byte
	edges    []reading
}

// slow reports whether only the partitions themselves can tell what they read.
func (s rechecked) slow() bool {
	return s.stage.Spec.Grain == dataset.None || s.listed()
}

// listed reports whether what a partition reads must be listed.
func (s rechecked) listed() bool {
	return slices.ContainsFunc(s.edges, func(e reading) bool { return e.special || e.window.Dated() })
}

func (t *tx) planRecheck() (plan recheck, err error) {
	plan.grains, plan.totals = map[int64]dataset.Grain{}, map[int64]dataset.Sum{}
	var names []string
	err = t.each(`SELECT name FROM datasets WHERE kind = 'stage' AND retired_at IS NULL AND paused = 0 AND definition IS NOT NULL ORDER BY depth, name`, nil,
		func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			names = append(names, name)
			return err
		})
	if err != nil {
		return plan, err
	}
	for _, name := range names {
		s := rechecked{}
		if s.stage, err = t.dataset(name); err != nil {
			return plan, err
		}
		if err = t.QueryRowContext(t.ctx, "SELECT code_identity FROM definitions WHERE id = ?", s.stage.Definition).Scan(&s.identity); err != nil {
			return plan, err
		}
		if s.edges, err = t.edgesOf(s.stage.ID); err != nil {
			return plan, err
		}
		plan.stages = append(plan.stages, s)
		plan.grains[s.stage.ID] = s.stage.Spec.Grain
		if err := t.totalsFor(plan, s); err != nil {
			return plan, err
		}
	}
	var first, last int64
	err = t.QueryRowContext(t.ctx, "SELECT COALESCE(MIN(starts), 0), COALESCE(MAX(ends), 0) FROM partitions WHERE ends > 0").Scan(&first, &last)
	plan.span = dataset.Interval{Start: time.UnixMicro(first).UTC().Truncate(24 * time.Hour), End: time.UnixMicro(last).UTC()}
	return plan, err
}

func (t *tx) totalsFor(plan recheck, s rechecked) (err error) {
	for _, e := range s.edges {
		plan.grains[e.inputID] = e.grain
		if _, has := plan.totals[e.inputID]; e.window.Kind != dataset.Span && !has {
			if plan.totals[e.inputID], err = t.leavesFrom(e.inputID, 0, micros(everything.End)); err != nil {
				return err
			}
		}
	}
	return nil
}

// series are the promoted partitions of one dataset in some time, in order.
type series struct {
	starts []int64
	prefix []dataset.Sum // one more than starts
	keys   [][32]byte    // trace keys; zero for none
	spanUS int64
}

// between are the positions of those that overlap from..to, of which positions
// before at need not be looked at.
func (s *series) between(from, to int64, at int) (int, int) {
	for at < len(s.starts) && s.starts[at]+s.spanUS <= from {
		at++
	}
	end := at
	for end < len(s.starts) && s.starts[end] < to {
		end++
	}
	return at, end
}

// slide is a window that moves over a series.
type slide struct {
	of         *series
	begin, end int
}

// move brings the window to the partitions that overlap from..to; neither may
// become less from one call to the next.
func (w *slide) move(from, to int64) {
	s := w.of
	for w.begin < len(s.starts) && s.starts[w.begin]+s.spanUS <= from {
		w.begin++
	}
	w.end = max(w.end, w.begin)
	for w.end < len(s.starts) && s.starts[w.end] < to {
		w.end++
	}
}

func (w *slide) sum() dataset.Sum { return w.of.prefix[w.end].Sub(w.of.prefix[w.begin]) }

func (t *tx) series(datasetID int64, g dataset.Grain, from, to time.Time) (*series, error) {
	most := int(to.Sub(from)/g.Span()) + 1
	s := &series{starts: make([]int64, 0, most), prefix: make([]dataset.Sum, 1, most+1), keys: make([][32]byte, 0, most), spanUS: g.Span().Microseconds()}
	rows, err := t.QueryContext(t.ctx, `SELECT p.starts, v.rows, v.hash, v.trace_key FROM partitions p INDEXED BY partitions_by_start
		JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
		JOIN versions v ON v.partition_id = p.id AND v.number = x.version
		WHERE p.dataset_id = ? AND p.starts >= ? AND p.starts < ? ORDER BY p.starts`, datasetID, micros(from), micros(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()         //nolint:errcheck // rows.Err reports what matters
	var hash, key sql.RawBytes // read before the next row comes
	var start int64
	q := dataset.Promoted{Version: 1}
	for rows.Next() {
		if err := rows.Scan(&start, &q.Rows, &hash, &key); err != nil {
			return nil, err
		}
		q.Partition, q.Hash = dataset.PartitionAt(g, time.UnixMicro(start)), dataset.HashFromBytes(hash)
		s.starts = append(s.starts, start)
		s.prefix = append(s.prefix, s.prefix[len(s.prefix)-1].Add(dataset.Leaf(q)))
		var fixed [32]byte
		copy(fixed[:], key)
		s.keys = append(s.keys, fixed)
	}
	return s, rows.Err()
}

// sumUp adds the partitions that start in a block to the sums there should be.
func (s *series) sumUp(datasetID int64, g dataset.Grain, block dataset.Interval, sums map[unit]dataset.Sum) {
	first, _ := slices.BinarySearch(s.starts, micros(block.Start))
	end, _ := slices.BinarySearch(s.starts, micros(block.End))
	for _, l := range levelsOf(g) {
		for at := first; at < end; {
			from := l.floor(time.UnixMicro(s.starts[at]))
			u := unit{datasetID, l, micros(from)}
			next, _ := slices.BinarySearch(s.starts[at:end], micros(l.ceil(from.Add(time.Microsecond))))
			sums[u] = sums[u].Add(s.prefix[at+next].Sub(s.prefix[at]))
			at += next
		}
	}
}

// mendSums compares the sums on record with those there should be, and works out
// anew those that differ.
func (c *Catalog) mendSums(ctx context.Context, plan recheck, want map[unit]dataset.Sum) (int, error) {
	var wrong []unit
	err := c.view(ctx, func(t *tx) error {
		err := t.each("SELECT dataset_id, level, starts, count, leaves FROM sums", nil, func(scan func(...any) error) error {
			var u unit
			var count int64
			var kept []byte
			if err := scan(&u.dataset, &u.level, &u.starts, &count, &kept); err != nil {
				return err
			}
			if _, checked := plan.grains[u.dataset]; checked && (len(kept) != 32 || dataset.SumFromBytes(count, kept) != want[u]) {
				wrong = append(wrong, u)
			}
			delete(want, u)
			return nil
		})
		for u := range want {
			wrong = append(wrong, u)
		}
		return err
	})
	if err != nil || len(wrong) == 0 {
		return 0, err
	}
	return len(wrong), c.update(ctx, func(t *tx) error {
		for _, u := range wrong {
			if err := t.sumAnew(u); err != nil {
				return err
			}
		}
		return nil
	})
}

// recheckBlock checks the stages whose windows can slide, over their partitions
// that start in some time.
func (t *tx) recheckBlock(plan recheck, block dataset.Interval, out *Rechecked) error {
	need := map[int64]dataset.Interval{}
	widen := func(id int64, i dataset.Interval) {
		if had, ok := need[id]; ok {
			i.Start, i.End = minTime(had.Start, i.Start), maxTime(had.End, i.End)
		}
		need[id] = i
	}
	for id, grain := range plan.grains {
		if grain != dataset.None {
			widen(id, block)
		}
	}
	for _, s := range plan.stages {
		if s.slow() {
			continue
		}
		for _, e := range s.edges {
			if e.grain != dataset.None {
				widen(e.inputID, dataset.Interval{Start: block.Start.Add(min(0, e.window.Lo) - 24*time.Hour), End: block.End.Add(max(0, e.window.Hi) + 24*time.Hour)})
			}
		}
	}
	loaded := map[int64]*series{}
	for id, i := range need {
		s, err := t.series(id, plan.grains[id], i.Start, i.End)
		if err != nil {
			return err
		}
		loaded[id] = s
		s.sumUp(id, plan.grains[id], block, out.sums)
	}
	for _, s := range plan.stages {
		if s.slow() {
			continue
		}
		if err := t.recheckStage(plan, s, block, loaded, out); err != nil {
			return err
		}
	}
	return nil
}

// recheckStage goes through the time of a block and compares, for each partition
// there is or should be, the key it stands under with the one it would get.
func (t *tx) recheckStage(plan recheck, s rechecked, block dataset.Interval, loaded map[int64]*series, out *Rechecked) error {
	grain := s.stage.Spec.Grain
	span := grain.Span().Microseconds()
	var windows, anchors []*slide
	for _, e := range s.edges {
		if of := loaded[e.inputID]; e.grain != dataset.None {
			windows, anchors = append(windows, &slide{of: of}), append(anchors, &slide{of: of})
		} else {
			windows = append(windows, nil)
		}
	}
	own := loaded[s.stage.ID]
	at, _ := own.between(micros(block.Start), micros(block.End), 0)
	reads := make([]dataset.Read, len(s.edges))
	for start := nextStart(micros(block.Start), span, own, at, anchors); start < micros(block.End); start = nextStart(start+span, span, own, at, anchors) {
		exists := at < len(own.starts) && own.starts[at] == start
		anchored, timed, some := false, false, false
		for i, e := range s.edges {
			reads[i] = dataset.Read{Input: e.input, Sum: plan.totals[e.inputID]}
			if e.window.Kind == dataset.Span {
				windows[i].move(start+e.window.Lo.Microseconds(), start+span+e.window.Hi.Microseconds())
				reads[i].Sum = windows[i].sum()
			}
			timed = timed || e.timed()
			some = some || e.timed() && reads[i].Sum.Count > 0
		}
		for _, a := range anchors {
			a.move(start, start+span)
			anchored = anchored || a.end > a.begin
		}
		should := anchored && (some || !timed)
		name := dataset.PartitionAt(grain, time.UnixMicro(start))
		what := ""
		switch {
		case exists && !should:
			what = "superfluous"
		case !exists && should:
			what = "missing"
		case exists && !bytes.Equal(own.keys[at][:], dataset.TraceKey(s.stage.Spec.Name, name, s.identity, reads)):
			what = "other inputs"
		}
		if exists {
			at++
		}
		if exists || should {
			out.Checked++
		}
		if err := t.note(out, s.stage, name, what); err != nil {
			return err
		}
	}
	return nil
}

// nextStart is the next start of a partition, from..., that exists or that some
// input has something in the time of.
func nextStart(from, span int64, own *series, at int, anchors []*slide) int64 {
	next := everything.End.UnixMicro()
	if at < len(own.starts) {
		next = own.starts[at]
	}
	for _, a := range anchors {
		i := a.begin
		for i < len(a.of.starts) && a.of.starts[i]+a.of.spanUS <= from {
			i++
		}
		a.begin = i
		if i < len(a.of.starts) {
			next = min(next, max(from, a.of.starts[i]-mod(a.of.starts[i], span)))
		}
	}
	return next
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

// note adds a finding unless the partition is due or waived.
func (t *tx) note(out *Rechecked, d Dataset, p dataset.Partition, what string) error {
	if what == "" {
		return nil
	}
	var known bool
	err := t.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM dirty WHERE dataset_id = ?1 AND name = ?2)
		OR EXISTS (SELECT 1 FROM waivers WHERE dataset_id = ?1 AND starts <= ?3 AND ends > ?3)`, d.ID, p, micros(p.Start())).Scan(&known)
	if err == nil && !known {
		out.Stale = append(out.Stale, Finding{d.Spec.Name, p, what})
	}
	return err
}

// recheckOneByOne checks the stages whose partitions must each be asked what
// they read.
func (t *tx) recheckOneByOne(plan recheck, out *Rechecked) error {
	for _, s := range plan.stages {
		if !s.slow() {
			continue
		}
		names := map[dataset.Partition]bool{}
		if s.stage.Spec.Grain == dataset.None {
			names[dataset.Whole] = true
		} else {
			anchored, err := t.anchored(s.stage, everything)
			if err != nil {
				return err
			}
			for _, name := range anchored {
				names[name] = true
			}
		}
		err := t.each("SELECT name FROM partitions WHERE dataset_id = ?", []any{s.stage.ID}, func(scan func(...any) error) error {
			var name dataset.Partition
			err := scan(&name)
			names[name] = true
			return err
		})
		if err != nil {
			return err
		}
		for _, name := range sortedNames(names) {
			if err := t.recheckOne(plan, s, name, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) recheckOne(plan recheck, s rechecked, name dataset.Partition, out *Rechecked) error {
	p, err := t.partition(s.stage, name)
	if err != nil {
		return err
	}
	standing, err := t.standing(p)
	if err != nil {
		return err
	}
	reads, err := t.readsOneByOne(plan, s, p)
	if err != nil {
		return err
	}
	timed, some := anyTimed(s.edges, reads)
	anchored, err := t.isAnchored(p)
	if err != nil {
		return err
	}
	should := anchored && (some || !timed)
	if standing != nil || should {
		out.Checked++
	}
	switch {
	case standing != nil && !should:
		return t.note(out, s.stage, name, "superfluous")
	case standing == nil && should:
		return t.note(out, s.stage, name, "missing")
	case standing != nil && !bytes.Equal(standing, dataset.TraceKey(s.stage.Spec.Name, name, s.identity, reads)):
		return t.note(out, s.stage, name, "other inputs")
	}
	return nil
}

// readsOneByOne says what a partition reads without any sum on record.
func (t *tx) readsOneByOne(plan recheck, s rechecked, p partition) (out []dataset.Read, err error) {
	if s.listed() {
		inputs, err := t.inputs(p)
		return dataset.Reads(inputs), err
	}
	for _, e := range s.edges { // a stage that is not cut reads all there is
		out = append(out, dataset.Read{Input: e.input, Sum: plan.totals[e.inputID]})
	}
	return out, nil
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

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
