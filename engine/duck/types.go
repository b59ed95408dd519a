package duck

import (
	"fmt"
	"regexp"
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

// storable are the types that come back from Parquet as they went in.
func storable(name string) bool {
	return slices.Contains([]string{
		"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT",
		"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
		"FLOAT", "DOUBLE", "VARCHAR", "JSON", "BLOB", "UUID",
		"DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE",
	}, name) || strings.HasPrefix(name, "DECIMAL(")
}

func nested(name string) bool {
	return strings.HasSuffix(name, "]") || strings.HasPrefix(name, "STRUCT(") || strings.HasPrefix(name, "MAP(")
}

// word finds type names outside quoted field names.
var word = regexp.MustCompile(`"(?:[^"]|"")*"|'(?:[^']|'')*'|[A-Z_]+(?: WITH TIME ZONE)?(?:\([0-9]+,[0-9]+\))?|\[[0-9]+\]`)

// storedType returns the type a column is stored as. HUGEINT, which sum() of
// integers returns, has no place in Parquet and would silently become DOUBLE; it
// is stored as BIGINT and overflows loudly.
func storedType(name string) (string, error) {
	if strings.HasPrefix(name, "ENUM(") {
		return "VARCHAR", nil
	}
	if !nested(name) {
		return storedScalar(name)
	}
	var failed error
	out := word.ReplaceAllStringFunc(enumText(name), func(w string) string {
		if w[0] == '"' || w[0] == '\'' || w == "STRUCT" || w == "MAP" {
			return w
		}
		if w[0] == '[' {
			return "[]"
		}
		to, err := storedScalar(w)
		if err != nil && failed == nil {
			failed = err
		}
		return to
	})
	return out, failed
}

var enumType = regexp.MustCompile(`ENUM\((?:'(?:[^']|'')*'(?:, )?)*\)`)

// enumText writes enumerations inside a nested type as VARCHAR.
func enumText(name string) string { return enumType.ReplaceAllString(name, "VARCHAR") }

func storedScalar(name string) (string, error) {
	switch name {
	case "HUGEINT":
		return "BIGINT", nil
	case "UHUGEINT":
		return "UBIGINT", nil
	case "TIMESTAMP_S", "TIMESTAMP_MS":
		return "TIMESTAMP", nil
	}
	if !storable(name) {
		return name, fmt.Errorf("the type %s cannot be stored", name)
	}
	return name, nil
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
