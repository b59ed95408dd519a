package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/enrich"
)

func TestFormats(t *testing.T) {
	p := newPool(t, engine.Options{})
	const values = `SELECT * FROM (VALUES
		(1, 9007199254740993::BIGINT, 1.50::DECIMAL(5,2), 'plain', true, TIMESTAMPTZ '2026-01-02 03:04:05.25+01', [1, 2], '{"a": 1}'::JSON),
		(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
		(-2, -1, -0.5, '=1+1, "x"' || chr(10) || chr(27) || '[31m', false, TIMESTAMPTZ '1970-01-01 00:00:00+00', [], 'null'::JSON),
		(3, 0, 0, '', true, NULL, [NULL], '[]'::JSON)
	) t(i, big, dec, txt, ok, "at", l, j)`
	want := map[string]string{
		"csv": "i,big,dec,txt,ok,at,l,j\n" +
			"1,9007199254740993,1.50,plain,true,2026-01-02T02:04:05.25Z,\"[1,2]\",\"{\"\"a\"\": 1}\"\n" +
			",,,,,,,\n" +
			"-2,-1,-0.50,\"'=1+1, \"\"x\"\"\n\x1b[31m\",false,1970-01-01T00:00:00Z,[],null\n" +
			"3,0,0.00,\"\",true,,[null],[]\n",
		"json": `[{"i":1,"big":9007199254740993,"dec":1.50,"txt":"plain","ok":true,"at":"2026-01-02T02:04:05.25Z","l":[1,2],"j":{"a":1}},
 {"i":null,"big":null,"dec":null,"txt":null,"ok":null,"at":null,"l":null,"j":null},
 {"i":-2,"big":-1,"dec":-0.50,"txt":"=1+1, \"x\"\n\u001b[31m","ok":false,"at":"1970-01-01T00:00:00Z","l":[],"j":null},
 {"i":3,"big":0,"dec":0.00,"txt":"","ok":true,"at":null,"l":[null],"j":[]}]
`,
		"table": `   i               big    dec  txt                 ok  at                       l       j
----  ----------------  -----  ---------------  -----  -----------------------  ------  --------
   1  9007199254740993   1.50  plain             true  2026-01-02T02:04:05.25Z  [1,2]   {"a": 1}
NULL              NULL   NULL  NULL              NULL  NULL                     NULL    NULL
  -2                -1  -0.50  =1+1, "x"␊␛[31m  false  1970-01-01T00:00:00Z     []      null
   3                 0   0.00                    true  NULL                     [null]  []
`,
	}
	for format, text := range want {
		got := answer(t, p, engine.QueryJob{SQL: values, Format: format})
		if diff := cmp.Diff(text, got); diff != "" {
			t.Errorf("%s:\n%s", format, diff)
		}
	}
	lines := strings.Split(strings.TrimSpace(answer(t, p, engine.QueryJob{SQL: values, Format: "ndjson"})), "\n")
	if len(lines) != 4 {
		t.Errorf("%d lines of NDJSON", len(lines))
	}
}

// Numbers JSON has no word for, and every other type, still give valid JSON.
func TestJSONIsValid(t *testing.T) {
	p := newPool(t, engine.Options{})
	sql := `SELECT 'nan'::DOUBLE AS a, '-inf'::FLOAT AS b, ['nan'::DOUBLE] AS c, 170141183460469231731687303715884105727::HUGEINT AS d,
		INTERVAL 90 MINUTE AS e, '101'::BIT AS f, '\xAA'::BLOB AS g, 1e300 AS h, DATE '2026-01-02' AS i, 'infinity'::TIMESTAMP AS j,
		MAP {'k': 1} AS k, {'x': 1, 'y': [NULL]} AS l, 'a'::ENUM('a') AS m, TIME '10:00' AS n, uuid() AS o, 1::VARIANT AS p, '<&>' AS q`
	for _, format := range []string{"json", "ndjson"} {
		var v any
		got := answer(t, p, engine.QueryJob{SQL: sql, Format: format})
		if err := json.Unmarshal([]byte(got), &v); err != nil {
			t.Errorf("%s: %v in %s", format, err, got)
		}
		for _, part := range []string{`"a":"nan"`, `"d":170141183460469231731687303715884105727`, `"l":{"x":1,"y":[null]}`, `"q":"<&>"`} {
			if !strings.Contains(got, part) {
				t.Errorf("%s lacks %s: %s", format, part, got)
			}
		}
	}
	for format, want := range map[string]string{"json": "[]\n", "ndjson": "", "csv": "x\n", "table": "x\n-\n"} {
		if got := answer(t, p, engine.QueryJob{SQL: "SELECT 1 AS x WHERE false", Format: format}); got != want {
			t.Errorf("no rows as %s: %q", format, got)
		}
	}
}

