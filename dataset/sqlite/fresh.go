package sqlite

import (
	"context"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// Lag is how far a dataset lags behind a time.
type Lag struct {
	// Newest is when the newest partition ends that is closed and was looked at since,
	// whatever came of it; zero if there is none.
	Newest time.Time
	// Due is a later partition, the last that ends by then; "" if there is none.
	Due dataset.Partition
}

// Lag says how far a dataset that is cut by time has come by a time. What is computed
// again is there all the same, and what is older than the newest is of no account: a
// backfill is not late.
func (c *Catalog) Lag(ctx context.Context, name string, by time.Time) (lag Lag, err error) {
	err = c.view(ctx, func(t *tx) error {
		var newest int64
		err := t.QueryRowContext(ctx, `SELECT COALESCE((SELECT p.ends FROM datasets d JOIN partitions p ON p.dataset_id = d.id
			WHERE d.name = ? AND p.closed_at IS NOT NULL AND p.ends > 0
			AND (p.last_run >= p.closed_at OR NOT EXISTS (SELECT 1 FROM dirty w WHERE w.dataset_id = d.id AND w.name = p.name AND w.since <= p.closed_at))
			ORDER BY p.starts DESC LIMIT 1), 0)`, name).Scan(&newest)
		if err != nil {
			return err
		}
		if newest > 0 {
			lag.Newest = fromMicros(newest)
		}
		return t.QueryRowContext(ctx, `SELECT COALESCE((SELECT x.name FROM datasets d JOIN (
				SELECT dataset_id, name, starts, ends FROM partitions UNION ALL SELECT dataset_id, name, starts, ends FROM dirty) x ON x.dataset_id = d.id
			WHERE d.name = ? AND x.ends > ? AND x.ends <= ? ORDER BY x.starts DESC LIMIT 1), '')`, name, newest, micros(by)).Scan(&lag.Due)
	})
	return lag, err
}
