package duck

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/reedbed/reedbed/enrich"
)

// function is one scalar function over text. DuckDB answers NULL for a NULL
// argument without calling it.
type function struct {
	name string
	args int
	out  duckdb.Type
	call func(args []string) any
}

func functions() []function {
	agents := enrich.NewAgentCache(enrich.AgentCacheSize)
	of := func(name string, call func(string) string) function {
		return function{name, 1, duckdb.TYPE_VARCHAR, func(a []string) any { return orNull(call(a[0])) }}
	}
	return []function{
		of("geo_country", enrich.Country),
		of("ua_browser", func(ua string) string { return agents.Agent(ua).Browser }),
		of("ua_os", func(ua string) string { return agents.Agent(ua).OS }),
		of("ua_device", func(ua string) string { return agents.Agent(ua).Device }),
		{"ua_is_bot", 1, duckdb.TYPE_BOOLEAN, func(a []string) any { return agents.Agent(a[0]).Bot }},
		of("url_host", func(u string) string { return enrich.ParseURL(u).Host }),
		of("url_path", func(u string) string { return enrich.ParseURL(u).Path }),
		{"url_param", 2, duckdb.TYPE_VARCHAR, func(a []string) any { return orNull(enrich.Param(a[0], a[1])) }},
		of("referrer_host", enrich.ReferrerHost),
	}
}

// orNull answers NULL for what is not known: SQL has a word for it, and counts,
// joins and not_null rules then see it as missing.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (d *DB) register() error {
	for _, f := range functions() {
		if err := duckdb.RegisterScalarUDF(d.conn, f.name, f); err != nil {
			return fmt.Errorf("register the function %s: %w", f.name, err)
		}
	}
	if err := duckdb.RegisterScalarUDF(d.conn, schemaErrors, &d.schemas); err != nil {
		return fmt.Errorf("register the function %s: %w", schemaErrors, err)
	}
	return nil
}

// Config tells DuckDB the function's signature.
func (f function) Config() duckdb.ScalarFuncConfig {
	varchar, _ := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR) // both are primitive types, which always exist
	out, _ := duckdb.NewTypeInfo(f.out)
	args := make([]duckdb.TypeInfo, f.args)
	for i := range args {
		args[i] = varchar
	}
	return duckdb.ScalarFuncConfig{InputTypeInfos: args, ResultTypeInfo: out}
}

// Executor tells DuckDB how to call the function over a chunk of rows.
func (f function) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{ChunkContextExecutor: func(_ context.Context, chunk *duckdb.ChunkIteratorState) error {
		args := make([]string, f.args)
		for row, err := range chunk.Rows() {
			if err != nil {
				return err
			}
			for i := range args {
				args[i] = asText(*row.GetValuePtr(i))
			}
			if err := row.SetResult(f.call(args)); err != nil {
				return err
			}
		}
		return nil
	}}
}

func asText(v driver.Value) string {
	s, _ := v.(string) // the signature admits VARCHAR only
	return s
}
