package contract

import (
	"regexp"
	"strings"
)

// kind is what the values of a column can be compared with.
type kind int

const (
	otherKind kind = iota
	numbers
	times
	texts
)

var plainTime = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:[0-9]{2})?)?)?$`)

func kindOf(sqlType string) kind {
	base, _, _ := strings.Cut(sqlType, "(")
	switch base {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL":
		if strings.HasSuffix(sqlType, "]") {
			return otherKind
		}
		return numbers
	case "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS":
		return times
	case "VARCHAR":
		return texts
	}
	return otherKind
}

// sameType reports whether a type as people write it is the type of a column. A
// DECIMAL without digits is any.
func sameType(written, actual string) bool {
	want := plainType(written)
	return want == actual || want == "DECIMAL" && strings.HasPrefix(actual, "DECIMAL(")
}

// plainType is a type as DuckDB spells it.
func plainType(written string) string {
	t := strings.ToUpper(strings.Join(strings.Fields(written), " "))
	base, digits, has := strings.Cut(t, "(")
	if name, ok := otherNames[strings.TrimSpace(base)]; ok {
		base = name
	}
	if !has || base == "VARCHAR" { // the length of a text is not kept
		return base
	}
	return strings.TrimSpace(base) + "(" + strings.ReplaceAll(digits, " ", "")
}

// otherNames are the names that SQL has for the types.
var otherNames = map[string]string{
	"TEXT": "VARCHAR", "STRING": "VARCHAR", "CHAR": "VARCHAR", "BPCHAR": "VARCHAR",
	"INT": "INTEGER", "INT4": "INTEGER", "SIGNED": "INTEGER", "INT8": "BIGINT", "LONG": "BIGINT", "INT2": "SMALLINT", "SHORT": "SMALLINT", "INT1": "TINYINT",
	"FLOAT8": "DOUBLE", "DOUBLE PRECISION": "DOUBLE", "FLOAT4": "FLOAT", "REAL": "FLOAT", "NUMERIC": "DECIMAL", "DEC": "DECIMAL",
	"BOOL": "BOOLEAN", "LOGICAL": "BOOLEAN", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "DATETIME": "TIMESTAMP", "BYTES": "BLOB", "BYTEA": "BLOB", "VARBINARY": "BLOB",
}
