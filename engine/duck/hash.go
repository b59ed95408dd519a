package duck

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/big"
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
// Lanes are summed, and cut to 64 bits by measure: order does not matter,
// multiplicity does, and the hashes of disjoint sets of rows add up. The page
// docs/format/identity.md says the same for people; HashScheme names it.
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
		list = append(list, fmt.Sprintf("sum(hash(%s%s))", salt, values.String()))
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
	// The sums are 128 bits wide, NULL over no rows; they are cut here because four
	// more expressions in the SQL cost a third of the whole on a small file.
	var sums [len(h)]*big.Int
	if err := d.conn.QueryRowContext(ctx, query).Scan(&rows, &sums[0], &sums[1], &sums[2], &sums[3]); err != nil {
		return 0, h, translate(err, "")
	}
	for i, sum := range sums {
		if sum != nil {
			h[i] = new(big.Int).And(sum, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
		}
	}
	return rows, h, nil
}
