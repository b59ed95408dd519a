// Package duck is the only package that runs DuckDB, and the only one with cgo
// of its own making. It is called by worker processes alone: whatever happens in
// here, up to a crash, must cost nobody but the job.
//
// It knows SQL, Parquet and the two folders it was given. It trusts nothing
// about the SQL it gets, and it is not the wall around it: settings close the
// doors that have a setting, the kernel closes the rest.
package duck

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/reedbed/reedbed/dataset"
)

// Config is what a database is opened with.
type Config struct {
	In, Out string // folders for inputs (read) and outputs (read, write)
	Threads int
	Memory  int64 // bytes the buffer manager may use before it spills
	Spill   int64 // bytes of temporary files in Out/tmp
}

// DB is one in-memory database with one connection, which ends with its process.
// It serves one call at a time; the caller sees to that.
type DB struct {
	cfg      Config
	conn     *sql.Conn
	bounds   map[string]*sql.Stmt // set a partition's start and end
	views    map[string]string    // tables that are open, by name, and what is behind each
	held     bool                 // rowsTable is there
	admitted map[string]bool      // texts that passed Parse
	bound    map[binding][]dataset.Column
	schemas  schemas // what schema_errors reads
}

// Open makes an empty database with everything shut that has a setting, except
// the two folders, and registers the functions stages call.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	// Both are given before the database exists, which else asks for the machine's
	// size under /sys and /proc, where a confined process has no business.
	dsn := fmt.Sprintf("?threads=%d&memory_limit=%dB", max(1, cfg.Threads), cfg.Memory)
	connector, err := duckdb.NewConnector(dsn, nil)
	if err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	d := &DB{cfg: cfg, bounds: map[string]*sql.Stmt{}, views: map[string]string{}, admitted: map[string]bool{}, bound: map[binding][]dataset.Column{}}
	if d.conn, err = sql.OpenDB(connector).Conn(ctx); err != nil {
		return nil, fmt.Errorf("connect to DuckDB: %w", err)
	}
	for _, s := range settings(cfg) {
		if err := d.exec(ctx, s); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
	}
	if err := d.register(); err != nil {
		return nil, err
	}
	for _, name := range []string{"partition_start", "partition_end"} {
		if d.bounds[name], err = d.conn.PrepareContext(ctx, "SET VARIABLE "+name+" = ?::TIMESTAMPTZ"); err != nil { //nolint:sqlclosecheck // lives as long as the connection
			return nil, fmt.Errorf("prepare to set %s: %w", name, err)
		}
	}
	return d, nil
}

func settings(cfg Config) []string {
	return []string{
		"SET errors_as_json = true",
		"SET TimeZone = 'UTC'",
		"SET temp_directory = " + text(filepath.Join(cfg.Out, "tmp")),
		fmt.Sprintf("SET max_temp_directory_size = '%dB'", cfg.Spill),
		// Object names are new for every job, so a cache by name only holds memory.
		"SET enable_external_file_cache = false",
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET allow_community_extensions = false",
		"SET allow_persistent_secrets = false",
		"SET home_directory = " + text(cfg.Out),
	}
}

// Shut lets SQL reach the two folders and nothing else from now on. Settings
// stay open, because a warm worker moves its memory limit between jobs; the
// SQL it runs is a SELECT, which cannot set any.
func (d *DB) Shut(ctx context.Context) error {
	folders := text(d.cfg.In+"/") + ", " + text(d.cfg.Out+"/")
	if err := d.exec(ctx, "SET allowed_directories = ["+folders+"]"); err != nil {
		return err
	}
	return d.exec(ctx, "SET enable_external_access = false")
}

// shutFor lets SQL reach exactly the files given, for the rest of the process's
// life, and locks every setting.
func (d *DB) shutFor(ctx context.Context, files []string) error {
	quoted := make([]string, len(files))
	for i, f := range files {
		quoted[i] = text(f)
	}
	for _, s := range []string{
		"SET allowed_paths = [" + strings.Join(quoted, ", ") + "]",
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	} {
		if err := d.exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (d *DB) limitMemory(ctx context.Context, bytes int64) error {
	if bytes <= 0 || bytes == d.cfg.Memory {
		return nil
	}
	if err := d.exec(ctx, fmt.Sprintf("SET memory_limit = '%dB'", bytes)); err != nil {
		return err
	}
	d.cfg.Memory = bytes
	return nil
}

// hold keeps a SELECT's rows in rowsTable until Clean. The error is the driver's.
func (d *DB) hold(ctx context.Context, rows string) error {
	err := d.exec(ctx, "CREATE TEMP TABLE "+ident(rowsTable)+" AS "+rows)
	d.held = d.held || err == nil
	return err
}

// Clean drops the rows the last job held. Its tables stay open, for the next job
// may be of the same stage. After an error the database must not be used again.
func (d *DB) Clean(ctx context.Context) error {
	if !d.held {
		return nil
	}
	if err := d.exec(ctx, "DROP TABLE "+ident(rowsTable)); err != nil {
		return fmt.Errorf("clean up after a job: %w", err)
	}
	d.held = false
	return nil
}

// exec runs a statement of ours. The error is the driver's.
func (d *DB) exec(ctx context.Context, query string) error {
	_, err := d.conn.ExecContext(ctx, query)
	return err
}

// ident quotes a name for SQL.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// text quotes a string for SQL.
func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
