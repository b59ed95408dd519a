package stage

import (
	"maps"
	"slices"

	"github.com/reedbed/reedbed/dataset"
)

// Semantics are the hand-bumped numbers of what a stage calls.
type Semantics struct {
	Engine    int
	Functions map[string]int
}

// CodeIdentity hashes what the stage computes: its syntax tree, the rejects
// rule's, rounding, how it reads its inputs, the semantics numbers of the engine
// and of each function it calls, and the columns it makes. Comments, formatting,
// owner, description, contract and schedule are no part of it.
func (s *Stage) CodeIdentity(a Analysis, ast, rejectsAST string, columns []dataset.Column, sem Semantics) []byte {
	h := dataset.NewFields("code")
	h.Text(ast)
	h.Text(rejectsAST)
	h.Text(string(s.Header.Partition))
	h.Number(int64(sem.Engine))
	h.Number(int64(len(s.Header.Inputs)))
	for _, name := range s.InputNames() {
		h.Text(name)
		w := s.Window(name)
		w.From = "" // it says which version is read, and what is read is in the trace key
		h.Text(w.String())
	}
	called := slices.DeleteFunc(slices.Clone(a.Functions), func(f string) bool { return sem.Functions[f] == 0 })
	h.Number(int64(len(called)))
	for _, f := range called {
		h.Text(f)
		h.Number(int64(sem.Functions[f]))
	}
	h.Number(int64(len(s.Header.Equal)))
	for _, column := range slices.Sorted(maps.Keys(s.Header.Equal)) {
		h.Text(column)
		h.Number(int64(s.Header.Equal[column]))
	}
	h.Number(int64(len(columns)))
	for _, c := range columns {
		h.Text(c.Name)
		h.Text(c.Type)
	}
	return h.Hash()
}
