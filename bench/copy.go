package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// copying is DuckDB's own way from JSON to Parquet, for comparison: no ids are
// looked up, nothing is synced, sorted, hashed or recorded.
type copying struct {
	Lines, Parquet string
	Typed          bool // the columns are given, as the loader knows them
	Level          int  // of zstd
}

// cheapest is the level of zstd at which COPY costs least; the loader's
// encoder is at its own cheapest one.
const cheapest = 1

type copied struct {
	Rows, Bytes int64
	CPU         time.Duration
}

const typedColumns = `, columns = {id: 'VARCHAR', type: 'VARCHAR', name: 'VARCHAR', time: 'TIMESTAMP', sent_at: 'TIMESTAMP',
	user_id: 'VARCHAR', anonymous_id: 'VARCHAR', session_id: 'VARCHAR', stream_id: 'VARCHAR', seq: 'BIGINT', properties: 'JSON', context: 'JSON'}`

// run is a part of its own: nothing but a worker or this opens DuckDB. Its
// driver is registered by the worker's code, which this program holds anyway.
func (c copying) run() (done copied, err error) {
	ctx := context.Background()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		return done, err
	}
	columns := ""
	if c.Typed {
		columns = typedColumns
	}
	cpu := ownCPU()
	result, err := db.ExecContext(ctx, fmt.Sprintf("COPY (SELECT * FROM read_json(%s, format = 'newline_delimited'%s)) TO %s (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL %d)",
		quoted(c.Lines), columns, quoted(c.Parquet), c.Level))
	if err != nil {
		return done, err
	}
	done.CPU = ownCPU() - cpu
	if done.Rows, err = result.RowsAffected(); err != nil {
		return done, err
	}
	info, err := os.Stat(c.Parquet)
	if err != nil {
		return done, err
	}
	done.Bytes = info.Size()
	return done, nil
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// copy makes one COPY and checks that nothing is missing.
func (b *bench) copy(c copying, rows int) (done copied, err error) {
	c.Parquet = filepath.Join(b.dir, "copied.parquet")
	defer os.Remove(c.Parquet)
	err = call("copy", c, &done)
	if err == nil && done.Rows != int64(rows) {
		err = fmt.Errorf("COPY wrote %d rows of %d", done.Rows, rows)
	}
	return done, err
}
