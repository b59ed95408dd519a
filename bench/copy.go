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
}

type copied struct {
	Rows int64
	CPU  time.Duration
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
	result, err := db.ExecContext(ctx, fmt.Sprintf("COPY (SELECT * FROM read_json(%s, format = 'newline_delimited'%s)) TO %s (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)",
		quoted(c.Lines), columns, quoted(c.Parquet)))
	if err != nil {
		return done, err
	}
	done.CPU = ownCPU() - cpu
	done.Rows, err = result.RowsAffected()
	return done, err
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// copy returns the processor time of one COPY.
func (b *bench) copy(lines string, rows int, typed bool) (time.Duration, error) {
	to := filepath.Join(b.dir, "copied.parquet")
	defer os.Remove(to)
	var done copied
	err := call("copy", copying{Lines: lines, Parquet: to, Typed: typed}, &done)
	if err == nil && done.Rows != int64(rows) {
		err = fmt.Errorf("COPY wrote %d rows of %d", done.Rows, rows)
	}
	return done.CPU, err
}
