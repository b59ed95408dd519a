package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// exactRows is how many rows distinct values are counted of; beyond, their
// number is estimated.
const exactRows = 2_000_000

// plan is one comparison as SQL over the tables a and b.
//
// The columns both have are c0, c1, ... in x (from a) and y (from b); na and nb
// count rows of a and of b.
type plan struct {
	tables []engine.Table
	a, b   []dataset.Column
	schema Schema
	shared []shared
	key    []int // in shared; empty: rows are not joined
	noKey  string
	many   bool
}

// shared is a column both sides have. If its types differ, its text is compared.
type shared struct {
	name     string
	sameType bool
}

func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// each joins a text for every shared column.
func (p *plan) each(format func(i int) string) string {
	parts := make([]string, len(p.shared))
	for i := range p.shared {
		parts[i] = format(i)
	}
	return strings.Join(parts, ", ")
}

func (p *plan) columns() string { return p.each(func(i int) string { return fmt.Sprint("c", i) }) }

// keys joins a text for every column of the key.
func (p *plan) keys(format, separator string) string {
	parts := make([]string, len(p.key))
	for n, i := range p.key {
		parts[n] = strings.ReplaceAll(format, "%", fmt.Sprint("c", i))
	}
	return strings.Join(parts, separator)
}

// with are the relations all questions are put to.
func (p *plan) with() string {
	project := p.each(func(i int) string {
		cast := ""
		if !p.shared[i].sameType {
			cast = "::VARCHAR"
		}
		return fmt.Sprintf("%s%s AS c%d", ident(p.shared[i].name), cast, i)
	})
	parts := []string{
		"x AS (SELECT " + project + " FROM a)", "y AS (SELECT " + project + " FROM b)",
		"whole AS (" + p.tally("x", "y") + ")",
	}
	if len(p.key) > 0 {
		cols := p.keys("%", ", ")
		parts = append(parts,
			"k AS MATERIALIZED (SELECT "+cols+", sum(na) AS na, sum(nb) AS nb FROM (SELECT "+cols+", 1 AS na, 0 AS nb FROM x UNION ALL SELECT "+cols+", 0, 1 FROM y) WHERE "+
				p.keys("% IS NOT NULL", " AND ")+" GROUP BY "+cols+" HAVING sum(na) <= 1 AND sum(nb) <= 1)",
			"j AS (SELECT "+p.each(func(i int) string { return fmt.Sprintf("x.c%d AS a%d, y.c%d AS b%d", i, i, i, i) })+
				" FROM k JOIN x ON "+p.keys("x.% = k.%", " AND ")+" JOIN y ON "+p.keys("y.% = k.%", " AND ")+")",
			"ux AS (SELECT x.* FROM x ANTI JOIN k ON "+p.keys("x.% = k.%", " AND ")+")",
			"uy AS (SELECT y.* FROM y ANTI JOIN k ON "+p.keys("y.% = k.%", " AND ")+")",
			"unkeyed AS ("+p.tally("ux", "uy")+")",
		)
	}
	return "WITH " + strings.Join(parts, ",\n")
}

// tally counts equal rows of two relations. GROUP BY takes NULLs for equal.
func (p *plan) tally(x, y string) string {
	return fmt.Sprintf("SELECT %[1]s, sum(na)::BIGINT AS na, sum(nb)::BIGINT AS nb FROM (SELECT *, 1 AS na, 0 AS nb FROM %[2]s UNION ALL SELECT *, 0, 1 FROM %[3]s) GROUP BY %[1]s",
		p.columns(), x, y)
}

// summary asks for all figures as one row.
func (p *plan) summary() string {
	from := []string{"(" + statistics("a", p.a, p.many) + ")", "(" + statistics("b", p.b, p.many) + ")"}
	if len(p.shared) == 0 {
		return "SELECT * FROM " + strings.Join(from, ", ")
	}
	const differing = "coalesce(sum(greatest(na - nb, 0)), 0)::BIGINT AS %[1]sonly_a, coalesce(sum(greatest(nb - na, 0)), 0)::BIGINT AS %[1]sonly_b"
	from = append(from, "(SELECT "+fmt.Sprintf(differing, "")+", coalesce(sum(least(na, nb)), 0)::BIGINT AS both FROM whole)")
	if len(p.key) > 0 {
		equal := p.each(func(i int) string {
			return fmt.Sprintf("count(*) FILTER (WHERE a%[1]d IS NOT DISTINCT FROM b%[1]d) AS equal_%[1]d", i)
		})
		from = append(from,
			"(SELECT count(*) FILTER (WHERE nb = 0) AS k_only_a, count(*) FILTER (WHERE na = 0) AS k_only_b FROM k)",
			"(SELECT count(*) AS matched, count(*) FILTER (WHERE "+p.differs()+") AS changed, "+equal+" FROM j)",
			"(SELECT coalesce(sum(na), 0)::BIGINT AS u_a, coalesce(sum(nb), 0)::BIGINT AS u_b, "+fmt.Sprintf(differing, "u_")+" FROM unkeyed)")
	}
	return p.with() + "\nSELECT * FROM " + strings.Join(from, ",\n")
}

