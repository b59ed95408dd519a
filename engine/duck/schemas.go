package duck

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/enrich/schema"
)

// schemaErrors is the function that holds events against the job's schemas.
const schemaErrors = "schema_errors"

var errNoSchemas = errors.New(schemaErrors + "() reads the table schemas, which is not among the inputs: list `schemas: {window: latest}`")

// schemas is the function schema_errors(name, version, properties): NULL for an
// event that is right, or what is wrong with it. It reads the table schemas of
// the job at work, so its answer is more than a function of its arguments.
type schemas struct {
	now  atomic.Pointer[schema.Set] // nil: the job has no such table
	kept []keptSet                  // of the last jobs, newest last
}

// keptSet is a set of compiled schemas and what it was made of.
type keptSet struct {
	digest [sha256.Size]byte // of the table's bytes
	set    *schema.Set
}

// keptSets is enough for a change of schemas to come into force while some stage
// still reads the one before. Each may have some tens of megabytes.
const keptSets = 2

// openSchemas makes the job's schemas those that schema_errors reads. Compiled
// ones stay as long as their content comes again.
func (d *DB) openSchemas(ctx context.Context, tables []engine.Table) error {
	i := slices.IndexFunc(tables, func(t engine.Table) bool { return t.Name == dataset.Schemas })
	switch {
	case i < 0:
		d.schemas.now.Store(nil)
		return nil
	case len(tables[i].Files)+len(tables[i].Rows) == 0:
		d.schemas.now.Store(schema.NewSet(nil))
		return nil
	}
	digest, err := d.digest(tables[i])
	if err == nil && !d.schemas.again(digest) {
		var files []schema.File
		if files, err = d.readSchemas(ctx); err == nil {
			d.schemas.use(digest, files)
		}
	}
	if err != nil {
		return fmt.Errorf("read the table schemas: %w", err)
	}
	return nil
}

// digest is of a table's bytes, which takes a small part of the time to read it.
func (d *DB) digest(t engine.Table) (digest [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, path := range d.paths(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			return digest, err
		}
		fmt.Fprintf(h, "%d ", len(text))
		h.Write(text)
	}
	if err := json.NewEncoder(h).Encode(t.Rows); err != nil {
		return digest, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func (d *DB) readSchemas(ctx context.Context) ([]schema.File, error) {
	rows, err := d.conn.QueryContext(ctx, "SELECT event, version, schema FROM "+ident(dataset.Schemas)+" ORDER BY ALL")
	if err != nil {
		return nil, translate(err, "")
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	var out []schema.File
	for rows.Next() {
		var f schema.File
		if err := rows.Scan(&f.Event, &f.Version, &f.Text); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// again takes up schemas that are kept.
func (s *schemas) again(digest [sha256.Size]byte) bool {
	i := slices.IndexFunc(s.kept, func(k keptSet) bool { return k.digest == digest })
	if i >= 0 {
		s.now.Store(s.kept[i].set)
	}
	return i >= 0
}

func (s *schemas) use(digest [sha256.Size]byte, files []schema.File) {
	if len(s.kept) == keptSets {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	set := schema.NewSet(files)
	s.kept = append(s.kept, keptSet{digest, set})
	s.now.Store(set)
}

// Config tells DuckDB the signature: three texts, any of which may be NULL. With
// a table behind it no call can be computed ahead, even one over constants.
func (s *schemas) Config() duckdb.ScalarFuncConfig {
	varchar, _ := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR) // a primitive type, which always exists
	return duckdb.ScalarFuncConfig{
		InputTypeInfos: []duckdb.TypeInfo{varchar, varchar, varchar}, ResultTypeInfo: varchar, SpecialNullHandling: true, Volatile: true,
	}
}

// Executor tells DuckDB how to call the function over a chunk of rows.
func (s *schemas) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{ChunkContextExecutor: func(_ context.Context, chunk *duckdb.ChunkIteratorState) error {
		set := s.now.Load()
		if set == nil {
			return errNoSchemas
		}
		for row, err := range chunk.Rows() {
			if err != nil {
				return err
			}
			reason, err := set.Check(asText(*row.GetValuePtr(0)), asText(*row.GetValuePtr(1)), asText(*row.GetValuePtr(2)))
			if err == nil {
				err = row.SetResult(orNull(reason))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}}
}
