package converge

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

func newPool(t *testing.T) *engine.Pool {
	t.Helper()
	p, err := engine.NewPool(engine.Options{Dir: t.TempDir(), StageWorkers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func analyse(t *testing.T, p *engine.Pool, sql string) stage.Analysis {
	t.Helper()
	parsed, err := p.Parse(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	a, err := stage.Analyse(parsed.AST)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return a
}

// TestRowWise holds the analysis against the engine's own parser: what may be
// computed for added rows only, with d as the input that grows.
func TestRowWise(t *testing.T) {
	p := newPool(t)
	for sql, want := range map[string]bool{
		"SELECT * FROM d":                                         true,
		"SELECT a + 1 AS b FROM d WHERE a > 2":                    true,
		"FROM d SELECT a":                                         true,
		"SELECT * FROM d ORDER BY a":                              true,
		"SELECT unnest(tags) FROM d":                              true,
		"SELECT * FROM (SELECT a FROM d) x":                       true,
		"WITH x AS (SELECT * FROM d) SELECT * FROM x WHERE a = 1": true,
		"SELECT d.*, s.v FROM d LEFT JOIN s USING (k)":            true,
		"SELECT d.*, s.v FROM s RIGHT JOIN d USING (k)":           true,
		"SELECT d.* FROM s JOIN d USING (k)":                      true,
		"SELECT d.*, x.n FROM d LEFT JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) x USING (k)":                            true,
		"SELECT * FROM d WHERE k IN (SELECT k FROM s)":                                                                        true,
		"SELECT a, (SELECT max(v) FROM s WHERE s.k = d.k) AS m FROM d":                                                        true,
		"SELECT * FROM d SEMI JOIN s USING (k)":                                                                               true,
		"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT d.* FROM d JOIN r ON d.a = r.n": true,
		"WITH s AS (SELECT * FROM s WHERE v > 0) SELECT d.* FROM d JOIN s USING (k)":                                          true,

		"SELECT count(*) FROM d":                                            false,
		"SELECT a FROM d GROUP BY ALL":                                      false,
		"SELECT a FROM d GROUP BY a":                                        false,
		"SELECT DISTINCT a FROM d":                                          false,
		"SELECT DISTINCT ON (a) * FROM d":                                   false,
		"SELECT * FROM d LIMIT 5":                                           false,
		"SELECT *, row_number() OVER () FROM d":                             false,
		"SELECT *, lag(a) OVER (ORDER BY a) FROM d":                         false,
		"SELECT * FROM d QUALIFY rank() OVER (ORDER BY a) = 1":              false,
		"SELECT * FROM d UNION ALL SELECT * FROM d":                         false,
		"SELECT * FROM d EXCEPT SELECT * FROM s":                            false,
		"SELECT * FROM d JOIN d AS e USING (k)":                             false,
		"SELECT * FROM s LEFT JOIN d USING (k)":                             false,
		"SELECT * FROM s SEMI JOIN d USING (k)":                             false,
		"SELECT * FROM d FULL JOIN s USING (k)":                             false,
		"SELECT * FROM d POSITIONAL JOIN s":                                 false,
		"SELECT * FROM d WHERE a = (SELECT max(a) FROM d)":                  false,
		"SELECT * FROM d TABLESAMPLE 10%":                                   false,
		"SELECT * FROM d USING SAMPLE 10":                                   false,
		"SELECT sum(a) FILTER (WHERE a > 1) FROM d":                         false,
		"WITH x AS (SELECT count(*) AS n FROM d) SELECT * FROM x":           false,
		"WITH d AS (SELECT * FROM d) SELECT * FROM d":                       false,
		"SELECT * FROM s":                                                   false,
		"PIVOT d ON a USING count(*)":                                       false,
		"WITH x AS MATERIALIZED (SELECT * FROM d) SELECT a.* FROM x a, x b": false,
	} {
		parsed, err := p.Parse(t.Context(), sql)
		if err != nil {
			t.Logf("%s: %v", sql, err)
			continue
		}
		a, err := stage.Analyse(parsed.AST)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.RowWise("d"); got != want {
			t.Errorf("row-wise is %v, want %v: %s", got, want, sql)
		}
	}
}

func TestTablesAndFunctions(t *testing.T) {
	p := newPool(t)
	for _, c := range []struct {
		sql              string
		tables, volatile []string
		sources          []string
		sampled          bool
	}{
		{sql: "SELECT * FROM A JOIN main.b USING (k)", tables: []string{"a", "b"}},
		{sql: "WITH x AS (SELECT * FROM a), y AS (SELECT * FROM x) SELECT * FROM y, c", tables: []string{"a", "c"}},
		{sql: "WITH a AS (SELECT * FROM a) SELECT * FROM a", tables: []string{"a"}},
		{sql: "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT * FROM r, a", tables: []string{"a"}},
		{sql: "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a), a", tables: []string{"a"}},
		{sql: "SELECT x, (SELECT max(y) FROM b) FROM a WHERE z IN (SELECT z FROM c)", tables: []string{"a", "b", "c"}},
		{sql: "SELECT * FROM a, range(3), unnest([1])", tables: []string{"a"}},
		{sql: "SELECT * FROM read_csv('/etc/passwd')", sources: []string{"read_csv"}},
		{sql: "SELECT * FROM 'x.parquet'", tables: []string{"x.parquet"}},
		{sql: "SELECT * FROM a TABLESAMPLE 1%", tables: []string{"a"}, sampled: true},
		{sql: "SELECT now(), Random() FROM a", tables: []string{"a"}, volatile: []string{"now", "random"}},
		{sql: "SELECT current_date, CURRENT_TIMESTAMP FROM a", tables: []string{"a"}, volatile: []string{"current_date", "current_timestamp"}},
		{sql: "SELECT today() FROM a ORDER BY uuid()", tables: []string{"a"}, volatile: []string{"today", "uuid"}},
	} {
		a := analyse(t, p, c.sql)
		if d := cmp.Diff([]any{c.tables, c.volatile, c.sources, c.sampled}, []any{
			slices.Clip(a.Tables), slices.Clip(a.Volatile()), slices.Clip(a.Sources), a.Sampled,
		}, cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })); d != "" {
			t.Errorf("%s: %s", c.sql, d)
		}
	}
}

func header(more string) string {
	return "/* @stage\nowner: t\npartition: hour\ninputs:\n  raw: {window: same}\n" + more + "*/\n"
}

func builtins() []dataset.Spec {
	return []dataset.Spec{{
		Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour,
		Columns: []dataset.Column{{Name: "a", Type: "BIGINT"}, {Name: "name", Type: "VARCHAR"}, {Name: "price", Type: "DOUBLE"}},
	}}
}

// identities binds one stage file with the engine and gives its code identity.
func identity(t *testing.T, p *engine.Pool, sem stage.Semantics, text string) string {
	t.Helper()
	s, problems := stage.Parse("s", "stages/s.sql", text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := &deployment{c: &Converger{o: Options{Engine: p, Semantics: sem}}, columns: map[string][]dataset.Column{dataset.Raw: builtins()[0].Columns}}
	b, problems, err := d.bind(t.Context(), s)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return string(b.identity)
}

func TestIdentityIsWhatTheStageMeans(t *testing.T) {
	p := newPool(t)
	sem := stage.Semantics{Engine: 1, Functions: map[string]int{"upper": 1}}
	const sql = "SELECT a, upper(name) AS name, price FROM raw WHERE a > 1"
	base := identity(t, p, sem, header("rejects: \"a IS NULL\"\n")+sql)
	for name, text := range map[string]string{
		"comment":        header("rejects: \"a IS NULL\"\n") + "-- why\n" + sql + " -- end",
		"format":         header("rejects: \"a IS NULL\"\n") + "select  a,\n UPPER(name) as name, price\nFROM raw\nwhere (a > 1);",
		"rejects format": header("rejects: \"a is  null\"\n") + sql,
		"description":    header("rejects: \"a IS NULL\"\ndescription: else\n") + sql,
		"owner":          strings.Replace(header("rejects: \"a IS NULL\"\n"), "owner: t", "owner: other", 1) + sql,
		"contract":       header("rejects: \"a IS NULL\"\ncontract: {columns: {a: {not_null: true}}}\n") + sql,
		"key":            header("rejects: \"a IS NULL\"\nkey: [a]\n") + sql,
		"schedule":       header("rejects: \"a IS NULL\"\nlate: {debounce: 1m, allowance: 1h}\n") + sql,
	} {
		if identity(t, p, sem, text) != base {
			t.Errorf("a change of %s only gave another identity", name)
		}
	}
	seen := map[string]string{base: "the original"}
	for name, c := range map[string]struct {
		sem  stage.Semantics
		text string
	}{
		"constant":          {sem, header("rejects: \"a IS NULL\"\n") + strings.Replace(sql, "> 1", "> 2", 1)},
		"column name":       {sem, header("rejects: \"a IS NULL\"\n") + strings.Replace(sql, "AS name", "AS title", 1)},
		"window":            {sem, strings.Replace(header("rejects: \"a IS NULL\"\n"), "same", "-1h..+1h", 1) + sql},
		"partition":         {sem, strings.Replace(header("rejects: \"a IS NULL\"\n"), "hour", "day", 1) + sql},
		"rejects":           {sem, header("rejects: \"a < 0\"\n") + sql},
		"no rejects":        {sem, header("") + sql},
		"equal":             {sem, header("rejects: \"a IS NULL\"\nequal: {price: 2}\n") + sql},
		"engine semantics":  {stage.Semantics{Engine: 2, Functions: sem.Functions}, header("rejects: \"a IS NULL\"\n") + sql},
		"function meaning":  {stage.Semantics{Engine: 1, Functions: map[string]int{"upper": 2}}, header("rejects: \"a IS NULL\"\n") + sql},
		"rule's function 1": {stage.Semantics{Engine: 1, Functions: map[string]int{"lower": 1}}, header("rejects: \"lower(name) = 'x'\"\n") + sql},
		"rule's function 2": {stage.Semantics{Engine: 1, Functions: map[string]int{"lower": 2}}, header("rejects: \"lower(name) = 'x'\"\n") + sql},
	} {
		id := identity(t, p, c.sem, c.text)
		if other, dup := seen[id]; dup {
			t.Errorf("%s and %s have one identity", name, other)
		}
		seen[id] = name
	}
}

// TestLintSaysWhere checks that each problem names the line to correct.
func TestLintSaysWhere(t *testing.T) {
	p := newPool(t)
	for name, c := range map[string]struct {
		text string
		line int
		says string
	}{
		"unknown column":        {header("") + "SELECT a,\n  nome\nFROM raw", 8, "nome"},
		"syntax":                {header("") + "\nSELECT a\nFROM raw\nWHERE WHERE", 10, "syntax"},
		"two statements":        {header("") + "SELECT a FROM raw; SELECT 1", 7, ""},
		"not a SELECT":          {header("") + "DROP TABLE raw", 7, ""},
		"undeclared table":      {header("") + "SELECT * FROM raw, other", 7, "other"},
		"declared and not read": {strings.Replace(header(""), "same}\n", "same}\n  side: {window: latest}\n", 1) + "SELECT * FROM raw", 6, "side"},
		"clock":                 {header("") + "SELECT a FROM raw WHERE current_date > '2026-01-01'", 7, "current_date"},
		"chance in the rule":    {header("rejects: \"random() < 0.5\"\n") + "SELECT a FROM raw", 6, "random"},
		"rule over no column":   {header("rejects: \"b IS NULL\"\n") + "SELECT a FROM raw", 6, "rejects"},
		"rule that is no SQL":   {header("rejects: \"a IS IS\"\n") + "SELECT a FROM raw", 6, "rejects"},
		"sample":                {header("") + "SELECT a FROM raw TABLESAMPLE 10%", 7, "sample"},
		"order of a list":       {header("") + "-- list(a)\nSELECT 'list(a)',\n  list(a) FROM raw", 9, "list() takes rows"},
		"order of strings":      {header("") + "SELECT string_agg(name, ',') FROM raw", 7, "string_agg"},
		"any of them":           {header("") + "SELECT a, any_value(name) FROM raw GROUP BY a", 7, "any_value"},
		"numbers of rows":       {header("") + "SELECT a,\n row_number() OVER (PARTITION BY name) FROM raw", 8, "row_number"},
		"some rows":             {header("") + "SELECT a FROM raw\nLIMIT 3", 8, "LIMIT without"},
		"some rows inside":      {header("") + "SELECT a FROM (SELECT a FROM raw LIMIT 10%) ORDER BY a", 7, "LIMIT without"},
		"one of each":           {header("") + "SELECT DISTINCT ON (a) * FROM raw", 7, "DISTINCT ON"},
		"file":                  {header("") + "SELECT a FROM raw, read_csv('x.csv')", 7, "read_csv"},
		"schemas not listed":    {header("") + "SELECT a,\n schema_errors(name, NULL, name) AS e FROM raw", 8, "calls schema_errors()"},
		"schemas in the rule":   {header("rejects: \"schema_errors(name, NULL, name) IS NOT NULL\"\n") + "SELECT a, name FROM raw", 6, "calls schema_errors()"},
		"schemas not called":    {strings.Replace(header(""), "same}\n", "same}\n  schemas: {window: latest}\n", 1) + "SELECT * FROM raw", 6, "schemas"},
		"no schemas":            {strings.Replace(header(""), "same}\n", "same}\n  schemas: {window: latest}\n", 1) + "SELECT schema_errors(name, NULL, name) AS e FROM raw", 6, "input schemas does not exist"},
		"unknown function":      {header("") + "SELECT\n geo_contry(name)\nFROM raw", 8, "geo_contry"},
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{"s.sql": {Data: []byte(c.text)}, "side.csv": {Data: []byte("v\n1\n")}}
			_, problems, err := Lint(t.Context(), p, stage.Semantics{Engine: 1}, append(builtins(), dataset.Spec{Name: "side", Grain: dataset.None}), Project{Stages: files})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(problems, func(p stage.Problem) bool { return strings.Contains(p.What, c.says) })
			if i < 0 || problems[i].Line != c.line || problems[i].Fix == "" {
				t.Errorf("want line %d, %q and a fix, got %+v", c.line, c.says, problems)
			}
		})
	}
}

// TestSees holds the columns a stage can see against the engine's own parser,
// over two inputs with the columns k, a, b, c, t and u.
func TestSees(t *testing.T) {
	p := newPool(t)
	var columns []dataset.Column
	for _, name := range []string{"k", "a", "B", "c", "u"} {
		columns = append(columns, dataset.Column{Name: name, Type: "INTEGER"})
	}
	const all = "all"
	for sql, want := range map[string]string{
		"SELECT a FROM t":                                          "a",
		"SELECT A + b AS x FROM t":                                 "B a",
		"SELECT count(*) FROM t":                                   "",
		"SELECT 1 FROM t":                                          "",
		"SELECT t.a FROM t JOIN s USING (k)":                       "a k",
		"SELECT t.a FROM t JOIN s ON t.k = s.k":                    "a k",
		"SELECT x.a.c FROM t x":                                    "a c",
		"SELECT a FROM t WHERE b > 1 GROUP BY a HAVING max(c) > 2": "B a c",
		"SELECT a FROM t ORDER BY c":                               "a c",
		"SELECT a FROM t QUALIFY rank() OVER (ORDER BY b) = 1":     "B a",
		"WITH w AS (SELECT a, b FROM t) SELECT a FROM w":           "B a",
		"SELECT (SELECT max(b) FROM s WHERE s.k = t.k) FROM t":     "B k",
		"SELECT list_filter(a, lambda q: q > c) FROM t":            "a c",
		"SELECT sum(a) FILTER (WHERE b > 0) FROM t":                "B a",
		"SELECT a FROM t UNION ALL SELECT b FROM t":                "B a",
		"SELECT unnest(x) FROM t, unnest(t.b) AS w(x)":             "B",
		"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT a, n FROM t, r": "a",

		"SELECT * FROM t":                                       all,
		"FROM t":                                                all,
		"TABLE t":                                               all,
		"SELECT t.* FROM t":                                     all,
		"SELECT * EXCLUDE (a) FROM t":                           all,
		"SELECT a FROM (SELECT * FROM t)":                       all,
		"SELECT COLUMNS('a.*') FROM t":                          all,
		"SELECT max(COLUMNS(*)) FROM t":                         all,
		"SELECT t FROM t":                                       all,
		"SELECT count(DISTINCT t) FROM t":                       all,
		"SELECT x FROM t AS x":                                  all,
		"SELECT to_json(main.t) FROM t":                         all,
		"SELECT w FROM (SELECT a FROM t) AS w":                  all,
		"SELECT #1 FROM t":                                      all,
		"SELECT a FROM t NATURAL JOIN s":                        all,
		"SELECT y FROM t AS x(y)":                               all,
		"SELECT a FROM t ORDER BY ALL":                          all,
		"SELECT * FROM (PIVOT t ON a IN (1, 2) USING sum(b))":   all,
		"UNPIVOT t ON a, b INTO NAME n VALUE v":                 all,
		"SELECT a FROM t WHERE EXISTS (FROM s WHERE s.k = t.k)": all,
		"SELECT a FROM t, (VALUES (1)) v(z)":                    all,
		"SELECT a FROM t WHERE (k, a) IN (SELECT s FROM s)":     all,
	} {
		seen, every := analyse(t, p, sql).Sees("raw", columns)
		got := strings.Join(seen, " ")
		if every {
			got = all
		}
		if got != want {
			t.Errorf("sees %q, want %q: %s", got, want, sql)
		}
	}
	// A rejects rule sees columns, too.
	rejects, err := p.Parse(t.Context(), "SELECT (c IS NULL)")
	if err != nil {
		t.Fatal(err)
	}
	a, err := analyse(t, p, "SELECT a AS c FROM t").WithRejects(rejects.AST)
	if seen, every := a.Sees("raw", columns); err != nil || every || strings.Join(seen, " ") != "a c" {
		t.Errorf("with a rejects rule: %q, all %v, %v", seen, every, err)
	}
}

// TestSteadySQL checks that SQL which says what order it means is let through,
// and any SQL of a stage that is declared volatile.
func TestSteadySQL(t *testing.T) {
	p := newPool(t)
	for _, text := range []string{
		header("") + "SELECT list(a ORDER BY a), string_agg(name ORDER BY a), first(name ORDER BY a) FROM raw",
		header("") + "SELECT list_sort(list(a)), len(array_agg(DISTINCT name)) FROM raw",
		header("") + "SELECT row_number() OVER (PARTITION BY name ORDER BY a), sum(a) OVER (PARTITION BY name) FROM raw",
		header("") + "SELECT a FROM raw ORDER BY a LIMIT 3",
		header("") + "SELECT DISTINCT ON (a) * FROM raw ORDER BY a, name",
		header("") + "SELECT DISTINCT a FROM raw",
		header("") + "SELECT [a], max(name) FROM raw GROUP BY a",
		header("volatile: true\n") + "SELECT a, random(), now() FROM raw LIMIT 3",
	} {
		files := fstest.MapFS{"s.sql": {Data: []byte(text)}}
		_, problems, err := Lint(t.Context(), p, stage.Semantics{Engine: 1}, builtins(), Project{Stages: files})
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %v", text, problems, err)
		}
	}
}
