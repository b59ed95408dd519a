package engine_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/fingerprint"
)

var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// plays is a stage over a thousand rows, of which 100 are rejected and 90 late.
func plays() engine.BuildJob {
	return engine.BuildJob{
		SQL: `SELECT range AS id, ['DE', 'FR', 'PL'][1 + (range % 3)::INT] AS country, 'user-' || range AS visitor, range % 100 / 4.0 AS price,
			CASE WHEN range % 5 > 0 THEN range::INTEGER END AS seconds, getvariable('partition_start') + to_seconds(range) AS seen,
			getvariable('partition_end') + to_seconds(CASE WHEN range < 100 THEN 1 ELSE -1 END) AS got, [range] AS list FROM range(1000)`,
		Rejects: "id % 10 = 9", Start: day, End: day.AddDate(0, 0, 1), OrderBy: []string{"seen"},
		Survey: &engine.Survey{
			Name: "plays", Categories: []string{"country", "visitor", "nonsense"}, Received: "got",
			Measures:   []engine.Expr{{Name: "nothing", SQL: "max(seconds) FILTER (WHERE id < 0)"}, {Name: "mean", SQL: "avg(price)"}},
			Violations: []engine.Expr{{Name: "cheap", SQL: "price < 1.25"}},
		},
	}
}

func TestFingerprintOfABuild(t *testing.T) {
	p := newPool(t, engine.Options{})
	job := plays()
	plain := job
	plain.Survey = nil
	want := build(t, p, plain)
	got := build(t, p, job)
	f := got.Output.Fingerprint
	if f == nil || got.Rejected.Fingerprint != nil || want.Output.Fingerprint != nil {
		t.Fatalf("fingerprints: %v %v %v", f, got.Rejected.Fingerprint, want.Output.Fingerprint)
	}
	if m := f.Measure("mean"); m == nil || m.Value == nil || *m.Value != 12.25 || m.Rows != 900 {
		t.Errorf("%+v", f.Measures)
	}
	if m := f.Measure("nothing"); m == nil || m.Value != nil || m.Error != "" {
		t.Errorf("%+v", f.Measures)
	}
	if c := f.Check("cheap"); c == nil || c.Count != 50 || c.Error != "" || c.Whole {
		t.Errorf("%+v", f.Checks)
	}
	if got.Output.Hash != want.Output.Hash || got.Output.Bytes != want.Output.Bytes {
		t.Error("the survey changed the output")
	}
	if f.Rows != 900 || f.Rejected != 100 || f.Bytes != got.Output.Bytes || f.Late == nil || *f.Late != 90 || !f.Start.Equal(day) {
		t.Errorf("%+v", f)
	}
	country := f.Column("country")
	if diff := cmp.Diff([]fingerprint.Value{{Text: "DE", Rows: 300}, {Text: "FR", Rows: 300}, {Text: "PL", Rows: 300}}, country.Top); diff != "" || *country.Entropy != 1 || country.Distinct != 3 {
		t.Errorf("country: %+v %s", country, diff)
	}
	visitor := f.Column("visitor")
	if visitor.Distinct != 900 || len(visitor.Top) != 0 || visitor.Min != nil || visitor.Max != nil || *visitor.Entropy < 0.99 {
		t.Errorf("visitor: %+v", visitor)
	}
	seconds := f.Column("seconds")
	if seconds.Nulls != 200 || seconds.NullShare(f.Rows) != 200.0/900 || *seconds.Min != 1 || *seconds.Max != 998 {
		t.Errorf("seconds: %+v", seconds)
	}
	if c := f.Column("list"); c.Kind != fingerprint.Other || c.Nulls != 0 {
		t.Errorf("list: %+v", c)
	}
	if seen := f.Column("seen"); seen.Kind != fingerprint.Time || *seen.Min != float64(day.Unix()) {
		t.Errorf("seen: %+v", seen)
	}
}

