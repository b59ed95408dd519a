// Package sqlite is the catalog on one machine: what datasets, partitions,
// versions, pointers, traces and work there are, in one SQLite file.
//
// Every change is one transaction in WAL mode with synchronous=FULL, so what
// returned is on stable storage. The package knows records about data; it
// never opens an object, never runs a stage and never reads a clock other than
// the one it was given.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
)

//go:embed schema_1.sql
var schema1 string

//go:embed schema_2.sql
var schema2 string

// migrations bring a catalog from version i to i+1. One is never edited once
// released; a change of the schema is a new one at the end.
func migrations() []string { return []string{schema1, schema2} }

// Catalog is an open catalog. It is safe for concurrent use: writes queue on
// one connection, reads run beside them on their own snapshots.
type Catalog struct {
	write *sql.DB // one connection, BEGIN IMMEDIATE
	read  *sql.DB
	now   func() time.Time
}

// Options of a catalog.
type Options struct {
	Path     string
	ReadOnly bool             // for commands beside a running node
	Now      func() time.Time // nil: time.Now
}

// Open opens or creates the catalog at o.Path and brings its schema up to date.
// A catalog written by a newer release is refused.
func Open(ctx context.Context, o Options) (*Catalog, error) {
	c := &Catalog{now: o.Now}
	if c.now == nil {
		c.now = time.Now
	}
	err := keepPlans()
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", o.Path, err)
	}
	if c.read, err = sql.Open("sqlite3", dsn(o.Path, "ro")); err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", o.Path, err)
	}
	c.read.SetMaxOpenConns(8)
	if o.ReadOnly {
		if err := c.checkVersion(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("catalog %s: %w", o.Path, err), c.Close())
		}
		return c, nil
	}
	if c.write, err = sql.Open("sqlite3", dsn(o.Path, "rwc")); err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog %s: %w", o.Path, err), c.Close())
	}
	c.write.SetMaxOpenConns(1)
	if err := c.migrate(ctx, migrations()); err != nil {
		return nil, errors.Join(fmt.Errorf("catalog %s: %w", o.Path, err), c.Close())
	}
	return c, nil
}

func dsn(path, mode string) string {
	q := url.Values{
		"mode": {mode}, "_busy_timeout": {"10000"}, "_foreign_keys": {"on"},
		"_journal_mode": {"WAL"}, "_synchronous": {"FULL"}, "_txlock": {"immediate"}, "_stmt_cache_size": {"512"},
	}
	if mode == "ro" {
		q.Del("_journal_mode")
		q.Set("_txlock", "deferred")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Close closes the catalog; what was committed stays.
func (c *Catalog) Close() error {
	err := c.read.Close()
	if c.write != nil {
		err = errors.Join(err, c.write.Close())
	}
	return err
}

// migrate applies the steps the catalog lacks in one transaction: a crash leaves
// the schema as it was.
func (c *Catalog) migrate(ctx context.Context, steps []string) error {
	return c.update(ctx, func(t *tx) error {
		var have int
		if err := t.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
			return err
		}
		if have > len(steps) {
			return newerError(have, len(steps))
		}
		for ; have < len(steps); have++ {
			if _, err := t.ExecContext(ctx, steps[have]); err != nil {
				return fmt.Errorf("migration %d: %w", have+1, err)
			}
		}
		_, err := t.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(steps)))
		return err
	})
}

func (c *Catalog) checkVersion(ctx context.Context) error {
	var have int
	if err := c.read.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	if have > len(migrations()) {
		return newerError(have, len(migrations()))
	}
	if have == 0 {
		return errors.New("the catalog is empty: run `reedbed up` once in this project")
	}
	return nil
}

func newerError(have, know int) error {
	return fmt.Errorf("it has schema %d and this release knows up to %d: use the release that wrote it, or a newer one", have, know)
}

// tx is one write transaction with the time and the revision it commits as.
type tx struct {
	*sql.Tx
	ctx      context.Context //nolint:containedctx // a tx lives no longer than the call that carries ctx
	now      int64
	revision int64
	apply    int64 // the apply this is, 0 in other transactions
	known    memo  // what was asked already, in transactions over many partitions
}

// update runs fn in one write transaction. An error rolls everything back.
func (c *Catalog) update(ctx context.Context, fn func(*tx) error) error {
	raw, err := c.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin catalog transaction: %w", err)
	}
	t := &tx{Tx: raw, ctx: ctx, now: micros(c.now())}
	err = fn(t)
	if err == nil {
		err = t.sumUp()
	}
	if err != nil {
		return errors.Join(err, raw.Rollback())
	}
	if err := raw.Commit(); err != nil {
		return fmt.Errorf("commit catalog transaction: %w", err)
	}
	return nil
}

// bump gives the transaction its catalog revision: a number that grows with
// every change a reader can see.
func (t *tx) bump() error {
	if t.revision != 0 {
		return nil
	}
	return t.QueryRowContext(t.ctx, "UPDATE meta SET value = value + 1 WHERE key = 'revision' RETURNING value").Scan(&t.revision)
}

// moment is the key under which a context carries the snapshot of OneMoment.
type moment struct{}

// OneMoment calls fn with a context in which everything that is asked of the
// catalog is answered from one read snapshot, for one goroutine. Many questions
// cost less so: each new snapshot finds its pages anew.
func (c *Catalog) OneMoment(ctx context.Context, fn func(context.Context) error) error {
	return c.view(ctx, func(t *tx) error {
		t.known = newMemo()
		return fn(context.WithValue(ctx, moment{}, t))
	})
}

// view runs fn on one read snapshot.
func (c *Catalog) view(ctx context.Context, fn func(*tx) error) error {
	if t, ok := ctx.Value(moment{}).(*tx); ok {
		return fn(&tx{Tx: t.Tx, ctx: ctx, now: t.now, known: t.known})
	}
	raw, err := c.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	err = fn(&tx{Tx: raw, ctx: ctx, now: micros(c.now())})
	return errors.Join(err, raw.Rollback())
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.ExecContext(t.ctx, query, args...)
	return err
}

// execOne runs a statement that must change exactly one row.
func (t *tx) execOne(query string, args ...any) (bool, error) {
	res, err := t.ExecContext(t.ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func (t *tx) insertID(query string, args ...any) (int64, error) {
	res, err := t.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// each calls fn for every row of a query; fn scans it.
func (t *tx) each(query string, args []any, fn func(scan func(...any) error) error) error {
	rows, err := t.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// names are the rows of a query of one text.
func (t *tx) names(query string, args ...any) (names []string, err error) {
	err = t.each(query, args, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
