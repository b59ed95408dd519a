package duck

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
)

// lanes is the SELECT list that computes a relation's content hash.
//
// A row's hash in one lane is DuckDB's hash over a salt, then for each column in
// order of name whether it is NULL and its value. The salt holds the lane and
// every name and type, so equal values in other columns or of other types
// differ. It stands first: at the end it would only xor a constant, and four
// lanes would say no more than one. Nested values go in as JSON text, because
// the hash of `[]`, `[NULL]` and NULL is the same.
//
// Lanes are summed modulo 2^64: order does not matter, multiplicity does, and
// the hashes of disjoint sets of rows add up.
func lanes(columns []dataset.Column) string {
	sorted := slices.SortedFunc(slices.Values(columns), func(a, b dataset.Column) int { return cmp.Compare(a.Name, b.Name) })
	var schema, values strings.Builder
	for _, c := range sorted {
		fmt.Fprintf(&schema, "|%q %s", c.Name, c.Type)
		fmt.Fprintf(&values, ", %s IS NULL, %s", ident(c.Name), canonical(c))
	}
	var list []string
	for lane := range len(dataset.ContentHash{}) {
		salt := text(fmt.Sprintf("%d%s", lane, schema.String()))
		list = append(list, fmt.Sprintf("coalesce(sum(hash(%s%s)) %% 18446744073709551616, 0)::UBIGINT", salt, values.String()))
	}
	return strings.Join(list, ", ")
}

// canonical is the expression whose hash stands for a column's value.
func canonical(c dataset.Column) string {
	if nested(c.Type) {
		return "to_json(" + ident(c.Name) + ")::VARCHAR"
	}
	return ident(c.Name)
}

// measure counts and hashes the rows of a relation.
func (d *DB) measure(ctx context.Context, relation string, columns []dataset.Column) (rows int64, h dataset.ContentHash, err error) {
	query := "SELECT count(*), " + lanes(columns) + " FROM " + relation
	err = d.conn.QueryRowContext(ctx, query).Scan(&rows, &h[0], &h[1], &h[2], &h[3])
	return rows, h, translate(err, "")
}
