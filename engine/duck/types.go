package duck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// cell is one output column: how it is computed and the type it is stored as.
type cell struct {
	dataset.Column
	expr string
}

func nested(name string) bool {
	return strings.HasSuffix(name, "]") || strings.HasPrefix(name, "STRUCT(") || strings.HasPrefix(name, "MAP(")
}

// storedType returns the type that a column of the named type is stored as.
func storedType(name string) (string, error) {
	r := typeReader{rest: name}
	to, err := r.read()
	if err == nil && r.rest != "" {
		err = fmt.Errorf("the type %s is not understood", name)
	}
	return to, err
}

// storedScalar maps types that Parquet lacks to ones it has. HUGEINT, which
// sum() of integers returns, would silently become DOUBLE; it is stored as
// BIGINT and overflows loudly.
func storedScalar(name string) (string, error) {
	switch name {
	case "HUGEINT":
		return "BIGINT", nil
	case "UHUGEINT":
		return "UBIGINT", nil
	case "TIMESTAMP_S", "TIMESTAMP_MS":
		return "TIMESTAMP", nil
	case "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT",
		"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
		"FLOAT", "DOUBLE", "VARCHAR", "JSON", "BLOB", "UUID",
		"DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE":
		return name, nil
	}
	if strings.HasPrefix(name, "DECIMAL(") {
		return name, nil
	}
	return name, fmt.Errorf("the type %s cannot be stored", name)
}

// project decides for every column of a SELECT how it is stored, rounding the
// ones named in equal.
func project(columns []dataset.Column, equal map[string]int) ([]cell, error) {
	if err := known(columns, equal); err != nil {
		return nil, err
	}
	cells := make([]cell, len(columns))
	for i, c := range columns {
		to, err := storedType(c.Type)
		if err != nil {
			return nil, &engine.SQLError{
				Message: fmt.Sprintf("column %s: %v", ident(c.Name), err),
				Hint:    "cast it in the SELECT, for example an INTERVAL to seconds with epoch(...)",
			}
		}
		expr := ident(c.Name)
		if to != c.Type {
			expr = "CAST(" + expr + " AS " + to + ")"
		}
		if digits, ok := rounding(equal, c.Name); ok && (to == "DOUBLE" || to == "FLOAT") {
			expr = fmt.Sprintf("CAST(round(%s, %d) AS %s)", expr, digits, to)
		}
		cells[i] = cell{dataset.Column{Name: c.Name, Type: to}, expr}
	}
	return cells, nil
}

func rounding(equal map[string]int, name string) (int, bool) {
	if digits, ok := equal[name]; ok {
		return digits, true
	}
	digits, ok := equal["*"]
	return digits, ok
}

// known refuses an Equal rule for a column that is not there.
func known(columns []dataset.Column, equal map[string]int) error {
	for name := range equal {
		if name != "*" && !slices.ContainsFunc(columns, func(c dataset.Column) bool { return c.Name == name }) {
			return missing("equal", name, columns)
		}
	}
	return nil
}

func missing(rule, name string, columns []dataset.Column) error {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return &engine.SQLError{
		Message: fmt.Sprintf("%s names the column %s, which the SELECT does not return", rule, ident(name)),
		Hint:    "it returns: " + strings.Join(names, ", "),
	}
}

func stored(cells []cell) []dataset.Column {
	columns := make([]dataset.Column, len(cells))
	for i, c := range cells {
		columns[i] = c.Column
	}
	return columns
}

// selection writes the cells as the list of a SELECT.
func selection(cells []cell) string {
	list := make([]string, len(cells))
	for i, c := range cells {
		list[i] = c.expr
		if c.expr != ident(c.Name) {
			list[i] += " AS " + ident(c.Name)
		}
	}
	return strings.Join(list, ", ")
}
