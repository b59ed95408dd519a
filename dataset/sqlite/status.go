package sqlite

import (
	"context"
	"time"
)

// DatasetStatus counts a dataset's partitions by state, and its promoted rows.
// Every partition is in exactly one of Fresh, Stale, Running, Deferred, Held,
// Waived, Failed, Erased and Absent; Open counts those of any state that the
// watermark has not closed. All partitions of a paused stage are Stale: nobody
// looks whether they still are what they should be.
type DatasetStatus struct {
	Name       string `json:"name"`
	Partitions int64  `json:"partitions"`
	Open       int64  `json:"open"`
	Fresh      int64  `json:"fresh"`
	Stale      int64  `json:"stale"`
	Running    int64  `json:"running"`
	Deferred   int64  `json:"deferred"`
	Held       int64  `json:"held"`
	Waived     int64  `json:"waived"`
	Failed     int64  `json:"failed"`
	Erased     int64  `json:"erased"`
	Absent     int64  `json:"absent"`
	Rows       int64  `json:"rows"`
}

// Status is one snapshot of everything on record.
type Status struct {
	Datasets []DatasetStatus
	Errors   []Failure
	Load     LoadTotals
	// ReceivedTo is the received time the journal is loaded up to.
	ReceivedTo time.Time
	Revision   int64
}

// Failure is a partition whose last run failed.
type Failure struct {
	Dataset   string `json:"dataset"`
	Partition string `json:"partition"`
	Attempts  int    `json:"attempts"`
	Error     string `json:"error"`
}

// Status counts partitions by state. What runs right now is known only to the
// scheduler, which moves it from Stale to Running.
func (c *Catalog) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.view(ctx, func(t *tx) error {
		if err := t.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'revision'").Scan(&s.Revision); err != nil {
			return err
		}
		var received int64
		err := t.QueryRowContext(ctx, "SELECT event, loaded, quarantined, repeats, lost, received_to FROM cursors WHERE name = 'load'").
			Scan(&s.Load.Events, &s.Load.Loaded, &s.Load.Quarantined, &s.Load.Repeats, &s.Load.Lost, &received)
		if err != nil {
			return err
		}
		s.ReceivedTo = fromMicros(received)
		if err := t.countDatasets(&s); err != nil {
			return err
		}
		return t.each(`SELECT d.name, w.name, w.attempts, w.error FROM dirty w JOIN datasets d ON d.id = w.dataset_id
			WHERE w.failed_key IS NOT NULL ORDER BY w.since LIMIT 100`, nil, func(scan func(...any) error) error {
			var f Failure
			err := scan(&f.Dataset, &f.Partition, &f.Attempts, &f.Error)
			s.Errors = append(s.Errors, f)
			return err
		})
	})
	return s, err
}

func (t *tx) countDatasets(s *Status) error {
	return t.each(`WITH entries AS (
			SELECT p.dataset_id, p.closed_at, v.rows, x.version, w.failed_key, w.not_before FROM partitions p
			LEFT JOIN dirty w ON w.dataset_id = p.dataset_id AND w.name = p.name
			LEFT JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
			LEFT JOIN versions v ON v.partition_id = p.id AND v.number = x.version
			UNION ALL
			SELECT w.dataset_id, NULL, NULL, NULL, w.failed_key, w.not_before FROM dirty w
			WHERE NOT EXISTS (SELECT 1 FROM partitions p WHERE p.dataset_id = w.dataset_id AND p.name = w.name)
		), states AS (
			SELECT e.dataset_id, e.closed_at IS NULL AND d.grain <> 'none' AS open, COALESCE(e.rows, 0) AS rows,
			CASE WHEN e.failed_key IS NOT NULL THEN 'failed'
				WHEN e.not_before > ?1 THEN 'deferred'
				WHEN e.not_before IS NOT NULL OR d.paused THEN 'stale'
				WHEN e.version IS NULL THEN 'absent' ELSE 'fresh' END AS state
			FROM entries e JOIN datasets d ON d.id = e.dataset_id
		)
		SELECT d.name, COUNT(s.state), COALESCE(SUM(s.open), 0), COALESCE(SUM(s.state = 'fresh'), 0), COALESCE(SUM(s.state = 'stale'), 0),
			COALESCE(SUM(s.state = 'deferred'), 0), COALESCE(SUM(s.state = 'failed'), 0), COALESCE(SUM(s.state = 'absent'), 0), COALESCE(SUM(s.rows), 0)
		FROM datasets d LEFT JOIN states s ON s.dataset_id = d.id WHERE d.retired_at IS NULL GROUP BY d.id ORDER BY d.depth, d.name`,
		[]any{t.now}, func(scan func(...any) error) error {
			var d DatasetStatus
			err := scan(&d.Name, &d.Partitions, &d.Open, &d.Fresh, &d.Stale, &d.Deferred, &d.Failed, &d.Absent, &d.Rows)
			s.Datasets = append(s.Datasets, d)
			return err
		})
}