// Each expression answers for itself, whatever the others are.
func TestExpressionsOfASurvey(t *testing.T) {
	p := newPool(t, engine.Options{})
	job := plays()
	job.Tables = []engine.Table{
		{Name: "countries", Columns: []dataset.Column{{Name: "code", Type: "VARCHAR"}}, Rows: [][]*string{{new("DE")}, {new("FR")}}},
		{Name: "plays", Columns: []dataset.Column{{Name: "hidden", Type: "BIGINT"}}},
	}
	type expected map[string]any // a number, nil, or a part of the error
	want := expected{
		"mean": 12.25, "none": nil, "missing": "columns there are: price", "no aggregate": "must appear in the GROUP BY", "nan": "no number", "statement": "syntax error",
		"cheap": 50.0, "null": 0.0, "elsewhere": 300.0, "wrong": "Could not convert", "smuggled": "exactly one expression", "later": 900.0,
		"same country": 897.0, "same second": 0.0, "below": "no number of rows", "not one": "must appear in the GROUP BY",
		"unique": 0.0, "per user": 900.0, "table": "more or less than one number", "rows": "more or less than one number", "text": "Could not convert",
		"negative": "no number of rows", "empty sum": 0.0, "gone": "does not exist", "update": "SELECT", "unnamed": "more or less than one number",
	}
	job.Survey.Measures = []engine.Expr{
		{Name: "mean", SQL: "avg(price) -- of all"},
		{Name: "none", SQL: "avg(price) FILTER (WHERE price < 0)"},
		{Name: "missing", SQL: "avg(prise)"},
		{Name: "no aggregate", SQL: "price"},
		{Name: "nan", SQL: "'nan'::DOUBLE"},
		{Name: "statement", SQL: "DROP TABLE plays"},
	}
	job.Survey.Violations = []engine.Expr{
		{Name: "cheap", SQL: "price < 1.25"},
		{Name: "null", SQL: "NULL"},
		{Name: "elsewhere", SQL: "country NOT IN (SELECT code FROM countries)"},
		{Name: "wrong", SQL: "visitor::INTEGER > 3"},
		{Name: "smuggled", SQL: "1) FROM range(3) WHERE (true"},
		{Name: "later", SQL: "seen >= getvariable('partition_start')"},
	}
	job.Survey.Counts = []engine.Expr{
		{Name: "same country", SQL: "count(country) - count(DISTINCT country)"},
		{Name: "same second", SQL: "count(seconds) - count(DISTINCT seconds) -- of some that are NULL"},
		{Name: "below", SQL: "-count(*)"},
		{Name: "not one", SQL: "price"},
	}
	job.Survey.Queries = []engine.Expr{
		{Name: "unique", SQL: "SELECT count(*) FROM (SELECT id FROM plays GROUP BY id HAVING count(*) > 1)"},
		{Name: "per user", SQL: "SELECT sum(n) FROM (SELECT count(*) AS n FROM plays GROUP BY visitor)"},
		{Name: "table", SQL: "SELECT id FROM plays"},
		{Name: "rows", SQL: "SELECT id FROM plays WHERE false"},
		{Name: "unnamed", SQL: "SELECT 1, 2"},
		{Name: "text", SQL: "SELECT 'many'"},
		{Name: "negative", SQL: "SELECT -1"},
		{Name: "empty sum", SQL: "SELECT sum(id) FROM plays WHERE false"},
		{Name: "gone", SQL: "SELECT count(*) FROM elsewhere"},
		{Name: "update", SQL: "DELETE FROM plays"},
	}
	check := func(f *fingerprint.Fingerprint) {
		t.Helper()
		for _, e := range job.Survey.Measures {
			m := f.Measure(e.Name)
			if m == nil {
				t.Errorf("the measure %s is not there", e.Name)
				continue
			}
			var number any
			if m.Value != nil {
				number = *m.Value
			}
			answered(t, e.Name, want[e.Name], number, m.Error)
		}
		for i, e := range slices.Concat(job.Survey.Violations, job.Survey.Counts, job.Survey.Queries) {
			c := f.Check(e.Name)
			if c == nil || c.Whole != (i >= len(job.Survey.Violations)) {
				t.Errorf("the check %s: %+v", e.Name, c)
				continue
			}
			answered(t, e.Name, want[e.Name], float64(c.Count), c.Error)
		}
	}
	got := build(t, p, job)
	check(got.Output.Fingerprint)

	// The same of the file that is there now, in a worker that ran other things since.
	build(t, p, engine.BuildJob{SQL: "SELECT * FROM plays", Tables: []engine.Table{{Name: "plays", Columns: []dataset.Column{{Name: "x", Type: "BIGINT"}}}}})
	again, usage, err := p.Survey(t.Context(), engine.SurveyJob{
		Tables: []engine.Table{job.Tables[0], {Name: "plays", Files: []string{got.Output.Path}}}, Survey: *job.Survey, Start: job.Start, End: job.End,
	})
	if err != nil || usage.CPU == 0 {
		t.Fatal(usage, err)
	}
	check(again)
	again.Rejected = got.Output.Fingerprint.Rejected
	if diff := cmp.Diff(got.Output.Fingerprint, again); diff != "" {
		t.Errorf("of the build and of its file: %s", diff)
	}
}

