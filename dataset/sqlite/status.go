package sqlite

import (
	"context"
	"time"

	"github.com/reedbed/reedbed/dataset"
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
	Holds    []dataset.Hold // the oldest: 100 at most for everybody, and as many for single readers
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
		if s.Holds, err = t.holds("TRUE ORDER BY h.promoted_at, p.id LIMIT 100"); err != nil {
			return err
		}
		apart, err := t.holdsApart(100)
		if err != nil {
			return err
		}
		s.Holds = append(s.Holds, apart...)
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

// countDatasets reads the counts beside each dataset. Only what is put off must
// be counted, for that changes with the time: by debounce, or, while a partition
// is open, by a waiver.
func (t *tx) countDatasets(s *Status) error {
	deferred, err := t.tally("SELECT dataset_id, COUNT(*) FROM dirty WHERE not_before > ? AND failed_key IS NULL GROUP BY dataset_id", t.now)
	if err != nil {
		return err
	}
	putOff, err := t.tally(`SELECT w.dataset_id, COUNT(*) FROM waived w CROSS JOIN partitions p ON p.dataset_id = w.dataset_id AND p.name = w.name
		WHERE p.closed_at IS NULL AND p.ends > 0 GROUP BY w.dataset_id`)
	if err != nil {
		return err
	}
	held, err := t.heldCounts()
	if err != nil {
		return err
	}
	return t.each(`SELECT d.id, d.name, d.paused, d.grain = 'none', c.partitions, c.open, c.promoted, c.rows, c.due, c.due_new, c.due_promoted, c.failed,
		c.waived, c.waived_new, c.waived_promoted
		FROM datasets d JOIN counts c ON c.dataset_id = d.id WHERE d.retired_at IS NULL ORDER BY d.depth, d.name`, nil,
		func(scan func(...any) error) error {
			var id int64
			var d DatasetStatus
			var paused, whole bool
			var n counts
			err := scan(&id, &d.Name, &paused, &whole, &n.partitions, &n.open, &n.promoted, &n.rows, &n.due, &n.dueNew, &n.duePromoted, &n.failed,
				&n.waived, &n.waivedNew, &n.waivedPromoted)
			n.status(&d, deferred[id], paused, whole)
			d.Waived, d.Deferred = n.waived-putOff[id], d.Deferred+putOff[id]
			if h := held[id]; !paused {
				d.Held, d.Fresh, d.Absent = h.all, d.Fresh-h.promoted, d.Absent-(h.all-h.promoted)
			}
			s.Datasets = append(s.Datasets, d)
			return err
		})
}

// heldCount is how many partitions of a dataset are held, and how many of these
// readers see something of.
type heldCount struct{ all, promoted int64 }

// heldCounts counts what is held and neither due nor waived. There is seldom any.
func (t *tx) heldCounts() (map[int64]heldCount, error) {
	out := map[int64]heldCount{}
	err := t.each(`SELECT p.dataset_id, COUNT(*), COUNT(x.version) FROM pointers h INDEXED BY pointers_held JOIN partitions p ON p.id = h.partition_id
		LEFT JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
		WHERE h.view = 'held' AND NOT EXISTS (SELECT 1 FROM dirty w WHERE w.dataset_id = p.dataset_id AND w.name = p.name)
		AND NOT EXISTS (SELECT 1 FROM waived w WHERE w.dataset_id = p.dataset_id AND w.name = p.name) GROUP BY p.dataset_id`, nil,
		func(scan func(...any) error) error {
			var id int64
			var n heldCount
			err := scan(&id, &n.all, &n.promoted)
			out[id] = n
			return err
		})
	return out, err
}

// tally reads pairs of a dataset's id and a number.
func (t *tx) tally(query string, args ...any) (map[int64]int64, error) {
	out := map[int64]int64{}
	err := t.each(query, args, func(scan func(...any) error) error {
		var id, n int64
		err := scan(&id, &n)
		out[id] = n
		return err
	})
	return out, err
}

// counts is a row of the counts table.
type counts struct {
	partitions, open, promoted, rows, due, dueNew, duePromoted, failed int64
	waived, waivedNew, waivedPromoted                                  int64
}

// status says in d how many partitions are in each state.
func (n counts) status(d *DatasetStatus, deferred int64, paused, whole bool) {
	d.Partitions, d.Open, d.Rows = n.partitions+n.dueNew+n.waivedNew, n.open, n.rows
	if !whole {
		d.Open += n.dueNew // what is not on record yet is not closed
	}
	d.Failed, d.Deferred = n.failed, deferred
	if paused {
		d.Stale = d.Partitions - d.Failed - d.Deferred
		return
	}
	d.Stale = n.due - n.failed - deferred
	d.Fresh = n.promoted - n.duePromoted - n.waivedPromoted
	d.Absent = n.partitions - n.promoted - (n.due - n.dueNew - n.duePromoted) - (n.waived - n.waivedNew - n.waivedPromoted)
}

// recounted is the counts table, counted anew.
const recounted = `SELECT d.id AS dataset_id,
	(SELECT COUNT(*) FROM partitions p WHERE p.dataset_id = d.id) AS partitions,
	(SELECT COUNT(*) FROM partitions p WHERE p.dataset_id = d.id AND p.closed_at IS NULL AND p.ends > 0) AS open,
	(SELECT COUNT(*) FROM partitions p JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' WHERE p.dataset_id = d.id) AS promoted,
	(SELECT COALESCE(SUM(v.rows), 0) FROM partitions p JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
		JOIN versions v ON v.partition_id = p.id AND v.number = x.version WHERE p.dataset_id = d.id) AS rows,
	(SELECT COUNT(*) FROM dirty w WHERE w.dataset_id = d.id) AS due,
	(SELECT COUNT(*) FROM dirty w WHERE w.dataset_id = d.id
		AND NOT EXISTS (SELECT 1 FROM partitions p WHERE p.dataset_id = w.dataset_id AND p.name = w.name)) AS due_new,
	(SELECT COUNT(*) FROM dirty w JOIN partitions p ON p.dataset_id = w.dataset_id AND p.name = w.name
		JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' WHERE w.dataset_id = d.id) AS due_promoted,
	(SELECT COUNT(*) FROM dirty w WHERE w.dataset_id = d.id AND w.failed_key IS NOT NULL) AS failed,
	(SELECT COUNT(*) FROM waived w WHERE w.dataset_id = d.id) AS waived,
	(SELECT COUNT(*) FROM waived w WHERE w.dataset_id = d.id
		AND NOT EXISTS (SELECT 1 FROM partitions p WHERE p.dataset_id = w.dataset_id AND p.name = w.name)) AS waived_new,
	(SELECT COUNT(*) FROM waived w JOIN partitions p ON p.dataset_id = w.dataset_id AND p.name = w.name
		JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' WHERE w.dataset_id = d.id) AS waived_promoted
	FROM datasets d`

// Miscounted names the datasets whose counts are not what counting gives: none,
// unless somebody changed the catalog from outside. It reads every partition.
func (c *Catalog) Miscounted(ctx context.Context) (names []string, err error) {
	err = c.view(ctx, func(t *tx) error {
		names, err = t.names(`SELECT name FROM datasets WHERE id IN (SELECT dataset_id FROM (` + recounted + ` EXCEPT SELECT * FROM counts)) ORDER BY name`)
		return err
	})
	return names, err
}

// Recount makes the counts what counting gives.
func (c *Catalog) Recount(ctx context.Context) error {
	return c.update(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM counts"); err != nil {
			return err
		}
		return t.exec("INSERT INTO counts " + recounted)
	})
}