// differs is true of rows of j that are not the same on both sides.
func (p *plan) differs() string {
	parts := make([]string, len(p.shared))
	for i := range p.shared {
		parts[i] = fmt.Sprintf("a%[1]d IS DISTINCT FROM b%[1]d", i)
	}
	return strings.Join(parts, " OR ")
}

// statistics describes every column of a table, in one row.
func statistics(table string, columns []dataset.Column, many bool) string {
	parts := []string{"count(*) AS " + table + "_rows"}
	for i, c := range columns {
		distinct := "count(DISTINCT %s)"
		if many {
			distinct = "approx_count_distinct(%s)"
		}
		name := ident(c.Name)
		parts = append(parts, fmt.Sprintf("count(*) - count(%s) AS %s_nulls_%d", name, table, i),
			fmt.Sprintf(distinct+" AS %s_distinct_%d", name, table, i))
		if !nested(c.Type) {
			parts = append(parts, fmt.Sprintf("min(%[1]s) AS %[2]s_min_%[3]d, max(%[1]s) AS %[2]s_max_%[3]d", name, table, i))
		}
		if number(c.Type) {
			parts = append(parts, fmt.Sprintf("avg(%s)::DOUBLE AS %s_mean_%d", name, table, i))
		}
	}
	return "SELECT " + strings.Join(parts, ", ") + " FROM " + table
}

// nested values have no least and no greatest that would tell anybody anything.
func nested(typ string) bool {
	return strings.HasSuffix(typ, "]") || slices.ContainsFunc([]string{"STRUCT", "MAP", "UNION", "JSON", "VARIANT"}, func(s string) bool { return strings.HasPrefix(typ, s) })
}

func number(typ string) bool {
	if strings.HasPrefix(typ, "DECIMAL") {
		return true
	}
	return slices.Contains([]string{
		"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE",
	}, typ)
}

// samples asks for up to n rows of each kind of difference.
func (p *plan) samples(n int) string {
	as := func(side string) string {
		return p.each(func(i int) string { return fmt.Sprintf("c%d AS %s%d", i, side, i) })
	}
	more := func(relation, kind, side, condition, times string) string {
		return fmt.Sprintf("(SELECT '%s' AS kind, %s AS times, %s FROM %s WHERE %s ORDER BY %s LIMIT %d)", kind, times, as(side), relation, condition, p.columns(), n)
	}
	if len(p.key) == 0 {
		return p.with() + "\n" + more("whole", "only_a", "a", "na > nb", "na - nb") + "\nUNION ALL BY NAME " + more("whole", "only_b", "b", "nb > na", "nb - na")
	}
	pairs := p.each(func(i int) string { return fmt.Sprintf("a%[1]d, b%[1]d", i) })
	order := strings.ReplaceAll(p.keys("%", ", "), "c", "a")
	return p.with() + "\n" + strings.Join([]string{
		fmt.Sprintf("(SELECT 'changed' AS kind, 1 AS times, %s FROM j WHERE %s ORDER BY %s LIMIT %d)", pairs, p.differs(), order, n),
		more("(SELECT x.* FROM x SEMI JOIN (SELECT * FROM k WHERE nb = 0) k ON "+p.keys("x.% = k.%", " AND ")+")", "only_a", "a", "true", "1"),
		more("(SELECT y.* FROM y SEMI JOIN (SELECT * FROM k WHERE na = 0) k ON "+p.keys("y.% = k.%", " AND ")+")", "only_b", "b", "true", "1"),
		more("unkeyed", "only_a", "a", "na > nb", "na - nb"),
		more("unkeyed", "only_b", "b", "nb > na", "nb - na"),
	}, "\nUNION ALL BY NAME ")
}
