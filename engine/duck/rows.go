package duck

import (
	"fmt"
	"strings"

	"github.com/reedbed/reedbed/engine"
)

// values is a relation of the rows a table holds itself.
func values(t engine.Table) string {
	cast, names := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = fmt.Sprintf("c%d", i)
		from := names[i]
		if nested(c.Type) { // text of lists and structs is ambiguous unless it is JSON
			from = "CAST(" + from + " AS JSON)"
		}
		cast[i] = "CAST(" + from + " AS " + c.Type + ") AS " + ident(c.Name)
	}
	rows := make([]string, len(t.Rows))
	for i, cells := range t.Rows {
		list := make([]string, len(cells))
		for j, cell := range cells {
			list[j] = "NULL::VARCHAR"
			if cell != nil {
				list[j] = text(*cell)
			}
		}
		rows[i] = "(" + strings.Join(list, ", ") + ")"
	}
	return "SELECT " + strings.Join(cast, ", ") + " FROM (VALUES " + strings.Join(rows, ", ") + ") AS given(" + strings.Join(names, ", ") + ")"
}
