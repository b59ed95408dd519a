package duck

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
)

// lanes are the SELECT lists that compute a relation's content hash.
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
func lanes(columns []dataset.Column) []string {
	sorted := byName(columns)
	var schema, values strings.Builder
	for _, c := range sorted {
		fmt.Fprintf(&schema, "|%q %s", c.Name, c.Type)
		fmt.Fprintf(&values, ", %s IS NULL, %s", ident(c.Name), canonical(c))
	}
	return salted(schema.String(), values.String())
}

// salted sums hash(lane and schema, values) for each lane; values begin with a comma.
func salted(schema, values string) []string {
	var list []string
	for lane := range len(dataset.ContentHash{}) {
		list = append(list, fmt.Sprintf("sum(hash(%s%s))", text(fmt.Sprintf("%d%s", lane, schema)), values))
	}
	return list
}

func byName(columns []dataset.Column) []dataset.Column {
	return slices.SortedFunc(slices.Values(columns), func(a, b dataset.Column) int { return cmp.Compare(a.Name, b.Name) })
}

// canonical is the expression whose hash stands for a column's value.
func canonical(c dataset.Column) string {
	if nested(c.Type) {
		return "to_json(" + ident(c.Name) + ")::VARCHAR"
	}
	return ident(c.Name)
}

// bound are the SELECT lists that hash a relation column by column, each value
// bound to the key of its row: how many keys there are, none of them NULL; the
// lanes of the keys; and those of each other column. A row's hash for a column is
// over a salt of the lane, the names and types of the key and of the column,
// then the key's values, whether the value is NULL, and the value.
func bound(columns []dataset.Column, key []string) (distinct string, keys []string, others map[string][]string) {
	var schema, values, whole strings.Builder
	var parts []string
	for _, c := range byName(columns) {
		if !slices.Contains(key, c.Name) {
			continue
		}
		fmt.Fprintf(&schema, "|%q %s", c.Name, c.Type)
		fmt.Fprintf(&values, ", %s", canonical(c))
		fmt.Fprintf(&whole, " AND %s IS NOT NULL", ident(c.Name))
		parts = append(parts, canonical(c))
	}
	distinct = fmt.Sprintf("count(DISTINCT CASE WHEN true%s THEN row(%s) END)", whole.String(), strings.Join(parts, ", "))
	others = map[string][]string{}
	for _, c := range columns {
		if !slices.Contains(key, c.Name) {
			others[c.Name] = salted(fmt.Sprintf("column%s=%q %s", schema.String(), c.Name, c.Type),
				fmt.Sprintf("%s, %s IS NULL, %s", values.String(), ident(c.Name), canonical(c)))
		}
	}
	return distinct, salted("keys"+schema.String(), values.String()), others
}

// measure counts and hashes the rows of a relation. With a key it hashes each
// column, too, if the key is unique and nowhere NULL.
func (d *DB) measure(ctx context.Context, relation string, columns []dataset.Column, key []string) (rows int64, h dataset.ContentHash, keyed *dataset.ColumnHashes, err error) {
	list := lanes(columns)
	var names []string
	distinct := "0::BIGINT"
	if len(key) > 0 {
		count, keys, others := bound(columns, key)
		distinct, list = count, append(list, keys...)
		names = slices.Sorted(maps.Keys(others))
		for _, name := range names {
			list = append(list, others[name]...)
		}
	}
	// The sums are 128 bits wide, NULL over no rows; they are cut here because four
	// more expressions in the SQL cost a third of the whole on a small file.
	var unique int64
	sums := make([]*big.Int, len(list))
	into := []any{&rows, &unique}
	for i := range sums {
		into = append(into, &sums[i])
	}
	query := "SELECT count(*), " + distinct + ", " + strings.Join(list, ", ") + " FROM " + relation
	if err := d.conn.QueryRowContext(ctx, query).Scan(into...); err != nil {
		return 0, h, nil, translate(err, "")
	}
	next := func() (lanes dataset.ContentHash) {
		for i := range lanes {
			if sum := sums[i]; sum != nil {
				lanes[i] = new(big.Int).And(sum, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
			}
		}
		sums = sums[len(lanes):]
		return lanes
	}
	h = next()
	if len(key) == 0 || unique != rows {
		return rows, h, nil, nil
	}
	keyed = &dataset.ColumnHashes{Keys: next(), Columns: map[string]dataset.ContentHash{}}
	for _, name := range names {
		keyed.Columns[name] = next()
	}
	return rows, h, keyed, nil
}
