package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/reedbed/reedbed/anomaly"
	"github.com/reedbed/reedbed/dataset"
)

// keptAnomalies are those that ended, at most.
const keptAnomalies = 300

// Watched is an hour whose events were looked at.
type Watched struct {
	Hour   anomaly.Hour
	Rows   int64 // of raw then
	Judged bool  // at its close
}

// WatchedHours returns what is on record of the hours of these starts. Those whose
// record is damaged are unknown, and named.
func (c *Catalog) WatchedHours(ctx context.Context, starts []time.Time) (out []anomaly.Hour, damaged []time.Time, err error) {
	err = c.view(ctx, func(t *tx) error {
		for _, start := range starts {
			var observed []byte
			err := t.QueryRowContext(ctx, "SELECT observed FROM watched WHERE starts = ?", micros(start)).Scan(&observed)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			h, err := anomaly.DecodeHour(observed)
			if err != nil {
				h, damaged = anomaly.Unknown(start), append(damaged, start)
			}
			out = append(out, h)
		}
		return nil
	})
	return out, damaged, err
}

// WatchedSince is the start of the oldest hour on record, zero if there is none, and
// whether the hour of a start was judged.
func (c *Catalog) WatchedSince(ctx context.Context, start time.Time) (oldest time.Time, judged bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		var first int64
		err := t.QueryRowContext(ctx, "SELECT COALESCE(MIN(starts), 0), EXISTS (SELECT 1 FROM watched WHERE starts = ? AND judged = 1) FROM watched", micros(start)).Scan(&first, &judged)
		oldest = fromMicros(first)
		return err
	})
	return oldest, judged, err
}

// ToWatch is the newest hour of raw between two times that is not on record, or
// was not judged and has a tenth of its rows since it was looked at; not ok if there is none.
func (c *Catalog) ToWatch(ctx context.Context, from, to time.Time) (start time.Time, ok bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		var us int64
		err := t.QueryRowContext(ctx, `SELECT p.starts FROM datasets d JOIN partitions p ON p.dataset_id = d.id`+everybodys+`
			LEFT JOIN watched w ON w.starts = p.starts
			WHERE d.name = ?1 AND p.starts >= ?2 AND p.starts < ?3 AND p.closed_at IS NOT NULL
			AND (w.starts IS NULL OR w.judged = 0 AND abs(v.rows - w.rows) * 10 > v.rows) ORDER BY p.starts DESC LIMIT 1`,
			dataset.Raw, micros(from), micros(to)).Scan(&us)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		start, ok = fromMicros(us), err == nil
		return err
	})
	return start, ok, err
}

// RecordWatched records an hour with the anomalies that began or changed, and
// forgets what is too old to be of use.
func (c *Catalog) RecordWatched(ctx context.Context, w Watched, changed []anomaly.Anomaly) error {
	observed, err := w.Hour.Encode()
	if err != nil {
		return err
	}
	return c.update(ctx, func(t *tx) error {
		err := t.exec("INSERT OR REPLACE INTO watched (starts, rows, judged, looked_at, observed) VALUES (?, ?, ?, ?, ?)",
			micros(w.Hour.Start), w.Rows, w.Judged, t.now, observed)
		for i := 0; i < len(changed) && err == nil; i++ {
			err = t.recordAnomaly(changed[i])
		}
		if err != nil {
			return err
		}
		// By the newest hour and not by the clock: what ToWatch still wants would be looked
		// at and forgotten for ever.
		keep := anomaly.Keep.Microseconds()
		if err := t.exec("DELETE FROM watched WHERE starts < (SELECT MAX(starts) FROM watched) - ?", keep); err != nil {
			return err
		}
		return t.exec("DELETE FROM anomalies WHERE until < ?1 OR until <= (SELECT until FROM anomalies WHERE until IS NOT NULL ORDER BY until DESC LIMIT 1 OFFSET ?2)", t.now-keep, keptAnomalies)
	})
}

func (t *tx) recordAnomaly(a anomaly.Anomaly) error {
	said, err := json.Marshal(a)
	if err != nil {
		return err
	}
	id, until := sql.NullInt64{Int64: a.ID, Valid: a.ID != 0}, sql.NullInt64{Int64: micros(a.Until), Valid: !a.Until.IsZero()}
	return t.exec("INSERT OR REPLACE INTO anomalies (id, said, until) VALUES (?, ?, ?)", id, string(said), until)
}

// Anomalies lists those that last and those that ended after a time, the oldest first.
func (c *Catalog) Anomalies(ctx context.Context, after time.Time) (out []anomaly.Anomaly, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each("SELECT id, said FROM anomalies WHERE until IS NULL OR until > ? ORDER BY id", []any{micros(after)}, func(scan func(...any) error) error {
			var a anomaly.Anomaly
			var said string
			if err := scan(&a.ID, &said); err != nil {
				return err
			}
			err := json.Unmarshal([]byte(said), &a)
			out = append(out, a)
			return err
		})
	})
	return out, err
}
