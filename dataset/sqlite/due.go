package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// runnable are the dirty entries that may run at ?1 (now) or, being postponed
// only, by ?2, with nothing about to change first that they read, or that what
// they read through time is made from: a long window would run again for each
// partition in it. What a release group reads from outside stays as it is for as
// long as it works. A failed input waits for its retry and holds nobody up until
// then; and live work is not held up for long (?3) by inputs that are never at
// rest. Through inputs read whole, such as a model made of all of time, something
// is nearly always about to change: there only the input itself counts, and what
// a person brought about further up, which comes to rest.
const runnable = `SELECT d.name, d.owner, d.depth, w.name, w.generation, p.closed_at IS NOT NULL, w.attempts, w.failed_key, w.since, w.urgent,
	COALESCE((SELECT kind FROM causes WHERE id = w.cause_id), '')
	FROM dirty w JOIN datasets d ON d.id = w.dataset_id
	LEFT JOIN partitions p ON p.dataset_id = w.dataset_id AND p.name = w.name
	WHERE +w.not_before <= ?2 AND (w.failed_key IS NULL OR +w.not_before <= ?1) AND w.waits = 0
	AND (w.since < ?3 OR (NOT EXISTS (SELECT 1 FROM edges e JOIN dirty u ON u.dataset_id = e.producer_id
		WHERE e.dataset_id = w.dataset_id AND (e.kind <> 'span' OR w.ends = 0) AND e.frozen = 0 AND u.waits = 0
		AND u.not_before <= ?2 AND (u.failed_key IS NULL OR u.not_before <= ?1))
	AND NOT EXISTS (SELECT 1 FROM ancestors e JOIN dirty u ON u.dataset_id = e.producer_id
		AND u.starts < w.ends + e.hi AND u.starts > w.starts + e.lo - 86400000000
		WHERE e.dataset_id = w.dataset_id AND e.whole = 0 AND w.ends > 0 AND u.ends > w.starts + e.lo AND u.waits = 0
		AND u.not_before <= ?2 AND (u.failed_key IS NULL OR u.not_before <= ?1))
	AND NOT EXISTS (SELECT 1 FROM ancestors e JOIN dirty u ON u.dataset_id = e.producer_id AND u.urgent = 1
		WHERE e.dataset_id = w.dataset_id AND e.whole = 1 AND u.waits = 0
		AND u.not_before <= ?2 AND (u.failed_key IS NULL OR u.not_before <= ?1))))`

const (
	dueLive = runnable + ` AND (w.ends = 0 OR w.ends > ?1 - (SELECT MAX(allowance) FROM datasets)) AND (w.ends = 0 OR w.ends + d.allowance > ?1)
		ORDER BY w.since, d.depth, d.name LIMIT ?4`
	dueHistory = runnable + ` AND w.ends > 0 AND w.ends + d.allowance <= ?1 AND w.dataset_id = ?5 ORDER BY w.ends DESC LIMIT ?4`
)

// liveWait is how long live work waits for its inputs to come to rest.
const liveWait = 30 * time.Second

// Ask says which due work is wanted.
type Ask struct {
	Limit int             // of live work, and of the history of each dataset
	All   bool            // what is postponed counts as due, too
	Skip  map[string]bool // datasets whose history is not looked at
}

// Due is the answer to an Ask.
type Due struct {
	Live    []dataset.Task // longest waiting first
	History []dataset.Task // each owner's newest partitions first
	Barren  []string       // datasets that have history to do, none of which can run now
}

// Due lists dirty partitions that may run now: live ones, whose time was not
// over when they were asked for, apart from history. What reads another dirty
// partition comes after it. It costs what is listed and what must wait, not
// what exists.
func (c *Catalog) Due(ctx context.Context, ask Ask) (Due, error) {
	var out Due
	err := c.view(ctx, func(t *tx) (err error) {
		until := t.now
		if ask.All {
			until = 1 << 62
		}
		if out.Live, err = t.tasks(dueLive, t.now, until, t.now-liveWait.Microseconds(), ask.Limit); err != nil {
			return err
		}
		return t.dueHistory(&out, ask, until)
	})
	return out, err
}

func (t *tx) dueHistory(out *Due, ask Ask, until int64) error {
	waiting := map[string]int64{}
	err := t.each("SELECT d.id, d.name FROM datasets d WHERE EXISTS (SELECT 1 FROM dirty w WHERE w.dataset_id = d.id AND w.ends > 0)", nil,
		func(scan func(...any) error) error {
			var id int64
			var name string
			err := scan(&id, &name)
			waiting[name] = id
			return err
		})
	if err != nil {
		return err
	}
	for name, id := range waiting {
		if ask.Skip[name] {
			continue
		}
		found, err := t.tasks(dueHistory, t.now, until, 0, ask.Limit, id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			out.Barren = append(out.Barren, name)
		}
		out.History = append(out.History, found...)
	}
	slices.SortFunc(out.History, func(a, b dataset.Task) int {
		return cmp.Or(b.Partition.End().Compare(a.Partition.End()), cmp.Compare(a.Depth, b.Depth), cmp.Compare(a.Dataset, b.Dataset))
	})
	return nil
}

func (t *tx) tasks(query string, args ...any) ([]dataset.Task, error) {
	var out []dataset.Task
	err := t.each(query, args, func(scan func(...any) error) error {
		var k dataset.Task
		var since int64
		err := scan(&k.Dataset, &k.Owner, &k.Depth, &k.Partition, &k.Generation, &k.Closed, &k.Attempts, &k.FailedKey, &since, &k.Urgent, &k.Cause)
		k.Since = fromMicros(since)
		out = append(out, k)
		return err
	})
	return out, err
}

// NextDue is when the earliest postponed partition may run; false when none is
// postponed.
func (c *Catalog) NextDue(ctx context.Context) (time.Time, bool, error) {
	var at sql.NullInt64
	err := c.view(ctx, func(t *tx) error {
		return t.QueryRowContext(ctx, "SELECT MIN(not_before) FROM dirty WHERE not_before > ?", t.now).Scan(&at)
	})
	return fromMicros(at.Int64), at.Valid, err
}
