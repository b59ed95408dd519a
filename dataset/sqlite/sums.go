package sqlite

import (
	"database/sql"
	"errors"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// level is a length of time whose partitions are summed up.
type level int

const (
	leaves level = iota // single partitions; not kept in sums
	byDay
	byMonth
	byYear
)

// floor is the start of the unit that holds t.
func (l level) floor(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	switch l {
	case leaves:
		return t
	case byDay:
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	case byMonth:
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	case byYear:
	}
	return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC)
}

// ceil is the first start of a unit that is not before t.
func (l level) ceil(t time.Time) time.Time {
	down := l.floor(t)
	switch {
	case down.Equal(t):
		return t
	case l == byDay:
		return down.AddDate(0, 0, 1)
	case l == byMonth:
		return down.AddDate(0, 1, 0)
	}
	return down.AddDate(1, 0, 0)
}

// levelsOf are the levels kept for a grain, the shortest first.
func levelsOf(g dataset.Grain) []level {
	switch g {
	case dataset.Hour:
		return []level{byDay, byMonth, byYear}
	case dataset.Day:
		return []level{byMonth, byYear}
	}
	return nil
}

// unit is one row of the table sums.
type unit struct {
	dataset int64
	level   level
	starts  int64
}

// sumUp works what moved in this transaction into the sums.
func (t *tx) sumUp() error {
	changes := map[unit][2]dataset.Sum{} // what came and what went
	last := int64(0)
	err := t.each(`SELECT m.id, p.dataset_id, d.grain, p.name, m.added, m.rows, m.hash FROM moved m
		JOIN partitions p ON p.id = m.partition_id JOIN datasets d ON d.id = p.dataset_id`, nil, func(scan func(...any) error) error {
		q := dataset.Promoted{Version: 1}
		var datasetID int64
		var grain dataset.Grain
		var added int
		var hash []byte
		if err := scan(&last, &datasetID, &grain, &q.Partition, &added, &q.Rows, &hash); err != nil {
			return err
		}
		q.Hash = dataset.HashFromBytes(hash)
		leaf, start := dataset.Leaf(q), q.Partition.Start()
		for _, l := range levelsOf(grain) {
			u := unit{datasetID, l, micros(l.floor(start))}
			both := changes[u]
			both[1-added] = both[1-added].Add(leaf)
			changes[u] = both
		}
		return nil
	})
	if err != nil || last == 0 {
		return err
	}
	for u, both := range changes {
		if both[0] == both[1] {
			continue // other versions of equal content
		}
		if err := t.addToSum(u, both[0], both[1]); err != nil {
			return err
		}
	}
	return t.exec("DELETE FROM moved")
}

func (t *tx) addToSum(u unit, came, went dataset.Sum) error {
	old, err := t.sumOf("SELECT count, leaves FROM sums WHERE dataset_id = ? AND level = ? AND starts = ?", u.dataset, u.level, u.starts)
	if err != nil {
		return err
	}
	next := old.Add(came).Sub(went)
	if next.Count < 0 || next.Count == 0 && next != (dataset.Sum{}) {
		return t.sumAnew(u) // it was wrong before: no reason to refuse what is done now
	}
	return t.setSum(u, next)
}

// sumAnew writes one sum from the partitions in its time.
func (t *tx) sumAnew(u unit) error {
	sum, err := t.leavesFrom(u.dataset, u.starts, micros(u.level.ceil(fromMicros(u.starts).Add(time.Microsecond))))
	if err != nil {
		return err
	}
	return t.setSum(u, sum)
}

func (t *tx) setSum(u unit, next dataset.Sum) error {
	if next.Count == 0 {
		return t.exec("DELETE FROM sums WHERE dataset_id = ? AND level = ? AND starts = ?", u.dataset, u.level, u.starts)
	}
	return t.exec(`INSERT INTO sums (dataset_id, level, starts, count, leaves) VALUES (?,?,?,?,?)
		ON CONFLICT (dataset_id, level, starts) DO UPDATE SET count = excluded.count, leaves = excluded.leaves`,
		u.dataset, u.level, u.starts, next.Count, next.Bytes())
}

// sumOf adds up what a query of count and leaves returns.
func (t *tx) sumOf(query string, args ...any) (total dataset.Sum, err error) {
	err = t.each(query, args, func(scan func(...any) error) error {
		var count int64
		var sum []byte
		if err := scan(&count, &sum); err != nil {
			return err
		}
		if len(sum) != 32 {
			return errors.New("a sum in the catalog has not 32 bytes")
		}
		total = total.Add(dataset.SumFromBytes(count, sum))
		return nil
	})
	return total, err
}

// promotedIn sums up the promoted partitions of a dataset that overlap i. It
// reads what the edges of i hold and one row for each whole day, month or year
// in between, whichever is the longest.
func (t *tx) promotedIn(datasetID int64, g dataset.Grain, i dataset.Interval) (dataset.Sum, error) {
	if g == dataset.None {
		return t.leavesFrom(datasetID, 0, 1)
	}
	from, to := i.Start.Truncate(g.Span()), i.End.Truncate(g.Span())
	if to.Before(i.End) {
		to = to.Add(g.Span())
	}
	return t.sumOver(datasetID, append([]level{leaves}, levelsOf(g)...), from, to)
}