func TestQueryParquet(t *testing.T) {
	p := newPool(t, engine.Options{})
	file := filepath.Join(t.TempDir(), "out.parquet")
	got := answer(t, p, engine.QueryJob{SQL: "SELECT range AS i, sum(1) AS n FROM range(10) GROUP BY ALL", Format: "parquet", Limits: engine.Limits{Rows: 7}})
	if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
		t.Fatal(err)
	}
	n := answer(t, p, engine.QueryJob{SQL: "SELECT count(*) AS n, typeof(any_value(n)) AS t FROM f", Tables: []engine.Table{{Name: "f", Files: []string{file}}}, Format: "csv"})
	if diff := cmp.Diff("n,t\n7,BIGINT\n", n); diff != "" {
		t.Error(diff)
	}
}

func TestQueryLimits(t *testing.T) {
	p := newPool(t, engine.Options{})
	tests := []struct {
		name      string
		rows      int
		limits    engine.Limits
		want      int64
		truncated bool
	}{
		{"under", 5, engine.Limits{Rows: 6}, 5, false},
		{"exact", 6, engine.Limits{Rows: 6}, 6, false},
		{"over", 7, engine.Limits{Rows: 6}, 6, true},
		{"pages", 40_000, engine.Limits{}, 40_000, false},
		{"bytes", 40_000, engine.Limits{Output: 100_000}, 0, true},
	}
	for _, tt := range tests {
		for _, format := range []string{"csv", "json", "ndjson", "table"} {
			var out strings.Builder
			got, err := p.Query(t.Context(), engine.QueryJob{
				SQL: fmt.Sprintf("SELECT range AS i, 'row ' || range AS s FROM range(%d) ORDER BY i", tt.rows), Format: format, Limits: tt.limits,
			}, &out)
			if err != nil {
				t.Fatal(err)
			}
			if got.Truncated != tt.truncated || tt.want > 0 && got.Rows != tt.want {
				t.Errorf("%s as %s: %d rows, truncated %v", tt.name, format, got.Rows, got.Truncated)
			}
			if most := tt.limits.Output; most > 0 && (int64(out.Len()) > most || got.Rows == 0) {
				t.Errorf("%s as %s: %d bytes of at most %d, %d rows", tt.name, format, out.Len(), most, got.Rows)
			}
			if format == "json" && !json.Valid([]byte(out.String())) {
				t.Errorf("%s: not JSON", tt.name)
			}
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("the reader is gone") }

func TestQueryReaderGone(t *testing.T) {
	p := newPool(t, engine.Options{})
	_, err := p.Query(t.Context(), engine.QueryJob{SQL: "SELECT 1"}, brokenPipe{})
	if err == nil || !strings.Contains(err.Error(), "the reader is gone") {
		t.Errorf("got %v", err)
	}
}

func TestQueryUnknownFormat(t *testing.T) {
	p := newPool(t, engine.Options{})
	_, err := p.Query(t.Context(), engine.QueryJob{SQL: "SELECT 1", Format: "xml"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("got %v", err)
	}
}

func TestParseIgnoresFormatting(t *testing.T) {
	p := newPool(t, engine.Options{})
	parse := func(sql string) string {
		got, err := p.Parse(t.Context(), sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return got.AST
	}
	base := parse("SELECT a, count(*) AS n FROM t WHERE b > 'X' GROUP BY a")
	for _, same := range []string{
		"select a, count(*) as n from t where b>'X' group by a;",
		"-- top\nSELECT a /* the key */,\n\n  COUNT(*) AS n\nFROM t\nWHERE b > 'X'\nGROUP BY a -- end",
	} {
		if got := parse(same); got != base {
			t.Errorf("%q differs:\n%s", same, cmp.Diff(base, got))
		}
	}
	for _, other := range []string{
		"SELECT a, count(*) AS n FROM t WHERE b > 'x' GROUP BY a", "SELECT a, count(*) AS m FROM t WHERE b > 'X' GROUP BY a",
		"SELECT a, count(*) AS n FROM t WHERE b >= 'X' GROUP BY a", "SELECT a, count(DISTINCT a) AS n FROM t WHERE b > 'X' GROUP BY a",
	} {
		if parse(other) == base {
			t.Errorf("%q is taken for the same", other)
		}
	}
	if strings.Contains(base, "query_location") {
		t.Error("positions are left in it")
	}
}

func TestErrorsHaveAPlace(t *testing.T) {
	p := newPool(t, engine.Options{})
	tables := []engine.Table{{Name: "plays", Columns: []dataset.Column{{Name: "track", Type: "VARCHAR"}, {Name: "ms", Type: "BIGINT"}}}}
	tests := []struct {
		sql          string
		line, column int
		says         string
	}{
		{"SELECT track,\n       nope\nFROM plays", 2, 8, "nope"},
		{"SELECT *\nFROM plas", 2, 6, "plays"},
		{"SELECT track\nFRM plays x y", 2, 5, "plays"},
		{"SELECT\n\n  sumx(ms) FROM plays", 3, 3, "sumx"},
		{"SELECT 'é', nope FROM plays", 1, 13, "nope"},
		{"SELECT ms + track::DATE FROM plays", 1, 0, "+"},
		{"SELECT", 0, 0, "without selection list"},
		{"SELECT (", 1, 9, "end of input"},
		{"SELECT ms, track FROM plays GROUP BY ms", 1, 12, "GROUP BY"},
	}
	for _, tt := range tests {
		_, err := p.Describe(t.Context(), tt.sql, tables)
		e, ok := errors.AsType[*engine.SQLError](err)
		if !ok {
			t.Errorf("%q: %v", tt.sql, err)
			continue
		}
		if e.Line != tt.line || tt.column > 0 && e.Column != tt.column || !strings.Contains(e.Error(), tt.says) {
			t.Errorf("%q: %v; want line %d, column %d, with %q", tt.sql, e, tt.line, tt.column, tt.says)
		}
	}
	_, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT 1 AS a,\n  ('x' || range)::INT AS b FROM range(3)"})
	if e, ok := errors.AsType[*engine.SQLError](err); !ok || e.Line != 2 {
		t.Errorf("an error at run time: %v", err)
	}
	_, err = p.Build(t.Context(), engine.BuildJob{SQL: "SELECT sum(9223372036854775807) AS s FROM range(2)"})
	if e, ok := errors.AsType[*engine.SQLError](err); !ok || !strings.Contains(e.Hint, "BIGINT") {
		t.Errorf("a sum that does not fit: %v", err)
	}
	_, err = p.Build(t.Context(), engine.BuildJob{SQL: `SELECT 1 AS a FROM (SELECT '{"x":"y"}'::JSON AS j, 'n' AS s) WHERE s = 'n' AND j ->> 'x' = 'y'`})
	if e, ok := errors.AsType[*engine.SQLError](err); !ok || !strings.Contains(e.Hint, "parentheses") {
		t.Errorf("an arrow without parentheses: %v", err)
	}
	for _, sql := range []string{"DELETE FROM plays", "SELECT 1; SELECT 2", "", "PIVOT plays ON track USING sum(ms)"} {
		if _, err := p.Parse(t.Context(), sql); !errors.Is(err, engine.ErrNotSelect) {
			t.Errorf("%q: %v", sql, err)
		}
	}
}

// SQL functions answer what package enrich answers, row by row, NULL for NULL
// and for what is not known.
func TestFunctions(t *testing.T) {
	p := newPool(t, engine.Options{})
	agents := []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
		"Googlebot/2.1 (+http://www.google.com/bot.html)", "",
	}
	for _, ua := range agents {
		a := enrich.Agent(ua)
		got := answer(t, p, engine.QueryJob{Format: "csv", SQL: fmt.Sprintf(
			"SELECT ua_browser(u) IS NOT DISTINCT FROM nullif('%s', '') AND ua_os(u) IS NOT DISTINCT FROM nullif('%s', '') "+
				"AND ua_device(u) IS NOT DISTINCT FROM nullif('%s', '') AND ua_is_bot(u) = %v AS ok FROM (SELECT '%s' AS u FROM range(3000))GROUP BY ALL",
			a.Browser, a.OS, a.Device, a.Bot, ua)})
		if got != "ok\ntrue\n" {
			t.Errorf("%q: %s", ua, got)
		}
	}
	got := answer(t, p, engine.QueryJob{Format: "csv", SQL: `
		SELECT geo_country(NULL) IS NULL AND ua_is_bot(NULL) IS NULL AND url_param('/x?a=1', NULL) IS NULL AND geo_country('no ip') IS NULL AS nulls,
			url_host('https://Example.com:8080/a?b=1') AS host, url_path('https://example.com/a?b=1') AS path,
			url_param('https://example.com/a?b=1', 'b') AS param, geo_country('8.8.8.8') AS country`})
	want := "nulls,host,path,param,country\ntrue,example.com,/a,1," + enrich.Country("8.8.8.8") + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Every row of several vectors, with NULLs between, through a stored file.
	file := build(t, p, engine.BuildJob{SQL: "SELECT range AS i, CASE WHEN range % 5 > 0 THEN 'https://h' || range % 97 || '.test/p' || range END AS u FROM range(10000)"}).Output.Path
	n := answer(t, p, engine.QueryJob{
		Tables: []engine.Table{{Name: "t", Files: []string{file}}}, Format: "csv",
		SQL: "SELECT count(*) AS n FROM t WHERE i % 3 = 1 AND url_host(u) IS DISTINCT FROM CASE WHEN i % 5 > 0 THEN 'h' || i % 97 || '.test' END",
	})
	if n != "n\n0\n" {
		t.Errorf("rows that got another row's answer: %s", n)
	}
	for name := range engine.Functions() {
		_, err := p.Describe(t.Context(), "SELECT "+name+"()", nil)
		if err == nil || strings.Contains(err.Error(), "does not exist") {
			t.Errorf("%s is announced but not there: %v", name, err)
		}
	}
}

func TestTwoTablesAndOddNames(t *testing.T) {
	p := newPool(t, engine.Options{})
	file := build(t, p, engine.BuildJob{SQL: `SELECT 1 AS "select", 2 AS "a ""b"`}).Output
	want := []dataset.Column{{Name: "select", Type: "INTEGER"}, {Name: `a "b`, Type: "INTEGER"}}
	if diff := cmp.Diff(want, file.Columns); diff != "" {
		t.Error(diff)
	}
	got := answer(t, p, engine.QueryJob{
		SQL: `SELECT x."select" + y."a ""b" AS s, 1 AS s FROM "it's" x, other y`, Format: "csv",
		Tables: []engine.Table{{Name: "it's", Files: []string{file.Path}}, {Name: "other", Files: []string{file.Path, file.Path}}},
	})
	if diff := cmp.Diff("s,s_1\n3,1\n3,1\n", got); diff != "" {
		t.Error(diff)
	}
}
