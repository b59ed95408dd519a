package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

func build(t testing.TB, p *engine.Pool, job engine.BuildJob) engine.BuildResult {
	t.Helper()
	got, err := p.Build(t.Context(), job)
	if err != nil {
		t.Fatalf("Build(%s): %v", job.SQL, err)
	}
	return got
}

func answer(t testing.TB, p *engine.Pool, job engine.QueryJob) string {
	t.Helper()
	var out strings.Builder
	if _, err := p.Query(t.Context(), job, &out); err != nil {
		t.Fatalf("Query(%s): %v", job.SQL, err)
	}
	return out.String()
}

// Every type that may be stored comes back from the file as the type that was
// reported, and types that Parquet lacks are stored as the one documented.
func TestStoredTypes(t *testing.T) {
	p := newPool(t, engine.Options{})
	tests := []struct{ expr, stored string }{
		{"true", "BOOLEAN"},
		{"1::TINYINT", "TINYINT"},
		{"1::SMALLINT", "SMALLINT"},
		{"1::INTEGER", "INTEGER"},
		{"1::BIGINT", "BIGINT"},
		{"1::UTINYINT", "UTINYINT"},
		{"1::USMALLINT", "USMALLINT"},
		{"1::UINTEGER", "UINTEGER"},
		{"1::UBIGINT", "UBIGINT"},
		{"1.5::FLOAT", "FLOAT"},
		{"1.5::DOUBLE", "DOUBLE"},
		{"1.50::DECIMAL(10,2)", "DECIMAL(10,2)"},
		{"1::DECIMAL(38,0)", "DECIMAL(38,0)"},
		{"'x'", "VARCHAR"},
		{`'{"a":1}'::JSON`, "JSON"},
		{`'\xAA'::BLOB`, "BLOB"},
		{"'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID", "UUID"},
		{"DATE '2026-01-02'", "DATE"},
		{"TIME '10:00:00'", "TIME"},
		{"TIMESTAMP '2026-01-02 03:04:05.123456'", "TIMESTAMP"},
		{"TIMESTAMPTZ '2026-01-02 03:04:05+01'", "TIMESTAMP WITH TIME ZONE"},
		{"'2026-01-02 03:04:05.123456789'::TIMESTAMP_NS", "TIMESTAMP_NS"},
		{"'2026-01-02'::TIMESTAMP_S", "TIMESTAMP"},
		{"'2026-01-02'::TIMESTAMP_MS", "TIMESTAMP"},
		{"1::HUGEINT", "BIGINT"},
		{"1::UHUGEINT", "UBIGINT"},
		{"'a'::ENUM('a', 'it''s')", "VARCHAR"},
		{"NULL", "INTEGER"},
		{"[1::HUGEINT]", "BIGINT[]"},
		{"[1, 2]::INTEGER[2]", "INTEGER[]"},
		{"[[1], [2]]", "INTEGER[][]"},
		{"{'HUGEINT': 1::HUGEINT, 'b c': ['x']}", `STRUCT("HUGEINT" BIGINT, "b c" VARCHAR[])`},
		{"MAP {'k': 1::HUGEINT}", "MAP(VARCHAR, BIGINT)"},
		{"['a'::ENUM('a', 'b')]", "VARCHAR[]"},
		{"{'at': TIMESTAMPTZ '2026-01-02 00:00:00+00', 'd': 1.5::DECIMAL(4,1)}", "STRUCT(\"at\" TIMESTAMP WITH TIME ZONE, d DECIMAL(4,1))"},
	}
	var list []string
	var want []dataset.Column
	for i, tt := range tests {
		name := fmt.Sprintf("c%02d", i)
		list = append(list, tt.expr+" AS "+name)
		want = append(want, dataset.Column{Name: name, Type: tt.stored})
	}
	query := "SELECT " + strings.Join(list, ",\n")
	described, err := p.Describe(t.Context(), query, nil)
	if err != nil {
		t.Fatal(err)
	}
	// STRUCT field names are quoted as DuckDB chooses, which is not what is tested.
	unquote := cmp.Transformer("unquote", func(s string) string { return strings.ReplaceAll(s, `"`, "") })
	if diff := cmp.Diff(want, described, unquote); diff != "" {
		t.Error("Describe:", diff)
	}
	got := build(t, p, engine.BuildJob{SQL: query}).Output
	if diff := cmp.Diff(described, got.Columns); diff != "" {
		t.Error("Build:", diff)
	}
	back, err := p.Describe(t.Context(), "SELECT * FROM t", []engine.Table{{Name: "t", Files: []string{got.Path}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(described, back); diff != "" {
		t.Error("read back:", diff)
	}
	again := build(t, p, engine.BuildJob{SQL: "SELECT * FROM t", Tables: []engine.Table{{Name: "t", Files: []string{got.Path}}}})
	if again.Output.Hash != got.Hash {
		t.Errorf("a stored row has hash %v, the same row copied %v", got.Hash, again.Output.Hash)
	}
}

func TestUnstorableTypes(t *testing.T) {
	p := newPool(t, engine.Options{})
	for _, expr := range []string{"INTERVAL 1 DAY", "[INTERVAL 1 DAY]", "'101'::BIT", "1::VARIANT", "union_value(k := 1)", "'10:00+01'::TIMETZ", "{'a': {'b': INTERVAL 1 DAY}}"} {
		_, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT 1 AS fine, " + expr + " AS odd"})
		e, ok := errors.AsType[*engine.SQLError](err)
		if !ok || !strings.Contains(e.Message, `"odd"`) || !strings.Contains(e.Message, "cannot be stored") {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

func TestBuildSplitsRejects(t *testing.T) {
	p := newPool(t, engine.Options{})
	got := build(t, p, engine.BuildJob{
		SQL:     "SELECT range AS i, nullif(range % 3, 1) AS v FROM range(9) -- no semicolon;",
		Rejects: "v = 2", // NULL is not a rejection
	})
	if got.Output.Rows != 6 || got.Rejected == nil || got.Rejected.Rows != 3 {
		t.Fatalf("%+v", got)
	}
	whole := build(t, p, engine.BuildJob{SQL: "SELECT range AS i, nullif(range % 3, 1) AS v FROM range(9)"})
	if whole.Output.Hash != got.Output.Hash.Add(withoutReason(t, p, *got.Rejected)) {
		t.Error("accepted and rejected rows do not add up to all rows")
	}
	reason := answer(t, p, engine.QueryJob{
		SQL: "SELECT DISTINCT " + engine.ReasonColumn + " AS r FROM t", Format: "ndjson",
		Tables: []engine.Table{{Name: "t", Files: []string{got.Rejected.Path}}},
	})
	if diff := cmp.Diff("{\"r\":\"v = 2\"}\n", reason); diff != "" {
		t.Error(diff)
	}
	if whole.Rejected != nil {
		t.Error("rejected rows without a rule")
	}
}

// withoutReason is the hash of rejected rows as the SELECT returned them.
func withoutReason(t testing.TB, p *engine.Pool, rejected engine.Output) dataset.ContentHash {
	t.Helper()
	return build(t, p, engine.BuildJob{
		SQL:    "SELECT * EXCLUDE (" + engine.ReasonColumn + ") FROM t",
		Tables: []engine.Table{{Name: "t", Files: []string{rejected.Path}}},
	}).Output.Hash
}

func TestPartitionBounds(t *testing.T) {
	p := newPool(t, engine.Options{StageWorkers: 1})
	const sql = "SELECT getvariable('partition_start') AS s, getvariable('partition_end') AS e"
	bounds := func(job engine.BuildJob) string {
		file := build(t, p, job).Output.Path
		return answer(t, p, engine.QueryJob{SQL: "SELECT s, e FROM t", Format: "csv", Tables: []engine.Table{{Name: "t", Files: []string{file}}}})
	}
	start := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	if diff := cmp.Diff("s,e\n2026-01-02T03:00:00Z,2026-01-02T04:00:00Z\n", bounds(engine.BuildJob{SQL: sql, Start: start, End: start.Add(time.Hour)})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("s,e\n,\n", bounds(engine.BuildJob{SQL: sql})); diff != "" {
		t.Error("the bounds of another job:", diff)
	}
}

func TestRejectsRuleIsChecked(t *testing.T) {
	p := newPool(t, engine.Options{})
	for rule, want := range map[string]string{
		"nope = 1":              "rejects: ",
		"i =":                   "rejects: ",
		"1); DROP TABLE x; (1":  "rejects: ",
		"i = 1) FROM (SELECT 1": "rejects: ",
	} {
		_, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT 1 AS i", Rejects: rule})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", rule, err)
		}
	}
}

func TestReasonColumnIsReserved(t *testing.T) {
	p := newPool(t, engine.Options{})
	_, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT 1 AS i, 'x' AS " + engine.ReasonColumn, Rejects: "i = 2"})
	if err == nil || !strings.Contains(err.Error(), engine.ReasonColumn) {
		t.Errorf("got %v", err)
	}
}

func TestEqualRoundsDoubles(t *testing.T) {
	p := newPool(t, engine.Options{})
	sql := "SELECT 0.1 + 0.2::DOUBLE AS x, 1/3::DOUBLE AS y, 'a' AS s"
	one := build(t, p, engine.BuildJob{SQL: sql, Equal: map[string]int{"*": 6, "y": 1}})
	two := build(t, p, engine.BuildJob{SQL: "SELECT 0.3::DOUBLE AS x, 0.3::DOUBLE AS y, 'a' AS s"})
	if one.Output.Hash != two.Output.Hash {
		t.Error("rounded values differ from the values they round to")
	}
	_, err := p.Build(t.Context(), engine.BuildJob{SQL: sql, Equal: map[string]int{"z": 1}})
	if err == nil || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("unknown column in equal: %v", err)
	}
}

func TestBuildOverAbsentAndUnevenTables(t *testing.T) {
	p := newPool(t, engine.Options{})
	a := build(t, p, engine.BuildJob{SQL: "SELECT 1 AS id"}).Output.Path
	b := build(t, p, engine.BuildJob{SQL: "SELECT 2 AS id, 'new' AS later"}).Output.Path
	columns := []dataset.Column{{Name: "id", Type: "INTEGER"}, {Name: "later", Type: "VARCHAR"}, {Name: "j", Type: "JSON"}}
	tests := map[string]struct {
		table engine.Table
		want  string
	}{
		"absent":     {engine.Table{Columns: columns}, ""},
		"uneven":     {engine.Table{Files: []string{a, b}}, "1,\n2,new\n"},
		"old schema": {engine.Table{Files: []string{a}, Columns: columns}, "1,\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.table.Name = "odd name.x"
			got := answer(t, p, engine.QueryJob{SQL: `SELECT id, later FROM "odd name.x" ORDER BY id`, Tables: []engine.Table{tt.table}, Format: "csv"})
			if diff := cmp.Diff("id,later\n"+tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBuildReadsCSV(t *testing.T) {
	p := newPool(t, engine.Options{})
	file := filepath.Join(t.TempDir(), "rules.csv")
	if err := os.WriteFile(file, []byte("word,weight,since\nspam,3,2026-01-01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := build(t, p, engine.BuildJob{SQL: "SELECT * FROM rules", Tables: []engine.Table{{Name: "rules", Files: []string{file}, Format: "csv"}}})
	want := []dataset.Column{{Name: "word", Type: "VARCHAR"}, {Name: "weight", Type: "BIGINT"}, {Name: "since", Type: "DATE"}}
	if diff := cmp.Diff(want, got.Output.Columns); diff != "" {
		t.Error(diff)
	}
}

func TestMissingObjectIsNamed(t *testing.T) {
	p := newPool(t, engine.Options{})
	_, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT * FROM t", Tables: []engine.Table{{Name: "t", Files: []string{"/nowhere/x.parquet"}}}})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestBytesAreRepeatable(t *testing.T) {
	p := newPool(t, engine.Options{})
	job := engine.BuildJob{
		SQL:     "SELECT hash(range) % 100 AS k, hash(range + 1) % 1000 AS v, 'u' || (range % 7) AS u, [range % 5] AS l FROM range(50000)",
		OrderBy: []string{"k"},
	}
	first := build(t, p, job).Output
	shuffled := job
	shuffled.SQL = "SELECT * FROM (" + job.SQL + ") ORDER BY hash(v), k DESC"
	second := build(t, p, shuffled).Output
	a, b := read(t, first.Path), read(t, second.Path)
	if a != b || first.Hash != second.Hash {
		t.Errorf("same rows in another order: equal bytes %v, equal hash %v", a == b, first.Hash == second.Hash)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Hashes of parts add up to the hash of the whole, in whatever order the rows
// come, and a changed row changes the hash.
func TestContentHashAddsUp(t *testing.T) {
	p := newPool(t, engine.Options{StageWorkers: 1})
	hash := func(t *rapid.T, rows []string) dataset.ContentHash {
		var sql strings.Builder
		sql.WriteString("SELECT NULL::BIGINT AS i, NULL::VARCHAR AS s, NULL::DOUBLE AS d, NULL::INTEGER[] AS l WHERE false")
		for _, r := range rows {
			sql.WriteString(" UNION ALL SELECT " + r)
		}
		got, err := p.Build(t.Context(), engine.BuildJob{SQL: sql.String()})
		if err != nil {
			t.Fatal(err)
		}
		return got.Output.Hash
	}
	row := rapid.Custom(func(t *rapid.T) string {
		pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "cell") }
		return pick("NULL", "0", "1", "-1", "9223372036854775807") + "," + pick("NULL", "''", "'a'", "'NULL'", "'a b'") + "," +
			pick("NULL", "0.0", "1.5", "'nan'::DOUBLE", "'inf'::DOUBLE") + "," + pick("NULL", "[]", "[NULL]", "[1]", "[1, NULL]")
	})
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(row, 0, 5).Draw(t, "a")
		b := rapid.SliceOfN(row, 0, 5).Draw(t, "b")
		whole := append(slices.Clone(a), b...)
		slices.Reverse(whole)
		if hash(t, whole) != hash(t, a).Add(hash(t, b)) {
			t.Fatal("the parts' hashes do not add up to the whole's")
		}
		more := append(slices.Clone(whole), row.Draw(t, "one more"))
		if hash(t, more) == hash(t, whole) {
			t.Fatal("one more row changed nothing")
		}
	})
}

// What must not collide, and the two things that are known to.
func TestContentHashCollisions(t *testing.T) {
	p := newPool(t, engine.Options{StageWorkers: 1})
	tests := []struct {
		name, a, b string
		equal      bool
	}{
		{"empty list and NULL", "SELECT []::INT[] AS x", "SELECT NULL::INT[] AS x", false},
		{"list of NULL and empty list", "SELECT [NULL]::INT[] AS x", "SELECT []::INT[] AS x", false},
		{"list of NULL and NULL", "SELECT [NULL]::INT[] AS x", "SELECT NULL::INT[] AS x", false},
		{"nested boundaries", "SELECT [['a'],['b']] AS x", "SELECT [['a','b'],[]] AS x", false},
		{"text that looks like a list", "SELECT ['a,b'] AS x", "SELECT ['a','b'] AS x", false},
		{"empty text and NULL", "SELECT '' AS x", "SELECT NULL::VARCHAR AS x", false},
		{"text and number", "SELECT '1' AS x", "SELECT 1 AS x", false},
		{"narrow and wide number", "SELECT 1::INTEGER AS x", "SELECT 1::BIGINT AS x", false},
		{"zero and NULL", "SELECT 0 AS x", "SELECT NULL::INTEGER AS x", false},
		{"zero and no row", "SELECT 0 AS x", "SELECT 0 AS x WHERE false", false},
		{"swapped columns", "SELECT 1 AS x, 2 AS y", "SELECT 2 AS x, 1 AS y", false},
		{"renamed column", "SELECT 1 AS x", "SELECT 1 AS y", false},
		{"NULL moved", "SELECT 1 AS x, NULL::INT AS y", "SELECT NULL::INT AS x, 1 AS y", false},
		{"values moved between rows", "SELECT * FROM (VALUES (1, 3), (2, 4)) t(x, y)", "SELECT * FROM (VALUES (1, 4), (2, 3)) t(x, y)", false},
		{"text moved between columns", "SELECT 'ab' AS x, 'c' AS y", "SELECT 'a' AS x, 'bc' AS y", false},
		{"doubled rows", "SELECT 1 AS x FROM range(2)", "SELECT 1 AS x FROM range(4)", false},
		{"a pair of equal rows and none", "SELECT 1 AS x FROM range(2)", "SELECT 1 AS x WHERE false", false},
		{"another instant", "SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS x", "SELECT TIMESTAMPTZ '2026-01-01 00:00:00+01' AS x", false},

		{"order of columns", "SELECT 1 AS x, 2 AS y", "SELECT 2 AS y, 1 AS x", true},
		{"one instant, two zones", "SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS x", "SELECT TIMESTAMPTZ '2026-01-01 01:00:00+01' AS x", true},
		{"negative zero", "SELECT -0.0::DOUBLE AS x", "SELECT 0.0::DOUBLE AS x", true},
		{"NaNs", "SELECT 'nan'::DOUBLE AS x", "SELECT -('nan'::DOUBLE) AS x", true},
		// Known: inside a nested value the text of JSON null is that of SQL NULL.
		{"JSON null in a list", "SELECT ['null'::JSON] AS x", "SELECT [NULL::JSON] AS x", true},
	}
	for _, tt := range tests {
		a, b := build(t, p, engine.BuildJob{SQL: tt.a}).Output.Hash, build(t, p, engine.BuildJob{SQL: tt.b}).Output.Hash
		if (a == b) != tt.equal {
			t.Errorf("%s: equal %v, want %v", tt.name, a == b, tt.equal)
		}
		keyed := func(sql string) *dataset.ColumnHashes {
			job := engine.BuildJob{SQL: "SELECT row_number() OVER () AS k, * FROM (" + sql + ")", Key: []string{"k"}}
			return build(t, p, job).Output.Keyed
		}
		if cmp.Equal(keyed(tt.a), keyed(tt.b)) != tt.equal {
			t.Errorf("%s: hashes by column: equal %v, want %v", tt.name, !tt.equal, tt.equal)
		}
		for lane := range a {
			if (a[lane] == b[lane]) != tt.equal {
				t.Errorf("%s: lane %d: equal %v, want %v", tt.name, lane, a[lane] == b[lane], tt.equal)
			}
		}
	}
}

func TestCompact(t *testing.T) {
	p := newPool(t, engine.Options{})
	var files []string
	var sum dataset.ContentHash
	for i := range 5 {
		out := build(t, p, engine.BuildJob{SQL: fmt.Sprintf("SELECT range * 5 + %d AS id, 'p' || range AS page FROM range(1000)", i)}).Output
		files = append(files, out.Path)
		sum = sum.Add(out.Hash)
	}
	got, usage, err := p.Compact(t.Context(), engine.CompactJob{Files: files, OrderBy: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != 5000 || got.Hash != sum || usage.CPU <= 0 {
		t.Errorf("%+v %+v, want 5000 rows with hash %v", got, usage, sum)
	}
	sorted := answer(t, p, engine.QueryJob{
		SQL:    "SELECT bool_and(id = rn) AS ok FROM (SELECT id, row_number() OVER () - 1 AS rn FROM t)",
		Tables: []engine.Table{{Name: "t", Files: []string{got.Path}}}, Format: "ndjson",
	})
	if diff := cmp.Diff("{\"ok\":true}\n", sorted); diff != "" {
		t.Error(diff)
	}
	if _, _, err := p.Compact(t.Context(), engine.CompactJob{}); err == nil {
		t.Error("compacting nothing is not an error")
	}
}