func answered(t *testing.T, name string, want, got any, failed string) {
	t.Helper()
	if reason, ok := want.(string); ok {
		if !strings.Contains(failed, reason) {
			t.Errorf("%s: failed with %q, want %q", name, failed, reason)
		}
	} else if failed != "" || got != want {
		t.Errorf("%s: %v %s, want %v", name, got, failed, want)
	}
}

// The rows are those of the view, whatever the files are like.
func TestSurveyOfFiles(t *testing.T) {
	p := newPool(t, engine.Options{})
	narrow := build(t, p, engine.BuildJob{SQL: "SELECT range AS id, range::INTEGER AS n FROM range(100)"}).Output.Path
	wide := build(t, p, engine.BuildJob{SQL: "SELECT range + 100 AS id, range::INTEGER AS n, '01935a2b-' || md5(range::VARCHAR)[:27] AS late FROM range(50)"}).Output.Path
	csv := t.TempDir() + "/rows.csv"
	if err := os.WriteFile(csv, []byte("id,n\n1,2\n3,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	columns := []dataset.Column{{Name: "id", Type: "BIGINT"}, {Name: "n", Type: "BIGINT"}, {Name: "late", Type: "VARCHAR"}}
	for _, test := range []struct {
		table            engine.Table
		rows, nulls, max int64 // NULLs of late, the largest id
	}{
		{engine.Table{Files: []string{narrow, wide}}, 150, 100, 149},
		{engine.Table{Files: []string{wide, wide}}, 100, 0, 149},
		{engine.Table{Files: []string{narrow}, Columns: columns}, 100, 100, 99},
		{engine.Table{Files: []string{csv}, Format: "csv", Columns: columns}, 2, 2, 3},
		{engine.Table{Rows: [][]*string{{new("7"), nil, nil}}, Columns: columns}, 1, 1, 7},
		{engine.Table{Columns: columns}, 0, 0, 0},
	} {
		test.table.Name = "t"
		f, _, err := p.Survey(t.Context(), engine.SurveyJob{
			Tables: []engine.Table{test.table},
			Survey: engine.Survey{Name: "t", Violations: []engine.Expr{{Name: "all", SQL: "id >= 0"}}},
		})
		if err != nil {
			t.Errorf("%+v: %v", test.table, err)
			continue
		}
		if f.Rows != test.rows || f.Check("all").Count != test.rows || f.Column("late").Nulls != test.nulls || test.rows > 0 && *f.Column("ID").Max != float64(test.max) {
			t.Errorf("%+v: %+v", test.table, f)
		}
		if f.Late != nil || len(f.Columns) != 3 {
			t.Errorf("%+v: %+v", test.table, f)
		}
	}
	if _, _, err := p.Survey(t.Context(), engine.SurveyJob{Survey: engine.Survey{Name: "t"}}); err == nil || !strings.Contains(err.Error(), "no table") {
		t.Errorf("without the table: %v", err)
	}
}

// Nothing that few rows have can be read from a fingerprint.
func TestPrivacyFloor(t *testing.T) {
	p := newPool(t, engine.Options{})
	secret := strings.Repeat("s", fingerprint.TextBytes) + "ecret"
	job := engine.BuildJob{
		SQL:    fmt.Sprintf(`SELECT CASE WHEN range < 9 THEN 'rare@example.com' WHEN range < 19 THEN 'ten' ELSE '%s' END AS who, 'person-' || range AS visitor FROM range(300)`, secret),
		Survey: &engine.Survey{Name: "t", Categories: []string{"who", "visitor"}},
	}
	f := build(t, p, job).Output.Fingerprint
	want := []fingerprint.Value{{Text: secret[:fingerprint.TextBytes], Rows: 281}, {Text: "ten", Rows: 10}}
	if diff := cmp.Diff(want, f.Column("who").Top); diff != "" || f.Column("who").Distinct != 3 {
		t.Error(diff)
	}
	b, err := fingerprint.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	back, err := fingerprint.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%+v", back)
	for _, text := range []string{"rare", "person", "ecret"} {
		if strings.Contains(all, text) {
			t.Errorf("the fingerprint says %q: %s", text, all)
		}
	}
}

// DuckDB itself is the oracle of what is read from the file's pages, for values
// that repeat, which are stored as a dictionary, and for values that do not.
func TestStatisticsAreThoseOfSQL(t *testing.T) {
	p := newPool(t, engine.Options{})
	types := map[string]struct {
		kind    fingerprint.Kind
		numbers string // the number that stands for the value v; "" if there is none
	}{
		"v::TINYINT": {fingerprint.Number, "v::DOUBLE"}, "v::SMALLINT": {fingerprint.Number, "v::DOUBLE"}, "v::INTEGER": {fingerprint.Number, "v::DOUBLE"},
		"v::BIGINT * 10000000000": {fingerprint.Number, "v::DOUBLE"}, "(v + 100)::UTINYINT": {fingerprint.Number, "v::DOUBLE"}, "(v + 100)::USMALLINT": {fingerprint.Number, "v::DOUBLE"},
		"(v + 4294967000)::UINTEGER": {fingerprint.Number, "v::DOUBLE"}, "(v + 18446744073709551000)::UBIGINT": {fingerprint.Number, "v::DOUBLE"},
		"v / 4::FLOAT": {fingerprint.Number, "v::DOUBLE"}, "v / 3": {fingerprint.Number, "v::DOUBLE"},
		"CASE WHEN v % 5 = 0 THEN 'nan'::DOUBLE WHEN v % 5 = 1 THEN '-inf'::DOUBLE ELSE v END": {fingerprint.Number, "CASE WHEN isfinite(v) THEN v END"},
		"(v / 4)::DECIMAL(4, 2)": {fingerprint.Number, "v::DOUBLE"}, "(v / 4)::DECIMAL(9, 2)": {fingerprint.Number, "v::DOUBLE"},
		"(v / 4)::DECIMAL(18, 6)": {fingerprint.Number, "v::DOUBLE"}, "(v / 4)::DECIMAL(38, 10)": {fingerprint.Number, "v::DOUBLE"},
		"v > 7":                      {fingerprint.Bool, "v::INT::DOUBLE"},
		"DATE '1999-12-28' + v::INT": {fingerprint.Time, "epoch(v)"}, "TIMESTAMP '2026-01-01' + to_seconds(v)": {fingerprint.Time, "epoch(v)"},
		"TIMESTAMPTZ '1960-01-01 00:00:00+00' + to_microseconds(v::BIGINT)": {fingerprint.Time, "epoch(v)"}, "(TIMESTAMP '2026-01-01' + to_seconds(v))::TIMESTAMP_NS": {fingerprint.Time, "epoch(v)"},
		"CASE WHEN v % 3 = 0 THEN 'infinity'::TIMESTAMPTZ WHEN v % 3 = 1 THEN '-infinity'::TIMESTAMPTZ ELSE TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_days(v::INT) END": {fingerprint.Time, "CASE WHEN isfinite(v) THEN epoch(v) END"},
		"CASE WHEN v % 3 = 0 THEN 'infinity'::DATE WHEN v % 3 = 1 THEN '-infinity'::DATE ELSE DATE '2026-01-01' + v::INT END":                                           {fingerprint.Time, "CASE WHEN isfinite(v) THEN epoch(v) END"},
		"TIME '00:00:00' + to_seconds(abs(v))": {fingerprint.Number, "epoch(v)"},
		"'text ' || v":                         {fingerprint.Text, ""}, "('{\"a\":' || v || '}')::JSON": {fingerprint.Text, ""}, "md5(v::VARCHAR)::UUID": {fingerprint.Text, ""},
		"encode('text ' || v)": {fingerprint.Other, ""}, "[v]": {fingerprint.Other, ""}, "{'a': v, 'b': NULL}": {fingerprint.Other, ""}, "MAP {'a': v}": {fingerprint.Other, ""},
		"CASE WHEN v % 2 = 0 THEN [] END": {fingerprint.Other, ""}, "NULL::VARCHAR": {fingerprint.Text, ""}, "NULL::DOUBLE": {fingerprint.Number, "v::DOUBLE"},
	}
	var list []string
	for _, expr := range slices.Sorted(maps.Keys(types)) {
		list = append(list, fmt.Sprintf("CASE WHEN i %% 7 > 0 THEN %s END AS \"%s\"", expr, strings.ReplaceAll(expr, `"`, `""`)))
	}
	for name, v := range map[string]string{"few": "i % 20 - 9", "many": "(i * 127) % 199 - 99", "none": "NULL::BIGINT"} {
		t.Run(name, func(t *testing.T) {
			built := build(t, p, engine.BuildJob{
				SQL:    fmt.Sprintf("SELECT i, %s FROM (SELECT range AS i, %s AS v FROM range(3000))", strings.Join(list, ", "), v),
				Survey: &engine.Survey{Name: "t", Categories: []string{"i"}},
			}).Output
			for expr, want := range types {
				c := built.Fingerprint.Column(expr)
				if c == nil || c.Kind != want.kind {
					t.Errorf("%s: %+v", expr, c)
					continue
				}
				column := `"` + strings.ReplaceAll(expr, `"`, `""`) + `"`
				sql := "SELECT count(*) - count(v), count(DISTINCT v), NULL, NULL, NULL, NULL, NULL FROM (SELECT " + column + " AS v FROM t)"
				if want.numbers != "" {
					sql = "SELECT count(*) - count(v), count(DISTINCT v), min(n), max(n), avg(n), stddev_pop(n), quantile_disc(n, 0.5) FROM (SELECT v, " + want.numbers + " AS n FROM (SELECT " + column + " AS v FROM t))"
				}
				var csv strings.Builder
				job := engine.QueryJob{SQL: sql, Tables: []engine.Table{{Name: "t", Files: []string{built.Path}}}, Format: "csv"}
				if _, err := p.Report(t.Context(), job, &csv); err != nil {
					t.Fatal(sql, err)
				}
				agrees(t, c, csv.String())
			}
		})
	}
}

// agrees compares with a line of NULLs, distinct values, minimum, maximum, mean,
// deviation and median.
func agrees(t *testing.T, c *fingerprint.Column, csv string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	cells := strings.Split(lines[len(lines)-1], ",")
	if fmt.Sprint(c.Nulls) != cells[0] {
		t.Errorf("%s: %d NULL, want %s", c.Name, c.Nulls, cells[0])
	}
	distinct, err := strconv.ParseFloat(cells[1], 64)
	if err != nil {
		t.Fatal(csv, err)
	}
	if off := math.Abs(float64(c.Distinct) - distinct); c.Kind != fingerprint.Other && off > 5*c.Sketch.Error()*distinct+0.5 {
		t.Errorf("%s: %d distinct, want %s", c.Name, c.Distinct, cells[1])
	}
	var median *float64
	if m, ok := c.Quantile(0.5); ok {
		median = &m
	}
	got := []*float64{c.Min, c.Max, c.Mean, c.Deviation, median}
	for i, cell := range cells[2:] {
		if c.Kind == fingerprint.Bool && i != 2 && i != 3 {
			continue // of booleans there are mean and deviation only
		}
		if cell == "" || got[i] == nil {
			if cell != "" || got[i] != nil {
				t.Errorf("%s: statistic %d is %v, want %q", c.Name, i, got[i], cell)
			}
			continue
		}
		want, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			t.Fatal(csv, err)
		}
		if math.Abs(*got[i]-want) > 1e-9*max(1, math.Abs(want)) && math.Abs(*got[i]-want) > 1e-6 {
			t.Errorf("%s: statistic %d is %v, want %v", c.Name, i, *got[i], want)
		}
	}
}

// Of many values quantiles are sampled: alike each time, with the bounds exact, and
// as near as is stated.
func TestSampledQuantiles(t *testing.T) {
	p := newPool(t, engine.Options{})
	got := build(t, p, engine.BuildJob{
		SQL:     "SELECT range AS n, (range * 7919) % 100003 AS mixed, CASE WHEN range % 1000 = 0 THEN range END AS sparse FROM range(100003)",
		OrderBy: []string{"n"}, Survey: &engine.Survey{Name: "t"},
	}).Output
	for _, name := range []string{"n", "mixed"} {
		c := got.Fingerprint.Column(name)
		if c.Sampled < 1<<14 || c.Sampled >= 1<<15 || *c.Min != 0 || *c.Max != 100002 || len(c.Quantiles) != fingerprint.Points {
			t.Fatalf("%+v", c)
		}
		for i, rank := range fingerprint.Ranks(fingerprint.Points) {
			if off := math.Abs(c.Quantiles[i]/100002 - rank); off > 4*math.Sqrt(0.25/float64(c.Sampled)) {
				t.Errorf("%s: the quantile at %g is %g", name, rank, c.Quantiles[i])
			}
		}
	}
	if c := got.Fingerprint.Column("sparse"); c.Sampled != 0 || c.Quantiles[20] != 50_000 {
		t.Errorf("%+v", c)
	}
	again, _, err := p.Survey(t.Context(), engine.SurveyJob{Tables: []engine.Table{{Name: "t", Files: []string{got.Path}}}, Survey: engine.Survey{Name: "t"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.Fingerprint, again); diff != "" {
		t.Error(diff)
	}
}

// Values of a category are written as people write them.
func TestCategoriesOfAnyType(t *testing.T) {
	p := newPool(t, engine.Options{})
	want := map[string]string{
		"true": "true", "'é'": "é", "-3": "-3", "18446744073709551615::UBIGINT": "18446744073709551615", "4294967295::UINTEGER": "4294967295",
		"1.5::FLOAT": "1.5", "-0.25::DOUBLE": "-0.25", "1.50::DECIMAL(9, 2)": "1.5", "-1.25::DECIMAL(38, 2)": "-1.25",
		"DATE '2026-01-02'": "2026-01-02", "DATE '-infinity'": "-Inf", "TIMESTAMP '2026-01-02 03:04:05.5'": "2026-01-02T03:04:05.5Z",
		"'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "'[1]'::JSON": "[1]", "TIME '00:01:00.5'": "60.5",
	}
	var list, names []string
	for _, expr := range slices.Sorted(maps.Keys(want)) {
		list, names = append(list, expr+` AS "`+expr+`"`), append(names, expr)
	}
	f := build(t, p, engine.BuildJob{
		SQL: "SELECT " + strings.Join(list, ", ") + " FROM range(20)", Survey: &engine.Survey{Name: "t", Categories: names},
	}).Output.Fingerprint
	for expr, text := range want {
		c := f.Column(expr)
		if diff := cmp.Diff([]fingerprint.Value{{Text: text, Rows: 20}}, c.Top); diff != "" || c.Distinct != 1 || c.Entropy == nil || *c.Entropy != 0 {
			t.Errorf("%s: %+v %s", expr, c, diff)
		}
	}
}

// A column with more values than can be counted is no category, and costs no more
// memory than one with as many as can.
func TestTooManyCategories(t *testing.T) {
	p := newPool(t, engine.Options{})
	f := build(t, p, engine.BuildJob{
		SQL:    "SELECT 'user-' || range AS u, 'user-' || range % 16384 AS fits FROM range(100000)",
		Survey: &engine.Survey{Name: "t", Categories: []string{"u", "fits"}},
	}).Output.Fingerprint
	if c := f.Column("u"); c.Entropy != nil || c.Top != nil || c.Sketch == nil {
		t.Errorf("%+v", c)
	}
	if c := f.Column("fits"); c.Entropy == nil || c.Distinct != 16384 {
		t.Errorf("%+v", c)
	}
}
