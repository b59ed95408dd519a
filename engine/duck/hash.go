package duck

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
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

// Names of ours in the relation that is hashed column by column.
const (
	ours    = "__reedbed_"
	keyHash = ours + "key"
	colHash = ours + "column_"
)

// bound are the parts of a query that hashes a relation column by column: the
// relation with one hash of each row's key and one of each other column, which
// binds the value to the hash of the key; how many keys there are, none of them
// NULL; and the lanes, of the keys first and then of the columns in order of
// name. A lane hashes those hashes once more under a mask of its own, which
// costs little beside hashing texts four times.
func bound(relation string, columns []dataset.Column, key []string) (from, distinct string, list, names []string) {
	var schema, values, whole, others strings.Builder
	for _, c := range byName(columns) {
		if slices.Contains(key, c.Name) {
			fmt.Fprintf(&schema, "|%q %s", c.Name, c.Type)
			fmt.Fprintf(&values, ", %s", canonical(c))
			fmt.Fprintf(&whole, " AND %s IS NOT NULL", ident(c.Name))
		}
	}
	list = masked(keyHash)
	for _, c := range byName(columns) {
		if !slices.Contains(key, c.Name) {
			name := fmt.Sprint(colHash, len(names))
			salt := text(fmt.Sprintf("column%s=%q %s", schema.String(), c.Name, c.Type))
			fmt.Fprintf(&others, ", hash(%s, %s, %s IS NULL, %s) AS %s", salt, keyHash, ident(c.Name), canonical(c), name)
			names, list = append(names, c.Name), append(list, masked(name)...)
		}
	}
	from = fmt.Sprintf("(SELECT *%s FROM (SELECT *, hash(%s%s) AS %s FROM %s))", others.String(), text("keys"+schema.String()), values.String(), keyHash, relation)
	return from, fmt.Sprintf("count(DISTINCT CASE WHEN true%s THEN %s END)", whole.String(), keyHash), list, names
}

// masked sums the lanes of a column of hashes.
func masked(name string) (list []string) {
	for _, mask := range []uint64{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93} {
		list = append(list, fmt.Sprintf("sum(hash(xor(%s, %d::UBIGINT)))", name, mask))
	}
	return list
}

// measured is what one pass over the rows of a relation gives.
type measured struct {
	rows  int64
	hash  dataset.ContentHash
	keyed *dataset.ColumnHashes // with a key, if it is unique and nowhere NULL
	asked []sql.NullFloat64
}

// measure counts and hashes the rows of a relation, with a key each column, too,
// and computes the aggregates that are asked for beside.
func (d *DB) measure(ctx context.Context, relation string, columns []dataset.Column, key, asked []string) (m measured, err error) {
	if slices.ContainsFunc(columns, func(c dataset.Column) bool { return strings.HasPrefix(strings.ToLower(c.Name), ours) }) {
		key = nil // our names would not be ours alone
	}
	list := lanes(columns)
	var names []string
	distinct := "0::BIGINT"
	if len(key) > 0 {
		var more []string
		relation, distinct, more, names = bound(relation, columns, key)
		list = append(list, more...)
	}
	// The sums are 128 bits wide, NULL over no rows; they are cut here because four
	// more expressions in the SQL cost a third of the whole on a small file.
	var unique int64
	sums := make([]*big.Int, len(list))
	m.asked = make([]sql.NullFloat64, len(asked))
	into := []any{&m.rows, &unique}
	for i := range sums {
		into = append(into, &sums[i])
	}
	for i := range m.asked {
		into = append(into, &m.asked[i])
	}
	query := "SELECT count(*), " + distinct + ", " + strings.Join(slices.Concat(list, asked), ", ") + " FROM " + relation
	if err := d.conn.QueryRowContext(ctx, query).Scan(into...); err != nil {
		return m, translate(err, "")
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
	m.hash = next()
	if len(key) == 0 || unique != m.rows {
		return m, nil
	}
	m.keyed = &dataset.ColumnHashes{Keys: next(), Columns: map[string]dataset.ContentHash{}}
	for _, name := range names {
		m.keyed.Columns[name] = next()
	}
	return m, nil
}
