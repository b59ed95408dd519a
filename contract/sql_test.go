package contract

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGivesNumber(t *testing.T) {
	for sql, want := range map[string]bool{
		"SELECT count(*) FROM d WHERE x < 0":                                 true,
		"select Count( * ) from d":                                           true,
		"SELECT coalesce(sum(x), 0) - sum(y) FROM d":                         true,
		"SELECT count(*) FILTER (WHERE x < 0) FROM d":                        true,
		"SELECT round(sum(x), 2) AS n FROM d":                                true,
		"SELECT count(DISTINCT x) FROM d":                                    false, // counted as a row: always broken, and so seen
		"WITH t AS (SELECT x, y FROM d GROUP BY ALL) SELECT count(*) FROM t": true,
		"SELECT count(*) /* GROUP BY */ FROM d -- HAVING":                    true,
		"SELECT count(*) > 3 FROM (SELECT x FROM d LIMIT 3)":                 true,
		"SELECT x FROM d":                                                    false,
		"FROM d WHERE x < 0":                                                 false,
		"SELECT * FROM d":                                                    false,
		"SELECT count(*), x FROM d GROUP BY x":                               false,
		"SELECT count(*) FROM d GROUP BY x":                                  false,
		"SELECT count(*) FROM d HAVING count(*) > 3":                         false,
		"SELECT count(*) FROM (SELECT x FROM d)":                             true,
		"SELECT (count(*)) FROM d HAVING (true)":                             false,
		"SELECT max(x) OVER () FROM d":                                       false,
		"SELECT (SELECT count(*) FROM d) FROM d":                             false,
		`SELECT "count(" FROM d`:                                             false,
		"SELECT 'count(' FROM d":                                             false,
		"SELECT count(*) FROM d UNION ALL SELECT 3":                          false,
		"SELECT counts FROM d":                                               false,
		"":                                                                   false,
		")))":                                                                false,
	} {
		if got := givesNumber(sql); got != want {
			t.Errorf("%s: got %v; words are %q", sql, got, flatten(sql))
		}
	}
}

func TestNeeds(t *testing.T) {
	r := mustParse(t, `owner: a
datasets:
  d:
    columns:
      c: {not_null: true, min: -1.5, max: 2026-01-01, accepted: [a, "it's"]}
      g: {matches: "x'y", nulls: {max: 1%}}
      'we"ird': {unique: true, relation: {dataset: e, column: f}, entropy: {max: 1}, distinct: {max: 9}}
    checks:
      - {name: rows, sql: FROM d}
      - {name: number, sql: SELECT count(*) FROM d}
`)
	n := r.Needs()
	var got []string
	for _, e := range slices.Concat(n.Violations, n.Counts, n.Queries) {
		name, _, _ := strings.Cut(e.Name, "#")
		got = append(got, name+": "+e.SQL)
	}
	want := []string{
		`columns.c.not_null: "c" IS NULL`,
		`columns.c.min: "c" < -1.5`,
		`columns.c.max: "c" > '2026-01-01'`,
		`columns.c.accepted: "c" NOT IN ('a', 'it''s')`,
		`columns.g.matches: NOT regexp_full_match("g", 'x''y')`,
		`columns.g.nulls: "g" IS NULL`,
		`columns.we"ird.unique: count("we""ird") - count(DISTINCT "we""ird")`,
		`columns.we"ird.relation: SELECT count(*) FROM "d" AS here WHERE here."we""ird" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "e" AS there WHERE there."f" = here."we""ird")`,
		"checks.rows: SELECT count(*) FROM (\nFROM d\n)",
		"checks.number: SELECT ceil(abs(coalesce((\nSELECT count(*) FROM d\n)::DOUBLE, 0)))::BIGINT",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([][]string{{`we"ird`}, {"e"}}, [][]string{n.Categories, n.Reads}); d != "" {
		t.Error(d)
	}
	sum := n
	sum.Add(n)
	if d := cmp.Diff(n, sum); d != "" {
		t.Errorf("adding what is there: %s", d)
	}
}

func FuzzGivesNumber(f *testing.F) {
	f.Add("SELECT count(*) FROM d")
	f.Add("((')\"")
	f.Fuzz(func(t *testing.T, sql string) {
		out, number := counting(sql)
		if !strings.Contains(out, sql) || number && !strings.Contains(strings.ToUpper(sql), "SELECT") {
			t.Errorf("%q became %q", sql, out)
		}
	})
}