// sumOver sums up the partitions that start in from <= start < to, both starts of
// units of the first level.
func (t *tx) sumOver(datasetID int64, levels []level, from, to time.Time) (dataset.Sum, error) {
	here := func(from, to time.Time) (dataset.Sum, error) {
		switch {
		case !from.Before(to):
			return dataset.Sum{}, nil
		case levels[0] == leaves:
			return t.leavesFrom(datasetID, micros(from), micros(to))
		}
		return t.sumOf("SELECT count, leaves FROM sums WHERE dataset_id = ? AND level = ? AND starts >= ? AND starts < ?",
			datasetID, levels[0], micros(from), micros(to))
	}
	if len(levels) == 1 {
		return here(from, to)
	}
	inner := dataset.Interval{Start: levels[1].ceil(from), End: levels[1].floor(to)}
	if !inner.Start.Before(inner.End) {
		return here(from, to)
	}
	head, err := here(from, inner.Start)
	if err != nil {
		return head, err
	}
	middle, err := t.sumOver(datasetID, levels[1:], inner.Start, inner.End)
	if err != nil {
		return middle, err
	}
	tail, err := here(inner.End, to)
	return head.Add(middle).Add(tail), err
}

// leavesFrom sums up promoted partitions one by one.
func (t *tx) leavesFrom(datasetID, from, to int64) (dataset.Sum, error) {
	return t.leavesOf("SELECT p.name, v.number, v.rows, v.hash FROM partitions p"+everybodys+"WHERE p.dataset_id = ? AND p.starts >= ? AND p.starts < ?", datasetID, from, to)
}

// leavesOf sums up what a query of name, version, rows and hash lists.
func (t *tx) leavesOf(query string, args ...any) (total dataset.Sum, err error) {
	err = t.each(query, args, func(scan func(...any) error) error {
		q, err := scanPromoted("", scan)
		total = total.Add(dataset.Leaf(q))
		return err
	})
	return total, err
}

// readSums says what one output partition reads, input by input, without listing
// it: the trace key of a window of any length costs what its edges hold. plain is
// false where only Inputs can tell: the stage is pinned, belongs to a release
// group, or reads something as of a time.
func (t *tx) readSums(own partition, edges []reading) (out []dataset.Read, plain bool, err error) {
	for _, e := range edges {
		if e.window.Dated() || e.special {
			return nil, false, nil
		}
		in := everything
		if e.window.Kind == dataset.Span && own.name != dataset.Whole {
			in = e.window.Reads(own.name)
		}
		s, err := t.promotedIn(e.inputID, e.grain, in)
		if err != nil {
			return nil, false, err
		}
		out = append(out, dataset.Read{Input: e.input, Sum: s})
	}
	return out, true, nil
}

// reading is one input of a stage.
type reading struct {
	inputID int64
	input   string
	grain   dataset.Grain
	window  dataset.Window
	special bool // read otherwise than everybody reads it
}

// timed reports whether the window is over an input that is cut by time.
func (r reading) timed() bool {
	return r.window.Kind != dataset.Latest && r.window.Kind != dataset.AsOf
}

// edgesOf lists what a stage reads, in order of name.
func (t *tx) edgesOf(stageID int64) (out []reading, err error) {
	err = t.each(`SELECT d.id, d.name, d.grain, e.kind, e.lo, e.hi, e.since, EXISTS (SELECT 1 FROM pins n WHERE n.stage_id = e.dataset_id) OR EXISTS (SELECT 1 FROM groups g WHERE g.dataset_id = e.dataset_id)
		FROM edges e JOIN datasets d ON d.id = e.input_id WHERE e.dataset_id = ? ORDER BY d.name`, []any{stageID},
		func(scan func(...any) error) error {
			var r reading
			var lo, hi int64
			err := scan(&r.inputID, &r.input, &r.grain, &r.window.Kind, &lo, &hi, &r.window.From, &r.special)
			r.window.Lo, r.window.Hi = time.Duration(lo)*time.Microsecond, time.Duration(hi)*time.Microsecond
			out = append(out, r)
			return err
		})
	return out, err
}

// standing returns the trace key under which the promoted version of p stands;
// nil if none does.
func (t *tx) standing(p partition) (key []byte, err error) {
	now, err := t.promoted(p)
	if err != nil || now.Version == 0 {
		return nil, err
	}
	err = t.QueryRowContext(t.ctx, "SELECT trace_key FROM versions WHERE partition_id = ? AND number = ?", p.id, now.Version).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return key, err
}

func anyTimed(edges []reading, reads []dataset.Read) (timed, some bool) {
	for i, e := range edges {
		timed = timed || e.timed()
		some = some || e.timed() && reads[i].Sum.Count > 0
	}
	return timed, some
}
