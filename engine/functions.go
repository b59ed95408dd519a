package engine

import (
	"github.com/reedbed/reedbed/enrich"
	"github.com/reedbed/reedbed/enrich/schema"
)

// Semantics is raised by hand when the same SQL over the same rows would give
// other rows: a new DuckDB with changed results, another rounding, other rules
// for which types are stored how. It is part of every stage's code identity.
const Semantics = 1

// Functions names every function this program adds to SQL, with the number that
// is raised when its answers change. A stage's identity holds the numbers of the
// functions it calls. The map is the caller's.
func Functions() map[string]int {
	out := enrich.Semantics()
	out["schema_errors"] = schema.Semantics
	return out
}
