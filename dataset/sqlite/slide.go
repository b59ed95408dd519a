package sqlite

import (
	"database/sql"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// blockLength is how much time is in memory at once: some 8 MB for all datasets
// together, beside what windows reach beyond it. It is no less than they reach, so
// that nothing is read more than twice.
func (r recheck) blockLength() time.Duration {
	const day, most = 24 * time.Hour, 4096
	cut, reach := 1, time.Duration(0)
	for _, w := range r.ways {
		if w.grain == dataset.Hour {
			cut++
		}
	}
	for _, s := range r.stages {
		for _, e := range s.edges {
			reach = max(reach, -e.window.Lo, e.window.Hi)
		}
	}
	return max(most*day/time.Duration(cut), reach).Truncate(day) + day
}

// block is some time, with what is promoted in it and what windows reach beyond.
type block struct {
	recheck
	during dataset.Interval
	need   map[source]dataset.Interval
	all    dataset.Interval // of any source
	names  map[dataset.Grain]*names
	series map[source]*series
}

func newBlock(r recheck, during dataset.Interval) *block {
	b := &block{recheck: r, during: during, need: map[source]dataset.Interval{}, all: during, series: map[source]*series{}}
	for src := range r.ways {
		b.need[src] = during
	}
	for _, s := range r.stages {
		for i, e := range s.edges {
			lo, hi := min(0, e.window.Lo)-24*time.Hour, max(0, e.window.Hi)+24*time.Hour
			need := union(b.need[s.inputs[i]], dataset.Interval{Start: during.Start.Add(lo), End: during.End.Add(hi)})
			b.need[s.inputs[i]], b.all = need, union(b.all, need)
		}
	}
	b.names = map[dataset.Grain]*names{dataset.Hour: newNames(dataset.Hour, b.all), dataset.Day: newNames(dataset.Day, b.all)}
	return b
}

// check looks at all that starts in the block, of stages that are cut by time.
func (b *block) check(t *tx, out *Rechecked) error {
	if err := b.read(t); err != nil {
		return err
	}
	for src, s := range b.series {
		if src.reader == 0 {
			s.sumUp(src.dataset, b.ways[src].grain, b.during, out.sums)
		}
	}
	for _, s := range b.stages {
		if s.stage.Spec.Grain == dataset.None {
			continue
		}
		if err := b.walk(t, s, out); err != nil {
			return err
		}
	}
	return nil
}

// read reads what the block needs of all sources, each a month at a time: what
// was written at about the same time is in the same pages.
func (b *block) read(t *tx) error {
	for src, w := range b.ways {
		b.series[src] = newSeries(w.grain, b.need[src])
	}
	const month = 32 * 24 * time.Hour
	for from := b.all.Start; from.Before(b.all.End); from = from.Add(month) {
		for src, w := range b.ways {
			part := intersection(b.need[src], dataset.Interval{Start: from, End: from.Add(month)})
			if w.grain == dataset.None || !part.Start.Before(part.End) {
				continue
			}
			if err := b.series[src].read(t, src, w, part, b.names[w.grain]); err != nil {
				return err
			}
		}
	}
	return nil
}

// names are the names of the partitions of one grain in some time. Each is made
// once, for all datasets.
type names struct {
	grain      dataset.Grain
	from, span int64
	made       []dataset.Partition
}

func newNames(g dataset.Grain, i dataset.Interval) *names {
	from := i.Start.Truncate(g.Span())
	return &names{g, micros(from), g.Span().Microseconds(), make([]dataset.Partition, i.End.Sub(from)/g.Span()+1)}
}

func (n *names) at(start int64) dataset.Partition {
	name := &n.made[(start-n.from)/n.span]
	if *name == "" {
		*name = dataset.PartitionAt(n.grain, time.UnixMicro(start))
	}
	return *name
}

// series are the partitions of one source in some time, in order; none of one that
// is not cut.
type series struct {
	starts []int64
	prefix []dataset.Sum // one more than starts
	keys   [][32]byte    // trace keys; zero for none
	closed []int64       // when they were closed, if the source is dated; 0 for open ones
	spanUS int64
}

func newSeries(g dataset.Grain, i dataset.Interval) *series {
	if g == dataset.None {
		return &series{prefix: make([]dataset.Sum, 1)}
	}
	most := int(i.End.Sub(i.Start)/g.Span()) + 1
	return &series{
		starts: make([]int64, 0, most), prefix: make([]dataset.Sum, 1, most+1), keys: make([][32]byte, 0, most), spanUS: g.Span().Microseconds(),
	}
}

// read adds the partitions that start in i to those before them.
func (s *series) read(t *tx, src source, w way, i dataset.Interval, called *names) error {
	var start, closed int64
	var hash, key sql.RawBytes // read before the next row comes
	q := dataset.Promoted{Version: 1}
	columns, into := "p.starts, v.rows, v.hash, v.trace_key", []any{&start, &q.Rows, &hash, &key}
	if w.dated {
		columns, into = columns+", COALESCE(p.closed_at, 0)", append(into, &closed)
	}
	rows, err := t.QueryContext(t.ctx, "SELECT "+columns+" FROM partitions p INDEXED BY partitions_by_start"+w.join+
		"WHERE p.dataset_id = ? AND p.starts >= ? AND p.starts < ? ORDER BY p.starts", append(slices.Clone(w.args), src.dataset, micros(i.Start), micros(i.End))...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		q.Partition, q.Hash = called.at(start), dataset.HashFromBytes(hash)
		s.starts = append(s.starts, start)
		s.prefix = append(s.prefix, s.prefix[len(s.prefix)-1].Add(dataset.Leaf(q)))
		var fixed [32]byte
		copy(fixed[:], key)
		s.keys = append(s.keys, fixed)
		if w.dated {
			s.closed = append(s.closed, closed)
		}
	}
	return rows.Err()
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

// slide is a window that moves over a series.
type slide struct {
	of         *series
	begin, end int
}

// move brings the window to the partitions that overlap from..to; neither may
// become less from one call to the next.
func (w *slide) move(from, to int64) {
	w.end = max(w.end, w.after(from))
	for w.end < len(w.of.starts) && w.of.starts[w.end] < to {
		w.end++
	}
}

// after lets the window begin with the first partition that ends after from, and
// returns its place.
func (w *slide) after(from int64) int {
	for w.begin < len(w.of.starts) && w.of.starts[w.begin]+w.of.spanUS <= from {
		w.begin++
	}
	return w.begin
}

func (w *slide) empty() bool { return w.begin == w.end }

func (w *slide) sum() dataset.Sum { return w.of.prefix[w.end].Sub(w.of.prefix[w.begin]) }

// walk is a way through the time of a stage, from one partition that there is or
// should be to the next.
type walk struct {
	stage   rechecked
	span    int64
	own     slide          // the partition itself
	windows []slide        // what it reads of each input
	anchors []slide        // what each input has in the same time
	reads   []dataset.Read // of inputs that are read whole from the beginning
	totals  map[source]dataset.Sum
}

// walk compares, for each partition there is or should be in a block, the key it
// stands under with the one it would get.
func (b *block) walk(t *tx, s rechecked, out *Rechecked) error {
	w := walk{stage: s, span: s.stage.Spec.Grain.Span().Microseconds(), own: slide{of: b.series[s.own]}, totals: b.totals}
	for i, src := range s.inputs {
		w.windows, w.anchors = append(w.windows, slide{of: b.series[src]}), append(w.anchors, slide{of: b.series[src]})
		w.reads = append(w.reads, dataset.Read{Input: s.edges[i].input, Sum: b.totals[src]})
	}
	for start := w.next(micros(b.during.Start)); start < micros(b.during.End); start = w.next(start + w.span) {
		name := b.names[s.stage.Spec.Grain].at(start)
		var stands, key []byte
		exists, should := w.move(start, name)
		if exists {
			stands = w.own.of.keys[w.own.begin][:]
		}
		if should {
			key = dataset.TraceKey(s.stage.Spec.Name, name, s.identity, w.reads)
		}
		if err := t.note(out, s.stage, name, stands, key); err != nil {
			return err
		}
	}
	return nil
}

// next is the next start of a partition, from..., that exists or that some input
// has something in the time of.
func (w *walk) next(from int64) int64 {
	next := everything.End.UnixMicro()
	if at := w.own.after(from); at < len(w.own.of.starts) {
		next = w.own.of.starts[at]
	}
	for i := range w.anchors {
		a := &w.anchors[i]
		if at := a.after(from); at < len(a.of.starts) {
			start := a.of.starts[at]
			next = min(next, max(from, start-start%w.span))
		}
	}
	return next
}

// move goes to the partition that starts there. It says whether it exists and
// whether it should.
func (w *walk) move(start int64, name dataset.Partition) (exists, should bool) {
	w.own.move(start, start+w.span)
	anchored := false
	for i, e := range w.stage.edges {
		switch {
		case e.window.Kind == dataset.Span:
			w.windows[i].move(start+e.window.Lo.Microseconds(), start+w.span+e.window.Hi.Microseconds())
			w.reads[i].Sum = w.windows[i].sum()
		case w.stage.dated[i] != nil:
			w.reads[i].Sum = w.totals[w.stage.inputs[i]]
			if closed := w.closed(); closed != 0 && !e.window.Follows(name) {
				w.reads[i].Sum = asOf(w.stage.dated[i], closed)
			}
		}
		w.anchors[i].move(start, start+w.span)
		anchored = anchored || !w.anchors[i].empty()
	}
	timed, some := anyTimed(w.stage.edges, w.reads)
	return !w.own.empty(), anchored && (some || !timed)
}

// closed is when the partition was closed; 0 if it is open or does not exist.
func (w *walk) closed() int64 {
	if w.own.empty() || w.own.of.closed == nil {
		return 0
	}
	return w.own.of.closed[w.own.begin]
}

// union is the time from the first to the last of two intervals.
func union(a, b dataset.Interval) dataset.Interval {
	if b.Start.Before(a.Start) {
		a.Start = b.Start
	}
	if b.End.After(a.End) {
		a.End = b.End
	}
	return a
}

// intersection is the time in both of two intervals, if its start is before its end.
func intersection(a, b dataset.Interval) dataset.Interval {
	if b.Start.After(a.Start) {
		a.Start = b.Start
	}
	if b.End.Before(a.End) {
		a.End = b.End
	}
	return a
}
