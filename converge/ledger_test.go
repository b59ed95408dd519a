package converge

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/reedbed/reedbed/dataset"
)

// ledger keeps account of what was computed under which trace key. It reads
// what the converger logs, and what triggers in the catalog saw being written.
type ledger struct {
	db   *sql.DB
	path string

	mu       sync.Mutex
	last     map[string]int64 // what was computed, to what the triggers had seen then
	timed    int              // computed, of stages that are cut by time
	whole    int              // of others
	dropped  int              // computed under a definition that was replaced meanwhile
	twice    []string         // computed again without need
	failures []string
	ran      []place // what was computed, in order
}

// prepareLedger makes a catalog write down what happens to each partition:
// under which key it is on record, or that there is nothing of it any more.
func prepareLedger(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		return err
	}
	const open = "(SELECT closed_at IS NULL FROM partitions p WHERE p.id = "
	_, err = db.ExecContext(ctx, `CREATE TABLE ledger (id INTEGER PRIMARY KEY, partition_id, trace_key, open);
		CREATE INDEX ledger_by_partition ON ledger (partition_id, id);
		CREATE TRIGGER first_trace AFTER INSERT ON traces BEGIN
			INSERT INTO ledger (partition_id, trace_key, open) VALUES (NEW.partition_id, NEW.trace_key, `+open+`NEW.partition_id)); END;
		CREATE TRIGGER next_trace AFTER UPDATE ON traces BEGIN
			INSERT INTO ledger (partition_id, trace_key, open) VALUES (NEW.partition_id, NEW.trace_key, `+open+`NEW.partition_id)); END;
		CREATE TRIGGER absent AFTER DELETE ON pointers BEGIN
			INSERT INTO ledger (partition_id, trace_key, open) VALUES (OLD.partition_id, x'', `+open+`OLD.partition_id)); END;`)
	return errors.Join(err, db.Close())
}

func openLedger(path string) (*ledger, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&_busy_timeout=10000")
	return &ledger{db: db, path: path, last: map[string]int64{}}, err
}

func (l *ledger) Close() error { return l.db.Close() }

// each calls fn with each row of a query on the catalog.
func (l *ledger) each(query string, fn func(*sql.Rows) error, args ...any) error {
	rows, err := l.db.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Enabled makes the ledger a slog.Handler.
func (l *ledger) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is not called by the converger.
func (l *ledger) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup is not called by the converger.
func (l *ledger) WithGroup(string) slog.Handler { return l }

// Handle takes note of what a run led to.
func (l *ledger) Handle(_ context.Context, r slog.Record) error {
	said := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		said[a.Key] = a.Value.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.Message != "stage ran":
		l.failures = append(l.failures, fmt.Sprint(r.Message, said))
	case said["outcome"] == superseded:
		l.dropped++
	case said["outcome"] == "built" || said["outcome"] == "appended":
		return l.add(said["dataset"], said["partition"], said["trace_key"])
	}
	return nil
}

// add accounts for one computation. To compute a partition again under the same
// key is in order only if something else was on record of it meanwhile, at a
// time when it was open: superseded content of open partitions is not kept.
func (l *ledger) add(name, partition, key string) error {
	l.ran = append(l.ran, place{name, dataset.Partition(partition)})
	if partition == "all" {
		l.whole++
	} else {
		l.timed++
	}
	work := name + "@" + partition + " " + key
	before, again := l.last[work]
	var excused bool
	var now int64
	err := l.db.QueryRow(`WITH p AS (SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ? AND p.name = ?)
		SELECT COALESCE(MAX(id), 0), COALESCE(MAX(id > ? AND open AND lower(hex(trace_key)) <> ?), 0) FROM ledger WHERE partition_id = (SELECT id FROM p)`,
		name, partition, before, strings.ToLower(key)).Scan(&now, &excused)
	if again && !excused {
		l.twice = append(l.twice, work)
	}
	l.last[work] = now
	return err
}

// count is how many partitions were computed.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.timed + l.whole
}
