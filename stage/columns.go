package stage

import (
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
)

// Sees returns those of an input's columns whose values the query can see, an
// empty list if it can only count the rows, or all = true if it may see any
// column, also one that is added later.
//
// It errs towards more: every part of every name counts, wherever it stands, and
// whatever says "all columns" in some way counts as all of them.
func (a Analysis) Sees(input string, columns []dataset.Column) (seen []string, all bool) {
	if a.callsFor(input) != "" {
		return nil, true
	}
	n := naming{tables: map[string]bool{}, parts: map[string]bool{}}
	n.walk(a.root)
	n.walk(a.rejects)
	if n.all || slices.ContainsFunc(n.last, func(name string) bool { return n.tables[name] }) {
		return nil, true
	}
	seen = []string{}
	for _, c := range columns {
		if n.parts[strings.ToLower(c.Name)] {
			seen = append(seen, c.Name)
		}
	}
	slices.Sort(seen)
	return seen, false
}

// naming gathers the names a query uses, in lower case.
type naming struct {
	tables map[string]bool // names and aliases of relations: as an expression one is a whole row
	parts  map[string]bool // every part of every column reference
	last   []string        // the last part of each
	all    bool            // columns are used without being named
}

func (n *naming) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			n.walk(child)
		}
	case map[string]any:
		n.node(v)
	case node:
		n.node(v)
	}
}

func (n *naming) node(x node) {
	switch x.text("class") {
	case "STAR", "POSITIONAL_REFERENCE":
		n.all = true
	case "COLUMN_REF":
		n.reference(x.list("column_names"))
	}
	for _, key := range []string{"from_table", "left", "right"} {
		if from := x.child(key); from != nil && (key == "from_table" || x.text("type") == "JOIN") {
			n.relation(from)
		}
	}
	for _, entry := range x.child("cte_map").list("map") {
		name, _ := cteQuery(entry)
		n.tables[name] = true
	}
	for _, child := range x {
		n.walk(child)
	}
}

func (n *naming) reference(names []any) {
	for i, name := range names {
		text, _ := name.(string)
		n.parts[strings.ToLower(text)] = true
		if i == len(names)-1 {
			n.last = append(n.last, strings.ToLower(text))
		}
	}
}

func (n *naming) relation(x node) {
	n.tables[x.table()], n.tables[strings.ToLower(x.text("alias"))] = true, true
	switch x.text("type") {
	case "BASE_TABLE":
		n.all = n.all || len(x.list("column_name_alias")) > 0 // t AS x(a, b) names columns by their place
	case "JOIN":
		n.all = n.all || x.text("ref_type") == "NATURAL"
		n.reference(x.list("using_columns"))
	case "SUBQUERY", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "EMPTY_FROM":
	default: // PIVOT and what later releases add
		n.all = true
	}
}
